package audit

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Function is one of the functions of a filter.
type Function uint8

// The functions, in the order in which a knote comes by them.
const (
	Attach Function = iota
	Event
	Touch
	Detach
)

var functionNames = [...]string{"attach", "event", "touch", "detach"}

func (f Function) String() string { return functionNames[f] }

// functions returns those that a filter has.
func functions(own *kqueue.Filter) (all []Function) {
	for f, has := range [...]bool{own.Attach != nil, true, own.Touch != nil, own.Detach != nil} {
		if has {
			all = append(all, Function(f))
		}
	}
	return all
}

// plain is a filter without the shortcuts that the core has for filters which only
// count or compare: one whose Event can be watched.
func plain(own *kqueue.Filter) kqueue.Filter {
	f := *own
	switch {
	case own.Count:
		f.Count = false
		f.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Pending += hint
			kn.Data = kn.Pending
			return kn.Data > 0
		}
	case own.Level != nil:
		f.Level = nil
		f.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Data = *own.Level(kn)
			return kn.Data >= kn.WantData
		}
	}
	return f
}

// watched returns the filter that knotes ask in place of own, a plain one. It is the same, but
// that it is called without the mplock. If it says that it is not MP-safe only the function
// that is audited is: the others take the mplock, as the core would have, so that each is
// judged by itself. Every call is looked at, see begin.
func (l *lab) watched(own kqueue.Filter, audited Function) *kqueue.Filter {
	f := own
	f.Unsafe, f.Blocks = false, own.Blocks || own.Unsafe
	begin := func(td *machine.Thread, fn Function) look {
		return l.begin(td, fn, own.Unsafe && fn != audited)
	}
	f.Attach = func(td *machine.Thread, kn *kqueue.Knote) (err error) {
		b := begin(td, Attach)
		if own.Attach != nil {
			err = own.Attach(td, kn)
		}
		l.end(td, &own, b)
		if err == nil {
			l.attached(kn)
		}
		return err
	}
	f.Detach = func(td *machine.Thread, kn *kqueue.Knote) {
		b := begin(td, Detach)
		if own.Detach != nil {
			own.Detach(td, kn)
		}
		l.end(td, &own, b)
		l.detached(kn)
	}
	f.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		b := begin(td, Event)
		hit := own.Event(td, kn, hint)
		l.end(td, &own, b)
		return hit
	}
	if own.Told != nil {
		f.Told = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			b := begin(td, Event)
			hit := own.Told(td, kn, hint)
			l.end(td, &own, b)
			return hit
		}
	}
	if own.Next != nil {
		f.Next = func(td *machine.Thread, kn *kqueue.Knote) bool {
			b := begin(td, Event)
			more := own.Next(td, kn)
			l.end(td, &own, b)
			return more
		}
	}
	if own.Touch != nil {
		f.Touch = func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			b := begin(td, Touch)
			err := own.Touch(td, kn, kev)
			l.end(td, &own, b)
			return err
		}
	}
	return &f
}

// A look is what a thread had when it called a function of a filter.
type look struct {
	fn     Function
	in     *bool // it is in one
	fenced bool
	locks  int
	waits  uint64
}

// begin notes that td calls a function of the filter; with fenced it takes the mplock.
//
//go:norace
func (l *lab) begin(td *machine.Thread, fn Function, fenced bool) look {
	in := l.inside(td)
	if *in {
		l.fail(noNotify, "%s calls %v from inside a filter", td.Name, fn)
	}
	*in = true
	l.called[fn]++
	if fenced {
		td.Get(l.m.MPLock())
	}
	return look{fn, in, fenced, td.Locks(), td.Stats.Contended + td.Stats.Sleeps}
}

// end looks at what has become of td in a function.
//
//go:norace
func (l *lab) end(td *machine.Thread, own *kqueue.Filter, b look) {
	if waits := td.Stats.Contended + td.Stats.Sleeps - b.waits; waits > 0 && !own.Blocks {
		l.fail(noBlock, "%v has waited, and the filter does not say that it blocks", b.fn)
	}
	if locks := td.Locks() - b.locks; locks != 0 {
		l.fail(noLock, "%v has kept %d locks", b.fn, locks)
	}
	if b.fenced {
		td.Put(l.m.MPLock())
	}
	*b.in = false
}

// enters is told of each domain that is entered; l may be nil.
//
//go:norace
func (l *lab) enters(td *machine.Thread) {
	if l != nil && *l.inside(td) {
		l.fail(noNotify, "%s enters a domain from inside a filter", td.Name)
	}
}

// inside returns where it is noted whether td is in a function of a filter.
//
//go:norace
func (l *lab) inside(td *machine.Thread) *bool {
	for i := range l.threads {
		t := &l.threads[i]
		if t.td == nil {
			t.td = td
		}
		if t.td == td {
			return &t.in
		}
	}
	panic(fmt.Sprintf("audit: more than %d threads", len(l.threads)))
}

// attached notes a knote that the filter watches.
//
//go:norace
func (l *lab) attached(kn *kqueue.Knote) {
	for i, o := range l.knotes {
		if o == nil {
			l.knotes[i] = kn
			return
		}
	}
	panic(fmt.Sprintf("audit: more than %d knotes", len(l.knotes)))
}

//go:norace
func (l *lab) detached(kn *kqueue.Knote) {
	for i, o := range l.knotes {
		if o == kn {
			l.knotes[i] = nil
		}
	}
}
