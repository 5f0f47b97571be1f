package machine

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

// Virtual reports whether the thread is one of a virtual machine.
func (td *Thread) Virtual() bool { return td.vm != nil }

// Visit is a point of the kernel's own, on a virtual machine: td is inside of
// something that obj stands for, and others may find it there.
func (td *Thread) Visit(obj any) {
	if td.vm != nil {
		td.vm.step(td, PointVisit, obj)
	}
}

// vmLock takes a lock, and reports whether it had to wait for it.
//
//go:norace
func vmLock(td *Thread, mu *lock, obj any) (waited bool) {
	if tryVirtually(td, mu, obj) {
		return false
	}
	var l lost
	td.drop(&l)
	for !tryVirtually(td, mu, obj) {
		td.vm.block(td, obj)
	}
	td.retake(&l)
	return true
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
