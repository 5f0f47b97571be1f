package proc_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

const (
	usr1 = syscall.SIGUSR1
	usr2 = syscall.SIGUSR2
)

// catches has the process catch signals, and returns where they are noted, in their
// order. Only one thread may take them.
func (l *lab) catches(sigs ...syscall.Signal) *[]syscall.Signal {
	var got []syscall.Signal
	for _, sig := range sigs {
		_, err := l.p.SetAction(l.td, sig, proc.Action{Catch: func(_ *machine.Thread, sig syscall.Signal) { got = append(got, sig) }})
		l.must(err)
	}
	return &got
}

func (l *lab) caught(got *[]syscall.Signal, want ...syscall.Signal) {
	l.Helper()
	if !slices.Equal(*got, want) {
		l.Errorf("caught %v, want %v", *got, want)
	}
	*got = nil
}

func TestSigset(t *testing.T) {
	s := proc.Signals(syscall.SIGHUP, usr1, proc.MaxSignal)
	if !s.Has(usr1) || s.Has(usr2) || s.Has(0) || s.Has(65) || s.Has(-1) || s.String() != "{1 10 64}" {
		t.Errorf("Sigset %v", s)
	}
	defer func() {
		if recover() == nil {
			t.Error("Signals(65) does not panic")
		}
	}()
	proc.Signals(65)
}

func TestSignalMask(t *testing.T) {
	each(t, func(l *lab) {
		got := l.catches(usr1, usr2)
		l.p.Join(l.td)
		defer l.p.Part(l.td)

		l.must(l.p.Kill(l.td, usr1)) // to itself: caught before Kill returns
		l.caught(got, usr1)

		old, err := l.p.SetMask(l.td, proc.Block, proc.Signals(usr1))
		l.must(err)
		if old != 0 {
			t.Errorf("mask before: %v, want none", old)
		}
		l.must(l.p.Kill(l.td, usr1))
		l.must(l.p.Kill(l.td, usr1))
		l.must(l.p.ThreadKill(l.td, l.td, usr1))
		l.must(l.p.Kill(l.td, usr2))
		l.caught(got, usr2)
		if set := l.p.Pending(l.td); set != proc.Signals(usr1) {
			t.Errorf("pending %v, want %v", set, proc.Signals(usr1))
		}
		old, err = l.p.SetMask(l.td, proc.Unblock, proc.Signals(usr1, usr2))
		l.must(err)
		if old != proc.Signals(usr1) {
			t.Errorf("mask before: %v, want %v", old, proc.Signals(usr1))
		}
		l.caught(got, usr1, usr1) // once for the process, once for the thread
		if set := l.p.Pending(l.td); set != 0 {
			t.Errorf("pending %v, want none", set)
		}

		_, err = l.p.SetMask(l.td, proc.SetMask, proc.Signals(syscall.SIGKILL, syscall.SIGSTOP))
		l.must(err)
		if old, _ = l.p.SetMask(l.td, proc.SetMask, 0); old != 0 {
			t.Errorf("SIGKILL and SIGSTOP have been blocked: %v", old)
		}
	})
}

// What is ignored is dropped where it is not blocked; a blocked signal waits, since
// its action may change.
func TestSignalIgnored(t *testing.T) {
	each(t, func(l *lab) {
		l.p.Join(l.td)
		defer l.p.Part(l.td)
		_, err := l.p.SetAction(l.td, usr1, proc.Action{Ignore: true})
		l.must(err)
		l.must(l.p.Kill(l.td, usr1))
		l.must(l.p.Kill(l.td, syscall.SIGCHLD)) // by default
		if set := l.p.Pending(l.td); set != 0 {
			t.Errorf("pending %v, want none", set)
		}
		_, err = l.p.SetMask(l.td, proc.Block, proc.Signals(usr1))
		l.must(err)
		l.must(l.p.Kill(l.td, usr1))
		got := l.catches(usr1)
		_, err = l.p.SetMask(l.td, proc.SetMask, 0)
		l.must(err)
		l.caught(got, usr1)

		_, err = l.p.SetMask(l.td, proc.Block, proc.Signals(usr1))
		l.must(err)
		l.must(l.p.Kill(l.td, usr1))
		l.must(l.p.ThreadKill(l.td, l.td, usr1))
		_, err = l.p.SetAction(l.td, usr1, proc.Action{Ignore: true})
		l.must(err)
		if set := l.p.Pending(l.td); set != 0 {
			t.Errorf("pending %v after it has been ignored, want none", set)
		}
		if n := l.p.Fatal(l.td); n != 0 {
			t.Errorf("%d fatal signals, want none", n)
		}
		l.must(l.p.Kill(l.td, usr2))
		if n := l.p.Fatal(l.td); n != 1 {
			t.Errorf("%d fatal signals, want 1: nobody catches SIGUSR2", n)
		}
	})
}

// A handler has its own signal blocked, and its Mask, and no more when it is over.
func TestSignalHandler(t *testing.T) {
	each(t, func(l *lab) {
		l.p.Join(l.td)
		defer l.p.Part(l.td)
		depth, most, n := 0, 0, 0
		_, err := l.p.SetAction(l.td, usr1, proc.Action{Mask: proc.Signals(usr2), Catch: func(td *machine.Thread, sig syscall.Signal) {
			depth++
			most = max(most, depth)
			if n++; n < 3 {
				l.must(l.p.Kill(td, usr1))
				l.must(l.p.Kill(td, usr2))
				if set := l.p.Pending(td); set != proc.Signals(usr1, usr2) {
					t.Errorf("pending in the handler: %v", set)
				}
			}
			depth--
		}})
		l.must(err)
		got := l.catches(usr2)
		l.must(l.p.Kill(l.td, usr1))
		if n != 3 || most != 1 {
			t.Errorf("%d calls of the handler, %d deep; want 3, one at a time", n, most)
		}
		l.caught(got, usr2)
		if old, _ := l.p.SetMask(l.td, proc.SetMask, 0); old != 0 {
			t.Errorf("mask after the handlers: %v", old)
		}
	})
}

func TestSignalErrors(t *testing.T) {
	l := newLab(t, strategies.All[0])
	defer l.td.Detach()
	other := l.m.Attach("other", 0)
	defer other.Detach()
	for _, tt := range []struct {
		call string
		err  error
		want syscall.Errno
	}{
		{"SetAction of 0", second(l.p.SetAction(l.td, 0, proc.Action{})), syscall.EINVAL},
		{"SetAction of 65", second(l.p.SetAction(l.td, 65, proc.Action{})), syscall.EINVAL},
		{"SetAction of SIGKILL", second(l.p.SetAction(l.td, syscall.SIGKILL, proc.Action{})), syscall.EINVAL},
		{"SetAction of SIGSTOP", second(l.p.SetAction(l.td, syscall.SIGSTOP, proc.Action{})), syscall.EINVAL},
		{"Kill of -1", l.p.Kill(l.td, -1), syscall.EINVAL},
		{"Kill of 65", l.p.Kill(l.td, 65), syscall.EINVAL},
		{"Kill of 0", l.p.Kill(l.td, 0), 0},
		{"SetMask, not joined", second(l.p.SetMask(l.td, proc.Block, 0)), syscall.EINVAL},
		{"ThreadKill, not joined", l.p.ThreadKill(l.td, other, usr1), syscall.ESRCH},
	} {
		if got, _ := tt.err.(syscall.Errno); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.call, tt.err, tt.want)
		}
	}
	l.p.Join(l.td)
	if _, err := l.p.SetMask(l.td, 9, 0); err != syscall.EINVAL {
		t.Errorf("SetMask in a way that there is not: %v, want EINVAL", err)
	}
	l.p.Part(l.td)
}

func second[T any](_ T, err error) error { return err }

// A caught signal ends kevent(2) with EINTR; one that is ignored, blocked, or for
// another thread does not, and nor does one that comes with an event.
func TestKeventInterrupted(t *testing.T) {
	each(t, func(l *lab) {
		got := l.catches(usr1)
		_, err := l.p.SetAction(l.td, usr2, proc.Action{Ignore: true})
		l.must(err)
		kq := l.kqueue()
		l.td.Detach()
		var n [3]int
		var errs [3]error
		tds := make(chan *machine.Thread, 3)
		l.m.Go("waits", 0, func(td *machine.Thread) {
			l.p.Join(td)
			tds <- td
			var e [1]event.Kevent
			n[0], errs[0] = l.p.Kevent(td, kq, nil, e[:], kqueue.Forever)
			l.p.SetMask(td, proc.Block, proc.Signals(usr1))
			tds <- td
			n[1], errs[1] = l.p.Kevent(td, kq, nil, e[:], 20*time.Millisecond)
			l.p.Part(td)
		})
		l.td = l.m.Attach("test", 0)
		to := <-tds
		l.must(l.p.Kill(l.td, usr2))
		l.must(l.p.ThreadKill(l.td, to, usr2))
		l.must(l.p.Kill(l.td, usr1))
		<-tds
		l.must(l.p.Kill(l.td, usr1))
		l.td.Detach()
		l.must(l.m.Run())
		l.td = l.m.Attach("test", 0)
		if n[0] != 0 || errs[0] != syscall.EINTR {
			t.Errorf("kevent, signal caught: %d, %v, want EINTR", n[0], errs[0])
		}
		if n[1] != 0 || errs[1] != nil {
			t.Errorf("kevent, signal blocked: %d, %v, want its time to be over", n[1], errs[1])
		}
		l.caught(got, usr1)
		if set := l.p.Pending(l.td); set != proc.Signals(usr1) {
			t.Errorf("pending %v, want %v: nobody was left to take it", set, proc.Signals(usr1))
		}
	})
}
