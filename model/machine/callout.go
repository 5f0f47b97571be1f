package machine

import (
	"sync"
	"time"
)

// A Callout runs a function once at an instant, as a thread of its own on its
// CPU that must not sleep (NoSleep). The function may arm it again.
// (callout_reset, callout_stop)
//
// Each expiry is a goroutine of its own: one that waits for a lock does not
// hold up another, nor the timeout of a sleeper. With one service thread for
// all, a callout waiting for the giant lock would leave nobody to end the
// sleep of the thread that holds it.
type Callout struct {
	// Ended is woken whenever the function returns.
	Ended WaitChan

	td *Thread
	f  func(td *Thread)

	mu      sync.Mutex
	timer   *time.Timer // guarded by mu
	armed   uint64      // guarded by mu: number of the arming in force, 0 if none
	arming  uint64      // guarded by mu: number of the last arming
	running bool        // guarded by mu
	using   bool        // guarded by mu: a run, or what comes after it, is using td
}

// NewCallout returns a callout on CPU cpu, not armed.
func (m *Machine) NewCallout(name string, cpu *CPU, f func(td *Thread)) *Callout {
	c := callouts.on(m)
	c.f = f
	c.Ended.Name = name + " callout"
	c.td = m.newThread(name, cpu)
	c.td.NoSleep = true
	return c
}

var callouts = NewStock[Callout](nil)

// Reset arms the callout for the given instant, in place of any earlier one.
func (c *Callout) Reset(td *Thread, at time.Duration) {
	if td.stops != nil {
		td.stops.step(td, PointCallout, c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop(td) // under the same lock: of two at once, one must win entirely
	c.arming++
	c.armed = c.arming
	td.m.count(armed)
	n := c.arming
	if td.vm != nil {
		td.vm.arm(td, c, n, at)
		return
	}
	c.timer = time.AfterFunc(at-td.Now(), func() { c.expire(n) })
}

// Stop disarms the callout and reports whether it was armed. The function may
// be running all the same: see Running.
func (c *Callout) Stop(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointCallout, c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop(td)
}

// stop is called with mu held.
func (c *Callout) stop(td *Thread) bool {
	if c.armed == 0 {
		return false
	}
	if td.vm != nil {
		td.vm.disarm(td, c, c.armed)
	} else {
		c.timer.Stop()
	}
	c.armed = 0
	td.m.count(-armed)
	return true
}

// Running reports whether the function has begun and not ended. Who must wait
// for its end stops it first, then loops: interlock Ended, look, sleep.
// (callout_terminate; without the wait a callout that was only waiting for a
// lock would touch what has been freed: DragonFly b90e37ec76.)
func (c *Callout) Running(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointCallout, c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// expire is the goroutine of one expiry of the native machine.
func (c *Callout) expire(n uint64) {
	for !c.begin(n) {
		// The run before has not ended: it armed this one and is on its way out.
		c.mu.Lock()
		stale := c.armed != n || c.td.m.live.Load() >= stopped
		c.mu.Unlock()
		if stale {
			return
		}
		time.Sleep(time.Microsecond)
	}
	c.fire()
}

// begin claims arming n, unless it was stopped, all callouts were, or the
// function still runs.
func (c *Callout) begin(n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.td.vm != nil {
		c.td.vm.touch(c, Writes)
		c.td.vm.touch(c.td.m, Reads)
	}
	if c.armed != n || c.using {
		return false
	}
	m := c.td.m
	m.hide()
	defer m.show()
	for {
		live := m.live.Load()
		if live >= stopped {
			return false
		}
		if m.live.CompareAndSwap(live, live-armed+awake) {
			break
		}
	}
	c.armed = 0
	c.running, c.using = true, true
	return true
}

// StopCallouts stops all callouts of the machine for good: from its return on
// none begins to run; those that have begun end, and wake whom they wake. One
// that is armed stays so, and may be armed and stopped as ever, but is nothing
// any more that [Machine.Run] waits for. So a machine comes to rest although
// there is a callout that always arms itself again. Timeouts of sleepers are not
// callouts, and go on.
//
// Any goroutine may call it at any time; of a virtual machine only the thread
// that runs, or whoever calls Run, in between.
func (m *Machine) StopCallouts() {
	m.hide()
	defer m.show()
	if m.vm != nil {
		m.vm.touch(m, Writes)
	}
	if resting(m.live.Or(stopped) | stopped) {
		notify(m.quiet)
	}
}

// fire runs the function. The callout is not running before its end is told,
// since those who are told look again; but td is in use until after that, and
// the next run must not begin on it.
func (c *Callout) fire() {
	td := c.td
	td.home.acquire(td) // or it would run beside a critical section there
	c.f(td)
	if td.on != nil {
		td.release()
	}
	m := td.m
	m.retired(td)
	td.Stats = Stats{}
	c.mu.Lock()
	if td.vm != nil {
		td.vm.touch(c, Writes)
	}
	c.running = false
	c.mu.Unlock()
	td.Wakeup(&c.Ended)
	c.mu.Lock()
	if td.vm != nil {
		td.vm.touch(c, Writes)
	}
	c.using = false
	c.mu.Unlock()
	m.rest()
}
