package kqueue

import (
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// Forever is the timeout of a Kevent that waits as long as it takes.
const Forever = machine.Forever

// Kevent applies the changes, one after another, then fills events with what
// is ready, waiting up to timeout until there is one event at least. It
// returns how many it filled. (kern_kevent)
//
// A change that fails is reported as an event with Error set and the errno in
// Data, and so is each change with Receipt, data 0; if there are any such
// records nothing else is returned. If there is no room for a failure, the
// call stops there and returns that errno; what was applied stays applied.
//
// A timeout of 0 does not wait; of [Forever], waits as long as it takes. With
// no room for events it never waits. An event is returned at most once a call,
// in the order of arrival at the queue.
//
// It may block. Any number of threads may be in Kevent on the same queue.
//
// Errors: EBADF if the queue is nil or closed, also while waiting; EINVAL if
// the timeout is negative; EINTR if it would wait, or does, and a signal has come that
// td catches, see [machine.Thread.Catch]; else the errno of a change without room.
func (q *Queue) Kevent(td *machine.Thread, changes, events []event.Kevent, timeout time.Duration) (int, error) {
	if q == nil || q.closed.Load(td) != 0 {
		return 0, errEBADF
	}
	if timeout < 0 {
		return 0, errEINVAL
	}
	n := 0
	for i := range changes {
		kev := &changes[i]
		td.Commit(event.Change)
		err := q.register(td, kev)
		if td.Debt != 0 {
			pay(td) // before the next change, which may wait
		}
		if err == nil && kev.Flags&event.Receipt == 0 {
			continue
		}
		if n == len(events) {
			if err == nil {
				continue
			}
			finish(td)
			return 0, err
		}
		events[n] = *kev
		events[n].Flags, events[n].Data = event.Error, 0
		if err != nil {
			events[n].Data = int64(toErrno(err))
		}
		n++
	}
	if len(changes) > 0 {
		finish(td)
	}
	if n > 0 || len(events) == 0 {
		return n, nil
	}
	return q.wait(td, events, timeout)
}

// toErrno returns the number of a filter's error; EIO if it is none.
func toErrno(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EIO
}

// wait is the second part of Kevent. td owes nothing when it comes here.
func (q *Queue) wait(td *machine.Thread, events []event.Kevent, timeout time.Duration) (n int, err error) {
	var until time.Duration // once it is known
	expired := timeout == 0
	looked := false // at the queues that this one watches
	if td.HasInterrupts() {
		// What has come in the outside world is taken here, before the scan
		// and not after it: an interrupt about what the changes of this call
		// have found ready already then meets a posted knote. After the scan
		// it would be a second activation, and EV_CLEAR would report twice.
		td.Poll(q.place.CPU())
	}
	q.enter(td)
	for {
		if q.closed.Load(td) != 0 {
			err = errEBADF
			break
		}
		if q.n > 0 {
			n = q.scan(td, events)
		}
		if n > 0 {
			break
		}
		if q.closed.Load(td) != 0 {
			continue // a scan that waited for a claim has seen nothing
		}
		if expired {
			if looked || len(q.inner) == 0 {
				break
			}
			looked = true
			q.visitBelow(td)
			continue
		}
		if q.n > 0 {
			continue
		}
		if until == 0 {
			until = deadline(td, timeout)
		}
		q.asleep++
		td.Interlock(&q.waiters)
		if td.Signaled() {
			td.Uninterlock()
			q.asleep--
			err = syscall.EINTR
			break
		}
		late := q.place.Sleep(td, until)
		q.asleep--
		if late != nil {
			// Not a reason to leave yet: something may have come since.
			expired = true
			if q.n > 0 {
				td.Sometimes("timeout-meets-event")
			}
			if td.HasInterrupts() {
				q.place.Exit(td)
				td.Poll(q.place.CPU())
				q.enter(td)
			}
		} else if q.n == 0 {
			td.Stats.Wasted++
			td.Sometimes("woken-for-nothing")
		}
	}
	q.place.Exit(td)
	finish(td)
	td.Stats.Events += uint64(n)
	return n, err
}

// deadline turns a timeout into an instant.
func deadline(td *machine.Thread, timeout time.Duration) time.Duration {
	if timeout == machine.Forever {
		return machine.Forever // most waits: spare them the clock
	}
	now := td.Now()
	if timeout > machine.Forever-now {
		return machine.Forever
	}
	return now + timeout
}
