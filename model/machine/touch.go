package machine

import (
	"github.com/kqlab/kqlab/model/machine/sched"
)

// What a step of a virtual machine touches: a thread that has come by a point may
// look at more than the object of that point before it comes to the next, and
// leave traces there. A scheduler that reasons about the order of steps must know;
// see [sched.Witness].

// The accesses of [sched.Access], for those who call [Thread.Touch].
const (
	Writes = sched.Write
	Reads  = sched.Read
	Adds   = sched.Add
)

// A touch is one access of the step under way. The clock is touched as the machine
// itself.
type touch struct {
	obj any
	how sched.Access
}

// mostTouched is how many objects a step may touch before memory is moved. The
// threads of a race build write there, each as if alone, and to move it would seem
// to be a race.
const mostTouched = 256

// Touch tells, on a virtual machine, that the step under way accesses what obj
// stands for: something that threads share, that matters to what they do, and that
// neither is a primitive of the machine nor is kept by one. There is no point. A
// scheduler that makes of all executions only those that differ needs to know.
func (td *Thread) Touch(obj any, how sched.Access) {
	if td.vm != nil {
		td.vm.touch(obj, how)
	}
}

// touch says that the step under way accesses obj. Mostly nobody wants to know.
//
//go:norace
func (v *virtual) touch(obj any, how sched.Access) {
	if v.witness != nil {
		v.note(obj, how)
	}
}

//go:norace
func (v *virtual) note(obj any, how sched.Access) {
	if v.dying || v.idle {
		return
	}
	for _, t := range v.touched {
		if t.obj == obj && (t.how == how || t.how == sched.Write) {
			return
		}
	}
	v.touched = append(v.touched, touch{obj, how})
}

// tell tells the scheduler of the decisions that it was not asked for, and of what
// the step that has ended has touched.
//
//go:norace
func (v *virtual) tell() {
	if n := v.passed; n > 0 {
		v.passed, v.lasts = 0, 0
		v.steady.Passed(n)
	}
	if len(v.touched) == 0 {
		return
	}
	for _, t := range v.touched {
		switch {
		case v.idle:
		case t.obj == any(v):
			v.witness.Touched(sched.Time, t.how)
		default:
			v.witness.Touched(v.number(t.obj), t.how)
		}
	}
	clear(v.touched)
	v.touched = v.touched[:0]
}

// touchPoint tells of a point's object what is known before the primitive acts.
// Those that change it only if they have success tell so themselves.
//
//go:norace
func (v *virtual) touchPoint(t *vthread) {
	v.touchLife(t)
	switch at, obj := t.at, t.obj; {
	case obj == nil || at == PointMigrate || at == PointSleep:
	case at == PointLoad || at == PointLock || at == PointTryLock || at == PointCompareAndSwap ||
		at == PointTake || at == PointWakeup:
		v.touch(obj, sched.Read)
	default:
		v.touch(obj, sched.Write)
	}
}

// touchLife tells of a step of a callout that it would not have been made if all
// threads of Go had ended: then the execution ends, whatever callouts are doing.
//
//go:norace
func (v *virtual) touchLife(t *vthread) {
	if t.callout != nil {
		v.touch(&v.going, sched.Read)
	}
}

// tryVirtually is TryLock at a point that has been come by. A race build takes the lock
// itself too: the detector knows of an order by that.
//
//go:norace
func tryVirtually(td *Thread, mu *lock, obj any) bool {
	var had bool
	if td.vm == nil || raceEnabled {
		had = mu.TryLock()
	} else {
		had, mu.held = !mu.held, true
	}
	td.touched(obj, had)
	return had
}

// touched tells that the step under way has looked at obj, and whether it has
// changed it.
//
//go:norace
func (td *Thread) touched(obj any, changed bool) {
	switch {
	case td.vm == nil:
	case changed:
		td.vm.touch(obj, sched.Write)
	default:
		td.vm.touch(obj, sched.Read)
	}
}
