package fuzz

import (
	"syscall"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// sleepers looks at who is asleep when nothing runs any more.
func (r *run) sleepers(asleep *machine.DeadlockError) {
	lanes := map[string]*lane{}
	for i := range r.used() {
		l := &r.lanes[i]
		lanes[l.name] = l
	}
	queues := map[int]bool{}
	for _, s := range asleep.Sleepers {
		l := lanes[s.Thread]
		if l == nil || l.ended.Load() == l.begun.Load() {
			r.fail(noDeadlock, "%v", asleep)
			return
		}
		op := l.ops[l.ended.Load()]
		if s.On != "kevent" || op.Call != event.Poll || op.Wait != event.Forever {
			r.fail(noDeadlock, "%v; %s is in %v", asleep, s.Thread, op)
			return
		}
		queues[op.FD] = true
	}
	r.audit(queues)
}

// audit asks each queue that somebody sleeps on for its events. Numbers that
// the script closes may stand for another queue by now, and are left out.
func (r *run) audit(queues map[int]bool) {
	for _, t := range r.s.Threads {
		for _, op := range t.Ops {
			switch op.Call {
			case event.Close:
				delete(queues, op.FD)
			case event.Dup2:
				delete(queues, op.To)
			}
		}
	}
	t := &script.Thread{}
	for fd := range queues {
		t.Ops = append(t.Ops, event.Op{Call: event.Poll, FD: fd, Room: script.MaxRoom})
	}
	l := r.lane(0, t)
	l.name = "audit"
	r.start(l)
	if asleep := r.quiet(); int(l.ended.Load()) < len(l.ops) {
		r.fail(noDeadlock, "while queues were asked for what is left: %v", asleep)
	}
	if r.failed() {
		return
	}
	for _, rec := range l.log.Records(len(l.ops), len(l.ops)) {
		if len(rec.Result.Events) > 0 {
			r.fail(noLostWake, "nothing runs any more and threads sleep on queue %d, which has: %v", rec.Op.FD, rec.Result)
		}
	}
}

// end closes everything, queues first, and sees that everybody leaves.
func (r *run) end() {
	made, top := 0, 0 // descriptors; and one more than the highest that dup2 makes
	var waiters []*lane
	for i := range r.used() {
		l := &r.lanes[i]
		for _, op := range l.ops {
			switch op.Call {
			case event.Kqueue, event.MakeProbe, event.Dup:
				made++
			case event.MakePipe:
				made += 2
			case event.Dup2:
				made++
				top = max(top, op.To+1)
			}
		}
		if l.ended.Load() < l.begun.Load() {
			waiters = append(waiters, l)
		}
	}
	top = max(top, made)
	r.leave.Store(true)
	r.m.Go("closer", 0, func(td *machine.Thread) {
		defer r.caught("closer")
		for _, queues := range []bool{true, false} {
			for fd := range top {
				f, err := r.p.File(td, fd)
				if _, ok := f.(*kqueue.Queue); err == nil && (ok || !queues) {
					r.p.Close(td, fd)
				}
			}
		}
	})
	if asleep := r.quiet(); asleep != nil {
		r.fail(wakingClose, "when everything was closed: %v", asleep)
	}
	if r.failed() {
		return
	}
	for _, l := range waiters {
		if l.last.Errno != syscall.EBADF {
			r.fail(wakingClose, "%s was in %v when its queue was closed, and answered %v", l.name, l.ops[l.ended.Load()-1], l.last)
		}
	}
}
