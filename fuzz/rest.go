package fuzz

import (
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// sleepers looks at who is asleep when nothing runs any more.
func (r *run) sleepers(asleep *machine.DeadlockError) {
	lanes := map[string]*lane{}
	for i := range r.used() {
		l := &r.lanes[i]
		lanes[l.name] = l
	}
	var queues []int
	var polls []event.Op
	for _, s := range asleep.Sleepers {
		l := lanes[s.Thread]
		if l == nil || l.ended.Load() == l.begun.Load() {
			r.fail(noDeadlock, "%v", asleep)
			return
		}
		op := l.ops[l.ended.Load()]
		if s.On != "kevent" || op.Wait != event.Forever {
			r.fail(noDeadlock, "%v; %s is in %v", asleep, s.Thread, op)
			return
		}
		switch op.Call {
		case event.CallKevent:
			queues = append(queues, op.FD)
		case event.CallPoll, event.CallSelect, event.CallEpollWait:
			polls = append(polls, op)
		default:
			r.fail(noDeadlock, "%v; %s is in %v", asleep, s.Thread, op)
			return
		}
	}
	r.audit(queues, polls)
}

// end closes everything, queues first, and sees that everybody leaves.
func (r *run) end() {
	waiters := r.waiters[:0]
	for i := range r.used() {
		l := &r.lanes[i]
		if l.ended.Load() < l.begun.Load() {
			waiters = append(waiters, l)
		}
	}
	r.waiters = waiters
	r.leave.Store(true)
	if !r.virtual || r.closer == nil {
		r.closer = r.closeAll
	}
	r.m.Go("closer", 0, r.closer)
	if asleep := r.quiet(); asleep != nil {
		r.fail(wakingClose, "when everything was closed: %v", asleep)
	}
	if r.failed() {
		return
	}
	r.left()
	if r.failed() {
		return
	}
	for _, l := range waiters {
		if op := &l.ops[l.ended.Load()-1]; op.Call == event.CallEpollWait && r.plan.forks > 0 {
			continue // the epoll may have been open in a child, which has ended its files in their order
		}
		if l.last.Errno != syscall.EBADF {
			r.fail(wakingClose, "%s was in %v when its queue was closed, and answered %v", l.name, l.ops[l.ended.Load()-1], l.last)
		}
	}
}

// closeAll is what the closer does.
func (r *run) closeAll(td *machine.Thread) {
	defer r.caught("closer")
	if r.invariants(r.w.Audit(td)); r.failed() {
		return
	}
	for i := range r.used() {
		r.lanes[i].caller.Leave(td)
	}
	for _, queues := range []bool{true, false} {
		if !queues {
			r.endChildren(td)
		}
		for fd := range r.plan.top {
			f, err := r.p.File(td, fd)
			_, queue := f.(*kqueue.Queue)
			_, nested := f.(kqueue.Nested)
			if err == nil && (queue || nested || !queues) {
				r.p.Close(td, fd)
			}
		}
	}
}

// endChildren ends all processes but the first.
func (r *run) endChildren(td *machine.Thread) {
	for pid := proc.Init + 1; pid <= proc.Init+r.plan.forks; pid++ {
		if p, err := r.p.Table().Find(td, pid); err == nil {
			p.Exit(td, 0)
		}
	}
}

// left looks at what there is when everything has been closed, which should be
// nothing.
func (r *run) left() {
	r.invariants(r.w.Empty())
	if n := r.m.Armed(); n > 0 {
		r.fail(invariants, "I13: everything is closed, and %d callouts are armed", n)
	}
	if r.virtual { // a native machine does not know of what is closed
		r.invariants(r.p.Audit(nil))
	}
}

// invariants notes what an audit has found, if it has. A sleeper who should not be
// one is what is found, too, when queues are asked for what they have.
func (r *run) invariants(wrong error) {
	switch {
	case wrong == nil:
	case strings.HasPrefix(wrong.Error(), "I5:"):
		r.fail(noLostWake, "%v", wrong)
	default:
		r.fail(invariants, "%v", wrong)
	}
}
