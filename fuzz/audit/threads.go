package audit

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// The threads of an execution: setup alone, then filter and device side by side, then
// rest and closer, each alone.

// setup makes what the trial is about.
func (l *lab) setup(td *machine.Thread) {
	defer l.caught("setup")
	l.q = l.w.Kernel.NewQueue(td, files{l.w.Process, l})
	l.w.Queue = l.q
	l.make(td, 0)
	switch l.t.against.kind {
	case anotherUnit:
		l.make(td, 1)
		fallthrough
	case anotherKnote:
		l.other = l.w.Kernel.NewQueue(td, files{l.w.Process, l})
	}
	if l.t.function != Attach {
		if _, err := l.q.Kevent(td, l.changes(0, 0, event.Add), nil, 0); err != nil {
			l.fail(exercised, "EV_ADD: %v", err)
		}
	}
}

// make makes a unit.
func (l *lab) make(td *machine.Thread, i int) {
	u := l.t.device.New(td, l.w)
	l.units[i], l.ids[i] = u, u.Ident
	if u.File != nil {
		fd, err := l.w.Process.Open(td, u.File)
		if err != nil {
			panic("no descriptor: " + err.Error())
		}
		l.ids[i] = uint64(fd)
	}
	own, err := u.Asked(td, l.w, l.t.filter.Filter)
	if err != nil {
		panic("no filter: " + err.Error())
	}
	if own == l.own[i] || own == l.asked[i] || own == l.own[0] || own == l.asked[0] {
		return
	}
	// Of most devices all units have one filter; a process has one of its own.
	f := plain(own)
	if l.t.plant != nil {
		f = l.t.plant(f, l.t.function)
	}
	l.own[i], l.asked[i], l.detaches = own, l.watched(f, l.t.function), f.Detach != nil
}

// changes returns a change of the knote of a unit for each of the flags, in the memory
// of a lane.
func (l *lab) changes(lane, unit int, flags ...event.Flags) []event.Kevent {
	all := l.lanes[lane].changes[:len(flags)]
	for i, f := range flags {
		all[i] = event.Kevent{
			Ident: l.ids[unit], Filter: l.t.filter.Filter, Flags: f, Fflags: l.t.filter.Fflags, Data: l.t.filter.WantData,
		}
	}
	return all
}

// filter has the function called that is audited. What the call answers is the core's
// affair; the other thread may have closed the descriptor.
func (l *lab) filter(td *machine.Thread) {
	defer l.caught("filter")
	switch l.t.function {
	case Attach, Touch:
		l.q.Kevent(td, l.changes(0, 0, event.Add), nil, 0)
	case Event: // by the change, then by the scan if that is ready
		l.q.Kevent(td, l.changes(0, 0, event.Add), l.lanes[0].events[:1], 0)
	case Detach:
		l.q.Kevent(td, l.changes(0, 0, event.Delete), nil, 0)
	}
	l.left(td, l.t.function.String())
}

// device does what the function is audited against.
func (l *lab) device(td *machine.Thread) {
	defer l.caught("device")
	switch a := l.t.against; a.kind {
	case act:
		l.units[0].Acts[a.act].Do(td)
	case closing:
		l.w.Process.Close(td, int(l.ids[0]))
	case anotherKnote:
		l.comeAndGo(td, 0)
	case anotherUnit:
		l.comeAndGo(td, 1)
	}
	l.left(td, l.t.against.name)
}

// comeAndGo has a knote of a unit attached and asked, if it is another unit told of news,
// and detached if the filter has a function for that.
func (l *lab) comeAndGo(td *machine.Thread, unit int) {
	l.other.Kevent(td, l.changes(1, unit, event.Add), nil, 0)
	if unit > 0 {
		l.units[unit].Acts[0].Do(td)
	}
	if l.detaches {
		l.other.Kevent(td, l.changes(1, unit, event.Delete), nil, 0)
	}
}

// left looks at what a thread has kept that has done what it was to do.
func (l *lab) left(td *machine.Thread, what string) {
	switch n := td.Locks(); {
	case n != 0:
		l.fail(noLock, "%s has kept %d locks", what, n)
	case td.Debt != 0:
		l.fail(invariants, "%s owes %d visits", what, td.Debt)
	case td.NoSleep:
		l.fail(invariants, "%s has left its thread unable to sleep", what)
	}
}

// rest looks at all when nothing runs any more. First the queue is asked for what it
// has, then each filter whose knote it did not return: one that says yes has news that
// nobody was told of, and nobody will be.
func (l *lab) rest(td *machine.Thread) {
	defer l.caught("rest")
	events := l.lanes[0].events[:]
	n, err := l.q.Kevent(td, nil, events, 0)
	if err != nil {
		l.fail(invariants, "kevent at rest: %v", err)
	}
	for _, kn := range l.knotes {
		if kn == nil || kn.Queue() != l.q || slices.ContainsFunc(events[:n], func(e event.Kevent) bool {
			return e.Ident == kn.Ident() && e.Filter == kn.Filter()
		}) {
			continue
		}
		if l.holdsNow(td, kn) {
			l.fail(noLoss, "nothing runs any more, and the condition of %v holds, with data %d, of which its queue knows nothing", kn, kn.Data)
		}
	}
	l.holds(l.w.Audit(td))
}

// holdsNow asks the filter of a knote.
func (l *lab) holdsNow(td *machine.Thread, kn *kqueue.Knote) bool {
	kn.Source().Enter(td)
	defer kn.Source().Exit(td)
	mp := l.m.MPLock()
	td.Get(mp)
	defer td.Put(mp)
	return l.asked[0].Event(td, kn, 0)
}

// closer closes everything.
func (l *lab) closer(td *machine.Thread) {
	defer l.caught("closer")
	for fd := range l.w.Process.Limit() {
		if l.w.Process.Close(td, fd) != nil && fd > 8 {
			break
		}
	}
	for _, q := range []*kqueue.Queue{l.q, l.other} {
		if q != nil {
			q.Close(td)
		}
	}
	l.left(td, "close")
}
