package device

import (
	"fmt"
	"sync"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Fault is planted in a watched timer filter, to see that it is found.
type Fault int

// The faults.
const (
	NoFault     Fault = iota
	CountsTwice       // the filter counts what it fetches twice
	ForgetsStop       // detach leaves the callout armed
)

// A Watch sees what becomes of the timers of a kernel.
type Watch struct {
	mu        sync.Mutex
	fetched   map[uint64]int64 // by ident: expirations that the filter was asked with
	forgotten map[uint64]int64 // by ident: of those, what restart and deletion threw away
	ended     []*timer
}

// InstallWatched installs the filters of Install, the timers watched.
func InstallWatched(k *kqueue.Kernel, fault Fault) *Watch {
	Install(k)
	w := &Watch{fetched: map[uint64]int64{}, forgotten: map[uint64]int64{}}
	f := *timerFilter
	f.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		expired := kn.Hook.(*timer).expired
		w.add(w.fetched, kn, expired)
		if fault == CountsTwice {
			kn.Pending += expired
		}
		return timerFilter.Event(td, kn, hint)
	}
	f.Touch = func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		pending := kn.Pending
		err := timerFilter.Touch(td, kn, kev)
		if err == nil {
			w.add(w.forgotten, kn, pending)
		}
		return err
	}
	f.Detach = func(td *machine.Thread, kn *kqueue.Knote) {
		w.add(w.forgotten, kn, kn.Pending)
		t := kn.Hook.(*timer)
		if fault != ForgetsStop {
			timerFilter.Detach(td, kn)
		}
		w.mu.Lock()
		w.ended = append(w.ended, t)
		w.mu.Unlock()
	}
	k.Install(event.Timer, own(k, &f))
	return w
}

func (w *Watch) add(m map[uint64]int64, kn *kqueue.Knote, n int64) {
	w.mu.Lock()
	m[kn.Ident()] += n
	w.mu.Unlock()
}

// Verdict says what is wrong once all timers have been deleted and taken is the
// data of all events by ident; nil if nothing is.
func (w *Watch) Verdict(td *machine.Thread, taken map[uint64]int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range w.fetched {
		if taken[id]+w.forgotten[id] != n {
			return fmt.Errorf("timer %d: %d expirations counted, %d taken and %d forgotten", id, n, taken[id], w.forgotten[id])
		}
	}
	var err error
	for _, t := range w.ended {
		if t.callout.Running(td) || t.callout.Stop(td) {
			err = fmt.Errorf("a timer that was detached has a callout")
		}
	}
	return err
}

// Reached returns how many timers have been detached, how many expirations were
// counted, and how many of them thrown away.
func (w *Watch) Reached() (ended int, fetched, forgotten int64) {
	for id := range w.fetched {
		fetched += w.fetched[id]
		forgotten += w.forgotten[id]
	}
	return len(w.ended), fetched, forgotten
}

// Counts returns how many units have come in, were read, were lost, and are there; and
// the same of those that were written.
func (d *Buffered) Counts() (in, out [4]int64) {
	return [4]int64{d.in.came, d.in.gave, d.in.lost, int64(d.in.keys.n)},
		[4]int64{d.out.came, d.out.gave, d.out.lost, int64(d.out.n)}
}

// InputUntold is Input of a driver that has forgotten to tell those who watch.
func (d *Buffered) InputUntold(td *machine.Thread, n int) (int, error) {
	d.enter(td)
	defer d.exit(td)
	return d.in.bring(&d.row.in, n), nil
}
