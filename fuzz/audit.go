package fuzz

import (
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
)

// audit asks for events when nothing runs any more: each queue that somebody sleeps
// on, which must have none; and those that watch queues and their queues, of
// which none may have an event that its watcher does not know of. And it makes the
// polls once more that somebody sleeps in, which must find nothing. Numbers that
// the threads close may stand for something else by now, and are left out.
func (r *run) audit(queues []int, polls []event.Op) {
	watches := watches(r.s, r.history)
	slept := slices.Clone(queues)
	for _, w := range watches {
		queues = append(queues, w.outer, w.inner)
	}
	queues = outerFirst(queues, watches)
	reused := func(fd int) bool {
		return slices.ContainsFunc(r.s.Threads, func(t script.Thread) bool {
			return slices.ContainsFunc(t.Ops, func(op event.Op) bool { return ends(op, fd) })
		})
	}
	t := &script.Thread{}
	for _, fd := range queues {
		if !reused(fd) {
			t.Ops = append(t.Ops, event.Op{Call: event.CallKevent, FD: fd, Room: script.MaxRoom})
		}
	}
	for _, op := range polls {
		op.Wait = event.NoWait
		op.FDs = slices.DeleteFunc(slices.Clone(op.FDs), func(p event.PollFD) bool { return reused(int(p.FD)) })
		if op.Call != event.CallEpollWait || !reused(op.FD) {
			t.Ops = append(t.Ops, op)
		}
	}
	l := r.lane(0, t)
	l.name, l.joins = "audit", false
	r.start(l)
	if asleep := r.quiet(); int(l.ended.Load()) < len(l.ops) {
		r.fail(noDeadlock, "while queues were asked for what is left: %v", asleep)
	}
	if r.failed() {
		return
	}
	has := map[int]event.Result{}
	for _, rec := range l.log.Records(len(l.ops), len(l.ops)) {
		if len(rec.Result.Polled) > 0 {
			r.fail(noLostWake, "nothing runs any more and a thread sleeps in a %v, of which %v finds: %v", rec.Op.Call, rec.Op, rec.Result)
			return
		}
		if len(rec.Result.Events) == 0 {
			continue
		}
		if slices.Contains(slept, rec.Op.FD) {
			r.fail(noLostWake, "nothing runs any more and threads sleep on queue %d, which has: %v", rec.Op.FD, rec.Result)
			return
		}
		has[rec.Op.FD] = rec.Result
	}
	for _, w := range watches {
		if len(has[w.inner].Events) > 0 && len(has[w.outer].Events) == 0 {
			r.fail(noLostWake, "nothing runs any more and queue %d, which watches queue %d, has no event, though that has: %v", w.outer, w.inner, has[w.inner])
			return
		}
	}
}

// outerFirst returns each queue once, behind all that watch it: who is asked looks
// at what it watches, and that may tell others of it.
func outerFirst(queues []int, watches []watch) (all []int) {
	slices.Sort(queues)
	left := slices.Compact(queues)
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(fd int) bool {
			return !slices.ContainsFunc(watches, func(w watch) bool { return w.inner == fd && slices.Contains(left, w.outer) })
		})
		i = max(i, 0) // there is no circle of watches: the last was refused
		all = append(all, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return all
}

// ends reports whether op may end a life of the number.
func ends(op event.Op, fd int) bool {
	return op.Call == event.CallClose && op.FD == fd || op.Call == event.CallDup2 && op.To == fd
}

// A watch is the interest of one queue in the events of another.
type watch struct{ outer, inner int }

// watches returns the watches that setup has made, and that nothing in the script
// may have changed: as long as the inner queue has an event the outer one has one.
func watches(s *script.Script, h linearizability.History) (all []watch) {
	for _, rec := range h {
		if rec.Thread != 0 || rec.Op.Call != event.CallKevent || rec.Result.Pending || rec.Result.Errno != 0 || len(rec.Result.Events) > 0 {
			continue
		}
		for _, c := range rec.Op.Changes {
			w := watch{rec.Op.FD, int(c.Ident)}
			if c.Filter == event.Read && c.Flags == event.Add && w.lasts(s) {
				all = append(all, w)
			}
		}
	}
	return all
}

// lasts reports whether nothing in the script speaks of the watch but what makes
// it.
func (w watch) lasts(s *script.Script) bool {
	spoken := 0
	for _, list := range [][]script.Thread{s.Setup, s.Threads} {
		for _, t := range list {
			for _, op := range t.Ops {
				if ends(op, w.outer) || ends(op, w.inner) {
					return false
				}
				if another := op.Call == event.CallDup || op.Call == event.CallDup2; another && (op.FD == w.outer || op.FD == w.inner) {
					return false
				}
				for _, c := range op.Changes {
					if c.Filter == event.Read && int(c.Ident) == w.inner {
						spoken++
					}
				}
			}
		}
	}
	return spoken == 1
}
