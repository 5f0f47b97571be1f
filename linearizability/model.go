package linearizability

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"syscall"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// A state is the world as the specification knows it, and how far each call is
// that is between two of its parts.
type state struct {
	spec.State
	calls []progress // by call
}

// A progress is how far a call is.
type progress struct {
	call    int
	next    int       // the part that comes next
	queue   int32     // of a kevent(2)
	life    int32     // of a close: the one that ends
	closing bool      // ... and it has closed a kqueue, and not yet emptied it
	records int       // of the records of its changes, those that are accounted for
	over    bool      // it has failed, and does no more
	work    spec.Work // of what is done to a descriptor
	deed    spec.Deed // of what is done to a process
	looked  bool      // it has found what a change speaks of, or not:
	found   spec.Life
	errno   syscall.Errno
	epoll   spec.Life // of an epoll_ctl: the epoll, or why there is none
	missing syscall.Errno
}

func (s state) clone() state { return state{s.Clone(), slices.Clone(s.calls)} }

func (s state) equal(o state) bool { return slices.Equal(s.calls, o.calls) && s.State.Equal(o.State) }

var seed = maphash.MakeSeed()

func (s state) hash() uint64 {
	h := s.Hash()
	for _, c := range s.calls {
		h = h*31 + maphash.Comparable(seed, c)
	}
	return h
}

// A laxity says which rules a model leaves out, so that a violation can be
// named: it is of the first rule without which there is none. Each leaves out
// those before it too.
type laxity int

const (
	strict laxity = iota
	noWakeups
	noCompleteness
	noValues
	noOnce
	noEnd
	noAnswers
	laxities
)

// Rules are what a violation is of.
var rules = [...]string{
	noWakeups:      "no lost wakeup: never are all threads asleep while some thread sleeps in kevent() on a queue with an enabled knote whose condition holds",
	noCompleteness: "completeness: a call with room left, that began after an event was ready and ended before anybody else took it, returns it",
	noValues:       "values are a snapshot at retrieval",
	noOnce:         "at most once: an event is returned only while its condition holds, and EV_CLEAR, EV_ONESHOT and EV_DISPATCH deliver each activation to exactly one caller",
	noEnd:          "nothing after the end: a call that begins after EV_DELETE, EV_DISABLE or close(fd) returned never returns that knote",
	noAnswers:      "every change is answered by what the knote was before it",
	laxities:       "conservation: what a descriptor or a device answers is what it holds",
}

// model returns the specification of one projection.
func model(k key, lax laxity) porcupine.Model {
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{State: spec.New(spec.AnyOrder | spec.AnyNumber)}} },
		Step: func(st, in, _ any) []any {
			var next []any
			for _, s := range step(st.(state), in.(*part), k, lax) {
				next = append(next, s)
			}
			return next
		},
		Equal:             func(a, b any) bool { return a.(state).equal(b.(state)) },
		Hash:              func(s any) uint64 { return s.(state).hash() },
		DescribeOperation: func(in, _ any) string { return in.(*part).String() },
		DescribeState: func(s any) string {
			return strings.ReplaceAll(strings.TrimSpace(s.(state).String()), "\n", "; ")
		},
	}
	return nm.ToModel()
}

// step returns the states after part p, none if it cannot be here.
func step(s state, p *part, k key, lax laxity) []state {
	if p.does == whole {
		next := s.Step(p.rec.Op, p.rec.Result)
		if len(next) == 0 && lax >= laxities {
			n := s.Clone()
			n.Apply(p.rec.Op)
			next = []spec.State{n}
		}
		out := make([]state, len(next))
		for i := range next {
			out[i] = state{next[i], s.calls}
		}
		return out
	}
	s = s.clone()
	at := slices.IndexFunc(s.calls, func(c progress) bool { return c.call == p.id })
	if p.index == 0 {
		at, _ = slices.BinarySearchFunc(s.calls, p.id, func(c progress, call int) int { return c.call - call })
		s.calls = slices.Insert(s.calls, at, progress{call: p.id})
	} else if at < 0 || s.calls[at].next != p.index {
		return nil
	}
	c := &s.calls[at]
	c.next++
	all := []state{s}
	switch p.does {
	case first:
		var ok bool
		if c.found, ok = s.Make(p.rec.Op, int(p.rec.Result.N)); !ok {
			return nil
		}
		all[0] = s
	case second:
		if !s.MakeOther(c.found, int(p.rec.Result.N2)) {
			return nil
		}
		all[0] = s
	case opened:
		if c.work.Opens() != s.Opened(&c.work, int(p.rec.Result.N)) {
			return nil
		}
		all[0] = s
	case unlink:
		var errno syscall.Errno
		if c.life, errno = s.Unlink(p.rec.Op); errno != 0 && lax < laxities {
			return nil
		}
		all[0] = s
	case reap:
		s.Reap(c.life)
		all[0] = s
	case release:
		c.queue, c.closing = s.Shut(c.life)
		all[0] = s
	case refuse:
		s.Refuse(c.queue)
		all[0] = s
	case empty:
		if c.closing {
			s.Empty(c.queue)
		}
		s.Untie(c.queue)
		all[0] = s
	case enter:
		q, errno := s.Enter(p.rec.Op.FD)
		if p.rec.Op.Call == event.CallEpollWait {
			q, errno = s.EnterEpoll(p.rec.Op.FD, p.rec.Op.Room)
		}
		if errno != 0 && p.rec.Result.Errno != errno && lax < laxities {
			return nil
		}
		c.queue, c.over = q, errno != 0
	case found:
		c.looked = true
		switch p.rec.Op.Call {
		case event.CallKevent:
			if c.found, c.errno = s.Seek(p.kev); c.errno == syscall.ESRCH {
				c.errno = 0 // there may be a knote, and then it was not looked for
			}
		case event.CallPoll, event.CallSelect, event.CallEpollCtl:
			c.found, c.errno = s.Find(p.fd)
		default:
			c.work = s.BeginOp(&p.rec.Op)
		}
	case proceeds, followed:
		if !s.proceed(c, p, lax) {
			return nil
		}
		all[0] = s
	case foundEpoll:
		c.epoll, c.missing = s.Find(p.rec.Op.FD)
	case looked, unready:
		if !s.shows(c, p, lax) {
			return nil
		}
	case begun:
		s.Act(&c.work, &p.rec.Op)
		all[0] = s
	case act:
		if p.rec.Op.Call == event.CallEpollCtl {
			all = s.control(at, p, lax)
			break
		}
		for s.Act(&c.work, &p.rec.Op); !c.work.Done(); {
			s.Act(&c.work, &p.rec.Op)
		}
		if !p.last {
			if lax < laxities && !c.work.Opens() {
				return nil
			}
		} else if lax < laxities && !p.rec.Result.Equal(event.Result{N: c.work.N, Errno: c.work.Errno}) {
			return nil
		}
		all[0] = s
	case change:
		all = s.change(at, p, lax)
	case took:
		all = s.take(at, p, k, lax)
	case passed:
		// Of a closed queue it answers EBADF, unless it had something already.
		none := len(p.rec.Result.Events)+len(p.rec.Result.Polled) == 0 && p.rec.Result.Errno == 0
		if lax < noCompleteness && (s.Closed(c.queue) && none || s.ready(c.queue, k)) {
			return nil
		}
	case asleep:
		if lax < noWakeups && (s.Closed(c.queue) || s.ready(c.queue, k) || s.Overdue(c.queue)) {
			return nil
		}
	case leave:
		// Without changes there is nothing to fail but the kqueue itself.
		errno := p.rec.Result.Errno
		if p.rec.Op.Call == event.CallEpollWait && c.over {
			break // it has answered what it has found
		}
		if lax < laxities && errno != 0 && len(p.rec.Op.Changes) == 0 && (errno != syscall.EBADF || !c.over && !s.Closed(c.queue)) {
			return nil
		}
	}
	if !p.last {
		return all
	}
	var done []state
	for _, s := range all {
		if s.finish(at, p, lax) {
			done = append(done, s)
		}
	}
	return done
}

// finish ends a call after its last part: all that it has said of changes must
// be accounted for.
func (s *state) finish(at int, p *part, lax laxity) bool {
	ok := s.calls[at].records == len(p.records) || lax >= noAnswers
	s.calls = slices.Delete(slices.Clone(s.calls), at, at+1)
	return ok
}

// ready reports whether queue q would return the knote now.
func (s *state) ready(q int32, k key) bool {
	if k.filter == spec.Item {
		return slices.ContainsFunc(s.Ready(nil, q, true), func(r spec.Ref) bool { return r.Names(k.ident, k.filter) })
	}
	return slices.ContainsFunc(s.Deliverable(q), k.is)
}

// change applies a change, and accounts for the record that says what came of
// it. A call that has failed as a whole says nothing of its changes but that it
// stopped at one.
func (s state) change(at int, p *part, lax laxity) []state {
	if s.calls[at].over {
		return []state{s}
	}
	c := &s.calls[at]
	if !c.looked {
		c.found, c.errno = s.Target(p.kev)
	}
	l, errno := c.found, c.errno
	c.looked, c.found, c.errno = false, spec.Life{}, 0
	stopped, refused := s.clone(), s.clone()
	stopped.calls[at].over = true
	mayRefuse := errno == 0 && s.MayRefuse(l)
	var goesOn []state // as it may although the kqueue is being closed
	if errno == 0 {
		if s.Closed(c.queue) && s.closing(c.queue) {
			n := s.clone()
			said := n.HalfClosed(c.queue, l, p.kev)
			if goesOn = []state{n}; p.rec.Result.Errno == 0 || interrupted(p.rec) {
				goesOn = n.account(at, p, said, lax)
			}
		}
		errno = s.ChangeOf(c.queue, l, p.kev)
	}
	if p.rec.Result.Errno != 0 && !interrupted(p.rec) {
		return append(goesOn, s, stopped)
	}
	out := append(goesOn, s.account(at, p, errno, lax)...)
	if mayRefuse && errno != syscall.EBADF {
		out = append(out, refused.account(at, p, syscall.EBADF, lax)...)
	}
	return out
}

// closing reports whether a close of kqueue q is under way.
func (s *state) closing(q int32) bool {
	return slices.ContainsFunc(s.calls, func(c progress) bool { return c.closing && c.queue == q })
}

// account finds the record of a change that has answered errno.
func (s state) account(at int, p *part, errno syscall.Errno, lax laxity) (out []state) {
	n := s.calls[at].records
	receipt := p.kev.Flags&event.Receipt != 0
	if errno == 0 && (!receipt || p.full) || lax >= noAnswers {
		out = append(out, s)
	}
	if (errno != 0 || receipt) && n < len(p.records) && p.records[n] == spec.Record(p.kev, errno) {
		s = s.clone()
		s.calls[at].records++
		out = append(out, s)
	}
	return out
}

// take returns the knote. A model that leaves out a rule takes it although its
// values are others, or it is not ready, or not there.
func (s state) take(at int, p *part, k key, lax laxity) (out []state) {
	q := s.calls[at].queue
	if p.rec.Op.Call == event.CallEpollWait {
		return s.takeItem(q, p, k, lax)
	}
	for _, n := range s.Take(q, p.kev) {
		out = append(out, state{n, slices.Clone(s.calls)})
	}
	if lax >= noOnce && s.Enabled(q, p.kev.Ident, k.filter) {
		out = append(out, s) // and it is still there
	}
	if len(out) > 0 || lax < noValues {
		return out
	}
	for _, kev := range s.Deliverable(q) {
		if k.is(kev) {
			for _, n := range s.Take(q, kev) {
				out = append(out, state{n, slices.Clone(s.calls)})
			}
		}
	}
	if len(out) == 0 && lax >= noEnd {
		out = append(out, s)
	}
	return out
}

// String returns the state of the world, and which calls are under way.
func (s state) String() string {
	text := s.State.String()
	for _, c := range s.calls {
		text += fmt.Sprintf("call %d is before its part %d\n", c.call, c.next)
	}
	return text
}
