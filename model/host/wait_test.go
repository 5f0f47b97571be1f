//go:build linux

package host_test

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// inWait waits until a thread is in epoll_wait.
func (l *lab) inWait() {
	for !l.h.Waiting() {
		runtime.Gosched()
	}
}

// next waits for one event of q.
func next(t *testing.T, td *machine.Thread, q *kqueue.Queue) event.Kevent {
	var got [1]event.Kevent
	n, err := q.Kevent(td, nil, got[:], kqueue.Forever)
	if n != 1 || err != nil {
		t.Errorf("%s: %d events, %v, want 1", td.Name, n, err)
	}
	return got[0]
}

var trigger = event.Kevent{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}

func TestWokenFromOutside(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.add(r, read, event.Clear)
		for range 20 {
			join := l.start("sleeper", 1, func(td *machine.Thread) {
				if e := next(l.T, td, l.q); e != ev(r, read, 1, event.Clear) {
					l.Errorf("woken by %v", e)
				}
			})
			l.inWait()
			l.write(w, 1)
			join()
			l.read(r, 1)
		}
		if n := l.h.Rings(); n != 0 {
			l.Errorf("the bell was rung %d times, and nobody had to be told", n)
		}
	})
}

// A thread in epoll_wait is woken by what happens inside the machine, and the
// bell is rung only for that.
func TestWokenFromInside(t *testing.T) {
	each(t, func(l *lab) {
		l.change(event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | event.Clear})
		for range 20 {
			join := l.start("sleeper", 1, func(td *machine.Thread) {
				if e := next(l.T, td, l.q); e.Filter != event.User {
					l.Errorf("woken by %v", e)
				}
			})
			l.inWait()
			l.change(trigger)
			join()
			if n := l.h.Rings(); n != 1 {
				l.Errorf("the bell was rung %d times for one sleeper", n)
			}
			l.change(trigger) // nobody sleeps
			if e := next(l.T, l.td, l.q); e.Filter != event.User {
				l.Errorf("%v", e)
			}
			if n := l.h.Rings(); n != 0 {
				l.Errorf("the bell was rung %d times for nobody", n)
			}
		}
	})
}

func TestTimeout(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.add(r, read, 0)
		var got [4]event.Kevent
		for _, d := range []time.Duration{1, time.Microsecond, 100 * time.Microsecond, 1500 * time.Microsecond} {
			if n, err := l.q.Kevent(l.td, nil, got[:], d); n != 0 || err != nil {
				l.Errorf("after %v: %d, %v, want no event and no error", d, n, err)
			}
		}
		l.write(w, 1)
		for _, d := range []time.Duration{0, 1, time.Hour} {
			if n, err := l.q.Kevent(l.td, nil, got[:], d); n != 1 || err != nil {
				l.Errorf("within %v: %d, %v, want 1 event", d, n, err)
			}
		}
	})
}

// A timer of the machine ends a wait in epoll_wait too.
func TestTimerWhileWaiting(t *testing.T) {
	each(t, func(l *lab) {
		l.change(event.Kevent{Ident: 9, Filter: event.Timer, Flags: event.Add | event.OneShot, Data: 1})
		if e := next(l.T, l.td, l.q); e.Filter != event.Timer || e.Ident != 9 {
			l.Errorf("%v, want the timer", e)
		}
	})
}

// Two threads sleep on two queues; only one of them can be in epoll_wait, and
// both are served.
func TestTwoSleepers(t *testing.T) {
	each(t, func(l *lab) {
		const rounds = 200
		var joins []func()
		first, last := l.ring(2, rounds, func(i int, body func(td *machine.Thread)) {
			joins = append(joins, l.start("sleeper", i, body))
		})
		l.write(first, 1)
		for _, join := range joins {
			join()
		}
		l.read(last, 1)
	})
}

// The same with threads that stay on their CPU.
func TestTwoLazySleepers(t *testing.T) {
	each(t, func(l *lab) {
		first, last := l.ring(2, 200, func(i int, body func(td *machine.Thread)) {
			l.m.Go("lazy", i, body)
		})
		l.write(first, 1)
		l.ok(l.m.Run())
		l.read(last, 1)
	})
}

// ring makes n threads that hand a byte on, each from its own pipe, watched by
// its own queue, to the next one's. It goes round so many times. Its first
// write end and its last read end are the caller's.
func (l *lab) ring(n, rounds int, start func(i int, body func(td *machine.Thread))) (first, last int) {
	var rs, ws []int
	for range n + 1 {
		r, w := l.pipe()
		rs, ws = append(rs, r), append(ws, w)
	}
	for i := range n {
		start(i, func(td *machine.Thread) {
			q := l.k.NewQueue(td, l.h)
			defer q.Close(td)
			if _, err := q.Kevent(td, []event.Kevent{ev(rs[i], read, 0, event.Add|event.Clear)}, nil, 0); err != nil {
				l.Error(err)
				return
			}
			var b [1]byte
			for round := range rounds {
				if e := next(l.T, td, q); e != ev(rs[i], read, 1, event.Clear) {
					l.Errorf("%v", e)
					return
				}
				to := ws[i+1]
				if i == n-1 && round < rounds-1 {
					to = ws[0]
				}
				if _, err := unix.Read(rs[i], b[:]); err != nil {
					l.Error(err)
				}
				if _, err := unix.Write(to, b[:]); err != nil {
					l.Error(err)
				}
			}
		})
	}
	return ws[0], rs[n]
}

// The thread that waited for interrupts goes off and does something else. The
// other, parked because of it, is served by the stand-in.
func TestStandIn(t *testing.T) {
	each(t, func(l *lab) {
		r1, w1 := l.pipe()
		r2, w2 := l.pipe()
		q2 := l.k.NewQueue(l.td, l.h)
		l.add(r1, read, event.Clear)
		if _, err := q2.Kevent(l.td, []event.Kevent{ev(r2, read, 0, event.Add|event.Clear)}, nil, 0); err != nil {
			l.Fatal(err)
		}
		away, back := make(chan struct{}), make(chan struct{})
		first := l.start("first", 0, func(td *machine.Thread) {
			next(l.T, td, l.q)
			close(away)
			<-back
		})
		l.inWait()
		second := l.start("second", 1, func(td *machine.Thread) { next(l.T, td, q2) })
		l.write(w1, 1)
		<-away
		l.inWait() // second, or the stand-in for it
		l.write(w2, 1)
		second()
		close(back)
		first()
		l.ok(q2.Close(l.td))
	})
}

// A thread that looks without waiting is not stopped by one that waits, and
// misses nothing that was there before it looked.
func TestPollBesideSleeper(t *testing.T) {
	each(t, func(l *lab) {
		l.change(event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | event.Clear})
		join := l.start("sleeper", 1, func(td *machine.Thread) { next(l.T, td, l.q) })
		q := l.k.NewQueue(l.td, l.h)
		r, w := l.pipe()
		if _, err := q.Kevent(l.td, []event.Kevent{ev(r, read, 0, event.Add|event.Clear)}, nil, 0); err != nil {
			l.Fatal(err)
		}
		var got [2]event.Kevent
		for i := range 500 {
			l.write(w, 1)
			if n, err := q.Kevent(l.td, nil, got[:], 0); n != 1 || err != nil {
				l.Fatalf("look %d: %d, %v, want the byte that was written before it", i, n, err)
			}
			l.read(r, 1)
		}
		l.change(trigger)
		join()
		l.ok(q.Close(l.td))
	})
}

func TestCloseQueueWhileAsleep(t *testing.T) {
	each(t, func(l *lab) {
		r, _ := l.pipe()
		l.add(r, read, 0)
		join := l.start("sleeper", 1, func(td *machine.Thread) {
			var got [1]event.Kevent
			if n, err := l.q.Kevent(td, nil, got[:], kqueue.Forever); n != 0 || !errors.Is(err, unix.EBADF) {
				l.Errorf("%d, %v, want EBADF", n, err)
			}
		})
		l.inWait()
		l.ok(l.q.Close(l.td))
		join()
	})
}

func TestCloseFileWhileAsleep(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.add(r, read, 0)
		l.add(w, write, event.Disable)
		l.change(event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | event.Clear})
		join := l.start("sleeper", 1, func(td *machine.Thread) {
			if e := next(l.T, td, l.q); e.Filter != event.User {
				l.Errorf("woken by %v of a closed descriptor", e)
			}
		})
		l.inWait()
		l.close(r)
		l.close(w)
		l.change(trigger)
		join()
	})
}

// Threads share a queue, some stay on their CPU and some come by; others write
// into the pipes, or open and close descriptors beside them. Every byte is
// read, and nobody is left asleep.
func TestManyThreads(t *testing.T) {
	const pipes, readers, bytes = 8, 4, 500
	each(t, func(l *lab) {
		var ws []int
		for i := range pipes {
			r, w := l.pipe()
			ws = append(ws, w)
			l.change(event.Kevent{Ident: uint64(r), Filter: read, Flags: event.Add | event.Dispatch, Udata: uint64(i)})
		}
		l.change(event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add}) // raised at the end, for all
		var left atomic.Int64
		left.Store(pipes * bytes)
		body := func(td *machine.Thread) {
			var got [3]event.Kevent
			var changes []event.Kevent
			buf := make([]byte, 64)
			for {
				n, err := l.q.Kevent(td, changes, got[:], kqueue.Forever)
				if err != nil {
					l.Error(err)
					return
				}
				changes = changes[:0]
				for _, e := range got[:n] {
					if e.Filter == event.User {
						return
					}
					n, err := unix.Read(int(e.Ident), buf)
					if err != nil {
						l.Errorf("%v: read: %v", e, err)
					}
					if left.Add(int64(-n)) == 0 {
						if _, err := l.q.Kevent(td, []event.Kevent{trigger}, nil, 0); err != nil {
							l.Error(err)
						}
					}
					changes = append(changes, event.Kevent{Ident: e.Ident, Filter: read, Flags: event.Enable})
				}
			}
		}
		var joins []func()
		for i := range readers {
			if i%2 == 0 {
				l.m.Go("lazy", i/2, body)
			} else {
				joins = append(joins, l.start("reader", i/2, body))
			}
		}
		joins = append(joins, l.start("churn", 0, func(td *machine.Thread) {
			for range 50 {
				fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
				if err != nil {
					l.Error(err)
					return
				}
				f, err := l.h.Open(td, fd)
				if err != nil {
					l.Error(err)
					return
				}
				q := l.k.NewQueue(td, l.h)
				var got [2]event.Kevent
				n, err := q.Kevent(td, []event.Kevent{ev(fd, read, 0, event.Add)}, got[:], kqueue.Forever)
				if n != 1 || err != nil || got[0] != ev(fd, read, 8, 0) {
					l.Errorf("churn: %s, %v", list(got[:n]), err)
				}
				if err := f.Close(td); err != nil {
					l.Error(err)
				}
				if err := q.Close(td); err != nil {
					l.Error(err)
				}
			}
		}))
		var writers sync.WaitGroup
		for _, fd := range ws {
			writers.Go(func() {
				for range bytes {
					for {
						_, err := unix.Write(fd, []byte{1})
						if err == nil {
							break
						}
						if err != unix.EAGAIN {
							l.Errorf("write: %v", err)
							return
						}
						runtime.Gosched()
					}
				}
			})
		}
		writers.Wait()
		for _, join := range joins {
			join()
		}
		l.ok(l.m.Run())
		if n := left.Load(); n != 0 {
			l.Errorf("%d bytes are left", n)
		}
	})
}
