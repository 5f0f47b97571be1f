package machine

import (
	"fmt"
	"time"
	"unsafe"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// Virtual returns a machine with ncpu CPUs of whose threads one runs at a time:
// at every point of the machine s decides which goes on, and so how much time
// passes, which is virtual. With the same decisions the same program makes the
// same execution. It panics if ncpu < 1.
//
// One machine makes one execution, between Begin of the scheduler, which is the
// caller's to call, and [Machine.Abandon], or one after another, with
// [Machine.Reset] between them. Threads started by Go begin to run in
// Run, and only while somebody is in it. One that calls Attach is outside of all
// this: what it does between two Runs nobody comes between, and it must not
// block.
//
// In a race build the detector sees the threads as if they ran in parallel, in no
// order but what the primitives give them. It reports a race once for a process and
// pair of stacks: who makes the execution again must set
// GORACE="suppress_equal_stacks=0 suppress_equal_addresses=0".
//
// A thread that loops without coming by a point hangs the machine; one that
// comes by points for ever is ended by Run, see [LivelockError].
func Virtual(ncpu int, s sched.Scheduler) *Machine {
	m := Native(ncpu)
	v := &virtual{m: m, s: s, stale: true, touched: make([]touch, 0, mostTouched)}
	v.meet()
	m.vm = v
	for _, c := range m.cpus {
		c.attn.Or(closer)
	}
	return m
}

// meet asks the scheduler what else it is.
func (v *virtual) meet() {
	v.observer, _ = v.s.(sched.Observer)
	v.steady, _ = v.s.(sched.Steady)
	if raceEnabled {
		u, ok := v.s.(sched.Unseen)
		if v.unseen = ok && u.Unseen(); v.back == nil {
			v.back = make(chan struct{})
		}
	}
	v.witness = nil
	if sched.Witnesses(v.s) {
		v.witness = v.s.(sched.Witness)
	}
}

// A virtual machine takes the place of the goroutine scheduler, the timers and the
// clock. One of its threads runs at a time, so each primitive keeps its own data as on
// a native machine; this only decides who runs when, and what time it is. Its methods
// are called by the running thread. To the race detector the threads run in parallel,
// and are ordered by the primitives alone; these books are touched by all of them, so
// what touches them is go:norace.
type virtual struct {
	m        *Machine
	s        sched.Scheduler
	observer sched.Observer // s, if it is one
	witness  sched.Witness  // s, if it wants to know what steps touch
	touched  []touch        // by the step under way, if there is a witness; see touch
	steady   sched.Steady   // likewise
	threads  []*vthread     // not ended, by id
	ids      int            // given out; 0 is the clock's
	going    int            // threads of Go that have not ended
	waiting  int            // threads with blocked set
	clock    time.Duration
	steps    int
	next     *vthread // who goes on when the one that runs has stopped
	failed   error
	thrown   any           // what a thread has panicked with, for run to panic with
	spare    []*coroutine  // of threads that have ended
	again    bool          // it has been reset
	dying    bool          // threads are being abandoned
	stopped  *vthread      // in a race build: who has come to a point, for run to decide
	telling  bool          // in a race build: see gather
	unseen   bool          // in a race build: the scheduler is Unseen
	back     chan struct{} // in a race build: resumes whoever called Run
	ended    *vthread      // in a race build: by who has
	over     []*coroutine  // in a race build: whose threads have ended in this Run
	objects  map[any]int
	shelves  []shelf          // by number of the Stock
	idle     bool             // see Unscheduled
	places   []string         // see Thread.Sometimes
	draws    bool             // see DrawPlacement
	allowed  int              // see AllowSpurious
	freely   int              // wakeups for no reason that may still come
	asked    int              // in a race build: how many possibilities run is to choose from
	asker    *coroutine       // and for whom
	answer   int              // and what it has chosen
	trace    func(t *vthread) // told of each point, if not nil

	// Who may go on, the clock first, by id. It changes more seldom than it is asked
	// for: what a thread does between two points mostly concerns no other.
	stale bool          // something has changed it
	can   []int         // their numbers
	cands []*vthread    // themselves, nil for the clock
	due   time.Duration // when the clock would stop next; Forever if at nothing

	// Of the decisions that follow the last one so many only repeat it, if nothing
	// changes, and so many have.
	chosen        *vthread // by the last one
	lasts, passed int
}

// A vthread is a thread as the virtual machine sees it, or the next run of a
// callout that is armed.
type vthread struct {
	id      int
	td      *Thread
	co      *coroutine // nil before it has begun
	f       func(td *Thread)
	arming  uint64        // of a callout that has begun: the number of the arming
	blocked any           // what it waits for; nil if nothing
	parked  bool          // asleep
	woken   bool          // and woken, or will be when it goes to sleep
	until   time.Duration // asleep, or armed
	armed   uint64        // of a callout: the number of the arming; 0 if it has begun
	callout *Callout
	at      Point // what it will do when it goes on
	obj     any
	place   int // in the list of who may go on; -1 if it is not there
}

var vthreads = NewStock[vthread](nil)

// mostSteps makes an execution without end a finding. A script of some dozens of
// operations takes some thousands.
const mostSteps = 1_000_000

// A LivelockError says that threads of a virtual machine came by points without
// an end.
type LivelockError struct{ Steps int }

func (e *LivelockError) Error() string {
	return fmt.Sprintf("livelock: no end after %d points", e.Steps)
}

// start runs f on td, a thread of Go, and then Detach.
//
//go:norace
func (v *virtual) start(td *Thread, f func(td *Thread)) {
	v.going++
	t := vthreads.on(v.m)
	t.td, t.f = td, f
	v.add(t)
	raceRelease(unsafe.Pointer(t))
}

// run is the whole of what a thread does. It comes after whatever its starter did
// before; whoever called Run comes after it.
//
//go:norace
func (t *vthread) run() {
	v := t.td.vm
	raceAcquire(unsafe.Pointer(t))
	defer raceRelease(unsafe.Pointer(v))
	if t.callout != nil {
		v.touchLife(t)
		if t.callout.begin(t.arming) {
			t.callout.fire()
		}
		return
	}
	t.f(t.td)
	t.td.Detach()
	v.touch(&v.going, sched.Add)
	v.going--
}

// add makes a thread known, with the next number.
//
//go:norace
func (v *virtual) add(t *vthread) {
	v.ids++
	t.id = v.ids
	if t.armed == 0 {
		t.td.virtual = t
	}
	v.threads = append(v.threads, t)
	v.stale = true
}

// run is Machine.Run: it lets threads run until all those of Go have ended, or
// nothing can run any more.
//
//go:norace
func (v *virtual) run() error {
	defer v.gather()
	defer v.tell()
	for v.going > 0 && v.failed == nil {
		if !v.turn() && v.failed == nil {
			v.gather()
			return v.deadlock()
		}
	}
	return v.failed
}

// quiesce goes on until nothing can run.
//
//go:norace
func (v *virtual) quiesce() {
	defer v.gather()
	defer v.tell()
	for v.failed == nil && v.turn() {
	}
}

// turn lets threads run until one has stopped that does not know who is to go on, or
// has ended. It reports false if none can go on.
//
//go:norace
func (v *virtual) turn() bool {
	t := v.next
	if t == nil {
		t = v.pick(v.stopped)
		v.stopped = nil
	}
	if t == nil {
		return false
	}
	v.resume(t)
	if e := v.thrown; e != nil {
		v.thrown = nil
		panic(e)
	}
	return true
}

// resume lets a thread run until it stops. It is called by run, or by a thread that
// has stopped itself.
//
//go:norace
func (v *virtual) resume(t *vthread) {
	if t.co == nil {
		if t.armed != 0 {
			t.arming, t.armed = t.armed, 0
			t.td.virtual = t
			v.stale = true
		}
		t.co = enlist(v, t)
	}
	co := t.co
	v.next, co.running = t, true
	ended := co.resume()
	for v.asked > 0 {
		n := v.asked
		v.asked = 0
		v.answer = v.ask(n)
		ended = v.asker.resume()
	}
	co.running = false
	if ended != nil {
		v.thrown, v.next = ended.co.thrown, nil
		v.end(ended)
	}
}

// end forgets a thread.
//
//go:norace
func (v *virtual) end(t *vthread) {
	if t.td.virtual == t {
		t.td.virtual = nil
	}
	if t.blocked != nil {
		v.waiting--
	}
	v.remove(t)
	switch {
	case t.co == nil:
	case raceEnabled:
		// Not free yet: two threads on one goroutine are in order.
		v.over = append(v.over, t.co)
	default:
		v.discharge(t.co)
	}
}

//go:norace
func (v *virtual) remove(t *vthread) {
	rest := v.threads[:0]
	for _, o := range v.threads {
		if o != t {
			rest = append(rest, o)
		}
	}
	if len(rest) < len(v.threads) {
		v.threads[len(rest)] = nil
	}
	v.threads = rest
	v.stale = true
}

// gather, in a race build, puts whoever called Run after all that the threads have
// done, those that have not ended included: it may look at what they left.
//
//go:norace
func (v *virtual) gather() {
	if !raceEnabled {
		return
	}
	v.telling = true
	for _, t := range v.threads {
		if t.co != nil && !t.co.done {
			t.co.resume()
		}
	}
	v.telling = false
	raceAcquire(unsafe.Pointer(v))
	for _, c := range v.over {
		v.discharge(c)
	}
	v.over = v.over[:0]
}

// stop is where a thread lets the scheduler decide, and comes back when it is to
// go on.
//
//go:norace
func (v *virtual) stop(t *vthread) {
	v.pause(t)
	if v.dying {
		raceAcquire(unsafe.Pointer(&v.dying))
		panic(abandoned{})
	}
}

// step implements stops.
//
//go:norace
func (v *virtual) step(td *Thread, at Point, obj any) {
	t := td.virtual
	if t == nil || v.dying {
		return // attached, or on its way out
	}
	t.at, t.obj = at, obj
	if v.idle && v.trace == nil {
		if v.steps++; v.steps < mostSteps {
			return // pick would say so
		}
	}
	if v.goesOn(t) {
		return
	}
	v.stop(t)
	if v.witness != nil {
		v.touchPoint(t)
	}
}

// block stops td, which could not have obj, until it may be tried again.
//
//go:norace
func (v *virtual) block(td *Thread, obj any) {
	t := td.virtual
	switch {
	case v.dying:
		panic(abandoned{})
	case t == nil:
		panic("machine: " + td.Name + " is attached to a virtual machine, and must not wait for " + v.name(obj))
	}
	t.blocked, t.obj = obj, obj
	v.waiting++
	v.stale = true
	v.stop(t)
	v.touchLife(t)
}

// free says that obj may be had again.
//
//go:norace
func (v *virtual) free(td *Thread, obj any) {
	if v.waiting == 0 {
		return
	}
	for _, t := range v.threads {
		if t.blocked == obj {
			t.blocked = nil
			v.waiting--
			v.stale = true
		}
	}
}

// park has td asleep until unpark, or until the instant: then it reports false.
//
//go:norace
func (v *virtual) park(td *Thread, until time.Duration) bool {
	t := td.virtual
	switch {
	case v.dying:
		panic(abandoned{})
	case t == nil:
		panic("machine: " + td.Name + " is attached to a virtual machine, and must not sleep")
	}
	t.parked, t.until, t.obj = true, until, nil
	v.touch(t, sched.Write)
	if until != Forever {
		v.touch(v, sched.Read)
	}
	if !t.woken {
		v.stale = true
		v.stop(t)
		v.touch(t, sched.Write)
	}
	woken := t.woken
	if t.parked, t.woken = false, false; woken {
		raceAcquire(unsafe.Pointer(&t.woken))
	}
	return woken
}

// unpark says that sleeper has been woken, asleep or not: it ends one park, or the
// next.
//
//go:norace
func (v *virtual) unpark(td, sleeper *Thread) {
	if t := sleeper.virtual; t != nil { // else it has been abandoned
		t.woken, v.stale = true, true
		v.touch(t, sched.Write)
		if t.until != Forever {
			v.touch(v, sched.Read)
		}
		raceRelease(unsafe.Pointer(&t.woken))
	}
}

// now is the virtual time.
//
//go:norace
func (v *virtual) now(td *Thread) time.Duration {
	v.touch(v, sched.Read)
	return v.clock
}

// arm: at that instant, as a thread of its own, c.fire runs if c.begin(n) says yes, but
// not before an earlier run on the callout's td has ended. After StopCallouts it says
// no to all: what is armed then is forgotten when its instant has come.
//
//go:norace
func (v *virtual) arm(td *Thread, c *Callout, n uint64, at time.Duration) {
	v.touch(v, sched.Read)
	v.touch(&v.going, sched.Read) // it may begin before the last thread ends, or not
	t := vthreads.on(v.m)
	t.td, t.callout, t.armed, t.until = c.td, c, n, at
	v.add(t)
	raceRelease(unsafe.Pointer(t))
}

// disarm: arming n will not begin.
//
//go:norace
func (v *virtual) disarm(td *Thread, c *Callout, n uint64) {
	v.touch(v, sched.Read)
	for _, t := range v.threads {
		if t.callout == c && t.armed == n {
			v.remove(t)
			return
		}
	}
}

// abandon ends all threads where they are.
//
//go:norace
func (v *virtual) abandon() {
	v.dying = true
	for len(v.threads) > 0 {
		t := v.threads[len(v.threads)-1]
		for t.co != nil && !t.co.done {
			raceRelease(unsafe.Pointer(&v.dying))
			t.co.quiet = true
			t.co.resume()
			raceAcquire(unsafe.Pointer(v))
		}
		v.end(t)
	}
	v.going = 0
	v.gather()
	v.disband()
}
