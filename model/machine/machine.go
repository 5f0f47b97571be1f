// Package machine is the computer under the kernel: CPUs, threads, tokens,
// mutexes, atomics, sleep and wakeup, interprocessor mail, callouts and a
// clock, with the names and the rules of DragonFly BSD's LWKT.
//
// Whatever runs on it takes a [Thread] as its first argument, as a kernel
// function has curthread. The thread carries what the scheduler must know when
// it blocks: the CPU it is on and the tokens it holds.
//
// # Blocking
//
// A thread blocks in [Thread.Sleep], and wherever it must wait for a [Token],
// a [Mutex] or a [CPU]. Any block lets go of the CPU and of all tokens held,
// and takes every one of them back before the thread runs on, as
// lwkt_relalltokens and lwkt_getalltokens do. So a token section is atomic
// between blocking points and nothing more. A Mutex is kept across a block.
//
// # Two back ends
//
// [Native] runs threads as goroutines, truly in parallel. Each primitive asks
// first whether the thread has something to do at such a point (td.stops). On a
// virtual machine it has: that decides who runs next; the primitive's own
// bookkeeping is the same for both. See virtual for the few questions that a
// virtual machine must answer. A native machine can be made to stop there now
// and then, see [Machine.Perturb].
package machine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Forever is the instant at which no sleep ends.
const Forever = time.Duration(1<<63 - 1)

// A Machine is a computer with a fixed number of CPUs.
type Machine struct {
	cpus    []*CPU
	mp      Token
	boot    time.Time
	spin    int           // see CPU.wait
	idle    *idleState    // who polls for interrupts; see idle.go
	lines   []*idleState  // idle, or one for each CPU, of which it is the first
	foreign atomic.Int32  // sum of foreign of all CPUs
	live    atomic.Int64  // what may run yet; see resting
	quiet   chan struct{} // cap 1: live has fallen to 0
	ended   chan struct{} // cap 1: a thread of Go has ended
	mu      sync.Mutex
	all     map[*Thread]struct{} // guarded by mu; of a native machine, as going is
	going   int                  // guarded by mu: threads of Go that have not ended
	vm      *virtual             // nil on a native machine
	order   *LockOrder           // of a virtual machine; nil if nobody asks for it
	perturb *perturbation        // nil if it is not perturbed; immutable once there are threads
	retire  Stats                // guarded by mu: of threads that have ended
}

// Native returns a machine with ncpu CPUs whose threads are goroutines. It
// panics if ncpu < 1.
func Native(ncpu int) *Machine {
	if ncpu < 1 {
		panic(fmt.Sprintf("machine.Native: %d CPUs, want at least 1", ncpu))
	}
	m := &Machine{
		boot:  time.Now(),
		spin:  spinNative(),
		quiet: make(chan struct{}, 1),
		ended: make(chan struct{}, 1),
		all:   map[*Thread]struct{}{},
	}
	m.mp.Name = "mplock"
	for i := range ncpu {
		m.cpus = append(m.cpus, &CPU{id: i, m: m})
	}
	return m
}

// CPU returns CPU number i.
func (m *Machine) CPU(i int) *CPU { return m.cpus[i] }

// NumCPU returns how many CPUs the machine has.
func (m *Machine) NumCPU() int { return len(m.cpus) }

// MPLock returns the giant lock of the machine. It is a token, as in
// DragonFly since 2010: recursive, and let go whenever its holder blocks.
func (m *Machine) MPLock() *Token { return &m.mp }

// Go starts a thread that runs f on the given CPU. Between two calls of the
// machine it must not wait for anything that the machine does not know (a
// channel, a sync.WaitGroup): it keeps its CPU until it blocks, migrates, or
// sees on leaving that another waits for it, and a thread that never comes by
// again would keep it for ever. An ordinary goroutine uses [Machine.Attach].
func (m *Machine) Go(name string, cpu int, f func(td *Thread)) {
	td := m.thread(name, cpu)
	td.lazy = td.home
	if m.vm != nil {
		m.vm.start(td, f)
		return
	}
	m.mu.Lock()
	m.going++
	m.mu.Unlock()
	go func() {
		defer td.Detach()
		f(td)
	}()
}

// Attach makes the calling goroutine a thread of the machine, at home on the
// given CPU, until it calls [Thread.Detach]. It holds a CPU only while it is
// inside a domain or a critical section, so it may wait elsewhere in between.
// A Thread must be used by one goroutine at a time.
func (m *Machine) Attach(name string, cpu int) *Thread { return m.thread(name, cpu) }

func (m *Machine) thread(name string, cpu int) *Thread {
	td := m.newThread(name, m.cpus[cpu])
	m.count(awake)
	if m.vm == nil {
		m.mu.Lock()
		m.all[td] = struct{}{}
		m.mu.Unlock()
	}
	return td
}

// newThread returns a thread that nobody counts.
func (m *Machine) newThread(name string, cpu *CPU) *Thread {
	td := threads.on(m)
	td.Name, td.m, td.home, td.last, td.lazy = name, m, cpu, cpu, nowhere
	if m.vm != nil {
		td.vm, td.stops = m.vm, m.vm
		return td
	}
	td.sema, td.wait.granted = make(chan struct{}, 1), make(chan struct{}, 1)
	if m.perturb != nil {
		td.stops = m.perturb.stream()
	}
	return td
}

var threads = NewStock[Thread](nil)

// Run waits until every thread started by Go has ended. If instead all threads
// are asleep, with no timeout, callout or interrupt left that could wake one,
// it returns a [*DeadlockError] that says who waits for what; they sleep on,
// and once something has woken them Run may be called again.
func (m *Machine) Run() error {
	if m.vm != nil {
		return m.vm.run()
	}
	for {
		m.mu.Lock()
		going := m.going
		m.mu.Unlock()
		if going == 0 {
			return nil
		}
		if resting(m.live.Load()) {
			if err := m.deadlock(); err != nil {
				return err
			}
		}
		select {
		case <-m.ended:
		case <-m.quiet:
		}
	}
}

// Abandon ends all threads of a virtual machine where they are, and what they
// have deferred is done; after it the machine is of no more use. It is called
// when Run has returned, and must be if Run has returned an error, or the memory
// of those who sleep is not given back. See also [Machine.Reset]. On a native machine it panics.
func (m *Machine) Abandon() {
	m.virtual("Abandon").abandon()
}

// rest says that a thread will not run until another wakes it.
func (m *Machine) rest() {
	m.hide()
	if resting(m.live.Add(-awake)) {
		notify(m.quiet)
	}
	m.show()
}

// count adds to what may run yet, or takes from it if something else remains.
func (m *Machine) count(n int64) {
	m.hide()
	m.live.Add(n)
	m.show()
}

// retired adds the counters of a thread to those of the machine.
//
//go:norace
func (m *Machine) retired(td *Thread) {
	m.hide()
	m.mu.Lock()
	m.retire.Add(&td.Stats)
	m.mu.Unlock()
	m.show()
}

// The word live of a machine. All is in one word so that one look says whether
// anything may run yet: of two looks, one could see a thread that has not yet
// been woken, and the other that the callout which woke it is armed no more.
const (
	awake   int64 = 1       // times the threads that do not sleep, or only for a time, and the callouts that run
	armed   int64 = 1 << 32 // times the callouts that are armed
	stopped int64 = 1 << 62 // StopCallouts has been called
)

// resting reports whether nothing will run again unless somebody from outside
// begins.
func resting(live int64) bool { return live%armed == 0 && (live < armed || live >= stopped) }

func (m *Machine) deadlock() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := &DeadlockError{}
	for td := range m.all {
		s := Sleeper{Thread: td.Name}
		if wc := td.wchan.Load(); wc != nil {
			s.On = wc.Name
		}
		err.Sleepers = append(err.Sleepers, s)
	}
	if !resting(m.live.Load()) || m.going == 0 || len(err.Sleepers) == 0 {
		return nil // somebody attached, was woken, or ended or is about to
	}
	slices.SortFunc(err.Sleepers, byName)
	return err
}

// notify leaves word in a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A DeadlockError says that all threads sleep and nothing is left to wake one.
type DeadlockError struct{ Sleepers []Sleeper }

// A Sleeper is a thread asleep, and the name of the wait channel it sleeps on.
type Sleeper struct{ Thread, On string }

func byName(a, b Sleeper) int { return strings.Compare(a.Thread, b.Thread) }

func (e *DeadlockError) Error() string {
	var b strings.Builder
	b.WriteString("deadlock: all threads are asleep")
	for _, s := range e.Sleepers {
		fmt.Fprintf(&b, "; %s waits for %s", s.Thread, s.On)
	}
	return b.String()
}

// Stats adds up the counters of all threads that have ended.
func (m *Machine) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.retire
}
