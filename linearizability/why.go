package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// drawLimit is how long the search for a picture may take.
const drawLimit = 10 * time.Second

// A view is a projection that is not right, as one looks at it to see why: the
// longest order that the specification allows, and the step that ends it.
type view struct {
	plan   *plan
	key    key
	ops    []porcupine.Operation // all steps
	order  []porcupine.Operation // the longest order of them
	states [][]state             // what may be before each step of the order, and after the last
	stuck  *porcupine.Operation  // must come next and cannot; nil if none stands in the way
	result porcupine.CheckResult // unknown: the search was cut short, there may be a longer order
	info   porcupine.LinearizationInfo
}

// stepOf returns the part that a porcupine operation is.
func stepOf(op porcupine.Operation) *part { return op.Input.(*part) }

// look searches the projection that a finding is of once more, and keeps what
// the search has seen.
func (r *Report) look(f Finding) *view {
	v := &view{plan: r.plan, key: f.key, ops: r.plan.project(f.key, r.weak)}
	v.result, v.info = porcupine.CheckOperationsVerbose(model(f.key, strict), v.ops, drawLimit)
	// The partial orders come as a map has them, and the picture of a history is
	// to be the same each time.
	for _, o := range v.info.PartialLinearizationsOperations()[0] {
		if len(o) > len(v.order) || len(o) == len(v.order) && earlier(o, v.order) {
			v.order = o
		}
	}
	now := []state{{State: spec.New(spec.AnyOrder | spec.AnyNumber)}}
	v.states = append(v.states, now)
	for _, op := range v.order {
		now = v.after(now, stepOf(op))
		v.states = append(v.states, now)
	}
	if v.result != porcupine.Ok {
		v.stuck = v.next()
	}
	return v
}

// earlier reports whether order a begins with what was called first.
func earlier(a, b []porcupine.Operation) bool {
	return slices.CompareFunc(a, b, func(x, y porcupine.Operation) int {
		p, q := stepOf(x), stepOf(y)
		return cmp.Or(cmp.Compare(p.call, q.call), cmp.Compare(p.index, q.index))
	}) < 0
}

// after returns the states in which the world may be after part p.
func (v *view) after(now []state, p *part) (next []state) {
	for _, s := range now {
		for _, n := range step(s, p, v.key, strict) {
			if !slices.ContainsFunc(next, n.equal) {
				next = append(next, n)
			}
		}
	}
	return next
}

// next returns the step that stands in the way: of those that may come after
// the order, and cannot, the one that has to come first.
func (v *view) next() (stuck *porcupine.Operation) {
	placed := map[*part]bool{}
	for _, op := range v.order {
		placed[stepOf(op)] = true
	}
	first := int64(Never)
	for _, op := range v.ops {
		if !placed[stepOf(op)] {
			first = min(first, op.Return)
		}
	}
	for i, op := range v.ops {
		p := stepOf(op)
		// The parts of a call stand one after another.
		if placed[p] || op.Call > first || p.index > 0 && !placed[stepOf(v.ops[i-1])] || len(v.after(v.last(), p)) > 0 {
			continue
		}
		if stuck == nil || op.Return < stuck.Return {
			stuck = &v.ops[i]
		}
	}
	return stuck
}

// last returns the states after the whole order.
func (v *view) last() []state { return v.states[len(v.states)-1] }

// turn returns the index in the order of the last step before which the stuck
// one would still have been right, -1 if there is none, and whether with the
// stuck one before it, that one is not right. What the stuck one's call has done
// by then goes with it.
func (v *view) turn() (at int, mutual bool) {
	p := stepOf(*v.stuck)
	var own []*part
	for i := len(v.order) - 1; i >= 0; i-- {
		if q := stepOf(v.order[i]); q.id == p.id {
			own = append([]*part{q}, own...)
			continue
		}
		now := v.states[i]
		for _, q := range own {
			now = v.after(now, q)
		}
		if now = v.after(now, p); len(now) > 0 {
			return i, len(v.after(now, stepOf(v.order[i]))) == 0
		}
	}
	return -1, false
}

// cause returns the first call after which the stuck step would be right, and
// which was made only when the stuck one had returned; nil if there is none.
func (v *view) cause() *Record {
	placed := map[*part]bool{}
	for _, op := range v.order {
		placed[stepOf(op)] = true
	}
	now := v.last()
	for i, op := range v.ops {
		p := stepOf(op)
		if placed[p] || p.call == stepOf(*v.stuck).call || op.Call <= v.stuck.Return {
			continue
		}
		if p.index == 0 {
			now = v.last()
		}
		now = v.after(now, p)
		if last := i+1 == len(v.ops) || stepOf(v.ops[i+1]).call != p.call; last && len(v.after(now, stepOf(*v.stuck))) > 0 {
			return p.rec
		}
	}
	return nil
}

// did says what the call did in part p.
func (p *part) did() string {
	switch p.does {
	case unlink, reap, release, empty:
		return "ended descriptor " + fmt.Sprint(p.ended())
	case enter:
		if p.rec.Op.Call == event.CallEpollWait {
			return fmt.Sprintf("went on with descriptor %d as with an epoll", p.rec.Op.FD)
		}
		return fmt.Sprintf("went on with descriptor %d as with a kqueue", p.rec.Op.FD)
	case looked:
		if p.says == 0 {
			return fmt.Sprintf("said nothing of descriptor %d", p.fd)
		}
		return fmt.Sprintf("said `%v` of descriptor %d", p.says, p.fd)
	case change:
		for _, kev := range p.records {
			if kev.Udata == p.kev.Udata && kev.Fflags == p.kev.Fflags && kev.Data == 0 {
				return fmt.Sprintf("applied `%v`, and said that it succeeded", p.kev)
			}
		}
		if len(p.records) > 0 {
			return fmt.Sprintf("applied `%v`, and said `%v`", p.kev, p.records[0])
		}
		return fmt.Sprintf("applied `%v`, and said nothing of it", p.kev)
	case took:
		return fmt.Sprintf("returned `%s`", p.event())
	case passed:
		if p.rec.Op.Call == event.CallEpollWait {
			return "did not return the item, though there was room"
		}
		return "did not return the knote, though there was room"
	case asleep, unready:
		return "sleeps at the end"
	}
	return fmt.Sprintf("answered `%s`", p.rec.answer())
}

// ended is the number whose life a close or dup2 ends.
func (p *part) ended() int {
	if p.rec.Op.Call == event.CallDup2 {
		return p.rec.Op.To
	}
	return p.rec.Op.FD
}

// allowed says what the specification allows in place of the stuck step; where
// it does not know the state for certain, for each that may be.
func (v *view) allowed() string {
	var out []string
	for _, s := range v.last() {
		if a := v.allows(s, stepOf(*v.stuck)); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return strings.Join(out, "; or else ")
}

func (v *view) allows(s state, p *part) string {
	s = s.clone()
	var c progress
	if at := slices.IndexFunc(s.calls, func(c progress) bool { return c.call == p.id }); at >= 0 {
		c = s.calls[at]
	}
	ready := ""
	for _, kev := range s.Deliverable(c.queue) {
		if v.key.is(kev) && (p.does != took || kev.Ident == p.kev.Ident) {
			ready = fmt.Sprintf("`%v`", kev)
		}
	}
	op, result := p.rec.Op, p.rec.Result
	if text := v.allowsPolls(s, &c, p); text != "" {
		return text
	}
	switch p.does {
	case whole:
		if n := s.Clone(); op.Call.Makes() > 0 && result.Errno == 0 && n.Apply(op).Errno == 0 {
			return "only a number that is free"
		}
		return fmt.Sprintf("only `%v`", s.Apply(op))
	case first, second, opened:
		return "only a number that is free"
	case unlink:
		_, errno := s.Unlink(op)
		return only(errno) + fmt.Sprintf(": there is no descriptor %d", op.FD)
	case enter:
		return only(syscall.EBADF) + fmt.Sprintf(": descriptor %d is not a kqueue", op.FD)
	case act:
		for !c.work.Done() {
			s.Act(&c.work, &op)
		}
		return fmt.Sprintf("only `%v`", event.Result{N: c.work.N, Errno: c.work.Errno})
	case proceeds:
		if p.index == 0 {
			c.deed = spec.Start(op, p.blocks)
		}
		for !c.deed.Done() {
			s.Go(&c.deed, &op)
		}
		return fmt.Sprintf("only `%v`", event.Result{N: c.deed.N, N2: c.deed.N2, Errno: c.deed.Errno})
	case change:
		return s.answers(&c, p)
	case took:
		if ready == "" {
			return "only that it does not return the knote: " + s.KnoteWords(c.queue, p.kev.Ident, v.key.filter)
		}
		if "`"+p.kev.String()+"`" != ready {
			return "only " + ready
		}
	case passed, asleep:
		verb := map[does]string{passed: "that it answers ", asleep: "that it wakes and answers "}[p.does]
		if s.Closed(c.queue) {
			return verb + "`EBADF`: the kqueue is closed"
		}
		if ready != "" {
			return strings.Replace(verb, "answers", "returns", 1) + ready + ", which is ready"
		}
		if p.does == asleep && s.Overdue(c.queue) {
			return "that it wakes and returns what is in the store: nothing moves any more, so the read timeout is over"
		}
	case leave:
		if result.Errno != 0 && len(op.Changes) == 0 {
			return "what is ready, or nothing: no errno, for there is nothing wrong with what is asked"
		}
	}
	return v.records(p)
}

// records says what the changes of a call answered where they are in the order,
// for a call whose records are others.
func (v *view) records(p *part) string {
	var out []string
	for i, op := range v.order {
		q := stepOf(op)
		if q.call != p.call || q.does != change {
			continue
		}
		s := v.states[i][0].clone()
		at := slices.IndexFunc(s.calls, func(c progress) bool { return c.call == p.id })
		if a := strings.TrimPrefix(s.answers(&s.calls[at], q), "only "); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return "no record of this knote: it is not changed"
	}
	return "only " + strings.Join(out, ", and ")
}

// answers is what the specification answers to the change of part p.
func (s *state) answers(c *progress, p *part) string {
	l, errno := c.found, c.errno
	if !c.looked {
		l, errno = s.Target(p.kev)
	}
	if errno == 0 {
		errno = s.ChangeOf(c.queue, l, p.kev)
	}
	if errno == 0 {
		return fmt.Sprintf("only that `%v` succeeds", p.kev)
	}
	why := ""
	switch errno {
	case syscall.ENOENT:
		why = ": " + s.KnoteWords(c.queue, p.kev.Ident, p.kev.Filter)
	case syscall.EBADF:
		if s.Closed(c.queue) {
			why = ": the kqueue is closed"
			break
		}
		why = fmt.Sprintf(": there is no descriptor %d", p.kev.Ident)
	}
	return fmt.Sprintf("that `%v` answers `%v`%s", p.kev, event.Result{Errno: errno}, why)
}

func only(errno syscall.Errno) string { return fmt.Sprintf("only `%v`", event.Result{Errno: errno}) }
