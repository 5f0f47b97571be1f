package machine

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// drain waits until c is not running, as its doc says.
func drain(td *Thread, c *Callout) {
	for c.Running(td) {
		td.Interlock(&c.Ended)
		if c.Running(td) {
			td.Sleep(Forever)
		}
		td.Uninterlock()
	}
}

func TestCalloutRunsOnce(t *testing.T) {
	m := Native(2)
	td := m.Attach("a", 0)
	var wc WaitChan
	ran := 0 // guarded by CPU 1
	c := m.NewCallout("c", m.CPU(1), func(co *Thread) {
		if !co.NoSleep || co.Home() != m.CPU(1) || co == td {
			t.Error("runs on a thread that may sleep, or is not its own")
		}
		co.Migrate(co.Home())
		ran++
		co.Wakeup(&wc)
		co.Leave()
	})
	look := func() int {
		td.Migrate(m.CPU(1))
		defer td.Leave()
		return ran
	}
	if c.Stop(td) {
		t.Error("Stop says that it was armed")
	}
	c.Reset(td, Forever)
	if !c.Stop(td) {
		t.Error("Stop says that it was not armed")
	}
	td.Interlock(&wc)
	c.Reset(td, td.Now()+time.Millisecond)
	finish(t, func() { td.Sleep(Forever) })
	if c.Stop(td) {
		t.Error("Stop says that it is armed after it ran")
	}
	finish(t, func() { drain(td, c) })
	if n := look(); n != 1 {
		t.Errorf("ran %d times, want 1", n)
	}
	until(func() bool { return m.live.Load() == 1 })
}

// TestCalloutEnd: a thread that stops it and waits as Running says touches
// nothing that the function still uses.
func TestCalloutEnd(t *testing.T) {
	m := Native(2)
	var begun atomic.Bool
	var x Token
	td := m.Attach("a", 0)
	ended := false // written by the function, read after its end
	c := m.NewCallout("c", m.CPU(1), func(co *Thread) {
		begun.Store(true)
		co.Get(&x)
		ended = true
		co.Put(&x)
	})
	for range rounds(2000) {
		begun.Store(false)
		ended = false
		td.Get(&x)
		c.Reset(td, 0)
		until(begun.Load)
		if !c.Running(td) {
			t.Error("Running says no, and the function waits for a token")
		}
		finish(t, func() { drain(td, c) }) // its sleep lets go of x
		if !ended {
			t.Fatal("the function goes on after Running has said no")
		}
		td.Put(&x)
	}
}

// TestCalloutRearms: from inside, for an instant that has come already. The
// next run must not begin on a thread that the last one is using.
func TestCalloutRearms(t *testing.T) {
	m := Native(2)
	var wc WaitChan
	n := 0
	want := rounds(2000)
	var c *Callout
	c = m.NewCallout("c", m.CPU(0), func(co *Thread) {
		n++
		co.Stats.Events++
		if n < want {
			c.Reset(co, 0)
		} else {
			co.Wakeup(&wc)
		}
	})
	td := m.Attach("a", 0)
	listener := m.Attach("listener", 1)
	listener.Interlock(&c.Ended)
	td.Interlock(&wc)
	c.Reset(td, 0)
	finish(t, func() { td.Sleep(Forever) }, func() { listener.Sleep(Forever) })
	finish(t, func() { drain(td, c) })
	if n != want {
		t.Errorf("ran %d times, want %d", n, want)
	}
	until(func() bool { return m.live.Load() == 2 })
	if got := m.Stats().Events; got != uint64(want) {
		t.Errorf("its threads counted %d events, want %d", got, want)
	}
}

// TestCalloutRunsDoNotOverlap: while the end of one run is being told, on the
// callout's thread, the next does not begin on that thread.
func TestCalloutRunsDoNotOverlap(t *testing.T) {
	m := Native(2)
	var n atomic.Int32
	var c *Callout
	c = m.NewCallout("c", m.CPU(0), func(co *Thread) {
		if n.Add(1) == 1 {
			c.Reset(co, 0)
		}
	})
	td, listener := m.Attach("a", 0), m.Attach("listener", 1)
	listener.Interlock(&c.Ended)
	c.Ended.mu.Lock() // the telling cannot go on
	c.Reset(td, 0)
	finish(t, func() { until(func() bool { return n.Load() == 1 && !c.Running(td) }) })
	time.Sleep(5 * time.Millisecond) // for a second run, if it can begin
	if n.Load() != 1 {
		t.Error("the second run has begun before the first is over")
	}
	c.Ended.mu.Unlock()
	finish(t, func() { listener.Sleep(Forever) }, func() { until(func() bool { return n.Load() == 2 }) })
}

// TestCalloutStopRacesExpiry: each arming runs, or is stopped, or replaced.
func TestCalloutStopRacesExpiry(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d (the interleaving is the machine's own)", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := Native(2)
	td := m.Attach("a", 0)
	var ran atomic.Int64
	c := m.NewCallout("c", m.CPU(1), func(*Thread) { ran.Add(1) })
	stopped, n := int64(0), int64(rounds(10000))
	for i := range n {
		c.Reset(td, td.Now()+time.Duration(rng.IntN(3000)))
		// A busy computer begins a callout late: wait up to 64 times as long in the end.
		for end := td.Now() + time.Duration(rng.IntN(6000<<(6*i/n))); td.Now() < end; {
		}
		if c.Stop(td) {
			stopped++
		}
	}
	finish(t, func() { drain(td, c) })
	if ran.Load()+stopped != n {
		t.Errorf("%d armings: %d ran, %d stopped", n, ran.Load(), stopped)
	}
	if ran.Load() == 0 || stopped == 0 {
		t.Errorf("%d ran, %d stopped: they did not race", ran.Load(), stopped)
	}
	until(func() bool { return m.live.Load() == 1 })
}

// TestCalloutResetsRace: of two threads that arm it at once one wins; nothing
// is left of the other, or Run would wait for it for ever.
func TestCalloutResetsRace(t *testing.T) {
	m := Native(2)
	c := m.NewCallout("c", m.CPU(1), func(*Thread) {})
	td := m.Attach("z", 0)
	arm := func(td *Thread) {
		for range rounds(100000) {
			c.Reset(td, Forever)
		}
	}
	finish(t, attached(m, "a", 0, arm), attached(m, "b", 1, arm))
	if !c.Stop(td) {
		t.Error("not armed after all")
	}
	if n := m.live.Load(); n != 1 {
		t.Errorf("%d armings and threads live, want 1", n)
	}
}

// A callout does not begin on a CPU in the midst of a critical section there, and
// does in the midst of one elsewhere.
func TestCriticalHoldsOffCallouts(t *testing.T) {
	began := map[int]int{} // by the CPU of the section, runs in its midst
	for cpu := range 2 {
		for seed := range uint64(200) {
			m := NewVirtual(2, seed)
			var inside Uint32
			c := m.NewCallout("c", m.CPU(0), func(co *Thread) {
				if inside.Load(co) == 1 {
					began[cpu]++
				}
			})
			m.Go("a", cpu, func(td *Thread) {
				c.Reset(td, time.Microsecond)
				td.EnterCritical()
				inside.Store(td, 1)
				for range 10 {
					inside.Load(td)
				}
				inside.Store(td, 0)
				td.ExitCritical()
			})
			if err := m.Run(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	if began[0] > 0 || began[1] == 0 {
		t.Errorf("%d runs in the midst of a section on the callout's CPU, and %d of one on another; want 0, and some", began[0], began[1])
	}
}
