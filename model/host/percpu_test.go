//go:build linux

package host_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// on runs f on a thread of a CPU, and waits for it.
func (l *lab) on(cpu int, f func(td *machine.Thread)) {
	l.start("maker", cpu, f)()
}

// eventfd returns one whose source is placed where td makes it.
func (l *lab) eventfd(td *machine.Thread) int {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		l.Error(err)
	}
	if _, err := l.h.Open(td, fd); err != nil {
		l.Error(err)
	}
	return fd
}

func (l *lab) ring1(fd int) {
	l.Helper()
	if _, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		l.Error(err)
	}
}

// bound reports whether the strategy binds sources to CPUs.
func (l *lab) bound() bool { return l.k.NewSource(l.td).CPU() != nil }

// There is a set for each CPU if sources are bound to theirs, and who polls on one
// does not disturb who sleeps on the other.
func TestSetsOfCPUs(t *testing.T) {
	each(t, func(l *lab) {
		sets := 1
		if l.bound() {
			sets = 2
		}
		if n := l.h.Sets(); n != sets {
			l.Errorf("%d epoll sets, want %d", n, sets)
		}
		var q *kqueue.Queue
		var e1 int
		e0 := l.eventfd(l.td)
		l.add(e0, read, event.Clear)
		l.on(1, func(td *machine.Thread) {
			q = l.k.NewQueue(td, l.h)
			e1 = l.eventfd(td)
			if _, err := q.Kevent(td, []event.Kevent{ev(e1, read, 0, event.Add|event.Clear)}, nil, 0); err != nil {
				l.Error(err)
			}
		})
		join := l.start("sleeper", 0, func(td *machine.Thread) {
			if e := next(l.T, td, l.q); e != ev(e0, read, 8, event.Clear) {
				l.Errorf("woken by %v", e)
			}
		})
		l.inWait()
		l.h.Rings()
		l.on(1, func(td *machine.Thread) {
			var got [2]event.Kevent
			for range 50 {
				l.ring1(e1)
				if n, err := q.Kevent(td, nil, got[:], 0); n != 1 || err != nil || got[0] != ev(e1, read, 8, event.Clear) {
					l.Errorf("%s, %v", list(got[:n]), err)
				}
			}
		})
		if n := l.h.Rings(); (n == 0) != l.bound() {
			l.Errorf("polls on the other CPU have rung the bell %d times", n)
		}
		l.ring1(e0)
		join()
		l.ok(q.Close(l.td))
	})
}

// A queue that watches what lives on another CPU is told by a poll at once, and its
// sleepers are woken though nobody sleeps there; through a queue between as well.
func TestWatchAcrossCPUs(t *testing.T) {
	each(t, func(l *lab) {
		var direct, below int
		var inner *kqueue.Queue
		l.on(1, func(td *machine.Thread) {
			direct, below = l.eventfd(td), l.eventfd(td)
			inner = l.k.NewQueue(td, l.h)
			if _, err := inner.Kevent(td, []event.Kevent{ev(below, read, 0, event.Add)}, nil, 0); err != nil {
				l.Error(err)
			}
		})
		const here = 1 << 20 // no number of Linux
		q := l.k.NewQueue(l.td, both{l.h, table{here: {File: inner}}})
		_, err := q.Kevent(l.td, []event.Kevent{
			ev(direct, read, 0, event.Add|event.Clear),
			ev(here, read, 0, event.Add),
		}, nil, 0)
		l.ok(err)
		var got [2]event.Kevent
		for range 20 {
			l.ring1(direct)
			if n, err := q.Kevent(l.td, nil, got[:], 0); n != 1 || err != nil || got[0] != ev(direct, read, 8, event.Clear) {
				l.Fatalf("a poll: %s, %v", list(got[:n]), err)
			}
			l.ring1(below)
			if n, err := q.Kevent(l.td, nil, got[:], 0); n != 1 || err != nil || got[0] != ev(here, read, 1, 0) {
				l.Fatalf("a poll, of a queue: %s, %v", list(got[:n]), err)
			}
			l.read(below, 8)
			if n, err := q.Kevent(l.td, nil, got[:], 0); n != 0 || err != nil {
				l.Fatalf("a poll, of a queue that has nothing left: %s, %v", list(got[:n]), err)
			}
		}
		for i := range 20 {
			fd, want := direct, ev(direct, read, 8, event.Clear)
			if i%2 == 0 {
				fd, want = below, ev(here, read, 1, 0)
			}
			join := l.start("sleeper", 0, func(td *machine.Thread) {
				if e := next(l.T, td, q); e != want {
					l.Errorf("woken by %v, want %v", e, want)
				}
			})
			l.inWait()
			l.ring1(fd)
			join()
			l.read(fd, 8)
			if n, err := q.Kevent(l.td, nil, got[:], 0); n != 0 || err != nil {
				l.Fatalf("after all was read: %s, %v", list(got[:n]), err)
			}
		}
		l.ok(q.Close(l.td))
		l.ok(inner.Close(l.td))
	})
}

// both is two descriptor tables.
type both struct {
	h kqueue.Files
	t table
}

func (b both) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if d, err := b.t.Desc(td, fd); err == nil {
		return d, nil
	}
	return b.h.Desc(td, fd)
}
