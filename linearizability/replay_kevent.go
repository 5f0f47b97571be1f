package linearizability

import (
	"math"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// kevent takes a step of one.
func (r *replay) kevent(n int32, c *call, rec *Record, step event.Step) bool {
	if step == event.Found && !c.entered {
		c.entered = true
		var errno syscall.Errno
		if c.queue, errno = r.s.Enter(rec.Op.FD); errno != 0 {
			c.refused = true
			return true
		}
		r.scans(n, c, rec)
		return true
	}
	if !c.entered || c.refused {
		return false
	}
	switch step {
	case event.Found:
		if c.change == 0 {
			return false
		}
		c.found, c.errno = r.s.Seek(rec.Op.Changes[c.change-1])
		c.looked = true
		return true
	case event.Change:
		ok := r.apply(n, c, rec)
		c.change++
		c.applied, c.looked = false, false
		return ok && c.change <= len(rec.Op.Changes)
	case event.Changed:
		return c.change > 0 && !c.applied && r.apply(n, c, rec)
	case event.Pruned:
		r.count(n, c, rec)
		return true
	case event.Took:
		return r.take(n, c, rec)
	}
	return false
}

// apply makes the change in hand, if it has not been made, and accounts for the
// record of it.
func (r *replay) apply(n int32, c *call, rec *Record) bool {
	if c.change == 0 || c.applied || c.stopped != 0 {
		return c.change == 0 || c.applied
	}
	c.applied = true
	kev, res := rec.Op.Changes[c.change-1], &rec.Result
	if !c.looked {
		c.found, c.errno = r.s.Target(kev)
	}
	said := func(errno syscall.Errno) bool {
		return c.records < len(res.Events) && res.Events[c.records] == spec.Record(kev, errno)
	}
	last := res.Errno != 0 && c.change == r.begun(rec)
	errno := c.errno
	switch {
	case errno != 0:
	case r.free(HalfEnded) && r.s.MayRefuse(c.found) && (said(syscall.EBADF) || last && res.Errno == syscall.EBADF):
		errno = syscall.EBADF
	case r.free(MayLoop) && r.others(n) && r.s.MayLoop(c.queue, c.found) && (said(syscall.ELOOP) || last && res.Errno == syscall.ELOOP):
		errno = syscall.ELOOP
	case r.free(HalfClosed) && r.s.Closed(c.queue) && r.closing(c.queue) && !said(syscall.EBADF) && !(last && res.Errno == syscall.EBADF):
		errno = r.s.HalfClosed(c.queue, c.found, kev)
	default:
		errno = r.s.ChangeOf(c.queue, c.found, kev)
	}
	switch receipt := kev.Flags&event.Receipt != 0; {
	case errno == 0 && !receipt:
	case c.records < rec.Op.Room:
		if res.Pending || res.Errno == 0 && !said(errno) {
			return false
		}
		c.records++
	case errno != 0:
		c.stopped = errno
	}
	r.scans(n, c, rec)
	return true
}

// begun returns how many changes the call has turned to.
func (r *replay) begun(rec *Record) (n int) {
	for _, s := range rec.Steps {
		if s.Step == event.Change {
			n++
		}
	}
	return n
}

// scans notes, once all changes are made, what the call should not miss.
func (r *replay) scans(n int32, c *call, rec *Record) {
	res := &rec.Result
	if c.change < len(rec.Op.Changes) || r.weak || res.Pending || res.Errno != 0 && !interrupted(rec) ||
		c.records > 0 || c.stopped != 0 || len(res.Events) >= rec.Op.Room {
		return
	}
	r.passes(c)
	c.ready = r.s.Ready(c.ready[:0], c.queue, true)
	c.ready = slices.DeleteFunc(c.ready, func(ref spec.Ref) bool { return slices.ContainsFunc(res.Events, ref.Is) })
	if len(c.ready) > 0 {
		r.watch = append(r.watch, n)
	}
}

// count begins to count what a kqueue has to deliver, if that is what the call
// returns next.
func (r *replay) count(n int32, c *call, rec *Record) {
	if c.taken >= len(rec.Result.Events) {
		return
	}
	if inner, ok := r.s.Watched(c.queue, rec.Result.Events[c.taken]); ok {
		r.counts(n, c, inner)
	}
}

// counts begins to count what kqueue inner has to deliver.
func (r *replay) counts(n int32, c *call, inner int32) {
	if c.counting {
		return
	}
	c.counting, c.inner = true, inner
	c.quiet = !r.others(n)
	c.sure, c.most = c.sure[:0], math.MaxInt64
	if c.quiet {
		c.sure, c.most = r.s.Ready(c.sure, inner, false), r.s.Census(inner).Most
	}
	if !slices.Contains(r.watch, n) {
		r.watch = append(r.watch, n)
	}
}

// take returns the next event.
func (r *replay) take(n int32, c *call, rec *Record) bool {
	if rec.Result.Pending || rec.Result.Errno != 0 || c.records > 0 || c.taken >= len(rec.Result.Events) ||
		!r.apply(n, c, rec) || c.change < len(rec.Op.Changes) {
		return false
	}
	kev := rec.Result.Events[c.taken]
	c.taken++
	late := false
	if inner, ok := r.s.Watched(c.queue, kev); ok {
		if !c.counting || inner != c.inner || !r.s.AnyCount(inner, kev.Data, c.sure, c.most, c.quiet || !r.free(AnyCount)) {
			return false
		}
		c.counting = false
		late = r.free(LateNews) && r.others(n)
	}
	c.shows(c.taken == len(rec.Result.Events), func(ref spec.Ref) bool { return ref.Is(kev) },
		func(ref spec.Ref) bool { return slices.ContainsFunc(rec.Result.Events, ref.Is) })
	return r.s.Retrieve(c.queue, kev, late)
}

// missed returns whether the call has missed something that was ready from the
// beginning of its scan on, or has left something; see plan.claimedMeanwhile, and
// mayOweVisit.
func (r *replay) missed(c *call, rec *Record) bool {
	return r.misses(c.ready, c, rec) || r.misses(c.left, c, rec)
}

func (r *replay) misses(refs []spec.Ref, c *call, rec *Record) bool {
	return slices.ContainsFunc(refs, func(ref spec.Ref) bool {
		none := len(rec.Result.Events)+len(rec.Result.Polled) == 0
		if !(none && rec.Result.Errno == 0 && r.s.Closed(c.queue)) && r.s.MayBeGone(ref) {
			return false
		}
		if r.deletes(ref) {
			return false
		}
		if none {
			return true
		}
		watches := r.s.Watches(ref)
		for i := range r.h {
			o := &r.h[i]
			if r.free(ClaimedMeanwhile) && mayClaim(o, rec) && r.calls[i].queue == c.queue || r.free(MayOweVisit) && watches && mayOweVisit(o, rec) {
				return false
			}
		}
		return true
	})
}

// answers is returns for a kevent.
func (r *replay) answers(c *call, rec *Record) bool {
	op, res := &rec.Op, &rec.Result
	if !c.entered || res.Errno != 0 && len(res.Events) > 0 {
		return false
	}
	if c.refused {
		return res.Equal(event.Result{Errno: syscall.EBADF})
	}
	if !r.apply(-1, c, rec) || res.N != 0 || res.N2 != 0 {
		return false
	}
	switch {
	case c.stopped != 0:
		return res.Errno == c.stopped
	case interrupted(rec):
		return c.change == len(op.Changes) && c.records == 0 && op.Room > 0 && !r.missed(c, rec)
	case res.Errno != 0:
		return res.Errno == syscall.EBADF && r.s.Closed(c.queue)
	case c.change != len(op.Changes):
		return false
	case c.records > 0 || op.Room == 0:
		return len(res.Events) == c.records
	}
	if c.taken != len(res.Events) || c.taken > op.Room || c.taken == 0 && op.Wait == event.Forever || r.missed(c, rec) {
		return false
	}
	for i, kev := range res.Events {
		if slices.ContainsFunc(res.Events[:i], func(o event.Kevent) bool { return o.Ident == kev.Ident && o.Filter == kev.Filter }) && !(r.free(TwoLives) && r.h.twoLives(rec, kev)) {
			return false
		}
	}
	return true
}
