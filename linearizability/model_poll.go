package linearizability

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// shows reports whether an entry of a poll may say what it does, or of one that
// sleeps at the end that there is nothing to say.
func (s *state) shows(c *progress, p *part, lax laxity) bool {
	v := event.PollNval
	if c.errno == 0 {
		if v = p.says; spec.EndedMeanwhile(v) && s.MayBeLate(c.found) {
			return true
		}
		var ok bool
		if v, ok = s.LookAt(c.found, p.rec.Op, p.rec.Op.FDs[p.entry]); !ok {
			return lax >= noValues
		}
	} else if p.rec.Op.Call == event.CallSelect {
		return lax >= laxities // it should have failed
	}
	switch {
	case p.says == v || p.does == looked && c.errno == 0 && s.MayExpire(c.found) && p.says == spec.Expired(p.rec.Op, p.rec.Op.FDs[p.entry]):
		return true
	case p.does == unready:
		return lax >= noWakeups
	case p.says&^v == 0:
		return lax >= noCompleteness || p.weak
	}
	return lax >= noValues
}

// control does what an epoll_ctl(2) asks for.
func (s state) control(at int, p *part, lax laxity) (all []state) {
	c := &s.calls[at]
	r := p.rec.Result
	if c.missing == 0 && c.errno == 0 && r.Errno == syscall.EBADF && (s.MayBeLate(c.found) || s.MayBeLate(c.epoll)) {
		all = append(all, s.clone())
	}
	errno := c.missing
	if errno == 0 {
		errno = c.errno
	}
	if errno == 0 {
		errno = s.Control(c.epoll, c.found, p.rec.Op)
	}
	if r.Pending || r.Equal(event.Result{Errno: errno}) || lax >= noAnswers {
		all = append(all, s)
	}
	return all
}

// takeItem is take for an item.
func (s state) takeItem(q int32, p *part, k key, lax laxity) (out []state) {
	for _, n := range s.TakeItem(q, p.polled) {
		out = append(out, state{n, slices.Clone(s.calls)})
	}
	if len(out) > 0 || lax < noValues {
		return out
	}
	if ready := s.ready(q, k); ready || lax >= noOnce && s.HasItem(q, int(k.ident), true) || lax >= noEnd {
		out = append(out, s)
	}
	return out
}

// countPolled checks what needs no search of what polls answer: that each has been
// asked for, and that who waits for as long as it takes is answered something.
func (r *Report) countPolled(rec *Record, wrong func(string)) {
	op, res := &rec.Op, &rec.Result
	switch {
	case res.Pending:
		return
	case polls(op) && res.Errno != 0 && !r.plan.mayFail(rec):
		wrong("a poll fails only for what is wrong with what it is asked")
		return
	case res.Errno != 0:
		return
	case op.Call == event.CallEpollWait:
		if len(res.Polled) > op.Room {
			wrong("a call returns no more events than there is room for")
		}
		if r.plan.strays(rec) {
			wrong("an event has the udata that its item was given")
		}
	case !polls(op):
		if len(res.Polled) > 0 {
			wrong("only poll, select and epoll_wait say what is polled")
		}
		return
	default:
		left := res.Polled
		for _, x := range op.FDs {
			if len(left) > 0 && spec.Counts(*op, x) && left[0].ID == uint64(x.FD) {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			wrong("a poll answers what it is asked, in the order of its entries")
		}
	}
	if len(res.Polled) == 0 && op.Wait == event.Forever {
		wrong("a call that waits for as long as it takes is answered with something")
	}
}

// mayFail reports whether a poll or select may answer the errno that it does, as
// far as can be told by who came before whom.
func (p *plan) mayFail(r *Record) bool {
	switch {
	case interrupted(r):
		return true
	case r.Op.Call == event.CallPoll:
		return false
	case r.Op.N < 0:
		return r.Result.Errno == syscall.EINVAL
	}
	return r.Result.Errno == syscall.EBADF && slices.ContainsFunc(r.Op.FDs, func(x event.PollFD) bool {
		return spec.Counts(r.Op, x) && !p.open(int64(x.FD), r)
	})
}

// open reports whether it is sure that number fd was open during all of a call, and
// had one life.
func (p *plan) open(fd int64, r *Record) bool {
	made := false
	for i := range p.h {
		o := &p.h[i]
		switch {
		case o.Op.Call == event.CallClose && int64(o.Op.FD) == fd && o.Call < r.Return && o.Result.Errno == 0:
			return false
		case o.Op.Call == event.CallDup2 && int64(o.Op.To) == fd && overlap(o, r):
			return false
		case o.Result.Pending || o.Result.Errno != 0 || o.Return > r.Call:
		case o.Op.Call == event.CallDup2:
			made = made || int64(o.Op.To) == fd
		default:
			n := o.Op.Call.Makes()
			made = made || n > 0 && o.Result.N == fd || n > 1 && o.Result.N2 == fd
		}
	}
	return made
}
