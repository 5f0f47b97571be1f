package machine

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// endless starts a thread that waits for n ticks of a callout that always arms
// itself again, calls then, and sleeps on for ever.
func endless(m *Machine, n int, period time.Duration, then func(td *Thread, c *Callout)) (ticks *atomic.Int64) {
	var x Token
	tick, never := &WaitChan{Name: "tick"}, &WaitChan{Name: "never"}
	ticks = new(atomic.Int64)
	var c *Callout
	c = m.NewCallout("c", m.CPU(1), func(co *Thread) {
		co.Get(&x)
		ticks.Add(1)
		co.Wakeup(tick)
		co.Put(&x)
		c.Reset(co, co.Now()+period)
	})
	m.Go("waiter", 0, func(td *Thread) {
		td.Get(&x)
		for c.Reset(td, td.Now()+period); ticks.Load() < int64(n); {
			td.Interlock(tick)
			td.Sleep(Forever)
		}
		td.Put(&x)
		then(td, c)
		td.Interlock(never)
		td.Sleep(Forever)
	})
	return ticks
}

// TestStopCallouts: without it a machine with such a callout does not come to
// rest; with it it does, and nothing begins any more.
func TestStopCallouts(t *testing.T) {
	for range rounds(30) {
		m := Native(2)
		var counted atomic.Int64
		ticks := endless(m, 3, 0, func(*Thread, *Callout) { counted.Store(1) })
		over := make(chan error)
		go func() { over <- m.Run() }()
		until(func() bool { return counted.Load() == 1 })
		for n := ticks.Load(); ticks.Load() < n+3; { // the thread is asleep, or nearly
			select {
			case err := <-over:
				t.Fatalf("Run returned %v while there is a callout", err)
			default:
				runtime.Gosched()
			}
		}
		m.StopCallouts()
		finish(t, func() {
			err := <-over
			var d *DeadlockError
			if !errors.As(err, &d) || len(d.Sleepers) != 1 || d.Sleepers[0] != (Sleeper{"waiter", "never"}) {
				t.Errorf("Run: %v, want that waiter sleeps", err)
			}
		})
		n := ticks.Load()
		time.Sleep(100 * time.Microsecond)
		if now := ticks.Load(); now != n {
			t.Fatalf("%d ticks when the machine was at rest, and then %d", n, now)
		}
	}
}

// TestStopCalloutsKeepsTheBooks: a callout that is armed, or is armed later, can
// be stopped, and does not run.
func TestStopCalloutsKeepsTheBooks(t *testing.T) {
	m := Native(2)
	td := m.Attach("a", 0)
	run := func(*Thread) { t.Error("a callout has begun") }
	before, after := m.NewCallout("before", m.CPU(1), run), m.NewCallout("after", m.CPU(1), run)
	before.Reset(td, td.Now()+time.Millisecond)
	m.StopCallouts()
	after.Reset(td, 0)
	td.Interlock(&after.Ended)
	if err := td.Sleep(td.Now() + 3*time.Millisecond); err != ErrTimeout {
		t.Errorf("%v, want a timeout: the timeouts of sleepers go on", err)
	}
	for _, c := range []*Callout{before, after} {
		if c.Running(td) || !c.Stop(td) || c.Stop(td) {
			t.Errorf("%s: running, or not armed, or still armed", c.td.Name)
		}
	}
	td.Detach()
	if live := m.live.Load(); live != stopped {
		t.Errorf("live is %#x when all have gone", live)
	}
}

// TestStopCalloutsRacesExpiry: what has begun when it returns ends, and is seen
// to; nothing begins after it.
func TestStopCalloutsRacesExpiry(t *testing.T) {
	begun, refused := 0, 0
	lead := time.Duration(0) // of the expiry: longer where timers come late, so that both win
	for range rounds(1500) {
		m := Native(1)
		td := m.Attach("a", 0)
		var over atomic.Bool
		late := false // written by the function, read after its end
		ran := false
		c := m.NewCallout("c", m.CPU(0), func(*Thread) {
			ran = true
			late = over.Load()
		})
		c.Reset(td, td.Now())
		for end := td.Now() + lead; td.Now() < end; {
		}
		m.StopCallouts()
		running := c.Running(td) // or has ended: nothing begins from here on
		if !running {
			over.Store(true)
		}
		finish(t, func() { drain(td, c) })
		if late {
			t.Fatal("it began after StopCallouts had returned")
		}
		if ran {
			begun++
			lead -= lead / 4
		} else {
			refused++
			lead += lead/4 + 500
		}
		if c.Stop(td) == ran {
			t.Fatalf("ran: %t, and armed as well, or neither", ran)
		}
		td.Detach()
	}
	if begun == 0 || refused == 0 {
		t.Errorf("%d ran, %d were stopped: they did not race", begun, refused)
	}
}

// TestVirtualStopCallouts: a virtual machine comes to rest in the same way.
func TestVirtualStopCallouts(t *testing.T) {
	for seed := range uint64(seeds(200)) {
		m := NewVirtual(2, seed)
		ticks := endless(m, 3, 2, func(td *Thread, c *Callout) { m.StopCallouts() })
		err := m.Run()
		var d *DeadlockError
		if !errors.As(err, &d) || len(d.Sleepers) != 1 || d.Sleepers[0] != (Sleeper{"waiter", "never"}) {
			t.Errorf("seed %d: Run: %v, want that waiter sleeps; %d ticks", seed, err, ticks.Load())
		}
		m.Abandon()
	}
	m := NewVirtual(2, 1) // the control: it would tick until the limit
	endless(m, 3, 2, func(*Thread, *Callout) {})
	if err, d := m.Run(), new(DeadlockError); err == nil || errors.As(err, &d) {
		t.Errorf("without it: %v, want no end", err)
	}
	m.Abandon()
}
