package machine

import (
	"testing"
	"time"
)

// What a thread or an interrupt of a virtual machine panics with comes out of Run,
// and the rest can be abandoned: nobody waits for who is lost, and whoever was in
// the midst of something unwinds.
func TestVirtualPanic(t *testing.T) {
	for name, program := range map[string]func(m *Machine){
		"thread": func(m *Machine) {
			m.Go("panics", 0, func(*Thread) { panic("broken") })
		},
		"callout": func(m *Machine) {
			c := m.NewCallout("panics", m.CPU(0), func(*Thread) { panic("broken") })
			m.Go("arms", 0, func(td *Thread) { c.Reset(td, time.Microsecond) })
		},
	} {
		for seed := range uint64(50) {
			m := NewVirtual(2, seed)
			began, unwound, left := false, false, false
			program(m)
			m.Go("sleeps", 1, func(td *Thread) {
				began = true
				defer func() { unwound = true }()
				td.Interlock(&WaitChan{Name: "never"})
				td.Sleep(Forever)
				left = true
			})
			got := func() (e any) {
				defer func() { e = recover() }()
				m.Run()
				return nil
			}()
			if got != "broken" {
				t.Fatalf("%s, seed %d: Run panicked with %v, want what was panicked with", name, seed, got)
			}
			m.Abandon()
			if left || began != unwound {
				t.Fatalf("%s, seed %d: the sleeper began: %t, went on: %t, unwound: %t", name, seed, began, left, unwound)
			}
		}
	}
}
