package fuzz

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
)

// Options say how a script is run. New must be set.
type Options struct {
	New      func(*machine.Machine) kqueue.Strategy
	Strategy string        // its name, for messages
	Deadline time.Duration // how long a run may take, on a real clock; by default 10 s

	// Perturb holds a thread up at 1 in so many points of the machine, as
	// [machine.Machine.Perturb] does with the script's seed; 0 is at none.
	Perturb int

	// Round is the number of this run of the script: each is perturbed in a way
	// of its own.
	Round uint64

	// Clock tells the instants of the history; nil counts turns, which is
	// cheapest, or under the race detector nanoseconds.
	Clock linearizability.Clock

	// Scheduler, if not nil, has the script carried out on a virtual machine,
	// on which it decides who goes on at each point from the moment at which
	// the threads begin. Its Begin has been called. Deadline, Perturb, Round and
	// Clock mean nothing there: an execution without an end is a finding.
	Scheduler sched.Scheduler

	// Trace, if not nil, is made to say what happened step by step, on a virtual
	// machine. It costs more than the execution; the report has it too.
	Trace *Trace

	// Choices are what is left to the scheduler besides: on a virtual machine only.
	// A search makes each choice, so there are many times as many executions.
	script.Choices

	onlookers []onlooker         // of a virtual machine; mostly none
	order     *machine.LockOrder // of the executions so far; nil if each has its own
}

// An onlooker is told of the run that it is to follow before that begins.
type onlooker interface{ follow(r *run) }

// A Report says what came of a run.
type Report struct {
	Script   *script.Script
	Strategy string
	Perturb  int // as in Options

	// History is what happened until nothing ran any more; who was asleep then
	// is pending. Setup is thread 0, and the threads count from 1.
	History linearizability.History

	Trace     *Trace                  // as in Options; nil if none was asked for
	Finding   *Finding                // nil if nothing is known to be wrong
	Linear    *linearizability.Report // what the specification says of the history; nil if it was not asked, or has explained an equal one
	Undecided string                  // why the history could not be held against the specification; mostly empty
	Unchecked []string                // knotes that were not
}

// A Finding is a property that does not hold.
type Finding struct {
	Property string // in a few words
	Detail   string
}

func (f *Finding) Error() string { return f.Property + " violated: " + f.Detail }

// The properties that a run is checked for, in the words of findings.
const (
	noPanic     = "no panic"
	noHang      = "an end of every call"
	noDeadlock  = "no deadlock"
	noLivelock  = "no livelock"
	oneInside   = "one thread in a domain"
	noLostWake  = "no lost wakeup"
	wakingClose = "a close that wakes"
	invariants  = "the invariants"
	noRace      = "no data race"
	oneOrder    = "one order of locks"
	sameAgain   = "the same execution again"
)

// Run carries out a script once, under one strategy, records what happened and
// checks it. It looks for
//
//   - a panic, and an end within the deadline: what runs then is left behind;
//   - on a virtual machine two threads in one domain, locks that are taken in a
//     circle ([machine.LockOrder]), and in a race build a data race;
//   - a deadlock: when nothing runs any more only those may be asleep who wait
//     in kevent, poll, select or epoll_wait for as long as it takes;
//   - a lost wakeup: a queue whose waiters are asleep then must have no event,
//     an expiry of a timer included, a poll that sleepers are in must find nothing
//     when it is made once more, and a queue that watches another must know of what
//     that has;
//   - a close that does not wake: in the end every queue is closed, and who is
//     asleep must answer EBADF;
//   - structures that are not as they must be when nothing runs, by the number
//     of the invariant: see [kqueue.Kernel.Audit];
//   - what [Check] finds in the history, and what the specification forbids.
//
// A strategy that excludes nobody may also take the process with it: the
// runtime ends it where it sees a map being written by two.
func Run(s *script.Script, o Options) *Report {
	if o.Deadline == 0 {
		o.Deadline = 10 * time.Second
	}
	if o.Scheduler != nil {
		l := newLab(o)
		defer l.close()
		return l.run(s)
	}
	r := &run{s: s, o: o, plan: planOf(s), broken: make(chan struct{})}
	r.m = machine.Native(script.MaxCPU + 1)
	if o.Clock == nil {
		r.memory = memories.Get().(*memory)
	} else {
		r.memory = &memory{rec: linearizability.NewRecorder(o.Clock)}
	}
	if o.Perturb > 0 {
		r.m.Perturb(s.Seed+o.Round<<32, o.Perturb)
	}
	r.boot()
	report := &Report{Script: s, Strategy: o.Strategy, Perturb: o.Perturb}
	if r.wait() && r.history != nil {
		report.History = r.history
	} else {
		report.History = r.soFar()
	}
	report.Finding = r.finding.Load()
	if report.Finding == nil { // and no thread runs
		if r.rec.Reset(); o.Clock == nil {
			memories.Put(r.memory)
		}
		report.verify(&linearizability.Checker{})
	}
	return report
}

// boot makes a kernel, a process and what else there is in a world.
func (r *run) boot() {
	r.n.Store(0)
	r.strategy = r.o.New(r.m)
	r.w = catalog.NewWorld(kqueue.New(r.m, r.strategy))
	r.k, r.p = r.w.Kernel, r.w.Process
}

// wait has the script carried out, and reports whether that came to an end. A run
// in which a thread has panicked, and may have kept a lock, is given a moment to
// end; what runs then is left behind.
func (r *run) wait() (ended bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.carryOut()
	}()
	late := time.NewTimer(r.o.Deadline)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-r.broken:
		late.Reset(50 * time.Millisecond)
	case <-late.C:
		r.fail(noHang, "threads still run, or wait for what never comes, after %v%s", r.o.Deadline, r.running())
		return false
	}
	select {
	case <-done:
		return true
	case <-late.C:
		return false
	}
}

// ticking is how long timers may expire again and again: enough for those who
// wait for one to see a few, even where the computer's own timers are late by a
// millisecond.
const ticking = 3 * time.Millisecond

// A run is a script being carried out.
type run struct {
	s    *script.Script
	plan plan // of s
	o    Options

	virtual  bool
	tracer   *tracer // of a virtual machine, if one is asked for
	m        *machine.Machine
	strategy kqueue.Strategy
	w        *catalog.World
	k        *kqueue.Kernel // of w, as p is
	p        *proc.Process

	*memory
	ready    atomic.Int32 // threads that have yet to come to the start
	starting              // of threads that join the process
	leave    atomic.Bool  // threads are to end after the call that they are in
	finding  atomic.Pointer[Finding]
	broken   chan struct{}           // closed with the first finding; nil on a virtual machine
	history  linearizability.History // as it was when nothing ran any more
}

// fail notes the first finding.
func (r *run) fail(property, format string, args ...any) {
	if r.finding.CompareAndSwap(nil, &Finding{property, fmt.Sprintf(format, args...)}) && r.broken != nil {
		close(r.broken)
	}
}

func (r *run) failed() bool { return r.finding.Load() != nil }

// caught is deferred in every thread of the run.
func (r *run) caught(name string) {
	if e := recover(); e != nil {
		if machine.Abandoned(e) {
			panic(e)
		}
		if two, ok := e.(*kqueue.OverlapError); ok {
			r.fail(oneInside, "%v", two)
			return
		}
		r.fail(noPanic, "%s: %v\n%s", name, e, debug.Stack())
	}
}

// carryOut runs setup, the threads, and the end.
func (r *run) carryOut() {
	for i := range r.s.Setup {
		l := r.lane(0, &r.s.Setup[i])
		l.name = "setup"
		r.start(l)
		if err := r.quiet(); err != nil {
			r.fail(noDeadlock, "in setup: %v", err)
			return
		}
		if r.failed() {
			return
		}
	}
	first := len(r.used())
	for i := range r.s.Threads {
		r.lane(i+1, &r.s.Threads[i])
	}
	r.ready.Store(int32(len(r.s.Threads)))
	r.expect(len(r.s.Threads))
	for i := range r.used()[first:] {
		r.start(&r.lanes[first+i])
	}
	if r.plan.periodic {
		defer r.stopTicking()()
	}
	if r.virtual && !r.plan.joins {
		r.m.Unscheduled(false)
	}
	asleep := r.quiet()
	if r.virtual {
		r.m.Unscheduled(true)
		if r.tracer != nil {
			r.tracer.down()
		}
	}
	if r.failed() {
		return
	}
	r.quiesce()
	if r.virtual {
		r.history = r.rec.View()
	} else {
		r.history = r.rec.History()
	}
	if asleep != nil {
		r.sleepers(asleep)
	}
	if !r.failed() {
		r.end()
	}
}

// start starts the thread of a lane. Of its calls matters, besides what they do, which
// have returned before which begin: the specification holds them to that order.
//
// All those of a script begin together: who comes to the start waits for the others. It
// holds no CPU yet, so nobody needs what it could keep.
func (r *run) start(l *lane) { r.m.Go(l.name, l.cpu, l.main) }

// do is what the thread of a lane does.
func (l *lane) do(td *machine.Thread) {
	r := l.r
	defer r.caught(l.name)
	td.Listen(l.log)
	if r.plan.joins && l.joins {
		l.join(td)
		defer l.part(td)
	}
	for r.ready.Add(-1); r.ready.Load() > 0 && !r.virtual; {
		runtime.Gosched()
	}
	for i := range l.ops {
		if r.leave.Load() || r.failed() {
			return
		}
		td.Touch(r.rec, machine.Reads)
		l.log.Call(l.ops[i])
		l.begun.Store(int32(i + 1))
		l.last = l.caller.Do(td, &l.ops[i])
		td.Touch(r.rec, machine.Adds)
		l.log.Return(l.last)
		l.ended.Store(int32(i + 1))
	}
}

// quiet waits until nothing runs any more, and returns who is asleep then, or
// nil.
func (r *run) quiet() (asleep *machine.DeadlockError) {
	if r.virtual {
		defer r.caught("an interrupt") // Run is where all that runs is resumed
	}
	switch err := r.m.Run().(type) {
	case *machine.LivelockError:
		r.fail(noLivelock, "%v%s", err, r.running())
	case *machine.DeadlockError:
		return err
	}
	return nil
}

// quiesce has what still runs come to an end: timers whose threads have all gone. What
// comes after it would never come to rest otherwise, nor find all as it must be.
func (r *run) quiesce() {
	if r.virtual {
		defer r.caught("an interrupt")
	}
	r.m.Quiesce()
}
