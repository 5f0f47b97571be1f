package machine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// TestWakeupIsNotLost: between Interlock and Sleep.
func TestWakeupIsNotLost(t *testing.T) {
	for _, one := range []bool{false, true} {
		m := Native(1)
		a, b := m.Attach("a", 0), m.Attach("b", 0)
		var wc WaitChan
		a.Interlock(&wc)
		if one {
			b.WakeupOne(&wc)
		} else {
			b.Wakeup(&wc)
		}
		finish(t, func() {
			if err := a.Sleep(Forever); err != nil {
				t.Errorf("Sleep returns %v, want nil", err)
			}
		})
		a.Interlock(&wc)
		if err := a.Sleep(a.Now() + time.Millisecond); err != ErrTimeout {
			t.Errorf("one wakeup ended a second sleep too: %v", err)
		}
		if n := m.live.Load(); n != 2 {
			t.Errorf("%d threads live, want 2", n)
		}
		if b.Stats.Wakeups != 1 || a.Stats.Sleeps != 2 {
			t.Errorf("counted %d wakeups and %d sleeps, want 1 and 2", b.Stats.Wakeups, a.Stats.Sleeps)
		}
	}
}

// TestInterlockInDomain: the protocol that the kernel relies on, over and over.
// A wakeup that is lost is a hang.
func TestInterlockInDomain(t *testing.T) {
	m := Native(2)
	var x Token
	var put, taken WaitChan
	full := false // guarded by x
	n := 0
	for i := range 2 {
		m.Go(fmt.Sprint("producer", i), i, func(td *Thread) {
			for range rounds(5000) {
				td.Get(&x)
				for full {
					td.Interlock(&taken)
					td.Sleep(Forever)
				}
				full = true
				td.WakeupOne(&put)
				td.Put(&x)
			}
		})
		m.Go(fmt.Sprint("consumer", i), i, func(td *Thread) {
			for range rounds(5000) {
				td.Get(&x)
				for !full {
					td.Interlock(&put)
					td.Sleep(Forever)
				}
				full = false
				n++
				td.WakeupOne(&taken)
				td.Put(&x)
			}
		})
	}
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	})
	if want := 2 * rounds(5000); n != want {
		t.Errorf("consumed %d, want %d", n, want)
	}
}

func TestWakeupOrder(t *testing.T) {
	m := Native(1)
	var wc WaitChan
	var tds []*Thread
	for i := range 5 {
		td := m.Attach(fmt.Sprint(i), 0)
		td.Interlock(&wc)
		tds = append(tds, td)
	}
	tds[2].Uninterlock() // from the middle
	w := m.Attach("waker", 0)
	for _, want := range []int{0, 1, 3} {
		w.WakeupOne(&wc)
		for i, td := range tds {
			if woken := len(td.sema) == 1; woken != (i == want) {
				t.Errorf("after a WakeupOne that is %d's turn: %d woken is %v", want, i, woken)
			}
		}
		tds[want].Uninterlock()
	}
	w.Wakeup(&wc)
	tds[4].Uninterlock()
	if wc.first != nil || wc.last != nil || wc.count() != 0 {
		t.Error("the channel is not empty at the end")
	}
	if n := m.live.Load(); n != 6 {
		t.Errorf("%d threads live, want 6", n)
	}
}

func TestUninterlock(t *testing.T) {
	m := Native(1)
	a, b := m.Attach("a", 0), m.Attach("b", 0)
	var first, second WaitChan
	a.Uninterlock() // of nothing
	a.Interlock(&first)
	a.Uninterlock()
	b.Wakeup(&first)
	if b.Stats.Wakeups != 0 {
		t.Error("woke a thread that had taken its interlock back")
	}
	a.Interlock(&first)
	b.Wakeup(&first)
	a.Uninterlock() // consumes it
	a.Interlock(&first)
	a.Interlock(&second) // replaces it
	b.Wakeup(&first)
	if b.Stats.Wakeups != 1 {
		t.Error("woke a thread on a channel that a second Interlock had replaced")
	}
	if err := a.Sleep(0); err != ErrTimeout {
		t.Errorf("Sleep until a past instant returns %v, want ErrTimeout", err)
	}
	a.Interlock(&first)
	a.Detach()
	b.Wakeup(&first)
	if n := m.live.Load(); n != 1 {
		t.Errorf("%d threads live, want 1", n)
	}
}

// TestTimeoutsRaceWakeups: each wakeup that was counted ended one sleep, and
// each sleep that was not woken timed out.
func TestTimeoutsRaceWakeups(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d (the interleaving is the machine's own)", seed)
	m := Native(2)
	var wc WaitChan
	var woken, timedOut, sent atomic.Int64
	var left atomic.Int32
	left.Store(3)
	var fs []func()
	for i := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		fs = append(fs, attached(m, fmt.Sprint("s", i), i%2, func(td *Thread) {
			defer left.Add(-1)
			for range rounds(5000) {
				td.Interlock(&wc)
				if rng.IntN(2) == 0 {
					until(func() bool { return rng.IntN(8) == 0 })
				}
				switch err := td.Sleep(td.Now() + time.Duration(rng.IntN(3000))); err {
				case nil:
					woken.Add(1)
				case ErrTimeout:
					timedOut.Add(1)
				default:
					t.Error(err)
				}
			}
		}))
	}
	fs = append(fs, attached(m, "waker", 1, func(td *Thread) {
		rng := rand.New(rand.NewPCG(seed, 99))
		for left.Load() > 0 {
			if rng.IntN(4) == 0 {
				td.Wakeup(&wc)
			} else {
				td.WakeupOne(&wc)
			}
			until(func() bool { return rng.IntN(64) == 0 })
		}
		sent.Store(int64(td.Stats.Wakeups))
	}))
	finish(t, fs...)
	if sent.Load() != woken.Load() {
		t.Errorf("%d wakeups sent, %d sleeps woken, %d timed out", sent.Load(), woken.Load(), timedOut.Load())
	}
	if n := m.live.Load(); n != 0 {
		t.Errorf("%d threads live at the end, want 0", n)
	}
	if wc.count() != 0 || wc.first != nil {
		t.Error("somebody is left on the channel")
	}
	if woken.Load() == 0 || timedOut.Load() == 0 {
		t.Errorf("%d woken, %d timed out: they did not race", woken.Load(), timedOut.Load())
	}
}

func TestSleepIsForbidden(t *testing.T) {
	m := Native(1)
	td := m.Attach("a", 0)
	for name, f := range map[string]func(){
		"without Interlock": func() { td.Sleep(0) },
		"with NoSleep":      func() { td.NoSleep = true; td.Interlock(&WaitChan{}); td.Sleep(0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Sleep %s is let through", name)
				}
			}()
			f()
		}()
	}
}

// TestBriefSleep: a sleep of some microseconds takes some microseconds, although
// nobody else runs, and ends at once when it is woken.
func TestBriefSleep(t *testing.T) {
	const n = 200
	m := Native(2)
	var wc WaitChan
	td := m.Attach("a", 0)
	late := 0
	for range n {
		begun := td.Now()
		td.Interlock(&wc)
		if err := td.Sleep(begun + brief/4); err != ErrTimeout {
			t.Fatalf("%v, want a timeout", err)
		}
		slept := td.Now() - begun
		if slept < brief/4 {
			t.Fatalf("slept for %v, want %v at least", slept, brief/4)
		}
		if slept > 10*brief {
			late++
		}
		td.Interlock(&wc)
		td.Wakeup(&wc)
		if err := td.Sleep(td.Now() + brief); err != nil {
			t.Fatalf("woken before, but %v", err)
		}
	}
	if late > n/2 { // a busy computer is late now and then
		t.Errorf("of %d sleeps of %v %d took longer than %v", n, brief/4, late, 10*brief)
	}
	td.Detach()
	if live := m.live.Load(); live != 0 {
		t.Errorf("%d threads live, want none", live)
	}
}
