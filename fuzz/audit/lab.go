package audit

import (
	"fmt"
	"runtime/debug"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/races"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
)

// What findings say that must not be, or must.
const (
	noRace     = "no data race"
	noPanic    = "no panic"
	noDeadlock = "no deadlock"
	noLivelock = "no livelock"
	oneInside  = "one thread in a domain"
	oneOrder   = "one order of locks"
	noNotify   = "a filter that enters nothing"
	noBlock    = "a filter that says that it blocks"
	noLock     = "no lock kept"
	noLoss     = "no news lost"
	invariants = "the invariants"
	sameAgain  = "the same execution again"
	exercised  = "a function that is called"
)

// A lab is a virtual machine on which trials are carried out, one execution after
// another. It keeps all that an execution needs for the next.
type lab struct {
	t        *trial
	recorded *sched.Recorded // decides in all executions; what is in it is changed
	m        *machine.Machine
	strategy apart
	w        *catalog.World
	order    machine.LockOrder

	own, asked [2]*kqueue.Filter // of the trial's units: the filters, and what knotes ask instead
	detaches   bool              // asked has a Detach that does something
	called     [4]int            // how often each function was, since the trial was set

	// Of an execution.
	q, other *kqueue.Queue
	units    [2]catalog.Unit
	ids      [2]uint64 // of the units
	fds      int       // open
	finding  *fuzz.Finding
	threads  [16]struct {
		td *machine.Thread
		in bool // a function of the filter
	}
	knotes [8]*kqueue.Knote // attached
	lanes  [2]struct {
		changes [3]event.Kevent
		events  [8]event.Kevent
	}
}

func newLab() *lab { return &lab{recorded: &sched.Recorded{}} }

// set has the next executions be of a trial.
func (l *lab) set(t *trial) {
	l.t, l.own, l.asked, l.called = t, [2]*kqueue.Filter{}, [2]*kqueue.Filter{}, [4]int{}
}

// files are those of the process, whose filters are watched.
type files struct {
	*proc.Process
	l *lab
}

// Wrap implements [kqueue.Wrapper].
func (f files) Wrap(_ uint64, _ event.Filter, own *kqueue.Filter) *kqueue.Filter {
	return f.l.wrap(own)
}

// wrap returns what is to be asked instead of a filter.
func (l *lab) wrap(own *kqueue.Filter) *kqueue.Filter {
	for i, known := range l.own {
		if own == known {
			return l.asked[i]
		}
	}
	return own
}

// boot makes a machine and a world.
func (l *lab) boot() {
	l.m = machine.Virtual(2, l.recorded)
	l.strategy = apart{l}
	k := kqueue.New(l.m, l.strategy)
	l.w = catalog.NewWorld(k)
	for f := event.FS; f <= event.Read; f++ {
		if open := k.Opener(f); open != nil {
			k.Install(f, func(td *machine.Thread, of kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
				src, own, err := open(td, of, ident)
				return src, l.wrap(own), err
			})
		}
	}
}

// again makes all as boot did, and reports whether that could be.
func (l *lab) again() bool {
	if l.m == nil || !l.m.Reset() {
		return false
	}
	l.strategy.Reset()
	l.w.Reset()
	return true
}

// close leaves the machine behind. There may be executions after it.
func (l *lab) close() {
	if l.m != nil {
		l.m.Abandon()
		l.m = nil
	}
}

// run makes one execution of the trial, whose decisions are the recorded scheduler's,
// and returns what it has found, nil if nothing.
func (l *lab) run() *fuzz.Finding {
	raced := races.Alone()
	defer raced()
	if !l.again() {
		l.close()
		l.boot()
	}
	l.q, l.other, l.fds, l.finding = nil, nil, 0, nil
	clear(l.threads[:])
	clear(l.knotes[:])
	l.order.Reset()
	l.m.OrderLocks(&l.order)
	l.m.Unscheduled(true)
	l.carryOut()
	if circle := l.order.Circle(); circle != "" {
		l.fail(oneOrder, "%s", circle)
	}
	if n, said := raced(); n > 0 {
		l.fail(noRace, "%s", said)
	}
	if l.finding != nil {
		l.close()
	}
	return l.finding
}

func (l *lab) carryOut() {
	if l.m.Go("setup", 0, l.setup); !l.quiet() {
		return
	}
	l.m.Go("filter", 0, l.filter)
	l.m.Go("device", 1, l.device)
	l.m.Unscheduled(false)
	ended := l.quiet()
	l.m.Unscheduled(true)
	if !ended {
		return
	}
	l.stopped(func() error { l.m.Quiesce(); return nil })
	if l.m.Go("rest", 0, l.rest); !l.quiet() {
		return
	}
	if l.m.Go("closer", 0, l.closer); !l.quiet() {
		return
	}
	l.holds(l.w.Process.Empty()) // what acts hold open without a descriptor stays
	if n := l.m.Armed(); n > 0 {
		l.fail(invariants, "I13: everything is closed, and %d callouts are armed", n)
	}
}

// quiet waits until all threads have ended, and reports whether they have, and
// nothing was found.
func (l *lab) quiet() bool {
	l.stopped(l.m.Run)
	return l.finding == nil
}

// stopped does what lets threads run.
func (l *lab) stopped(f func() error) {
	defer l.caught("an interrupt")
	switch err := f().(type) {
	case nil:
	case *machine.LivelockError:
		l.fail(noLivelock, "%v", err)
	default:
		l.fail(noDeadlock, "%v", err)
	}
}

// fail notes the first finding.
//
//go:norace
func (l *lab) fail(property, format string, args ...any) {
	if l.finding == nil {
		l.finding = &fuzz.Finding{Property: property, Detail: fmt.Sprintf(format, args...)}
	}
}

// caught is deferred in every thread.
func (l *lab) caught(name string) {
	switch e := recover().(type) {
	case nil:
	case *kqueue.OverlapError:
		l.fail(oneInside, "%v", e)
	default:
		if machine.Abandoned(e) {
			panic(e)
		}
		l.fail(noPanic, "%s: %v\n%s", name, e, debug.Stack())
	}
}

// holds notes what an audit has found, if it has.
func (l *lab) holds(wrong error) {
	if wrong != nil {
		l.fail(invariants, "%v", wrong)
	}
}
