package linearizability

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// control takes a step of an epoll_ctl(2): it looks up the epoll, then what is to
// be watched, and then does it.
func (r *replay) control(n int32, c *call, rec *Record, step event.Step) bool {
	switch {
	case step == event.Found && c.stage < 2:
		r.findsFor(c, rec)
		return true
	case step == event.Changed:
		// An item is several knotes, and nothing is returned of what is new before the
		// last of them has changed.
		if c.change++; c.change < changes(rec) {
			return true
		}
		return r.controls(n, c, rec)
	}
	return step == event.Change
}

// changes counts the changes that an epoll_ctl makes to the epoll's queue.
func changes(rec *Record) (n int) {
	for _, s := range rec.Steps {
		if s.Step == event.Changed {
			n++
		}
	}
	return n
}

// deletes has an epoll_ctl that is under way, and deletes the item, do so now if
// there is one: at which instant in the call it does, nobody says.
func (r *replay) deletes(ref spec.Ref) bool {
	for i := range r.h {
		c, rec := &r.calls[i], &r.h[i]
		if rec.Op.Call != event.CallEpollCtl || rec.Op.Ctl != event.EpollDel || c.stage != 2 || c.applied || c.errno != 0 ||
			!r.s.NamesItem(ref, c.epoll, c.found, rec.Op) {
			continue
		}
		return r.controls(int32(i), c, rec)
	}
	return false
}

// findsFor looks up what an epoll_ctl names next. One that finds nothing does no
// more.
func (r *replay) findsFor(c *call, rec *Record) {
	if c.stage++; c.errno != 0 {
		return
	}
	if c.stage == 1 {
		c.epoll, c.errno = r.s.Find(rec.Op.FD)
	} else {
		c.found, c.errno = r.s.Find(rec.Op.To)
	}
}

// controls does what an epoll_ctl asks for, once.
func (r *replay) controls(n int32, c *call, rec *Record) bool {
	for c.stage < 2 {
		r.findsFor(c, rec)
	}
	if c.applied {
		return false
	}
	c.applied = true
	res := &rec.Result
	errno := c.errno
	switch {
	case errno != 0:
	case r.free(HalfEnded) && res.Errno == syscall.EBADF && (r.s.MayBeLate(c.found) || r.s.MayBeLate(c.epoll)):
		errno = syscall.EBADF
	case r.free(MayLoop) && res.Errno == syscall.ELOOP && r.others(n) && r.s.MayLoop(0, c.found):
		errno = syscall.ELOOP
	default:
		errno = r.s.Control(c.epoll, c.found, rec.Op)
	}
	return res.Pending || res.Equal(event.Result{Errno: errno})
}

// waits takes a step of an epoll_wait(2).
func (r *replay) waits(n int32, c *call, rec *Record, step event.Step) bool {
	if step == event.Found && !c.entered {
		r.enters(n, c, rec)
		return true
	}
	if !c.entered || c.errno != 0 {
		return false
	}
	switch step {
	case event.Pruned:
		if c.taken < len(rec.Result.Polled) {
			if inner, ok := r.s.WatchedItem(c.queue, rec.Result.Polled[c.taken]); ok {
				r.counts(n, c, inner)
			}
		}
		return true
	case event.Took:
		return r.takesItem(n, c, rec)
	}
	return false
}

// enters has an epoll_wait find its epoll, and notes what it should not miss.
func (r *replay) enters(n int32, c *call, rec *Record) {
	op, res := &rec.Op, &rec.Result
	c.entered = true
	if c.queue, c.errno = r.s.EnterEpoll(op.FD, op.Room); c.errno != 0 {
		return
	}
	if r.weak || res.Pending || res.Errno != 0 && !interrupted(rec) || len(res.Polled) >= op.Room {
		return
	}
	r.passes(c)
	if c.ready = r.s.Ready(c.ready[:0], c.queue, true); len(c.ready) > 0 {
		r.watch = append(r.watch, n)
	}
}

// takesItem returns the next event of an epoll_wait.
func (r *replay) takesItem(n int32, c *call, rec *Record) bool {
	res := &rec.Result
	if res.Pending || res.Errno != 0 || c.taken >= len(res.Polled) {
		return false
	}
	p := res.Polled[c.taken]
	c.taken++
	late := false
	if inner, ok := r.s.WatchedItem(c.queue, p); ok {
		if !c.counting || inner != c.inner || !r.s.AnyNews(inner, c.most, c.quiet || !r.free(AnyCount)) {
			return false
		}
		c.counting = false
		late = r.free(LateNews) && r.others(n)
	}
	ref, ok := r.s.RetrieveItem(c.queue, p, late)
	if !ok || slices.Contains(c.took, ref) && !(r.free(TwoLives) && r.h.twoItems(rec)) {
		return false
	}
	c.took = append(c.took, ref)
	c.shows(c.taken == len(res.Polled), func(x spec.Ref) bool { return x == ref }, func(x spec.Ref) bool { return slices.Contains(c.took, x) })
	c.ready = slices.DeleteFunc(c.ready, func(x spec.Ref) bool { return x == ref })
	return true
}

// waited holds the answer of an epoll_wait against what its steps have come to.
func (r *replay) waited(n int32, c *call, rec *Record) bool {
	op, res := &rec.Op, &rec.Result
	if !c.entered {
		r.enters(n, c, rec)
	}
	switch {
	case c.errno != 0:
		return res.Equal(event.Result{Errno: c.errno})
	case interrupted(rec):
		return !r.missed(c, rec)
	case res.Errno != 0:
		return res.Equal(event.Result{Errno: syscall.EBADF}) && r.s.Closed(c.queue)
	case !res.Equal(event.Result{Polled: res.Polled}) || c.taken != len(res.Polled) || c.taken > op.Room:
		return false
	}
	return (c.taken > 0 || op.Wait != event.Forever) && !r.missed(c, rec)
}

// waitsOn reports whether an epoll_wait may be asleep when nothing moves any more.
func (r *replay) waitsOn(c *call, rec *Record) bool {
	if !c.entered || c.errno != 0 || rec.Op.Wait != event.Forever || r.s.Closed(c.queue) {
		return false
	}
	c.ready = r.s.Ready(c.ready[:0], c.queue, true)
	return len(c.ready) == 0 && !r.s.Overdue(c.queue)
}
