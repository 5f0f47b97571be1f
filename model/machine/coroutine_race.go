//go:build race

package machine

import (
	"runtime"
	"unsafe"
)

// A handover is how a coroutine and whoever resumes it pass each other the word.
// To the race detector each switch of iter.Pull is an order, and all threads would
// be in one; so here a coroutine is a goroutine, and the word is passed where the
// detector does not look. What it then knows of an order it has from the
// primitives: see race_on.go.
type handover struct {
	in, out chan struct{}
	exited  bool
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

// serve runs one thread after another, until one has panicked: the detector keeps a
// stack of its own, which a panic leaves as it was.
//
//go:norace
func (c *coroutine) serve() {
	defer func() { // only if the thread calls runtime.Goexit, as a test that fails does
		if !c.lost {
			c.exited, c.lost = true, true
			c.end()
		}
	}()
	for !c.lost {
		runtime.RaceDisable()
		<-c.in
		runtime.RaceEnable()
		c.call()
		c.lost = c.quiet || c.thrown != nil
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

// resume lets the thread run until it stops or ends.
//
//go:norace
func (c *coroutine) resume() {
	runtime.RaceDisable()
	c.in <- struct{}{}
	<-c.out
	runtime.RaceEnable()
	if c.exited {
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

// pause is stop, but for those who are abandoned. Here run decides: the scheduler's
// memory is then touched by one goroutine, and it need not know of any of this.
//
//go:norace
func (v *virtual) pause(t *vthread) {
	v.stopped, v.next = t, nil
	t.co.yield()
	for v.telling {
		raceRelease(unsafe.Pointer(v))
		t.co.yield()
	}
}
