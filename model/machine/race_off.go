//go:build !race

package machine

import "unsafe"

const raceEnabled = false

func raceRelease(unsafe.Pointer) {}

func raceAcquire(unsafe.Pointer) {}

func (m *Machine) hide() {}

func (m *Machine) show() {}
