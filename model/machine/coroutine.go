package machine

// A coroutine runs threads, one after another, on a stack of its own, and stops in
// their midst. To make one costs more than an execution of a small program, so they
// are kept.
type coroutine struct {
	handover
	t     *vthread
	done  bool // t has ended
	lost  bool // by a panic; so has the coroutine
	quiet bool // it is being abandoned: what its deferred calls panic with is of no account
}

// call runs the thread. It ends early if its execution is abandoned; otherwise a
// panic goes to whoever has resumed it.
//
//go:norace
func (c *coroutine) call() {
	defer func() {
		if e := recover(); e != nil && !c.quiet {
			c.done, c.lost = true, true
			panic(e)
		}
	}()
	c.t.run()
}

// abandoned is what unwinds the stack of a thread that is not to go on.
type abandoned struct{}

// Abandoned reports whether a panic that was recovered is that of
// [Machine.Abandon], which ends a thread: whoever recovers it panics again.
func Abandoned(e any) bool { return e == any(abandoned{}) }

// start takes a coroutine that will run t when it is resumed.
//
//go:norace
func start(t *vthread) *coroutine {
	c := idleCoroutine()
	c.t, c.done, c.quiet = t, false, false
	return c
}
