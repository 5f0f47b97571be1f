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
	in     chan struct{} // resumes it
	exited bool
}

// newCoroutine makes a goroutine that comes after nothing: who resumes it has not
// started its thread.
//
//go:norace
func newCoroutine() *coroutine {
	c := &coroutine{handover: handover{in: make(chan struct{})}}
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

// owner returns the machine of the thread.
//
//go:norace
func (c *coroutine) owner() *virtual { return c.t.td.vm }

// end says that the thread has ended.
//
//go:norace
func (c *coroutine) end() {
	c.done = true
	v := c.owner()
	v.ended = c.t
	runtime.RaceDisable()
	v.back <- struct{}{}
	runtime.RaceEnable()
}

// resume lets threads run, this one first, until one stops that gives the word back,
// or ends; that one it returns.
//
//go:norace
func (c *coroutine) resume() (ended *vthread) {
	v := c.owner()
	runtime.RaceDisable()
	c.in <- struct{}{}
	<-v.back
	runtime.RaceEnable()
	ended, v.ended = v.ended, nil
	if ended != nil && ended.co.exited {
		runtime.Goexit()
	}
	return ended
}

// yield stops the thread until it is resumed, and gives the word back to whoever
// called Run.
//
//go:norace
func (c *coroutine) yield() {
	v := c.owner()
	runtime.RaceDisable()
	v.back <- struct{}{}
	<-c.in
	runtime.RaceEnable()
}

// pass stops the thread until it is resumed, and resumes another.
//
//go:norace
func (c *coroutine) pass(to *coroutine) {
	runtime.RaceDisable()
	to.in <- struct{}{}
	<-c.in
	runtime.RaceEnable()
}

// pause is stop, but for those who are abandoned. A thread asks a scheduler that the
// race detector does not see itself, and passes the word on. Another is asked by run:
// its memory is then touched by one goroutine, and it need not know of any of this. So
// is a thread begun there: whoever makes its goroutine comes before all that it does.
//
//go:norace
func (v *virtual) pause(t *vthread) {
	if !v.unseen || v.trace != nil {
		v.stopped, v.next = t, nil
		t.co.yield()
	} else if v.next = v.pick(t); v.next != t {
		if n := v.next; n != nil && n.co != nil {
			t.co.pass(n.co)
		} else {
			t.co.yield()
		}
	}
	for v.telling {
		raceRelease(unsafe.Pointer(v))
		t.co.yield()
	}
	v.next = nil
}
