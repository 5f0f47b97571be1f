package machine

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// What schedulers and reports are shown of a virtual machine.

// deadlock says who waits for what.
//
//go:norace
func (v *virtual) deadlock() error {
	err := &DeadlockError{}
	for _, t := range v.threads {
		s := Sleeper{Thread: t.td.Name}
		if t.blocked != nil {
			s.On = v.name(t.blocked)
		} else if wc := t.td.wchan.Load(); wc != nil {
			s.On = wc.Name
		}
		err.Sleepers = append(err.Sleepers, s)
	}
	slices.SortFunc(err.Sleepers, byName)
	return err
}

// Pending implements [sched.View].
//
//go:norace
func (v *virtual) Pending(thread int) sched.Op {
	for _, t := range v.threads {
		if t.id == thread {
			return sched.Op{Point: uint8(t.at), Object: v.number(t.obj), Reads: t.at == PointLoad}
		}
	}
	return sched.Op{}
}

// number numbers objects as they are met.
//
//go:norace
func (v *virtual) number(obj any) int {
	if obj == nil {
		return 0
	}
	n, ok := v.objects[obj]
	if !ok {
		if v.objects == nil {
			v.objects = map[any]int{}
		}
		n = len(v.objects) + 1
		v.objects[obj] = n
	}
	return n
}

// A Look is a [sched.View] of a virtual machine that shows the objects themselves.
type Look interface {
	// At returns the point that a thread has come to, and the object that it will
	// act on when it goes on; nil if there is none.
	At(thread int) (Point, any)
	// Name returns the name of a thread.
	Name(thread int) string
}

// At implements [Look].
//
//go:norace
func (v *virtual) At(thread int) (Point, any) {
	for _, t := range v.threads {
		if t.id == thread {
			return t.at, t.obj
		}
	}
	return 0, nil
}

// Name implements [Look].
//
//go:norace
func (v *virtual) Name(thread int) string {
	for _, t := range v.threads {
		if t.id == thread {
			return t.td.Name
		}
	}
	return ""
}

// A Class is a kind of objects of which there may be many.
type Class struct{ Type, Name string }

func (c Class) String() string { return strings.TrimSpace(c.Type + " " + c.Name) }

// ClassOf says of what class an object is that points of a machine are about. It
// means the same in all executions, as an address does not.
//
//go:norace
func ClassOf(obj any) Class {
	switch o := obj.(type) {
	case *Token:
		return Class{"token", o.Name}
	case *Mutex:
		return Class{"mutex", o.Name}
	case *WaitChan:
		return Class{"wait channel", o.Name}
	case *CPU:
		return Class{"cpu", ""}
	case *Uint32:
		return Class{"word", ""}
	case *Callout:
		return Class{"callout", ""}
	}
	return Class{strings.TrimPrefix(reflect.TypeOf(obj).String(), "*"), ""}
}

// name is what a report calls an object.
//
//go:norace
func (v *virtual) name(obj any) string {
	name := ""
	switch o := obj.(type) {
	case *Token:
		name = o.Name
	case *Mutex:
		name = o.Name
	case *WaitChan:
		name = o.Name
	case *CPU:
		return fmt.Sprintf("cpu%d", o.id)
	}
	if name == "" {
		return fmt.Sprintf("%T %d", obj, v.number(obj))
	}
	return name
}

// A Shown is a thread of a virtual machine, or an armed callout, as it stands between
// two steps.
type Shown struct {
	Number int    // as schedulers know it
	Name   string // of the thread, or of the callout
	State  ShownState
	Point  Point         // what it will do next, if it is Ready
	Object any           // to this, or what it waits for; nil if there is none
	Until  time.Duration // when it sleeps for a time, or is armed; else Forever
	Woken  bool          // it sleeps, and may go on
}

// A ShownState says why a thread does not run.
type ShownState uint8

const (
	Ready   ShownState = iota // it has come to a point, or has not begun and has no Object
	Waiting                   // for a lock or a CPU
	Asleep                    // on a wait channel
	Armed                     // a callout whose instant has not come, or that may begin
)

// Show returns what a scheduler that is asked for a decision may see of a thread,
// and false if that has ended. V is the view that the scheduler was given; one that is
// no virtual machine's shows nothing.
//
//go:norace
func Show(v sched.View, thread int) (Shown, bool) {
	if v, ok := v.(*virtual); ok {
		for _, t := range v.threads {
			if t.id == thread {
				return t.shown(), true
			}
		}
	}
	return Shown{}, false
}

// ShowAll appends to all what [Show] returns of each thread that has not ended, in the
// order of their numbers.
//
//go:norace
func ShowAll(v sched.View, all []Shown) []Shown {
	if v, ok := v.(*virtual); ok {
		for _, t := range v.threads {
			all = append(all, t.shown())
		}
	}
	return all
}

// ShowClock returns what time it is on the machine that a scheduler has been shown.
//
//go:norace
func ShowClock(v sched.View) time.Duration {
	if v, ok := v.(*virtual); ok {
		return v.clock
	}
	return 0
}

//go:norace
func (t *vthread) shown() Shown {
	s := Shown{Number: t.id, Name: t.td.Name, Point: t.at, Object: t.obj, Until: Forever}
	switch {
	case t.blocked != nil:
		s.State, s.Object = Waiting, t.blocked
	case t.armed != 0:
		s.State, s.Object, s.Until = Armed, nil, t.until
	case t.parked:
		s.State, s.Object, s.Until, s.Woken = Asleep, nil, t.until, t.woken
		if wc := t.td.wchan.Load(); wc != nil {
			s.Object = wc
		}
	}
	return s
}

// PointNamed returns the point of that name.
func PointNamed(name string) (Point, bool) {
	i := slices.Index(pointNames[:], name)
	return Point(max(i, 0)), i >= 0
}

// PointNames returns the names of all points.
func PointNames() []string { return slices.Clone(pointNames[:]) }
