package linearizability

import (
	"cmp"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// A replay takes the steps of a whole history in the order of their commit
// points, and holds each against the specification. If it comes to the end, the
// order is a proof: it is one in which the specification allows everything,
// and it keeps the order in which calls returned and began, since each point
// lies within its call. So it need not be trusted that the points are at the
// right places. If it does not come to the end it has shown nothing, and the
// projections are searched.
//
// It is fast because it goes forward only, changes one state in place, and keeps
// its memory for the next history.
type replay struct {
	h       History
	weak    bool
	denied  uint // freedoms that there are not, a bit each
	s       spec.State
	calls   []call
	moments []moment
	turns   []moment // scratch of sort
	active  []int32  // calls that have begun to act and not returned
	polling []int32  // polls and selects under way
	watch   []int32  // calls that have found something ready, which they may not miss, or count
}

// A moment is a step of a call, or its return.
type moment struct {
	at   int64
	rec  int32
	step event.Step // 0: it returns
}

// A call is how far an operation is.
type call struct {
	found   spec.Life // what the Found of a change, or the first Made, has found
	errno   syscall.Errno
	work    spec.Work // of what is done to a descriptor
	life    int32     // of a close: the one that ends
	closing bool      // of a close: it has closed a kqueue
	shut    int32     // of a close: the file that it has released, -1 if none
	queue   int32     // of a kevent, or closed
	entered bool
	refused bool          // what it was called on is no kqueue
	looked  bool          // found is that of the change in hand
	acted   bool          // others may have seen something of it
	stage   int           // of any other call: steps taken, see sequence
	change  int           // the change in hand, from 1; 0 before the first
	applied bool          // the change in hand is
	stopped syscall.Errno // of a change that failed without room for its record
	records int           // of its events, those that speak of changes and are accounted for
	taken   int           // of its events, those that it has retrieved

	// Of a kevent that returns though there was room: what was ready when its
	// scan began, and has been ever since.
	passing bool
	ready   []spec.Ref
	due     []spec.Due // of such a call too, if there is no HalfTold: what it would return
	told    []told     // since its scan began
	left    []spec.Ref // what it has left of that, although it shows that it was told

	took  []spec.Ref // of an epoll_wait: the items that it has returned
	epoll spec.Life  // of an epoll_ctl: what it has found as the epoll
	deed  spec.Deed  // of what is done to a process

	sights []sight // of a poll or select: what its entries may have seen

	// While it counts what a kqueue has.
	counting bool
	inner    int32
	quiet    bool // nobody else is in the midst of anything
	most     int64
	sure     []spec.Ref
}

// explains reports whether the commit points of a history explain it, without the
// freedoms that are denied.
func (r *replay) explains(h History, weak bool, denied uint) bool {
	r.h, r.weak, r.denied = h, weak, denied
	ok := r.order() && r.run()
	r.h = nil
	return ok
}

// free reports whether there is a freedom.
func (r *replay) free(f Freedom) bool { return r.denied&(1<<f) == 0 }

// order lists the moments. A history without commit points has none to order.
func (r *replay) order() bool {
	r.moments = r.moments[:0]
	for i := range r.h {
		rec := &r.h[i]
		last := rec.Call
		if polls(&rec.Op) {
			r.moments = append(r.moments, moment{rec.Call, int32(i), begins})
		}
		for j, s := range rec.Steps {
			if s.At < last || s.At > rec.Return {
				return false
			}
			last = s.At
			if s.Step == event.Released && saysItself(rec.Steps[j+1:]) {
				continue
			}
			r.moments = append(r.moments, moment{s.At, int32(i), s.Step})
		}
		if rec.Return != Never {
			r.moments = append(r.moments, moment{rec.Return, int32(i), 0})
		}
	}
	r.sort()
	return true
}

// sort puts the moments in order; of those that are at one instant the order is
// that of the list. On a clock of turns no two are, and each turn is that of a
// moment or a call, so that the place of each is nearly known.
func (r *replay) sort() {
	n := len(r.moments) + len(r.h) + 1
	if cap(r.turns) < n {
		r.turns = make([]moment, n)
	}
	turns := r.turns[:n]
	clear(turns)
	for _, m := range r.moments {
		if m.at <= 0 || m.at >= int64(n) || turns[m.at].at != 0 {
			slices.SortStableFunc(r.moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
			return
		}
		turns[m.at] = m
	}
	r.moments = r.moments[:0]
	for _, m := range turns {
		if m.at != 0 {
			r.moments = append(r.moments, m)
		}
	}
}

// saysItself reports whether the file that a descriptor has stood for says when it is
// gone, by what comes after the descriptor has said that it is released. An exit ends many.
func saysItself(steps []Stamp) bool {
	for _, s := range steps {
		if s.Step == event.Released || s.Step == event.Unlinked {
			return s.Step == event.Released
		}
	}
	return false
}

// run takes the steps in order.
func (r *replay) run() bool {
	open := spec.Freedom(0)
	if r.free(AnyOrder) {
		open |= spec.AnyOrder
	}
	if r.free(LateNews) {
		open |= spec.LateNews
	}
	r.s.Reset(open)
	r.active, r.watch, r.polling = r.active[:0], r.watch[:0], r.polling[:0]
	if n := len(r.h); n > cap(r.calls) {
		r.calls = make([]call, n)
	} else {
		r.calls = r.calls[:n]
	}
	for i := range r.calls {
		c := &r.calls[i]
		*c = call{ready: c.ready[:0], sure: c.sure[:0], took: c.took[:0], due: c.due[:0], told: c.told[:0], left: c.left[:0], sights: c.sights[:0]}
	}
	for _, m := range r.moments {
		c, rec := &r.calls[m.rec], &r.h[m.rec]
		ok := true
		switch m.step {
		case 0:
			ok = r.returns(m.rec, c, rec)
			c.passing = false
			r.active = without(r.active, m.rec)
			r.watch = without(r.watch, m.rec)
			r.polling = without(r.polling, m.rec)
		case begins:
			r.begin(m.rec, c, rec)
		default:
			ok = r.step(m.rec, c, rec, m.step)
		}
		if !ok {
			return false
		}
		if len(r.watch) > 0 && seen(m.step) {
			r.look(m.rec)
		}
		if !r.free(HalfTold) && seen(m.step) {
			r.tells(m.rec, m.at)
		}
		if m.step == 0 || seen(m.step) { // a return may do what had no step
			for _, n := range r.polling {
				r.sees(&r.calls[n], &r.h[n])
			}
		}
	}
	return r.atRest()
}

// seen reports whether others may see something of a step.
func seen(s event.Step) bool {
	return s != 0 && s != begins && s != event.Found && s != event.Change && s != event.Pruned
}

func without(list []int32, x int32) []int32 {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// look notes what has become of what calls have found ready, after a step of
// another.
func (r *replay) look(by int32) {
	for i := 0; i < len(r.watch); i++ {
		c := &r.calls[r.watch[i]]
		if r.watch[i] == by {
			continue
		}
		c.ready = r.s.StillReady(c.ready)
		if c.counting {
			c.quiet = false
			c.sure = r.s.StillReady(c.sure)
			c.most = max(c.most, r.s.Census(c.inner).Most)
		} else if len(c.ready) == 0 {
			r.watch = slices.Delete(r.watch, i, i+1)
			i--
		}
	}
}

// others reports whether another call is in the midst of what it does, on the
// file that life l is of, or on any.
func (r *replay) others(n int32) bool {
	return len(r.active) > 1 || len(r.active) == 1 && r.active[0] != n
}

// step takes one.
func (r *replay) step(n int32, c *call, rec *Record, step event.Step) bool {
	if polls(&rec.Op) {
		return true
	}
	if !c.acted && seen(step) {
		c.acted = true
		r.active = append(r.active, n)
	}
	if rec.Op.Call == event.CallKevent {
		return r.kevent(n, c, rec, step)
	}
	switch rec.Op.Call {
	case event.CallFork, event.CallExec, event.CallExit, event.CallWait, event.CallKill:
		return r.deed(c, rec, step)
	case event.CallSigaction, event.CallSigmask:
		return step == event.Acted && r.disposed(c, rec)
	case event.CallEpollCtl:
		return r.control(n, c, rec, step)
	case event.CallEpollWait:
		return r.waits(n, c, rec, step)
	}
	steps := sequenceOf(rec.Op.Call)
	if step == event.Acted && c.stage == 0 && steps[0] == event.Made {
		c.work = r.s.Open(rec.Op) // of which there can be one
		return c.work.Opens() || rec.Result.Equal(event.Result{Errno: c.work.Errno})
	}
	if step == event.Acted && c.stage > 0 && steps[c.stage-1] == event.Acted && !c.work.Done() {
		return r.act(c, rec)
	}
	if step == event.Acted && c.stage == len(steps) && steps[c.stage-1] == event.Released {
		return r.s.Refuse(c.shut)
	}
	if c.stage == len(steps) || steps[c.stage] != step {
		return false
	}
	c.stage++
	switch step {
	case event.Made:
		return r.make(c, rec)
	case event.Found:
		c.work = r.s.Begin(rec.Op.FD)
	case event.Acted:
		return r.act(c, rec)
	case event.Unlinked:
		c.life, c.errno = r.s.Unlink(rec.Op)
		return rec.Result.Pending || c.errno == rec.Result.Errno
	case event.Reaped:
		r.s.Reap(c.life)
	case event.Released:
		c.shut, c.closing = r.s.Shut(c.life)
		c.queue = c.shut
	}
	return true
}

// sequence has the steps of all calls but those that look for events, or change
// what is looked for. Acted is as many as the operation has, and behind Released there
// may be some, of those whom a socket that listened has kept waiting.
var sequence = [...][]event.Step{
	event.CallKqueue: {event.Made},
	event.CallProbe:  {event.Made},
	event.CallPipe:   {event.Made, event.Made},
	event.CallDup:    {event.Made},
	event.CallSet:    {event.Found, event.Acted},
	event.CallRead:   {event.Found, event.Acted},
	event.CallWrite:  {event.Found, event.Acted},
	event.CallDup2:   {event.Unlinked, event.Reaped, event.Released},
	event.CallClose:  {event.Unlinked, event.Reaped, event.Released},
	event.CallEpoll:  {event.Made},

	event.CallFifo:    {event.Made},
	event.CallPty:     {event.Made, event.Made},
	event.CallReopen:  {event.Found, event.Acted, event.Made},
	event.CallTermios: {event.Found, event.Acted},

	event.CallSocketpair: {event.Made, event.Made},
	event.CallSocket:     {event.Made},
	event.CallListen:     {event.Found, event.Acted},
	event.CallConnect:    {event.Found, event.Acted},
	event.CallAccept:     {event.Found, event.Acted, event.Made},
	event.CallSend:       {event.Found, event.Acted},
	event.CallRecv:       {event.Found, event.Acted},
	event.CallShutdown:   {event.Found, event.Acted},
	event.CallSockErr:    {event.Found, event.Acted},

	event.CallDevice:  {event.Made},
	event.CallInput:   {event.Found, event.Acted},
	event.CallOutput:  {event.Found, event.Acted},
	event.CallUnplug:  {event.Found, event.Acted},
	event.CallControl: {event.Found, event.Acted},

	event.CallDisk:      {event.Made},
	event.CallAIO:       {event.Found, event.Acted, event.Made},
	event.CallComplete:  {event.Found, event.Acted},
	event.CallAIOCancel: {event.Found, event.Acted},
	event.CallAIOError:  {event.Found, event.Acted},
	event.CallAIOReturn: {event.Found, event.Acted},

	event.CallCreat:    {event.Acted, event.Made},
	event.CallOpen:     {event.Acted, event.Made},
	event.CallMkdir:    {event.Acted},
	event.CallRmdir:    {event.Acted},
	event.CallUnlink:   {event.Acted},
	event.CallRename:   {event.Acted},
	event.CallLink:     {event.Acted},
	event.CallChmod:    {event.Acted},
	event.CallRevoke:   {event.Acted},
	event.CallTruncate: {event.Found, event.Acted},
	event.CallSeek:     {event.Found, event.Acted},
	event.CallMount:    {event.Acted},
	event.CallUnmount:  {event.Acted},
}

// sequenceOf returns the steps of a call, none if it is not known here.
func sequenceOf(c event.Call) []event.Step {
	if int(c) < len(sequence) {
		return sequence[c]
	}
	return nil
}

// closing reports whether a close of kqueue q is under way.
func (r *replay) closing(q int32) bool {
	return slices.ContainsFunc(r.active, func(i int32) bool { return r.calls[i].closing && r.calls[i].queue == q })
}

// make is a step of what makes descriptors.
func (r *replay) make(c *call, rec *Record) (ok bool) {
	res, dup := &rec.Result, rec.Op.Call == event.CallDup
	if res.Pending || res.Errno != 0 {
		// Dup answers EBADF at this step; nothing else fails there.
		_, errno := r.s.Find(rec.Op.FD)
		return dup && res.Equal(event.Result{Errno: errno})
	}
	fd, second := int(res.N), int(res.N2)
	switch {
	case opens(rec.Op.Call) || c.work.Opens():
		return c.work.Opens() && int64(fd) == res.N && r.s.Opened(&c.work, fd)
	case int64(fd) != res.N || int64(second) != res.N2 || len(res.Events) > 0 || len(res.Polled) > 0 || rec.Op.Call.Makes() < 2 && second != 0:
		return false
	case dup:
		return r.s.Duplicate(rec.Op.FD, fd)
	case c.stage == 2:
		return r.s.MakeOther(c.found, second)
	}
	c.found, ok = r.s.Make(rec.Op, fd)
	return ok
}

// act is what a device does to what has been found.
func (r *replay) act(c *call, rec *Record) bool {
	r.s.Act(&c.work, &rec.Op)
	switch {
	case !c.work.Done():
		return true
	case c.work.Opens():
		return rec.Result.Errno == 0
	}
	return rec.Result.Pending || rec.Result.Equal(event.Result{N: c.work.N, Errno: c.work.Errno})
}

// returns holds the answer of a call against what its steps have come to.
func (r *replay) returns(n int32, c *call, rec *Record) bool {
	op, res := &rec.Op, &rec.Result
	switch op.Call {
	case event.CallPoll, event.CallSelect:
		return r.looked(c, rec)
	case event.CallEpollCtl:
		return c.applied || r.controls(n, c, rec)
	case event.CallEpollWait:
		return r.waited(n, c, rec)
	case event.CallKevent:
		return r.answers(c, rec)
	case event.CallFork, event.CallExec, event.CallExit, event.CallWait, event.CallKill:
		return r.done(c, rec)
	case event.CallSigaction, event.CallSigmask:
		return r.disposed(c, rec)
	case event.CallClose, event.CallDup2:
		for c.stage == 3 && r.s.Refuse(c.shut) {
		}
		if c.closing {
			r.s.Empty(c.queue)
		}
		if c.stage == 3 {
			r.s.Untie(c.shut)
		}
		return (c.stage == 3 || c.stage == 1 && c.life == 0) && res.Equal(event.Result{Errno: c.errno})
	}
	steps := sequenceOf(op.Call)
	if slices.Contains(steps, event.Acted) {
		return r.acted(c, rec)
	}
	return steps != nil && (c.stage == len(steps) || c.work.Errno != 0)
}

// acted is returns for what is done to a descriptor. Steps that the kernel has not named
// are as late as they can be.
func (r *replay) acted(c *call, rec *Record) bool {
	acts := slices.Index(sequenceOf(rec.Op.Call), event.Acted)
	if c.stage < acts {
		c.work = r.s.Begin(rec.Op.FD)
	}
	if c.stage <= acts && !r.act(c, rec) {
		return false
	}
	for !c.work.Done() {
		if !r.act(c, rec) {
			return false
		}
	}
	return !c.work.Opens() || c.stage == acts+2
}

// atRest holds those that are asleep at the end against what they sleep on.
func (r *replay) atRest() bool {
	for i := range r.h {
		c, rec := &r.calls[i], &r.h[i]
		if !rec.Result.Pending {
			continue
		}
		switch rec.Op.Call {
		default:
			continue
		case event.CallPoll, event.CallSelect:
			if !r.sleepsOn(c, rec) {
				return false
			}
			continue
		case event.CallEpollWait:
			if !r.waitsOn(c, rec) {
				return false
			}
			continue
		case event.CallKevent:
		}
		if !c.entered || c.refused || c.change != len(rec.Op.Changes) || !r.apply(-1, c, rec) ||
			c.records > 0 || c.stopped != 0 || rec.Op.Wait != event.Forever || rec.Op.Room == 0 || r.s.Closed(c.queue) {
			return false
		}
		c.ready = r.s.Ready(c.ready[:0], c.queue, true)
		if len(c.ready) > 0 || r.s.Overdue(c.queue) {
			return false
		}
	}
	return true
}
