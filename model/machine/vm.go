package machine

import (
	"time"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// A Point names a place at which a virtual machine may let another thread run,
// and a native machine that is perturbed does now and then.
type Point uint8

// The points. Each primitive passes one before it acts.
const (
	PointLock Point = iota
	PointTryLock
	PointUnlock
	PointMigrate
	PointLeave
	PointLoad
	PointStore
	PointCompareAndSwap
	PointAdd
	PointPush
	PointTake
	PointInterlock
	PointSleep
	PointWakeup
	PointCallout
	PointVisit
)

var pointNames = [...]string{
	"lock", "try-lock", "unlock", "migrate", "leave", "load", "store", "compare-and-swap", "add",
	"push", "take", "interlock", "sleep", "wakeup", "callout", "visit",
}

func (p Point) String() string { return pointNames[p] }

// Stops are what a thread has to do at each point. Most threads of a native
// machine have none, and find that out where they would ask for a virtual
// machine: a perturbation costs nothing where there is none.
type stops interface {
	step(td *Thread, at Point, obj any) // before the primitive acts on obj
}

// A vm takes the place of the goroutine scheduler, the timers and the clock.
// One of its threads runs at a time, so each primitive keeps its own data as
// the native machine does; a vm only decides who runs when, and what time it
// is. Its methods are called by the running thread.
type vm interface {
	stops                                      // a schedule point
	block(td *Thread, obj any)                 // obj could not be had; returns when it may be tried again
	free(td *Thread, obj any)                  // obj may be had again
	park(td *Thread, until time.Duration) bool // asleep until unpark, or until the instant: false
	unpark(td, sleeper *Thread)                // sleeper has been woken, asleep or not: ends one park, or the next
	now(td *Thread) time.Duration              // virtual time
	start(td *Thread, f func(td *Thread))      // td is a thread of Go: run f on it, then Detach
	run() error                                // what Machine.Run does
	reached(what string)                       // see Thread.Sometimes
	quiesce()                                  // goes on until nothing can run

	place(td *Thread) *CPU           // what td.Home answers
	spurious(td *Thread) bool        // td, about to be parked, is to wake up for no reason
	touch(obj any, how sched.Access) // the step under way accesses obj

	// arm: at that instant, as a thread of its own, run c.fire if c.begin(n)
	// says yes, but not before an earlier run on the callout's td has ended.
	// After StopCallouts it says no to all: what is armed then is to be
	// forgotten when its instant has come, or before.
	arm(td *Thread, c *Callout, n uint64, at time.Duration)
	disarm(td *Thread, c *Callout, n uint64) // arming n will not begin
}

//go:norace
func vmLock(td *Thread, mu *lock, obj any) {
	if tryVirtually(td, mu, obj) {
		return
	}
	var l lost
	td.drop(&l)
	for !tryVirtually(td, mu, obj) {
		td.vm.block(td, obj)
	}
	td.retake(&l)
}

//go:norace
func stopAndUnlock(td *Thread, mu *lock, obj any) {
	td.stops.step(td, PointUnlock, obj)
	if td.vm == nil {
		mu.Unlock()
		return
	}
	if raceEnabled {
		mu.Unlock()
	}
	mu.held = false
	td.vm.free(td, obj)
}
