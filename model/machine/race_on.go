//go:build race

package machine

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// raceRelease and raceAcquire tell the race detector of an order that it cannot
// see: what was done before the one, at some address, comes before what is done
// after the other, later and at the same.
func raceRelease(at unsafe.Pointer) { runtime.RaceReleaseMerge(at) }

func raceAcquire(at unsafe.Pointer) { runtime.RaceAcquire(at) }

// hide and show enclose what a virtual machine does for its own books: a word that
// all threads touch would put them all in order, and no race could be seen.
func (m *Machine) hide() {
	if m.vm != nil {
		runtime.RaceDisable()
	}
}

func (m *Machine) show() {
	if m.vm != nil {
		runtime.RaceEnable()
	}
}
