package machine

import (
	"errors"
	"sync/atomic"
	"time"
)

// A Thread is one thread of control on the machine, and the first argument of
// everything that runs there. It is used by one goroutine at a time.
type Thread struct {
	Name string

	// Scratch belongs to the subsystem that runs on the machine: what a call
	// needs and would otherwise allocate.
	Scratch any

	// Debt counts what the kernel has promised to do on this thread once it is
	// in no domain. It belongs to that kernel, as Scratch does.
	Debt int

	// Lwp belongs to the process that runs on the machine: what it knows of the
	// thread, nil if nothing.
	Lwp any

	// NoSleep forbids Sleep, as in an interrupt or a callout.
	NoSleep bool

	Stats Stats // counted by this thread alone

	listener Listener // of commit points; mostly nil
	virtual  *vthread // of a virtual machine: it, while it is known there

	m     *Machine
	stops stops // what it does at points; nil if nothing
	home  *CPU  // where its objects are placed
	on    *CPU  // the CPU it holds, or nil
	last  *CPU  // the CPU it migrated to last
	crit  int   // nesting of critical sections
	took  bool  // the outermost one took the CPU
	lazy  *CPU  // the CPU it stays on until somebody wants it; nowhere if none

	held  [8]*Token // tokens held, with repetitions, oldest first
	nheld int

	signaled *Uint32 // see Catch

	wait   cpuWaiter // while it waits for a CPU
	sema   chan struct{}
	armed  bool                     // has interlocked wchan and not slept since
	wchan  atomic.Pointer[WaitChan] // the last interlocked; written by td alone, with the mu of the one before
	queued bool                     // guarded by wchan.mu
	next   *Thread                  // guarded by wchan.mu
	prev   *Thread                  // guarded by wchan.mu
	timer  *time.Timer
	left   *CPU                      // the CPU that it sleeps on, or slept on last
	idling atomic.Pointer[idleState] // where it waits for interrupts instead of being parked
	vm     *virtual                  // nil on a native machine

	kept *Mutex // the last taken of those that it keeps, by below, if the order of locks is asked for
}

// ErrTimeout is returned by Sleep when its instant has passed. (tsleep returns
// EWOULDBLOCK.)
var ErrTimeout = errors.New("machine: timed out")

// Machine returns the machine of td.
func (td *Thread) Machine() *Machine { return td.m }

// Home returns the CPU on which the object is placed that the thread is making: the
// one that the thread was made for, unless the machine draws, see
// [Machine.DrawPlacement]. Who asks twice may have two answers.
func (td *Thread) Home() *CPU {
	if td.vm != nil {
		return td.vm.place(td)
	}
	return td.home
}

// On returns the CPU that the thread holds, or nil.
func (td *Thread) On() *CPU { return td.on }

// Now returns the time since the machine was started.
func (td *Thread) Now() time.Duration {
	if td.vm != nil {
		return td.vm.now(td)
	}
	return time.Since(td.m.boot)
}

// Detach ends the thread. It lets go of the CPU; tokens must have been put.
func (td *Thread) Detach() {
	td.crit = 0
	td.Uninterlock()
	if td.on != nil {
		td.release()
	}
	m := td.m
	m.retired(td)
	if m.vm != nil {
		m.rest()
		return
	}
	m.mu.Lock()
	delete(m.all, td)
	if td.lazy != nowhere {
		// Before rest: a thread that counts as going but not as live would
		// look to Run like a deadlock.
		m.going--
	}
	m.mu.Unlock()
	m.rest()
	notify(m.ended)
}

// Migrate moves the thread to CPU c, waiting until it is free, and works off
// the mail that came there before the call (lwkt_setcpu_self, then
// lwkt_process_ipiq). It may block; the CPU held before is let go of.
func (td *Thread) Migrate(c *CPU) {
	if td.on == c && c.attn.Load() == 0 {
		return
	}
	td.migrate(c)
}

func (td *Thread) migrate(c *CPU) {
	if td.stops != nil {
		td.stops.step(td, PointMigrate, c)
	}
	if td.on == c {
		c.work(td)
		return
	}
	if td.on != nil {
		td.release()
	}
	if c != td.last {
		td.Stats.Migrations++
		td.last = c
	}
	if c.attn.Load() == 0 && c.held.CompareAndSwap(0, 1) {
		td.on = c
		if c.attn.Load()&mailed != 0 {
			c.work(td)
		}
		return
	}
	c.acquire(td)
}

// Leave says that the thread has done with its CPU for now. A thread started
// by Go stays on its home CPU unless another waits for it; any other lets go.
// After letting go it looks for mail once more:
//
//	leaver                      sender
//	works off mail: none
//	                            posts; the CPU is taken: its holder will see to it
//	lets go                     <- without the second look the mail would lie
func (td *Thread) Leave() {
	if td.on == td.lazy && td.on.attn.Load() == 0 {
		return
	}
	td.leave()
}

func (td *Thread) leave() {
	c := td.on
	if c == nil || td.crit > 0 {
		return
	}
	if td.vm != nil {
		td.vm.touch(c, Reads)
	}
	if c == td.lazy && c.attn.Load() < waiting {
		c.work(td)
		return
	}
	td.release()
}

// release lets go of the CPU that td holds.
func (td *Thread) release() {
	c := td.on
	td.on = nil
	if c.attn.Load() != 0 {
		c.release(td)
		return
	}
	c.held.Store(0)
	if c.attn.Load() != 0 {
		c.lookAgain(td)
	}
}

// EnterCritical takes the thread's CPU and keeps it until the matching
// ExitCritical: no other thread, interrupt or callout runs there meanwhile.
// Critical sections nest. A block leaves the CPU all the same and takes it
// back, as in DragonFly. (crit_enter)
func (td *Thread) EnterCritical() {
	if td.on == nil {
		td.home.acquire(td)
		td.took = true
	}
	td.crit++
}

// ExitCritical ends the innermost critical section. The outermost one lets go
// of the CPU if it took it; inside a visit, which Migrate began, the CPU is
// kept until Leave. (crit_exit)
func (td *Thread) ExitCritical() {
	td.crit--
	if td.crit == 0 && td.took {
		td.took = false
		if td.on != nil {
			td.release()
		}
	}
}

// A lost is what a thread let go of when it blocked, and must have back.
type lost struct {
	on    *CPU
	held  [8]*Token
	nheld int
}

// drop lets go of the CPU and of all tokens. (lwkt_relalltokens)
func (td *Thread) drop(l *lost) {
	l.on, l.nheld = td.on, td.nheld
	for i := td.nheld - 1; i >= 0; i-- {
		t := td.held[i]
		l.held[i] = t
		if !td.holdsBelow(t, i) {
			t.unlock(td)
		}
	}
	td.nheld = 0
	if td.on != nil {
		td.release()
	}
}

// retake gets back what drop let go of: all of it or, while it must wait for
// one, nothing. That is why tokens cannot deadlock whatever their order.
// (lwkt_getalltokens)
func (td *Thread) retake(l *lost) {
	if l.nheld == 0 {
		if l.on != nil {
			l.on.acquire(td)
		}
		return
	}
	first := 0 // wait for this one, try the others
	for {
		l.held[first].lock(td)
		if l.on != nil && !l.on.tryAcquire(td) {
			// Wait for it holding nothing, then keep it and try the tokens.
			// To give it back first would be to hand it to whoever waits,
			// again and again.
			l.held[first].unlock(td)
			l.on.acquire(td)
			if td.retakeHolding(l) {
				return
			}
			td.release()
			continue
		}
		failed := td.tryAll(l, first)
		if failed < 0 {
			td.held, td.nheld = l.held, l.nheld
			return
		}
		l.held[first].unlock(td)
		if l.on != nil {
			td.release()
		}
		first = failed
	}
}

// tryAll tries to lock each token of l but the one at first, which is locked.
// It returns the index of the one it could not have, with all tried ones let
// go of again, or -1.
func (td *Thread) tryAll(l *lost, first int) int {
	for i := range l.nheld {
		if l.has(l.held[i], first, i) {
			continue
		}
		if !l.held[i].tryLock(td) {
			for j := i - 1; j >= 0; j-- {
				if !l.has(l.held[j], first, j) {
					l.held[j].unlock(td)
				}
			}
			return i
		}
	}
	return -1
}

// has reports whether t is the token at first, or stands before i.
func (l *lost) has(t *Token, first, i int) bool {
	if t == l.held[first] {
		return true
	}
	for j := range i {
		if l.held[j] == t {
			return true
		}
	}
	return false
}

// Stats counts what a thread did. The first group is the machine's; the second
// is counted by the kernel that runs on it, and kept here because the thread
// carries it.
type Stats struct {
	Contended  uint64 // tokens, mutexes and CPUs that another held
	Migrations uint64 // moves to another CPU
	IPIs       uint64 // messages posted to a CPU
	Wakeups    uint64 // threads woken
	Sleeps     uint64 // times asleep
	Yields     uint64 // points at which a perturbation made it wait

	Enters     uint64 // domains entered
	Events     uint64 // events returned
	Remote     uint64 // deliveries from one domain to another
	Dead       uint64 // deliveries that found their knote dying
	Rearms     uint64 // deliveries that found their knote claimed
	ClaimWaits uint64 // waits for another scan's claim
	Markers    uint64 // another scan's marker skipped
	Wasted     uint64 // wakeups that found nothing
}

// Add adds the counters of o to s.
//
//go:norace
func (s *Stats) Add(o *Stats) {
	s.Contended += o.Contended
	s.Migrations += o.Migrations
	s.IPIs += o.IPIs
	s.Wakeups += o.Wakeups
	s.Sleeps += o.Sleeps
	s.Yields += o.Yields
	s.Enters += o.Enters
	s.Events += o.Events
	s.Remote += o.Remote
	s.Dead += o.Dead
	s.Rearms += o.Rearms
	s.ClaimWaits += o.ClaimWaits
	s.Markers += o.Markers
	s.Wasted += o.Wasted
}
