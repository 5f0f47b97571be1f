package linearizability

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// begins stands for the call of a poll(2) or a select(2) among the moments: what
// they look at may be seen from there on.
const begins event.Step = 255

// polls reports whether a call is a poll(2) or a select(2). They have no steps
// that others see: each entry is one look, wherever in the call, and only what was
// seen of it counts.
func polls(op *event.Op) bool { return op.Call == event.CallPoll || op.Call == event.CallSelect }

// A sight is what one entry of a poll may have seen since the call began.
type sight struct {
	lives  [4]spec.Life // that the number has had, while it is found
	n      int
	values [8]event.PollEvents // that the looks would have answered
	seen   int
	ended  bool // a life of the number has ended
}

// begin notes that a poll begins.
func (r *replay) begin(n int32, c *call, rec *Record) {
	c.sights = slices.Grow(c.sights[:0], len(rec.Op.FDs))[:len(rec.Op.FDs)]
	clear(c.sights)
	r.polling = append(r.polling, n)
	r.sees(c, rec)
}

// sees looks at all entries of a poll, as things are now.
func (r *replay) sees(c *call, rec *Record) {
	for i := range c.sights {
		x, p := &c.sights[i], rec.Op.FDs[i]
		x.add(r.s.LookFor(rec.Op, p))
		if !spec.Counts(rec.Op, p) {
			continue
		}
		// What a kqueue has may be there for an instant only, and while others are at
		// work it is of no one instant: see AnyCount.
		if x.follow(r.s.Find(int(p.FD))); x.n > 0 &&
			(r.s.MayExpire(x.lives[x.n-1]) || r.s.Collects(x.lives[x.n-1]) && len(r.active) > 0 && r.free(AnyCount)) {
			x.add(spec.Expired(rec.Op, p))
		}
		for _, l := range x.lives[:x.n] {
			if v, ok := r.s.LookAt(l, rec.Op, p); ok {
				x.add(v)
			}
		}
	}
}

// add notes what a look would answer. What there is no place for is not known of.
func (x *sight) add(v event.PollEvents) {
	if x.seen < len(x.values) && !slices.Contains(x.values[:x.seen], v) {
		x.values[x.seen] = v
		x.seen++
	}
}

// follow notes what the number stands for.
func (x *sight) follow(l spec.Life, errno syscall.Errno) {
	if x.n > 0 && (errno != 0 || x.lives[x.n-1] != l) {
		x.ended = true
	}
	if errno == 0 && x.n < len(x.lives) && !slices.Contains(x.lives[:x.n], l) {
		x.lives[x.n] = l
		x.n++
	}
}

// may reports whether an entry of the poll may have answered v.
func (r *replay) may(x *sight, rec *Record, v event.PollEvents) bool {
	if slices.Contains(x.values[:x.seen], v) || x.ended && r.free(EndedMeanwhile) && spec.EndedMeanwhile(v) {
		return true
	}
	if r.weak && slices.ContainsFunc(x.values[:x.seen], func(w event.PollEvents) bool { return v&^w == 0 }) {
		return true
	}
	// A kqueue may have it, and be yet to tell: see mayOweVisit.
	return v == 0 && len(rec.Result.Polled) > 0 && x.n > 0 && r.s.Collects(x.lives[0]) && r.free(MayOweVisit) &&
		slices.ContainsFunc(r.h, func(o Record) bool { return mayOweVisit(&o, rec) })
}

// looked holds the answer of a poll against what its looks have come to.
func (r *replay) looked(c *call, rec *Record) bool {
	op, res := &rec.Op, &rec.Result
	if !res.Equal(event.Result{Errno: res.Errno, Polled: res.Polled}) || res.Errno != 0 && len(res.Polled) > 0 {
		return false
	}
	if op.Call == event.CallSelect {
		switch {
		case op.N < 0:
			return res.Errno == syscall.EINVAL
		case res.Errno == syscall.EBADF:
			return slices.ContainsFunc(c.sights, func(x sight) bool { return r.may(&x, rec, event.PollNval) })
		}
	}
	if interrupted(rec) {
		return r.accounts(c, rec, 0, nil)
	}
	if res.Errno != 0 || len(res.Polled) == 0 && op.Wait == event.Forever {
		return false
	}
	return r.accounts(c, rec, 0, res.Polled)
}

// accounts reports whether what a poll has answered can be what its entries have
// seen, from entry i on. Of two that name one descriptor nobody is told which has
// answered.
func (r *replay) accounts(c *call, rec *Record, i int, polled []event.Polled) bool {
	op := &rec.Op
	if i == len(op.FDs) {
		return len(polled) == 0
	}
	x := &c.sights[i]
	return r.may(x, rec, 0) && r.accounts(c, rec, i+1, polled) ||
		len(polled) > 0 && polled[0].ID == uint64(op.FDs[i].FD) && polled[0].Events != 0 &&
			(op.Call == event.CallPoll || polled[0].Events != event.PollNval) &&
			r.may(x, rec, polled[0].Events) && r.accounts(c, rec, i+1, polled[1:])
}

// sleepsOn reports whether a poll may be asleep when nothing moves any more.
func (r *replay) sleepsOn(c *call, rec *Record) bool {
	if rec.Op.Wait != event.Forever || rec.Op.Call == event.CallSelect && rec.Op.N < 0 {
		return false
	}
	for i := range c.sights {
		if x := &c.sights[i]; r.s.LookFor(rec.Op, rec.Op.FDs[i]) != 0 && !(x.ended && r.free(EndedMeanwhile)) {
			return false
		}
	}
	return true
}
