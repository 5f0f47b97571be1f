package machine

import (
	"testing"
	"time"
)

// A thread that is told to see to something does so, wherever it is on its way to sleep;
// who does not ask between interlock and sleep sleeps on now and then.
func TestSignaled(t *testing.T) {
	told := func(asks bool) func(m *Machine) func() error {
		return func(m *Machine) func() error {
			var word Uint32
			wcs := [2]WaitChan{{Name: "a"}, {Name: "b"}}
			var mu Mutex
			var waits *Thread // guarded by mu
			m.Go("waits", 0, func(td *Thread) {
				td.Catch(&word)
				mu.Lock(td)
				waits = td
				mu.Unlock(td)
				for i := 0; ; i++ {
					if !asks && td.Signaled() {
						return
					}
					td.Interlock(&wcs[i%2])
					if asks && td.Signaled() {
						td.Uninterlock()
						return
					}
					td.Sleep(Forever)
				}
			})
			m.Go("sends", 1, func(td *Thread) {
				td.Wakeup(&wcs[0]) // it may be on its way from the one to the other
				word.Store(td, 1)
				mu.Lock(td)
				to := waits
				mu.Unlock(td)
				if to != nil { // else it has not begun, and will ask first
					td.Unsleep(to)
				}
			})
			return nil
		}
	}
	none(t, explore(t, 500, 2, told(true)))
	if errs := explore(t, 500, 2, told(false)); len(errs) == 0 {
		t.Error("the control asks too early, and has never slept on")
	}
}

// Unsleep wakes one thread, whatever it sleeps on, and no other.
func TestUnsleep(t *testing.T) {
	m := Native(2)
	var wc [2]WaitChan
	var woken [2]Uint32
	tds := make(chan *Thread, 2)
	over := make(chan struct{})
	for i := range 2 {
		go func() {
			td := m.Attach("sleeps", i)
			tds <- td
			for n := 0; n < 100; n++ {
				td.Interlock(&wc[(i+n)%2])
				td.Sleep(Forever)
				woken[i].Add(td, 1)
			}
			td.Detach()
			over <- struct{}{}
		}()
	}
	a, b := <-tds, <-tds
	finish(t, func() {
		td := m.Attach("wakes", 0)
		defer td.Detach()
		for _, to := range []*Thread{a, b} {
			for ended := false; !ended; {
				td.Unsleep(to)
				td.Unsleep(td) // which is on nothing
				select {
				case <-over:
					ended = true
				case <-time.After(10 * time.Microsecond):
				}
			}
			if n, m := woken[0].Look(), woken[1].Look(); to == a && min(n, m) != 0 {
				t.Errorf("%d and %d wakeups, and only one thread was woken", n, m)
			}
		}
	})
	for i := range woken {
		if n := woken[i].Look(); n != 100 {
			t.Errorf("thread %d was woken %d times, want 100", i, n)
		}
	}
}
