//go:build !race

package machine

import "iter"

// A handover is how a coroutine and whoever resumes it pass each other the word. A
// switch of iter.Pull costs a tenth of what two goroutines need.
type handover struct {
	next func() (struct{}, bool)
	stop func(struct{}) bool
}

func newCoroutine() *coroutine {
	c := &coroutine{}
	c.next, _ = iter.Pull(c.serve)
	return c
}

func (c *coroutine) serve(yield func(struct{}) bool) {
	defer func() { c.done, c.lost = true, true }() // if the thread calls runtime.Goexit, as a test that fails does
	c.stop = yield
	for {
		c.call()
		c.done = true
		c.yield()
	}
}

// resume lets the thread run until it stops or ends, and returns it if it has ended.
func (c *coroutine) resume() (ended *vthread) {
	if c.next(); c.done {
		return c.t
	}
	return nil
}

// yield stops the thread until it is resumed.
func (c *coroutine) yield() { c.stop(struct{}{}) }

// pause is stop, but for those who are abandoned. The thread that has stopped
// resumes the next one itself, which costs half of what it would to go by way of
// run. Who has been resumed stands, with all who have resumed each other, in a
// chain that begins at run; to let one of those go on, all behind it yield.
//
//	run > A > B      B stops, C is to go on: B resumes it
//	run > A > B > C  C stops, A is to go on: C yields to B, B yields to A
//	run > A
func (v *virtual) pause(t *vthread) {
	for v.next = v.pick(t); v.next != t; {
		if n := v.next; n != nil && (n.co == nil || !n.co.running) {
			v.resume(n)
		} else if t.co.yield(); v.dying {
			return
		}
	}
	v.next = nil
}
