//go:build race

package machine

import (
	"runtime"
	"sync"
)

// A handover is how a coroutine and whoever resumes it pass each other the word.
// To the race detector each switch of iter.Pull is an order, and all threads would
// be in one; so here a coroutine is a goroutine, and the word is passed where the
// detector does not look. What it then knows of an order it has from the
// primitives: see race_on.go.
type handover struct {
	in, out chan struct{}
	thrown  any // what the thread has panicked with
	exited  bool
	spent   bool // not to be used again
}

// coroutines are kept in a list of our own: a sync.Pool drops some, and goroutines
// are not collected.
var coroutines struct {
	sync.Mutex
	idle []*coroutine
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

// newCoroutine makes a goroutine that comes after nothing: who resumes it has not
// started its thread.
//
//go:norace
func newCoroutine() *coroutine {
	c := &coroutine{handover: handover{in: make(chan struct{}), out: make(chan struct{})}}
	runtime.RaceDisable()
	go c.serve()
	runtime.RaceEnable()
	return c
}

// free keeps a coroutine whose thread has ended for another.
//
//go:norace
func (c *coroutine) free() {
	if c.spent {
		return
	}
	c.t = nil
	coroutines.Lock()
	coroutines.idle = append(coroutines.idle, c)
	coroutines.Unlock()
}

// serve runs one thread after another, until one has panicked: the detector keeps a
// stack of its own, which a panic leaves as it was.
//
//go:norace
func (c *coroutine) serve() {
	defer func() { // only if the thread calls runtime.Goexit, as a test that fails does
		if !c.spent {
			c.exited, c.spent = true, true
			c.end()
		}
	}()
	for !c.spent {
		runtime.RaceDisable()
		<-c.in
		runtime.RaceEnable()
		c.try()
		c.spent = c.quiet || c.thrown != nil
		c.end()
	}
}

// end says that the thread has ended.
//
//go:norace
func (c *coroutine) end() {
	c.done = true
	runtime.RaceDisable()
	c.out <- struct{}{}
	runtime.RaceEnable()
}

// try runs the thread; what it panics with is for who has resumed it.
//
//go:norace
func (c *coroutine) try() {
	defer c.catch()
	c.call()
}

//go:norace
func (c *coroutine) catch() { c.thrown = recover() }

// resume lets the thread run until it stops or ends.
//
//go:norace
func (c *coroutine) resume() {
	runtime.RaceDisable()
	c.in <- struct{}{}
	<-c.out
	runtime.RaceEnable()
	switch e := c.thrown; {
	case e != nil:
		c.thrown = nil
		panic(e)
	case c.exited:
		runtime.Goexit()
	}
}

// yield stops the thread until it is resumed.
//
//go:norace
func (c *coroutine) yield() {
	runtime.RaceDisable()
	c.out <- struct{}{}
	<-c.in
	runtime.RaceEnable()
}
