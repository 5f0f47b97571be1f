package machine

import (
	"iter"
	"sync"
)

// A coroutine runs functions, one after another, on a stack of its own, and stops
// in their midst: to switch to one and back costs a tenth of what two goroutines
// need that pass each other a word. To make one costs more than an execution of a
// small program, so they are kept.
type coroutine struct {
	resume func() (struct{}, bool)
	yield  func(struct{}) bool
	f      func()
	done   bool // f has ended
	lost   bool // by a panic; so has the coroutine
	quiet  bool // it is being abandoned: what its deferred calls panic with is of no account
}

var coroutines = sync.Pool{New: func() any {
	c := &coroutine{}
	c.resume, _ = iter.Pull(c.run)
	return c
}}

func (c *coroutine) run(yield func(struct{}) bool) {
	c.yield = yield
	for {
		c.call()
		c.done = true
		yield(struct{}{})
	}
}

// call runs the function. It ends early if its execution is abandoned; otherwise
// a panic goes to whoever has resumed it, and takes the coroutine with it.
func (c *coroutine) call() {
	defer func() {
		if e := recover(); e != nil && !c.quiet {
			c.done, c.lost = true, true
			panic(e)
		}
	}()
	c.f()
}

// abandoned is what unwinds the stack of a thread that is not to go on.
type abandoned struct{}

// Abandoned reports whether a panic that was recovered is that of
// [Machine.Abandon], which ends a thread: whoever recovers it panics again.
func Abandoned(e any) bool { return e == any(abandoned{}) }

// start takes a coroutine that will run f when it is resumed.
func start(f func()) *coroutine {
	c := coroutines.Get().(*coroutine)
	c.f, c.done, c.quiet = f, false, false
	return c
}

// free keeps a coroutine whose function has ended for another.
func (c *coroutine) free() {
	if c.f = nil; !c.lost {
		coroutines.Put(c)
	}
}
