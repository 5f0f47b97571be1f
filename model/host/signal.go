//go:build linux

package host

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// signals are those that somebody watches, or has watched.
type signals struct {
	mu   sync.Mutex
	all  map[syscall.Signal]*watchedSignal // guarded by mu
	over bool                              // guarded by mu
}

// A watchedSignal is one signal. All knotes of it, of whatever queue, are on one
// source, and a goroutine posts there what Go's runtime has taken.
//
// signalfd(2) is of no use in a Go program: it takes what is pending, so the
// signal would have to be blocked in every thread, and the runtime decides which
// threads there are and what they block. The handlers are the runtime's too, and
// os/signal the way to be told.
type watchedSignal struct {
	src    *kqueue.Source
	sig    syscall.Signal
	filter *kqueue.Filter
	came   chan os.Signal
	quit   chan struct{}
	ended  chan struct{} // guarded by src's domain: nil until the goroutine is started
	knotes int           // guarded by src's domain

	h *Host
}

// held is how many deliveries of a signal can wait to be counted. What comes on
// top is told of, since those before are, but not counted.
const held = 1024

// openSignal returns the source of a signal, and its filter. (kqueue.Opener)
//
// Data is how often the signal came since the event was last retrieved.
//
// Error: EINVAL if there is no signal of that number, or none that a Go program
// can be told of.
func (h *Host) openSignal(td *machine.Thread, _ kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
	if !catchable(ident) {
		return nil, nil, unix.EINVAL
	}
	s := &h.signals
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, nil, unix.EINVAL
	}
	sig := syscall.Signal(ident)
	w := s.all[sig]
	if w == nil {
		w = &watchedSignal{sig: sig, src: h.k.NewSource(td), h: h, came: make(chan os.Signal, held), quit: make(chan struct{})}
		w.filter = &kqueue.Filter{
			Name: "host signal", Clear: true, Count: true,
			Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
				if kn.Want != 0 {
					return unix.EINVAL
				}
				w.begin()
				return nil
			},
			Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
				if kev.Fflags != 0 {
					return unix.EINVAL
				}
				return nil
			},
			Detach: func(td *machine.Thread, kn *kqueue.Knote) { w.end() },
		}
		if s.all == nil {
			s.all = map[syscall.Signal]*watchedSignal{}
		}
		s.all[sig] = w
	}
	return w.src, w.filter, nil
}

// catchable reports whether Go's runtime can be made to tell of a signal.
func catchable(sig uint64) bool {
	switch {
	case sig == 0 || sig > 64:
		return false
	case sig == uint64(unix.SIGKILL) || sig == uint64(unix.SIGSTOP):
		return false // nobody can
	case sig >= 32 && sig <= 34:
		return false // the C library's; the runtime leaves them alone
	}
	return true
}

// begin counts one more knote. The first has the signal delivered to us.
func (w *watchedSignal) begin() {
	if w.knotes++; w.knotes > 1 {
		return
	}
	if w.ended == nil {
		w.ended = make(chan struct{})
		go w.post()
	}
	signal.Notify(w.came, w.sig)
}

// end counts one less. After the last the signal does again what it did before.
func (w *watchedSignal) end() {
	if w.knotes--; w.knotes == 0 {
		signal.Stop(w.came)
	}
}

// post tells the knotes of what has come, until the host is closed. It is a
// thread of the machine for as long, as the interrupt handler of a device is.
func (w *watchedSignal) post() {
	defer close(w.ended)
	td := w.h.k.Machine().Attach("signal "+unix.SignalName(w.sig), 0)
	defer td.Detach()
	for {
		select {
		case <-w.quit:
			return
		case <-w.came:
		}
		n := int64(1)
		for len(w.came) > 0 {
			<-w.came
			n++
		}
		w.src.Notify(td, n)
	}
}

// close ends all goroutines, and lets every signal do what it did before.
func (s *signals) close(td *machine.Thread) {
	s.mu.Lock()
	s.over = true
	all := s.all
	s.all = nil
	s.mu.Unlock()
	for _, w := range all {
		signal.Stop(w.came)
		close(w.quit)
		w.src.Enter(td)
		ended := w.ended
		w.src.Exit(td)
		if ended != nil {
			<-ended
		}
	}
}
