package machine

import "sync"

// A coroutine runs threads, one after another, on a stack of its own, and stops in
// their midst. To make one costs more than an execution of a small program, so they
// are kept.
type coroutine struct {
	handover
	t       *vthread
	running bool // it has been resumed, and runs or has resumed another that does
	done    bool // t has ended
	thrown  any  // what t has panicked with
	lost    bool // the coroutine has ended too, and is not to be used again
	quiet   bool // it is being abandoned: what its deferred calls panic with is of no account
}

// call runs the thread. It ends early if its execution is abandoned, or by a panic,
// which is for whoever called Run: the stack below may be that of another thread.
//
//go:norace
func (c *coroutine) call() {
	defer c.caught()
	c.t.run()
}

//go:norace
func (c *coroutine) caught() {
	e := recover()
	if e != nil && !c.quiet {
		c.thrown = e
	}
}

// abandoned is what unwinds the stack of a thread that is not to go on.
type abandoned struct{}

// Abandoned reports whether a panic that was recovered is that of
// [Machine.Abandon], which ends a thread: whoever recovers it panics again.
func Abandoned(e any) bool { return e == any(abandoned{}) }

// coroutines are those whose threads have ended. A sync.Pool would drop some, and
// they are not collected.
var coroutines struct {
	sync.Mutex
	idle []*coroutine
}

// enlist takes a coroutine that will run t when it is resumed.
//
//go:norace
func enlist(v *virtual, t *vthread) *coroutine {
	var c *coroutine
	if n := len(v.spare); n > 0 {
		c, v.spare = v.spare[n-1], v.spare[:n-1]
	} else {
		c = idleCoroutine()
	}
	c.t, c.done, c.thrown, c.quiet = t, false, nil, false
	return c
}

func idleCoroutine() *coroutine {
	coroutines.Lock()
	defer coroutines.Unlock()
	n := len(coroutines.idle)
	if n == 0 {
		return newCoroutine()
	}
	c := coroutines.idle[n-1]
	coroutines.idle = coroutines.idle[:n-1]
	return c
}

// discharge keeps a coroutine whose thread has ended for another: of the same machine,
// if that is used again. Two that take turns at one list wait for each other.
//
//go:norace
func (v *virtual) discharge(c *coroutine) {
	switch c.t = nil; {
	case c.lost:
	case v.again && !v.dying:
		v.spare = append(v.spare, c)
	default:
		coroutines.Lock()
		coroutines.idle = append(coroutines.idle, c)
		coroutines.Unlock()
	}
}

// disband gives all coroutines that the machine has kept to others.
//
//go:norace
func (v *virtual) disband() {
	coroutines.Lock()
	coroutines.idle = append(coroutines.idle, v.spare...)
	coroutines.Unlock()
	v.spare = nil
}
