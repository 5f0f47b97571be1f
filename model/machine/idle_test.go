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
	cpu   int          // whose line it is, if there are several
	in    atomic.Int32 // threads in Wait
	waits atomic.Int64 // that have blocked there
}

func newWire(t *testing.T, m *Machine, f func(intr *Thread, word int)) *wire {
	w := looseWire(t, m, 0, f)
	m.SetInterrupts(w)
	return w
}

// looseWire is one that is not set yet.
func looseWire(t *testing.T, m *Machine, cpu int, f func(intr *Thread, word int)) *wire {
	return &wire{t: t, m: m, cpu: cpu, words: make(chan int, 1000), kicks: make(chan struct{}, 1), f: f}
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
	if line := w.m.line(w.m.cpus[w.cpu]); line.slot.TryLock() {
		w.t.Error("Wait is called by a thread that has not taken the slot")
		line.slot.Unlock()
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
	b.Poll(nil)
	if got != 12 {
		t.Errorf("handled %d after a Poll, want 12", got)
	}
	m.SetInterrupts(nil)
	if a.HasInterrupts() {
		t.Error("HasInterrupts says yes after they have been taken away")
	}
	w.words <- 5
	b.Poll(nil)
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
		td.Poll(nil)
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
		td.Poll(nil)
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
		td.Poll(nil) // the stand-in gives way, and comes back
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
					td.Poll(nil)
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

// TestLines: with a line for each CPU, who polls or sleeps on one has nothing to do
// with the interrupts of another.
func TestLines(t *testing.T) {
	m := Native(2)
	var wc WaitChan
	var got [2]atomic.Int32
	var w [2]*wire
	for i := range w {
		w[i] = looseWire(t, m, i, func(intr *Thread, word int) {
			got[i].Add(int32(word))
			intr.Wakeup(&wc)
		})
	}
	m.SetInterrupts(w[0], w[1])
	if m.Interrupts() != w[0] {
		t.Error("Interrupts is not the first")
	}
	a, b := m.Attach("a", 0), m.Attach("b", 1)
	w[0].words <- 1
	w[1].words <- 2
	a.Poll(m.CPU(1))
	if g0, g1 := got[0].Load(), got[1].Load(); g0 != 0 || g1 != 2 {
		t.Errorf("a poll of CPU 1 has handled %d on CPU 0 and %d there, want 0 and 2", g0, g1)
	}
	a.Poll(nil)
	if g0 := got[0].Load(); g0 != 1 {
		t.Errorf("a poll of all has handled %d on CPU 0, want 1", g0)
	}
	finish(t, func() {
		b.Migrate(m.CPU(1))
		b.Interlock(&wc)
		if err := b.Sleep(Forever); err != nil {
			t.Error(err)
		}
		b.Leave()
	}, func() {
		until(func() bool { return w[1].waits.Load() == 1 })
		if n := w[0].waits.Load(); n != 0 {
			t.Errorf("who sleeps on CPU 1 waits for the interrupts of CPU 0, %d times", n)
		}
		a.Poll(m.CPU(0)) // kicks nobody
		if n := len(w[1].kicks); n != 0 {
			t.Error("a poll of CPU 0 has kicked who sleeps on CPU 1")
		}
		w[1].words <- 4
	})
	if g := got[1].Load(); g != 6 {
		t.Errorf("handled %d on CPU 1, want 6", g)
	}

	// Interests that lie on other CPUs: the interrupts are taken though nobody
	// sleeps there, and by who polls elsewhere.
	waits := w[1].waits.Load()
	m.CPU(1).Foreign(2)
	until(func() bool { return w[1].waits.Load() > waits })
	w[1].words <- 8
	until(func() bool { return got[1].Load() == 14 })
	m.CPU(1).Foreign(-1)
	w[1].words <- 1
	a.Poll(m.CPU(0))
	if g := got[1].Load(); g != 15 {
		t.Errorf("a poll of CPU 0 leaves what CPU 1 has and it needs: handled %d, want 15", g)
	}
	m.CPU(1).Foreign(-1)
	a.Poll(m.CPU(1)) // ends the wait of the stand-in, if it is back already
	w[1].words <- 16
	a.Poll(m.CPU(0))
	if g := got[1].Load(); g != 15 {
		t.Errorf("a poll of CPU 0 takes what nobody there needs: handled %d, want 15", g)
	}
	m.CPU(1).Foreign(1) // and left so: the lines end all the same
	m.SetInterrupts()
	if a.HasInterrupts() {
		t.Error("HasInterrupts says yes after they have been taken away")
	}
	m.CPU(1).Foreign(-1)
	a.Detach()
	b.Detach()
}

func TestWrongNumberOfLines(t *testing.T) {
	m := Native(3)
	defer func() {
		if v := recover(); v != "machine: 2 sources of interrupts for 3 CPUs, want 1, or 1 for each" {
			t.Errorf("%v", v)
		}
	}()
	m.SetInterrupts(looseWire(t, m, 0, nil), looseWire(t, m, 1, nil))
}
