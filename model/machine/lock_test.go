package machine

import (
	"fmt"
	"sync/atomic"
	"testing"
)

func TestMutexExcludes(t *testing.T) {
	m := Native(2)
	var mu Mutex
	n := 0
	var fs []func()
	for i := range 4 {
		fs = append(fs, attached(m, fmt.Sprint("t", i), i%2, func(td *Thread) {
			for j := range rounds(20000) {
				if i == 0 && j%2 == 0 {
					until(func() bool { return mu.TryLock(td) })
				} else {
					mu.Lock(td)
				}
				n++
				mu.Unlock(td)
			}
		}))
	}
	finish(t, fs...)
	if want := 4 * rounds(20000); n != want {
		t.Errorf("counted %d under the mutex, want %d", n, want)
	}
}

// TestMutexIsKept: unlike a token, across a block.
func TestMutexIsKept(t *testing.T) {
	m := Native(1)
	var mu Mutex
	var wc WaitChan
	a, b := m.Attach("a", 0), m.Attach("b", 0)
	if !mu.TryLock(a) {
		t.Fatal("TryLock of a free mutex fails")
	}
	a.Interlock(&wc)
	finish(t, func() { a.Sleep(Forever) }, func() {
		until(func() bool { return m.live.Load() == 1 })
		if mu.TryLock(b) {
			t.Error("TryLock takes the mutex of a sleeper")
		}
		b.Wakeup(&wc)
	})
	mu.Unlock(a)
	if !mu.TryLock(b) {
		t.Error("TryLock fails after Unlock")
	}
}

func TestUint32(t *testing.T) {
	m := Native(2)
	var u Uint32
	td := m.Attach("a", 0)
	u.Store(td, 7)
	if u.Load(td) != 7 || u.CompareAndSwap(td, 8, 9) || !u.CompareAndSwap(td, 7, 3) || u.Add(td, ^uint32(0)) != 2 {
		t.Errorf("Store 7, CompareAndSwap 8 to 9, 7 to 3, Add -1: now %d, want 2", u.Load(td))
	}
	u.Store(td, 0)
	var fs []func()
	var added, met atomic.Uint32
	for i := range 4 {
		fs = append(fs, attached(m, fmt.Sprint("t", i), i%2, func(td *Thread) {
			// Until they have come between each other often enough.
			n := 0
			for ; n < 3_000_000 && met.Load() < 300; n++ {
				u.Add(td, 1)
				for {
					old := u.Load(td)
					if u.CompareAndSwap(td, old, old+1) {
						break
					}
					met.Add(1)
				}
			}
			added.Add(uint32(2 * n))
		}))
	}
	finish(t, fs...)
	if u.Load(td) != added.Load() {
		t.Errorf("counted %d, want %d", u.Load(td), added.Load())
	}
}
