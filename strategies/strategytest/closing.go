package strategytest

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const errEBADF = syscall.EBADF

// documented reports an error that a change racing with an end may not have.
func (l *lab) documented(td *machine.Thread, err error) {
	if err != nil && !errors.Is(err, syscall.EBADF) && !errors.Is(err, syscall.ENOENT) {
		l.t.Errorf("%s: %v, want EBADF or ENOENT at most", td.Name, err)
	}
}

// closeAll closes every descriptor, on a thread of its own.
func (l *lab) closeAll() (closed int, err error) {
	l.m.Go("closer of all", 0, func(td *machine.Thread) {
		for fd := range 100 {
			if l.p.Close(td, fd) == nil {
				closed++
			}
		}
	})
	if err := l.m.Run(); err != nil {
		return closed, fmt.Errorf("when everything was closed: %w", err)
	}
	return closed, nil
}

// closeRaces are the races of close with everything else.
func closeRaces(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	t.Run("sleepers", func(t *testing.T) { closeSleepers(t, new) })
	t.Run("registrations", func(t *testing.T) { closeRegistrations(t, new) })
	t.Run("last-two-descriptors", func(t *testing.T) { closeLastTwo(t, new) })
	t.Run("watched", func(t *testing.T) { closeWatched(t, new) })
}

// closeSleepers: everybody who sleeps in a queue leaves it when it is closed,
// and everybody who comes later: with EBADF.
func closeSleepers(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	l := newLab(t, new)
	for range rounds(200) {
		var kq int
		l.do(0, func(td *machine.Thread) { kq = l.kqueue(td) })
		for i := range 3 {
			l.spawn(nth("sleeper", i), i%2, func(td *machine.Thread) {
				n, err := l.p.Kevent(td, kq, nil, make([]event.Kevent, 1), kqueue.Forever)
				if n != 0 || err != syscall.EBADF {
					t.Errorf("kevent on a queue that is closed: %d, %v, want EBADF", n, err)
				}
			})
		}
		l.spawn("closer", 1, func(td *machine.Thread) {
			if err := l.p.Close(td, kq); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		l.run()
	}
}

// closeRegistrations: a queue is closed while others add to it, take from it
// and notify it. No knote of it is left.
func closeRegistrations(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for _, blocks := range []bool{false, true} {
		l := newLab(t, new)
		var f *tally
		var fd int
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, blocks)
			fd = l.open(td, f)
		})
		for range rounds(200) {
			var q *kqueue.Queue
			l.do(1, func(td *machine.Thread) { q = l.k.NewQueue(td, l.p) })
			for i, flags := range []event.Flags{event.Add | event.OneShot, event.Add, event.Delete} {
				l.spawn(nth("changer", i), i%2, func(td *machine.Thread) {
					for range 5 {
						_, err := q.Kevent(td, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: flags}}, nil, 0)
						l.documented(td, err)
						f.ring(td)
						_, err = q.Kevent(td, nil, make([]event.Kevent, 2), 0)
						l.documented(td, err)
					}
				})
			}
			l.spawn("closer", 1, func(td *machine.Thread) {
				q.Close(td)
				if _, err := q.Kevent(td, nil, nil, 0); err != errEBADF {
					t.Errorf("kevent on a closed queue: %v, want EBADF", err)
				}
			})
			l.run()
			if f.attached.Load() != f.detached.Load() {
				t.Fatalf("attached %d, detached %d, and the queue is closed", f.attached.Load(), f.detached.Load())
			}
		}
	}
}

// closeLastTwo: the last two descriptors of a file are closed at once. The file
// is released when the knotes of both are gone, and not before.
func closeLastTwo(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for range rounds(100) {
		l := newLab(t, new)
		var f *tally
		fds := make([]int, 2)
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, true)
			kq := l.kqueue(td)
			fds[0] = l.open(td, f)
			fds[1], _ = l.p.Dup(td, fds[0])
			for _, fd := range fds {
				l.change(td, kq, event.Read, fd, event.Add)
			}
		})
		for i, fd := range fds {
			l.spawn(nth("closer", i), i, func(td *machine.Thread) {
				if err := l.p.Close(td, fd); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		l.spawn("ringer", 0, func(td *machine.Thread) { f.ring(td) })
		l.run()
		if msg := f.wrong(); msg != "" || !f.released.Load() {
			t.Fatalf("%s; released: %v", msg, f.released.Load())
		}
	}
}

// closeWatched: queues that watch each other are closed in any order, while
// they are told of events.
func closeWatched(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for range rounds(200) {
		l := newLab(t, new)
		var f *tally
		kqs := make([]int, 3)
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, false)
			kqs[0] = l.kqueue(td)
			l.change(td, kqs[0], event.Read, l.open(td, f), event.Add)
		})
		l.do(1, func(td *machine.Thread) {
			for i := 1; i < len(kqs); i++ {
				kqs[i] = l.kqueue(td)
				l.change(td, kqs[i], event.Read, kqs[i-1], event.Add)
			}
		})
		l.spawn("ringer", 0, func(td *machine.Thread) {
			for range 20 {
				f.ring(td)
			}
		})
		for i, kq := range slices.Backward(kqs) {
			l.spawn(nth("closer", i), i%2, func(td *machine.Thread) {
				if err := l.p.Close(td, kq); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		l.spawn("poller", 1, func(td *machine.Thread) {
			for range 5 {
				_, err := l.p.Kevent(td, kqs[2], nil, make([]event.Kevent, 2), 0)
				l.documented(td, err)
			}
		})
		l.run()
	}
}
