package machine

import (
	"fmt"
	"slices"
	"strings"

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

// A Class is a kind of objects of which there may be many.
type Class struct{ Type, Name string }

func (c Class) String() string { return strings.TrimSpace(c.Type + " " + c.Name) }

// ClassOf says of what class an object is that points of a machine are about. It
// means the same in all executions, as an address does not.
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
	return Class{strings.TrimPrefix(fmt.Sprintf("%T", obj), "*"), ""}
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
