package machine

import (
	"runtime"
	"sync"
	"time"
)

// A WaitChan is a wait channel: threads sleep on it until somebody wakes them.
// Where DragonFly hashes any address, this is an object, so that no table is
// searched. The zero value is ready; Name is what a deadlock report prints.
type WaitChan struct {
	Name  string
	mu    sync.Mutex
	first *Thread // guarded by mu
	last  *Thread // guarded by mu
}

// Interlock says that td is about to sleep on wc. It is called inside the
// domain that guards the condition waited for; a Wakeup after it is not lost
// although td has yet to leave that domain. A second Interlock replaces the
// first. (tsleep_interlock)
func (td *Thread) Interlock(wc *WaitChan) {
	if td.stops != nil {
		td.stops.step(td, PointInterlock, wc)
	}
	td.Uninterlock()
	td.armed = true
	if was := td.wchan.Load(); was != wc { // most threads sleep where they slept before
		// While was.mu is held nobody can take td to be queued there: see unsleep. On a
		// virtual machine nobody can anyway, but the race detector does not know it.
		if was == nil || td.vm != nil && !raceEnabled {
			td.wchan.Store(wc)
		} else {
			was.mu.Lock()
			td.wchan.Store(wc)
			was.mu.Unlock()
		}
	}
	wc.mu.Lock()
	td.queued = true
	td.prev, td.next = wc.last, nil
	if wc.last == nil {
		wc.first = td
	} else {
		wc.last.next = td
	}
	wc.last = td
	wc.mu.Unlock()
}

// Uninterlock takes back an Interlock that no Sleep followed.
func (td *Thread) Uninterlock() {
	if td.armed && !td.wchan.Load().cancel(td) {
		td.awaken() // somebody has woken td meanwhile: consume it
	}
	td.armed = false
}

// awaken consumes the wakeup that has been, or is just being, sent to td.
func (td *Thread) awaken() {
	if td.vm != nil {
		td.vm.park(td, Forever) // returns at once
	} else {
		<-td.sema
	}
	td.m.count(-awake)
}

// cancel takes td off the wait channel, unless it has been woken.
func (wc *WaitChan) cancel(td *Thread) bool {
	if td.vm != nil {
		td.vm.touch(wc, Writes)
	}
	wc.mu.Lock()
	defer wc.mu.Unlock()
	if !td.queued {
		return false
	}
	td.queued = false
	wc.unlink(td)
	return true
}

// unlink is called with mu held.
func (wc *WaitChan) unlink(td *Thread) {
	if td.prev == nil {
		wc.first = td.next
	} else {
		td.prev.next = td.next
	}
	if td.next == nil {
		wc.last = td.prev
	} else {
		td.next.prev = td.prev
	}
	td.next, td.prev = nil, nil
}

// Sleep waits until the wait channel given to Interlock is woken, or until the
// machine's clock shows the given instant, which is [ErrTimeout]. It lets go
// of the CPU and of all tokens meanwhile and has them back when it returns.
// Who sleeps must trust nothing that it saw before, and not that anybody has woken
// it: see [Machine.AllowSpurious]. (tsleep with PINTERLOCKED)
func (td *Thread) Sleep(until time.Duration) error {
	if !td.armed {
		panic("machine: Sleep without Interlock")
	}
	wc := td.wchan.Load()
	if td.NoSleep {
		panic("machine: " + td.Name + " must not sleep, on " + wc.Name)
	}
	td.Stats.Sleeps++
	td.left = td.on
	switch {
	case td.nheld == 0 && td.on == nil:
		return td.park(wc, until)
	case td.nheld == 0: // drop and retake of one CPU, or of one token
		c := td.on
		td.release()
		err := td.park(wc, until)
		c.acquire(td)
		return err
	case td.nheld == 1 && td.on == nil:
		t := td.held[0]
		td.nheld = 0
		t.unlock(td)
		err := td.park(wc, until)
		t.lock(td)
		td.held[0], td.nheld = t, 1
		return err
	}
	var l lost
	td.drop(&l)
	err := td.park(wc, until)
	td.retake(&l)
	return err
}

func (td *Thread) park(wc *WaitChan, until time.Duration) error {
	if td.stops != nil {
		td.stops.step(td, PointSleep, wc)
	}
	woken := true
	switch {
	case td.vm != nil && td.vm.spurious(td):
		wc.cancel(td)
		td.armed = false
		return nil
	case td.vm != nil:
		woken = td.vm.park(td, until)
	case td.m.idle != nil:
		woken = td.parkIdle(until)
	case until == Forever:
		td.m.rest()
		<-td.sema
	default:
		woken = td.parkTimed(until)
	}
	if !woken && !wc.cancel(td) {
		td.awaken()
		woken = true
	}
	td.armed = false
	if woken {
		return nil
	}
	return ErrTimeout
}

// brief is how long a thread looks whether it has been woken rather than ask for
// a timer: those of Go are late by up to a millisecond when nobody else runs.
const brief = 20 * time.Microsecond

// parkTimed counts as live while it sleeps, since its timeout will wake it: so
// it takes back what its waker adds.
func (td *Thread) parkTimed(until time.Duration) (woken bool) {
	d := until - td.Now()
	for ; d <= brief; d = until - td.Now() {
		select {
		case <-td.sema:
			td.m.live.Add(-awake)
			return true
		default:
		}
		if d <= 0 {
			return false
		}
		runtime.Gosched()
	}
	if td.timer == nil {
		td.timer = time.NewTimer(d)
	} else {
		td.timer.Reset(d)
	}
	select {
	case <-td.sema:
		td.timer.Stop()
		td.m.live.Add(-awake)
		return true
	case <-td.timer.C:
		return false
	}
}

// Wakeup wakes every thread that sleeps on wc or has interlocked it, in the
// order in which they came. It never blocks. (wakeup)
func (td *Thread) Wakeup(wc *WaitChan) { td.wake(wc, 1<<31-1) }

// WakeupOne wakes the thread that has been on wc longest. (wakeup_one)
func (td *Thread) WakeupOne(wc *WaitChan) { td.wake(wc, 1) }

func (td *Thread) wake(wc *WaitChan, most int) {
	if td.stops != nil {
		td.stops.step(td, PointWakeup, wc)
	}
	wc.mu.Lock()
	first := wc.first
	if first == nil {
		wc.mu.Unlock()
		return
	}
	if td.vm != nil {
		td.vm.touch(wc, Writes)
	}
	n := 0
	for t := first; t != nil && n < most; t = t.next {
		t.queued = false
		n++
	}
	// Cut the woken ones off as a chain; their links are td's from here on.
	rest := first
	for range n {
		rest = rest.next
	}
	wc.first = rest
	if rest == nil {
		wc.last = nil
	} else {
		rest.prev = nil
	}
	wc.mu.Unlock()

	for t := first; n > 0; n-- {
		next := t.next
		t.next, t.prev = nil, nil
		td.setRunnable(t)
		t = next
	}
}

// setRunnable lets t run, which has been taken off the wait channel that it was on.
func (td *Thread) setRunnable(t *Thread) {
	td.m.count(awake)
	td.Stats.Wakeups++
	if td.vm != nil {
		td.vm.unpark(td, t)
		return
	}
	t.sema <- struct{}{}
	if s := t.idling.Load(); s != nil && t != td { // td itself: in its own handler
		s.src.Kick()
	}
}
