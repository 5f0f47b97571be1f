package machine

import "sync/atomic"

// A Uint32 is an atomic word, sequentially consistent. The zero value is 0.
type Uint32 struct{ v atomic.Uint32 }

// Load returns the value.
func (u *Uint32) Load(td *Thread) uint32 {
	if td.stops != nil {
		td.stops.step(td, PointLoad, u)
	}
	return u.v.Load()
}

// Store sets the value.
func (u *Uint32) Store(td *Thread, x uint32) {
	if td.stops != nil {
		td.stops.step(td, PointStore, u)
	}
	u.v.Store(x)
}

// CompareAndSwap sets the value to x if it is old, and reports whether it was.
func (u *Uint32) CompareAndSwap(td *Thread, old, x uint32) bool {
	if td.stops != nil {
		td.stops.step(td, PointCompareAndSwap, u)
		swapped := u.v.CompareAndSwap(old, x)
		td.touched(u, swapped)
		return swapped
	}
	return u.v.CompareAndSwap(old, x)
}

// Add adds delta, which may wrap, and returns the new value.
func (u *Uint32) Add(td *Thread, delta uint32) uint32 {
	if td.stops != nil {
		td.stops.step(td, PointAdd, u)
	}
	return u.v.Add(delta)
}
