package bench

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
)

// A crowd is threads that sleep in select, all on one processor. Two waiters have a
// pipe in common; bystanders wait for pipes of their own, which are idle. A writer
// puts a byte into the common pipe and sleeps until whoever was first says that
// it has taken it. The old way, for which two are a collision, wakes everybody.
type crowd struct {
	// selecter makes a thread's own call, on a set of descriptors: it waits for one.
	selecter func(td *machine.Thread, set []int) (wait func() (ready func(fd int) bool, err error))
	read     func(td *machine.Thread, fd int, b []byte) (int, error) // EAGAIN if there is nothing
	write    func(td *machine.Thread, fd int) error
}

// The descriptors of a crowd: the pipe that the waiters have in common, the one
// that answers the writer, then a bell for each thread, then what is idle.
const (
	sharedFD = iota
	answerFD
	bellFD
)

const crowdWaiters = 2

var crowdNotes = []string{
	"bystanders: two threads wait in select for one pipe and many idle ones each, and so many more for idle ones only; an event is a byte, written, waited for, taken and answered.",
}

func crowdShapes(params map[string]any, open func(t *trial, files int) (*crowd, error)) []shape {
	var shapes []shape
	for _, fds := range []int{10, 100, 1000} {
		for _, bystanders := range []int{0, 8} {
			sh := shape{
				params: map[string]any{"fds": fds, "waiters": crowdWaiters, "bystanders": bystanders},
				run: func(t *trial) error {
					threads := 1 + crowdWaiters + bystanders
					c, err := open(t, bellFD+threads*fds)
					if err != nil {
						return err
					}
					return c.race(t, threads, fds)
				},
			}
			for k, v := range params {
				sh.params[k] = v
			}
			shapes = append(shapes, sh)
		}
	}
	return shapes
}

// race runs the crowd. Thread 0 writes, the next are waiters. There is one
// processor: with a second, who writes would be back before those who were woken
// have gone to sleep again, and the next byte be no collision, now and then.
func (c *crowd) race(t *trial, threads, fds int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var taken atomic.Int64
	idle := bellFD + threads
	thread := func(i int) func(td *machine.Thread, n int) (int, error) {
		var wait func() (func(int) bool, error)
		set, b := []int{bellFD + i}, make([]byte, 1)
		switch {
		case i == 0:
			set = append(set, answerFD)
		case i <= crowdWaiters:
			set = append(set, sharedFD)
		}
		for len(set) < fds {
			set = append(set, idle)
			idle++
		}
		begin := func(td *machine.Thread) {
			if wait == nil {
				wait = c.selecter(td, set)
			}
		}
		if i > 0 {
			return func(td *machine.Thread, _ int) (int, error) {
				for begin(td); ; {
					ready, err := wait()
					if err != nil {
						return 0, err
					}
					if i <= crowdWaiters && ready(sharedFD) {
						switch k, err := c.read(td, sharedFD, b); {
						case err == syscall.EAGAIN: // the other was first
						case err != nil:
							return 0, err
						default:
							taken.Add(int64(k))
							if err := c.write(td, answerFD); err != nil {
								return 0, err
							}
						}
					}
					if ready(bellFD + i) {
						_, err := c.read(td, bellFD+i, b)
						return 0, err
					}
				}
			}
		}
		return func(td *machine.Thread, n int) (int, error) {
			begin(td)
			before := taken.Load()
			for range n {
				if err := c.write(td, sharedFD); err != nil {
					return 0, err
				}
				if ready, err := wait(); err != nil || !ready(answerFD) {
					return 0, fmt.Errorf("the writer is woken without an answer, %v", err)
				}
				if k, err := c.read(td, answerFD, b); k != 1 {
					return 0, fmt.Errorf("an answer of %d bytes, %v", k, err)
				}
				td.Leave()
				runtime.Gosched() // until all who were woken sleep again
			}
			for i := 1; i < threads; i++ {
				if err := c.write(td, bellFD+i); err != nil {
					return 0, err
				}
			}
			if got := int(taken.Load() - before); got != n {
				return 0, unbalanced("the waiters", n, got)
			}
			return n, nil
		}
	}
	var workers []worker
	for i := range threads {
		workers = append(workers, worker{move: thread(i)})
	}
	return t.race(workers...)
}

// newCrowd is a crowd in select over kqueue.
func newCrowd(t *trial, files int) (*crowd, error) {
	td := t.m.Attach("maker", 0)
	defer td.Detach()
	e, err := t.estate(td, files)
	if err != nil {
		return nil, err
	}
	return &crowd{
		selecter: func(td *machine.Thread, fds []int) func() (func(int) bool, error) {
			p := poll.New(td, t.k, e.Process)
			all, set := poll.NewFDSet(fds...), new(poll.FDSet)
			ready := set.IsSet
			return func() (func(int) bool, error) {
				set.Copy(all)
				_, err := p.Select(td, files, set, nil, nil, nil)
				return ready, err
			}
		},
		read:  func(td *machine.Thread, fd int, b []byte) (int, error) { return e.rs[fd].Read(td, b) },
		write: e.writer(),
	}, nil
}

// oldCrowd is a crowd in select of the old way.
func oldCrowd(t *trial, files int) (*crowd, error) {
	k, rs, ws := oldPipes(t, files)
	one := []byte{'e'}
	return &crowd{
		selecter: func(td *machine.Thread, fds []int) func() (func(int) bool, error) {
			s := new(selecter)
			sets, found := &fdsets{make([]uint64, (files+63)/64)}, &fdsets{make([]uint64, (files+63)/64)}
			for _, fd := range fds {
				sets[0][fd>>6] |= 1 << (fd & 63)
			}
			ready := func(fd int) bool { return found[0][fd>>6]>>(fd&63)&1 != 0 }
			return func() (func(int) bool, error) {
				_, err := k.selects(td, s, files, sets, found, machine.Forever)
				return ready, err
			}
		},
		read: func(td *machine.Thread, fd int, b []byte) (int, error) { return rs[fd].Read(td, b) },
		write: func(td *machine.Thread, fd int) error {
			_, err := ws[fd].Write(td, one)
			return err
		},
	}, nil
}
