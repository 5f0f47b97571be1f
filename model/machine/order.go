package machine

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// A LockOrder is in which order the threads of virtual machines have taken mutexes,
// over all executions that were given it: an edge for each mutex that a thread was
// about to wait for while it kept another. If the edges close a circle there is a
// schedule in which each thread keeps what the next one waits for, whether one has
// come by or not. (lockdep of Linux, Documentation/locking/lockdep-design.rst)
//
// Mutexes are told apart by their names, as lockdep tells lock classes apart: the order
// is of what they are for, and holds from one execution to the next. One without a
// name is left out. Two of the same name, one taken inside the other, are a circle:
// nothing says which of them comes first.
//
// Nothing else can close one. Tokens and CPUs are waited for, also with a mutex in
// hand; but who keeps them and must wait lets go of all of them, so that no edge begins
// there: what ends nowhere is in no circle. TryLock does not wait, and is no edge to
// what it takes; what is taken by it is kept all the same.
//
// It is of one goroutine's machines at a time.
type LockOrder struct {
	edges  []lockEdge
	circle []int // the first that was closed, from one edge to the next
}

// A lockEdge says that somebody was about to take one mutex and kept another.
type lockEdge struct {
	held, takes string
	thread      string
	calls       string // the innermost last
}

// OrderLocks has the order of mutexes kept in o, from now on. m is a virtual machine.
func (m *Machine) OrderLocks(o *LockOrder) { m.order = o }

// Reset forgets all.
func (o *LockOrder) Reset() { o.edges, o.circle = o.edges[:0], nil }

// Circle says how the order closes a circle, with the two or more chains of calls;
// empty if it does not.
func (o *LockOrder) Circle() string {
	if o.circle == nil {
		return ""
	}
	var b strings.Builder
	for i, at := range o.circle {
		if i > 0 {
			b.WriteString("; ")
		}
		e := &o.edges[at]
		fmt.Fprintf(&b, "%s keeps %q and takes %q, in %s", e.thread, e.held, e.takes, e.calls)
	}
	return b.String()
}

// Add adds the edges of another.
func (o *LockOrder) Add(other *LockOrder) {
	for i := range other.edges {
		if e := &other.edges[i]; !o.knows(e.held, e.takes) {
			o.add(*e)
		}
	}
}

// takes notes that td is about to wait for mu.
//
//go:norace
func (td *Thread) takes(mu *Mutex) {
	for held := td.kept; held != nil; held = held.below {
		if o := td.m.order; held.Name != "" && mu.Name != "" && !o.knows(held.Name, mu.Name) {
			o.add(lockEdge{held.Name, mu.Name, td.Name, callers()})
		}
	}
}

//go:norace
func (o *LockOrder) knows(held, takes string) bool {
	for i := range o.edges {
		if o.edges[i].takes == takes && o.edges[i].held == held {
			return true
		}
	}
	return false
}

//go:norace
func (o *LockOrder) add(e lockEdge) {
	o.edges = append(o.edges, e)
	if o.circle == nil {
		o.circle = o.path(e.takes, e.held, []int{len(o.edges) - 1})
	}
}

// path returns the edges so far and those that lead on from one name to another,
// nil if none do.
//
//go:norace
func (o *LockOrder) path(from, to string, so []int) []int {
	if from == to {
		return so
	}
	for i := range o.edges {
		if o.edges[i].held != from || slices.Contains(so, i) {
			continue
		}
		if p := o.path(o.edges[i].takes, to, append(so[:len(so):len(so)], i)); p != nil {
			return p
		}
	}
	return nil
}

// callers names the innermost functions that are not the machine's, the innermost
// last.
func callers() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	var names []string
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if name != "" && !strings.HasPrefix(name, "machine.") && !strings.HasPrefix(name, "runtime.") {
			names = append(names, name)
		}
		if !more || len(names) == 4 {
			break
		}
	}
	slices.Reverse(names)
	return strings.Join(names, " > ")
}

// keeps notes that td has taken mu, if somebody asks, and lets that it has let go.
//
//go:norace
func (td *Thread) keeps(mu *Mutex) {
	if td.m.order != nil {
		td.kept, mu.below = mu, td.kept
	}
}

//go:norace
func (td *Thread) lets(mu *Mutex) {
	for at := &td.kept; *at != nil; at = &(*at).below {
		if *at == mu {
			*at, mu.below = mu.below, nil
			return
		}
	}
}
