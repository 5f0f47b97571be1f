package machine

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A CPU is held by one thread at a time. Mail posted to it is worked off by
// whoever holds it, and by its sender if nobody does: an idle CPU takes the
// interrupt at once.
type CPU struct {
	id   int
	m    *Machine
	_    [64]byte
	held atomic.Uint32
	attn atomic.Uint32 // what its holder must see to: mailed, virtual, waiting threads
	mail Inbox
	_    [64]byte // held is written at each visit

	mu    sync.Mutex
	first *cpuWaiter // guarded by mu: the run queue, oldest first
	last  *cpuWaiter // guarded by mu

	foreign atomic.Int32 // interests of other CPUs in what happens here: see Foreign
}

// A cpuWaiter is a thread's place in a run queue.
type cpuWaiter struct {
	next    *cpuWaiter
	state   atomic.Uint32 // waits, has been granted the CPU, or is parked
	granted chan struct{} // capacity 1: a word for one that is parked
}

const (
	waits uint32 = iota
	granted
	parked
)

// The word attn of a CPU. One load of it tells a thread that stays there, on
// its way in and out, that nothing has happened.
const (
	mailed  = 1 << iota // mail has come since it was last worked off
	closer              // there are points to come by: always look closer
	waiting             // times the number of threads that wait for the CPU
)

// nowhere is the CPU that no thread is ever on.
var nowhere = &CPU{id: -1}

// work drains the mail. The bit goes first: mail that comes after it sets it
// again.
func (c *CPU) work(td *Thread) {
	if c.attn.Load()&mailed != 0 {
		c.attn.And(^uint32(mailed))
	}
	c.mail.Drain(td)
}

// ID returns the number of the CPU, from 0.
func (c *CPU) ID() int { return c.id }

// Send posts mail to the CPU. If nobody holds the CPU the sender runs it there
// itself, as the interrupt that it is. Send never blocks. (lwkt_send_ipiq)
func (c *CPU) Send(td *Thread, m *Mail) {
	td.Stats.IPIs++
	c.mail.Push(td, m)
	if c.attn.Load()&mailed == 0 {
		c.attn.Or(mailed)
	}
	c.interrupt(td)
}

// interrupt works off mail as long as there is some and nobody holds the CPU.
func (c *CPU) interrupt(td *Thread) {
	for c.hasMail(td) && c.tryHold(td) {
		on := td.on
		td.on = c
		c.work(td)
		td.on = on
		c.unhold(td)
	}
}

// hasMail reports whether mail lies there.
func (c *CPU) hasMail(td *Thread) bool {
	if td.vm != nil {
		td.vm.touch(&c.mail, Reads)
	}
	return c.mail.first.Load() != nil
}

func (c *CPU) tryHold(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointTryLock, c)
		had := c.held.Load() == 0 && c.held.CompareAndSwap(0, 1)
		td.touched(c, had)
		return had
	}
	return c.held.Load() == 0 && c.held.CompareAndSwap(0, 1)
}

// unhold gives the CPU to the thread that has waited longest, or frees it.
func (c *CPU) unhold(td *Thread) {
	if td.stops != nil {
		td.stops.step(td, PointLeave, c)
		if td.vm != nil {
			c.held.Store(0)
			td.vm.free(td, c) // it knows who waits
			return
		}
	}
	if c.attn.Load() >= waiting {
		c.handOver(td)
		return
	}
	c.held.Store(0)
	c.pass(td)
}

// pass gives a CPU that has just become free to a thread that queued up after
// its holder had looked and before it let go.
func (c *CPU) pass(td *Thread) {
	if c.attn.Load() >= waiting && c.held.CompareAndSwap(0, 1) {
		c.handOver(td)
	}
}

// lookAgain sees to what has come while the CPU became free.
func (c *CPU) lookAgain(td *Thread) {
	c.pass(td)
	c.interrupt(td)
}

// handOver makes the first waiter the holder of the CPU, which is held.
func (c *CPU) handOver(td *Thread) {
	c.mu.Lock()
	w := c.first
	if w == nil {
		c.held.Store(0)
		c.mu.Unlock()
		return
	}
	c.first = w.next
	if c.first == nil {
		c.last = nil
	}
	c.attn.Add(^uint32(waiting - 1))
	c.mu.Unlock()
	w.next = nil
	if w.state.Swap(granted) == parked {
		w.granted <- struct{}{}
	}
}

// acquire makes td the holder of c and works off the mail there.
func (c *CPU) acquire(td *Thread) {
	if !c.tryHold(td) {
		c.acquireSlow(td)
	}
	td.on = c
	if c.hasMail(td) {
		c.work(td)
	}
}

func (c *CPU) tryAcquire(td *Thread) bool {
	if !c.tryHold(td) {
		return false
	}
	td.on = c
	if c.hasMail(td) {
		c.work(td)
	}
	return true
}

// acquireSlow waits for the CPU: a block, so tokens are let go of meanwhile.
func (c *CPU) acquireSlow(td *Thread) {
	td.Stats.Contended++
	if td.nheld == 0 {
		c.hold(td)
		return
	}
	var l lost
	td.drop(&l)
	for {
		c.hold(td)
		if td.retakeHolding(&l) {
			return
		}
		// A token is taken: wait for it without the CPU, then try again.
		td.on = c
		td.release()
		td.retake(&l)
		if c.tryHold(td) {
			return
		}
		td.drop(&l)
	}
}

// retakeHolding tries to take back all tokens of l at once.
func (td *Thread) retakeHolding(l *lost) bool {
	if !l.held[0].tryLock(td) {
		return false
	}
	if td.tryAll(l, 0) >= 0 {
		l.held[0].unlock(td)
		return false
	}
	td.held, td.nheld = l.held, l.nheld
	return true
}

// hold waits in the run queue until the CPU is td's.
func (c *CPU) hold(td *Thread) {
	if td.vm != nil {
		c.queue(td, waiting)
		for !c.tryHold(td) {
			td.vm.block(td, c)
		}
		c.queue(td, ^uint32(waiting-1))
		return
	}
	w := &td.wait
	w.state.Store(waits)
	c.mu.Lock()
	if c.last == nil {
		c.first = w
	} else {
		c.last.next = w
	}
	c.last = w
	c.attn.Add(waiting)
	c.mu.Unlock()
	// It may have become free before it could be seen that somebody waits.
	if c.held.Load() == 0 && c.held.CompareAndSwap(0, 1) {
		c.handOver(td)
	}
	// The holder of a CPU is on its way out most of the time, and a parked
	// goroutine costs it and us a trip through the scheduler.
	for i := 0; i < c.m.spin; i++ {
		if w.state.Load() == granted {
			return
		}
		if i&63 == 63 {
			runtime.Gosched()
		}
	}
	if w.state.CompareAndSwap(waits, parked) {
		<-w.granted
	}
}

// queue adds to the number of those who wait on a virtual machine. That somebody
// waits puts nobody before the holder.
func (c *CPU) queue(td *Thread, n uint32) {
	td.vm.touch(c, Writes) // who leaves looks at it
	c.m.hide()
	c.attn.Add(n)
	c.m.show()
}

// release lets the CPU go, then looks again for mail: see Thread.Leave.
func (c *CPU) release(td *Thread) {
	if c.hasMail(td) {
		td.on = c
		c.work(td)
		td.on = nil
	}
	c.unhold(td)
	c.interrupt(td)
}

// spinNative returns how often a thread looks at a CPU that another holds
// before it parks: about a microsecond, as sync.Mutex does, and not at all
// where the holder cannot run meanwhile.
func spinNative() int {
	if runtime.GOMAXPROCS(0) < 2 {
		return 0
	}
	return 2000
}
