package machine

import "fmt"

// What a virtual machine leaves open besides who goes on.

// DrawPlacement has the scheduler of a virtual machine choose the CPU on which each
// object is placed: [Thread.Home] asks it. 0 stands for the CPU of the thread, so a
// scheduler that always chooses the first possibility places as ever. Else the objects
// that one thread makes share a CPU, and what goes wrong only between two goes
// unnoticed. It is called before there are threads, and panics on a native machine.
func (m *Machine) DrawPlacement() { m.virtual("DrawPlacement").draws = true }

// AllowSpurious has up to n sleeps of an execution end with no wakeup, when the
// scheduler of a virtual machine so chooses: 0 is to sleep on. In a kernel this
// happens when a wait channel is shared, or a signal comes; who sleeps must look
// again. There is a bound, since who looks again and finds nothing goes to sleep
// again: without one the machine would never come to rest, and no deadlock could be
// seen. While it is [Machine.Unscheduled] there are none. It is called before there are
// threads, and panics on a native machine, or if n is negative.
func (m *Machine) AllowSpurious(n int) {
	if n < 0 {
		panic(fmt.Sprintf("machine: AllowSpurious of %d wakeups, want at least 0", n))
	}
	v := m.virtual("AllowSpurious")
	v.allowed, v.freely = n, n
}

func (m *Machine) virtual(what string) *virtual {
	if m.vm == nil {
		panic("machine: " + what + " of a machine that is not virtual")
	}
	return m.vm
}

// place is what td.Home answers.
//
//go:norace
func (v *virtual) place(td *Thread) *CPU {
	if n := len(v.m.cpus); v.draws && n > 1 {
		return v.m.cpus[(td.home.id+v.choose(td, n))%n]
	}
	return td.home
}

// spurious reports whether td, about to be parked, is to wake up for no reason.
//
//go:norace
func (v *virtual) spurious(td *Thread) bool {
	if v.freely == 0 || v.idle || v.dying || td.virtual == nil || td.virtual.woken || v.choose(td, 2) == 0 {
		return false
	}
	v.freely--
	return true
}

// choose lets the scheduler choose a number below n. In a race build run asks it, as
// it does who goes on.
//
//go:norace
func (v *virtual) choose(td *Thread, n int) int {
	if !raceEnabled || td.virtual == nil {
		return v.ask(n)
	}
	v.asked, v.asker = n, td.virtual.co
	td.virtual.co.yield()
	return v.answer
}

// ask asks the scheduler for a number below n. What it has said of later decisions it
// may no longer mean then.
//
//go:norace
func (v *virtual) ask(n int) int {
	v.tell()
	v.lasts = 0
	return v.s.Choose(n)
}
