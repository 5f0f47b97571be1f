package machine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Interrupts is where interrupts of the outside world come from, such as an
// epoll set. A thread that would sleep waits there instead, and so plays the
// interrupt handler itself: a reader of its own would cost a switch of threads
// for each event.
type Interrupts interface {
	// Wait waits for interrupts until the given instant of the machine's
	// clock, or until Kick, and handles those that came, on td: as in a
	// kernel, the handler borrows the thread that it interrupts, which is in
	// no domain and must not Sleep meanwhile. An instant that has passed
	// means: do not wait, and then td may hold a CPU. Only one thread at a
	// time is in Wait, of each that SetInterrupts was given.
	Wait(td *Thread, until time.Duration)
	// Kick ends the Wait that is under way, or else the next one. Any
	// goroutine may call it at any time, also just after SetInterrupts has
	// put something else in its place.
	Kick()
}

// grace is how long nobody may wait for interrupts, while threads sleep,
// before the stand-in does. A server with two threads leaves and comes back
// all the time; to wake the stand-in on each of its rounds would cost more
// than the rounds.
const grace = time.Millisecond

// An idleState is a line of interrupts, and says who waits for them. A machine has
// one, or one for each CPU: threads that poll, or sleep, on different CPUs have
// nothing to do with each other then.
type idleState struct {
	src    Interrupts
	cpu    *CPU          // whose line it is; nil if it is that of all
	intr   *Thread       // the stand-in
	slot   sync.Mutex    // held by the thread that waits for interrupts
	wanted atomic.Int32  // threads that wait for slot
	asleep atomic.Int32  // threads parked because another had slot
	spare  atomic.Bool   // the stand-in has slot
	over   atomic.Bool   // it is being taken away
	word   chan struct{} // capacity 1: slot was left while threads sleep
	ended  chan struct{}
}

// SetInterrupts makes src the place where sleeping threads wait, or, with nil,
// ends that. With several, which must be one for each CPU, each is that of a CPU:
// who sleeps, or polls, there waits there. While it is set, Run reports no deadlock,
// since an interrupt may always come. No thread may be asleep, or in a call that may
// sleep, when it changes.
func (m *Machine) SetInterrupts(src ...Interrupts) {
	for _, s := range m.lines {
		s.over.Store(true)
		close(s.word)
		s.src.Kick()
		<-s.ended
		s.intr.Detach()
	}
	m.idle, m.lines = nil, nil
	if len(src) == 0 || src[0] == nil {
		return
	}
	if len(src) != 1 && len(src) != len(m.cpus) {
		panic(fmt.Sprintf("machine: %d sources of interrupts for %d CPUs, want 1, or 1 for each", len(src), len(m.cpus)))
	}
	for i := range src {
		s := &idleState{src: src[i], word: make(chan struct{}, 1), ended: make(chan struct{})}
		if len(src) > 1 {
			s.cpu = m.cpus[i]
		}
		s.intr = m.thread("interrupt", i)
		s.intr.NoSleep = true
		m.lines = append(m.lines, s)
	}
	m.idle = m.lines[0]
	for _, s := range m.lines {
		if s.needed() {
			notify(s.word)
		}
		go s.standIn()
	}
}

// Interrupts returns what SetInterrupts was given last, the first of it, or nil.
func (m *Machine) Interrupts() Interrupts {
	if m.idle == nil {
		return nil
	}
	return m.idle.src
}

// line returns the line of a CPU, or that of all. Nil is the first.
func (m *Machine) line(c *CPU) *idleState {
	if c == nil || len(m.lines) == 1 {
		return m.idle
	}
	return m.lines[c.id]
}

// Foreign says that n more interests in what happens on this CPU lie on others, or,
// if it is negative, that so many are no more. While there are any, the interrupts
// of this CPU are taken though nobody polls or sleeps here, and who polls elsewhere
// takes them too. It never blocks.
func (c *CPU) Foreign(n int) {
	c.foreign.Add(int32(n))
	c.m.foreign.Add(int32(n))
	if m := c.m; n > 0 && m.idle != nil {
		notify(m.line(c).word)
	}
}

// needed reports whether somebody must wait for the interrupts of the line.
func (s *idleState) needed() bool {
	return !s.over.Load() && (s.asleep.Load() > 0 || s.cpu != nil && s.cpu.foreign.Load() > 0)
}

// Poll handles the interrupts that have come to CPU c, or to any if that is nil or
// all share a line, without waiting for more. It is called in no domain and no
// critical section. It may block, while another thread handles what it has taken.
func (td *Thread) Poll(c *CPU) {
	m := td.m
	if m.idle == nil || td.vm != nil {
		return
	}
	s := m.line(c)
	td.take(s)
	if len(m.lines) > 1 && (c == nil || m.foreign.Load() != 0) {
		for _, other := range m.lines {
			if other != s && (c == nil || other.cpu.foreign.Load() > 0) {
				td.take(other)
			}
		}
	}
}

// take handles the interrupts of one line that have come.
func (td *Thread) take(s *idleState) {
	if !s.slot.TryLock() {
		if td.on != nil {
			td.release() // who has the slot may need this very CPU for its handler
		}
		s.claim()
	}
	s.handle(td, 0)
	s.leave()
}

// handle runs the source's Wait on td, as an interrupt.
func (s *idleState) handle(td *Thread, until time.Duration) {
	noSleep := td.NoSleep
	td.NoSleep = true
	s.src.Wait(td, until)
	td.NoSleep = noSleep
}

// claim gets the slot from whoever waits for interrupts.
func (s *idleState) claim() {
	if s.slot.TryLock() {
		return
	}
	s.wanted.Add(1)
	s.src.Kick()
	s.slot.Lock()
	s.wanted.Add(-1)
}

func (s *idleState) leave() {
	s.slot.Unlock()
	if s.needed() {
		notify(s.word)
	}
}

// parkIdle is park on a machine with interrupts.
func (td *Thread) parkIdle(until time.Duration) (woken bool) {
	s := td.m.line(td.left)
	for {
		if s.wanted.Load() == 0 && s.slot.TryLock() {
			if woken, over := s.watch(td, until); over {
				return woken
			}
			continue
		}
		if s.spare.Load() {
			s.claim()
			s.slot.Unlock()
			continue
		}
		// Who wants the slot now will see on leaving that td sleeps. If nobody
		// does, it may have been left before that could be seen.
		s.asleep.Add(1)
		if s.wanted.Load() == 0 && s.slot.TryLock() {
			s.slot.Unlock()
			s.asleep.Add(-1)
			continue
		}
		woken = td.parkTimed(until)
		s.asleep.Add(-1)
		return woken
	}
}

// watch waits for interrupts until td is woken or its time is over, or until
// another thread wants the slot (over is false then).
func (s *idleState) watch(td *Thread, until time.Duration) (woken, over bool) {
	defer s.leave()
	td.idling.Store(s)
	defer td.idling.Store(nil)
	for s.wanted.Load() == 0 {
		select {
		case <-td.sema:
			td.m.live.Add(-awake)
			return true, true
		default:
		}
		if until != Forever && td.Now() >= until {
			return false, true
		}
		s.handle(td, until)
		if td.on != nil {
			td.release() // a lazy thread keeps the CPU that its handler went to
		}
	}
	return false, false
}

// standIn waits for interrupts while somebody needs them, and nobody who sleeps
// does.
func (s *idleState) standIn() {
	defer close(s.ended)
	for range s.word {
		time.Sleep(grace)
		for s.needed() && s.slot.TryLock() {
			s.spare.Store(true)
			for s.needed() && s.wanted.Load() == 0 {
				s.handle(s.intr, Forever)
			}
			s.spare.Store(false)
			s.slot.Unlock()
		}
	}
}

// HasInterrupts reports whether the machine has a source of interrupts.
func (td *Thread) HasInterrupts() bool { return td.m.idle != nil }
