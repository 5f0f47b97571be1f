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
// caller's to call, and [Machine.Abandon]. Threads started by Go begin to run in
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
	observer, _ := s.(sched.Observer)
	v := &virtual{m: m, s: s, observer: observer}
	if sched.Witnesses(s) {
		v.witness = s.(sched.Witness)
		v.touched = make([]touch, 0, mostTouched)
	}
	m.vm = v
	for _, c := range m.cpus {
		c.attn.Or(closer)
	}
	return m
}

// A virtual machine is the vm that asks a scheduler. To the race detector its
// threads run in parallel, and are ordered by the primitives alone; its own books
// are touched by all of them, so what touches them is go:norace.
type virtual struct {
	m        *Machine
	s        sched.Scheduler
	observer sched.Observer // s, if it is one
	witness  sched.Witness  // s, if it wants to know what steps touch
	touched  []touch        // by the step under way, if there is a witness; see touch
	threads  []*vthread     // not ended, by id
	ids      int            // given out; 0 is the clock's
	going    int            // threads of Go that have not ended
	clock    time.Duration
	steps    int
	next     *vthread // who goes on when the one that runs has stopped
	failed   error
	dying    bool         // threads are being abandoned
	stopped  *vthread     // in a race build: who has come to a point, for run to decide
	telling  bool         // in a race build: see gather
	over     []*coroutine // in a race build: whose threads have ended in this Run
	objects  map[any]int
	trace    func(t *vthread) // told of each point, if not nil

	can   []int // scratch of pick
	cands []*vthread
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
}

// mostSteps makes an execution without end a finding. A script of some dozens of
// operations takes some thousands.
const mostSteps = 1_000_000

// A LivelockError says that threads of a virtual machine came by points without
// an end.
type LivelockError struct{ Steps int }

func (e *LivelockError) Error() string {
	return fmt.Sprintf("livelock: no end after %d points", e.Steps)
}

// start implements vm.
//
//go:norace
func (v *virtual) start(td *Thread, f func(td *Thread)) {
	v.going++
	t := &vthread{td: td, f: f}
	v.add(t)
	raceRelease(unsafe.Pointer(t))
}

// run is the whole of what a thread does. It comes after whatever its starter did
// before; whoever called Run comes after it.
//
//go:norace
func (t *vthread) run() {
	v := t.td.vm.(*virtual)
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
}

// run implements vm: it lets threads run until all those of Go have ended, or
// nothing can run any more.
//
//go:norace
func (v *virtual) run() error {
	defer v.gather()
	defer v.tell()
	for v.going > 0 && v.failed == nil {
		t, stopped := v.next, v.stopped
		if v.next, v.stopped = nil, nil; t == nil {
			t = v.pick(stopped)
		}
		switch {
		case t != nil:
			v.resume(t)
		case v.failed == nil:
			v.gather()
			return v.deadlock()
		}
	}
	return v.failed
}

// quiesce implements vm.
//
//go:norace
func (v *virtual) quiesce() {
	defer v.gather()
	for v.failed == nil {
		t, stopped := v.next, v.stopped
		if v.next, v.stopped = nil, nil; t == nil {
			t = v.pick(stopped)
		}
		if t == nil {
			return
		}
		v.resume(t)
	}
}

// resume lets a thread run until it stops.
//
//go:norace
func (v *virtual) resume(t *vthread) {
	if t.co == nil {
		if t.armed != 0 {
			t.arming, t.armed = t.armed, 0
			t.td.virtual = t
		}
		t.co = start(t)
	}
	t.co.resume()
	if t.co.done {
		v.end(t)
	}
}

// end forgets a thread.
//
//go:norace
func (v *virtual) end(t *vthread) {
	if t.td.virtual == t {
		t.td.virtual = nil
	}
	v.remove(t)
	switch {
	case t.co == nil:
	case raceEnabled:
		// Not free yet: two threads on one goroutine are in order.
		v.over = append(v.over, t.co)
	default:
		t.co.free()
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
		c.free()
	}
	v.over = v.over[:0]
}

// pick decides who goes on, t having come to a point or nobody. Nil is nobody:
// all threads are asleep, or the execution has no end.
//
//go:norace
func (v *virtual) pick(t *vthread) *vthread {
	if v.trace != nil && t != nil && t.blocked == nil && !t.parked {
		v.trace(t)
	}
	v.tell()
	for {
		if v.steps++; v.steps > mostSteps {
			v.failed = &LivelockError{mostSteps}
			return nil
		}
		at, current := v.candidates(t)
		can, cands := v.can, v.cands
		if at == Forever {
			can, cands, current = can[1:], cands[1:], current-1
		}
		i := 0
		switch len(can) {
		case 0:
			return nil
		case 1:
			if v.observer != nil {
				v.observer.Forced(can[0], v)
			}
		default:
			i = v.s.Next(can, max(current, -1), v)
		}
		if cands[i] != nil {
			return cands[i]
		}
		v.clock = at
		if v.witness != nil {
			v.witness.Touched(sched.Time, sched.Write)
		}
	}
}

// candidates lists who can go on, the clock first, and says when the clock would
// stop next and at which place in the list t is, -1 if at none.
//
//go:norace
func (v *virtual) candidates(t *vthread) (at time.Duration, current int) {
	at, current = Forever, -1
	v.can, v.cands = append(v.can[:0], sched.Clock), append(v.cands[:0], nil)
	for _, o := range v.threads {
		switch {
		case o.blocked != nil || o.armed != 0 && o.td.virtual != nil:
			continue // waits for a lock, or for the end of the callout's run before
		case (o.armed != 0 || o.parked && !o.woken) && o.until > v.clock:
			at = min(at, o.until)
			continue
		}
		if o == t {
			current = len(v.can)
		}
		v.can, v.cands = append(v.can, o.id), append(v.cands, o)
	}
	return at, current
}

// stop is where a thread lets the scheduler decide, and comes back when it is to
// go on. In a race build run decides: the scheduler's memory is then touched by one
// goroutine, and it need not know of any of this.
//
//go:norace
func (v *virtual) stop(t *vthread) {
	if raceEnabled {
		v.stopped = t
	} else if v.next = v.pick(t); v.next == t {
		v.next = nil
		return
	}
	t.co.yield()
	for v.telling {
		raceRelease(unsafe.Pointer(v))
		t.co.yield()
	}
	if v.dying {
		raceAcquire(unsafe.Pointer(&v.dying))
		panic(abandoned{})
	}
}

// Virtual reports whether the thread is one of a virtual machine.
func (td *Thread) Virtual() bool { return td.vm != nil }

// Visit is a point of the kernel's own, on a virtual machine: td is inside of
// something that obj stands for, and others may find it there.
func (td *Thread) Visit(obj any) {
	if td.vm != nil {
		td.vm.step(td, PointVisit, obj)
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
	v.stop(t)
	if v.witness != nil {
		v.touchPoint(t)
	}
}

// block implements vm.
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
	v.stop(t)
	v.touchLife(t)
}

// free implements vm.
//
//go:norace
func (v *virtual) free(td *Thread, obj any) {
	for _, t := range v.threads {
		if t.blocked == obj {
			t.blocked = nil
		}
	}
}

// park implements vm.
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
		v.stop(t)
		v.touch(t, sched.Write)
	}
	woken := t.woken
	if t.parked, t.woken = false, false; woken {
		raceAcquire(unsafe.Pointer(&t.woken))
	}
	return woken
}

// unpark implements vm.
//
//go:norace
func (v *virtual) unpark(td, sleeper *Thread) {
	if t := sleeper.virtual; t != nil { // else it has been abandoned
		t.woken = true
		v.touch(t, sched.Write)
		if t.until != Forever {
			v.touch(v, sched.Read)
		}
		raceRelease(unsafe.Pointer(&t.woken))
	}
}

// now implements vm.
//
//go:norace
func (v *virtual) now(td *Thread) time.Duration {
	v.touch(v, sched.Read)
	return v.clock
}

// arm implements vm.
//
//go:norace
func (v *virtual) arm(td *Thread, c *Callout, n uint64, at time.Duration) {
	v.touch(v, sched.Read)
	v.touch(&v.going, sched.Read) // it may begin before the last thread ends, or not
	t := &vthread{td: c.td, callout: c, armed: n, until: at}
	v.add(t)
	raceRelease(unsafe.Pointer(t))
}

// disarm implements vm.
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

// abandon implements vm: it ends all threads where they are.
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
}
