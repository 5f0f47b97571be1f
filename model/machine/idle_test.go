package machine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// wire is a source of interrupts made of channels: each word that arrives is
// one interrupt.
type wire struct {
	t     *testing.T
	m     *Machine
	words chan int
	kicks chan struct{}
	f     func(intr *Thread, word int)
	in    atomic.Int32 // threads in Wait
	waits atomic.Int64 // that have blocked there
}

func newWire(t *testing.T, m *Machine, f func(intr *Thread, word int)) *wire {
	w := &wire{t: t, m: m, words: make(chan int, 1000), kicks: make(chan struct{}, 1), f: f}
	m.SetInterrupts(w)
	return w
}

func (w *wire) Kick() { notify(w.kicks) }

func (w *wire) Wait(intr *Thread, until time.Duration) {
	if w.in.Add(1) != 1 {
		w.t.Error("two threads in Wait at once")
	}
	defer w.in.Add(-1)
	d := until - intr.Now()
	if intr.nheld != 0 || d > 0 && intr.On() != nil {
		w.t.Error("Wait is called with a token held, or waits with a CPU held")
	}
	if w.m.idle.slot.TryLock() {
		w.t.Error("Wait is called by a thread that has not taken the slot")
		w.m.idle.slot.Unlock()
	}
	if !intr.NoSleep {
		w.t.Error("a handler may sleep")
	}
	for handled := false; ; handled = true {
		select {
		case word := <-w.words:
			w.f(intr, word)
			continue
		default:
		}
		if handled || d <= 0 {
			return
		}
		break
	}
	w.waits.Add(1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case word := <-w.words:
		w.f(intr, word)
	case <-w.kicks:
	case <-timer.C:
	}
}

// TestSleeperTakesInterrupts: who sleeps waits for interrupts itself, is woken
// by the one it handles, by another thread, and by its timeout.
func TestSleeperTakesInterrupts(t *testing.T) {
	m := Native(2)
	var wc WaitChan
	got := 0
	w := newWire(t, m, func(intr *Thread, word int) {
		got += word
		intr.Wakeup(&wc)
	})
	a, b := m.Attach("a", 0), m.Attach("b", 1)
	if !a.HasInterrupts() {
		t.Error("HasInterrupts says no")
	}
	live := m.live.Load()
	finish(t, func() {
		a.Interlock(&wc)
		if err := a.Sleep(Forever); err != nil || got != 7 {
			t.Errorf("woken by an interrupt: %v, handled %d, want 7", err, got)
		}
		a.Interlock(&wc)
		if err := a.Sleep(Forever); err != nil {
			t.Errorf("woken by another: %v", err)
		}
		a.Interlock(&wc)
		if err := a.Sleep(a.Now() + time.Millisecond); err != ErrTimeout {
			t.Errorf("woken by nobody: %v, want ErrTimeout", err)
		}
	}, func() {
		until(func() bool { return w.waits.Load() == 1 })
		w.words <- 7
		until(func() bool { return w.waits.Load() == 2 && wc.count() == 1 })
		b.Wakeup(&wc)
	})
	if n := m.live.Load(); n != live {
		t.Errorf("%d live, want %d", n, live)
	}
	w.words <- 5
	b.Poll()
	if got != 12 {
		t.Errorf("handled %d after a Poll, want 12", got)
	}
	m.SetInterrupts(nil)
	if a.HasInterrupts() {
		t.Error("HasInterrupts says yes after they have been taken away")
	}
	w.words <- 5
	b.Poll()
	if got != 12 {
		t.Error("Poll handles an interrupt of a source that was taken away")
	}
	b.Detach()
	a.Detach()
	if n := m.live.Load(); n != 0 {
		t.Errorf("%d live at the end, want 0", n)
	}
}

// TestPollOnCPU: the handler may want the very CPU that the poller stays on,
// also when another thread has the slot.
func TestPollOnCPU(t *testing.T) {
	m := Native(1)
	got := 0
	w := newWire(t, m, func(intr *Thread, word int) {
		intr.Migrate(m.CPU(0))
		got += word
		intr.Leave()
	})
	m.Go("a", 0, func(td *Thread) {
		td.Migrate(m.CPU(0))
		td.Leave() // and stays
		w.words <- 1
		td.Poll()
		if got != 1 {
			t.Errorf("handled %d, want 1", got)
		}
		td.Migrate(m.CPU(0))
		td.Leave()
		other := m.Attach("other", 0)
		m.idle.slot.Lock()
		go func() {
			until(func() bool { return m.idle.wanted.Load() == 1 })
			w.f(other, 1) // as a handler of the one who has the slot
			m.idle.slot.Unlock()
		}()
		td.Poll()
		if got != 2 {
			t.Errorf("handled %d, want 2", got)
		}
		other.Detach()
	})
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	})
}

// TestStandIn: when the thread in Wait goes off to do something else while
// another sleeps, the stand-in takes its place, and leaves it to who sleeps
// next or polls.
func TestStandIn(t *testing.T) {
	m := Native(2)
	var first, second WaitChan
	w := newWire(t, m, func(intr *Thread, word int) {
		if word == 1 {
			intr.Wakeup(&first)
		} else {
			intr.Wakeup(&second)
		}
	})
	s := m.idle
	finish(t, attached(m, "first", 0, func(td *Thread) {
		td.Interlock(&first)
		td.Sleep(Forever) // in Wait
		// It is off now, in user code, while the other sleeps.
		until(s.spare.Load)
		until(func() bool { return w.in.Load() == 1 })
		td.Poll() // the stand-in gives way, and comes back
		until(func() bool { return s.spare.Load() && w.in.Load() == 1 })
		td.Interlock(&first)
		w.words <- 2 // handled by the stand-in: nobody else is there
		td.Sleep(td.Now() + time.Millisecond)
		if s.spare.Load() {
			t.Error("the stand-in does not give way to a sleeper")
		}
	}), attached(m, "second", 1, func(td *Thread) {
		until(func() bool { return w.in.Load() == 1 })
		td.Interlock(&second)
		go func() {
			until(func() bool { return s.asleep.Load() == 1 })
			w.words <- 1
		}()
		if err := td.Sleep(Forever); err != nil {
			t.Error(err)
		}
	}))
	m.SetInterrupts(nil)
}

// TestInterruptsStress: sleepers, pollers, wakers and interrupts at random. No
// wakeup is lost, or somebody hangs; never are two in Wait.
func TestInterruptsStress(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d (the interleaving is the machine's own)", seed)
	m := Native(2)
	const threads = 3
	var x Token
	var wcs [threads]WaitChan
	var box [threads]int // guarded by x
	give := func(td *Thread, i int) {
		td.Get(&x)
		box[i]++
		td.Wakeup(&wcs[i])
		td.Put(&x)
	}
	w := newWire(t, m, func(intr *Thread, word int) { give(intr, word) })
	each := rounds(3000)
	var fs []func()
	for i := range threads {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		fs = append(fs, attached(m, fmt.Sprint(i), i%2, func(td *Thread) {
			n := 0
			for j := range each {
				next := (i + 1) % threads
				if rng.IntN(2) == 0 {
					w.words <- next
				} else {
					give(td, next)
				}
				if rng.IntN(4) == 0 {
					td.Poll()
				}
				td.Get(&x)
				// The one before sends its next word before it waits, too.
				for n += box[i]; n <= j; n += box[i] {
					box[i] = 0
					td.Interlock(&wcs[i])
					end := Forever
					if rng.IntN(4) == 0 {
						end = td.Now() + time.Duration(rng.IntN(20000))
					}
					td.Sleep(end)
				}
				box[i] = 0
				td.Put(&x)
			}
		}))
	}
	finish(t, fs...)
	m.SetInterrupts(nil)
	if n := m.live.Load(); n != 0 {
		t.Errorf("%d live at the end, want 0", n)
	}
}
