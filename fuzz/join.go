package fuzz

import (
	"sync/atomic"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// How threads begin that join their process, so that signals come to them. All have joined
// before the first begins: which of them a signal finds is else a matter of who came first.
// They begin with the mask that setup has left, as threads do with that of who makes them.
//
// On a virtual machine the scheduler is asked from the first operation on, and by no thread
// of the script as long as some are still to come:
//
//	thread 1          thread 2          thread 3
//	joins, sleeps     joins, sleeps     joins; wakes thread 1, sleeps
//	wakes the others; the scheduler is asked from here on
type starting struct {
	mask   proc.Sigset  // with which they begin
	coming atomic.Int32 // threads that have still to join
	first  machine.WaitChan
	others machine.WaitChan
}

// expect is called before threads are started, so many.
func (s *starting) expect(threads int) {
	s.coming.Store(int32(threads))
	s.first.Name, s.others.Name = "the last to join", "the first to begin"
}

// join makes the thread of a lane one of the process, and waits for the others.
func (l *lane) join(td *machine.Thread) {
	r := l.r
	r.p.Join(td)
	r.p.SetMask(td, proc.SetMask, r.mask)
	if !r.virtual || l.thread == 0 {
		return
	}
	one := l.thread == 1
	if last := r.coming.Add(-1) == 0; !last || !one {
		if last {
			td.Wakeup(&r.first)
		}
		c := &r.others
		if one {
			c = &r.first
		}
		td.Interlock(c)
		td.Sleep(machine.Forever)
	}
	if one {
		td.Wakeup(&r.others)
		r.m.Unscheduled(false)
	}
}

// part ends what join has begun. Setup leaves its mask to those who come after it.
func (l *lane) part(td *machine.Thread) {
	if l.thread == 0 {
		l.r.mask, _ = l.r.p.SetMask(td, proc.Block, 0)
	}
	l.r.p.Part(td)
}
