package kqueue

import (
	"time"

	"github.com/kqlab/kqlab/model/machine"
)

// A Strategy says which objects share a domain. The core asks it once for each
// object that is made. Both methods are called in no domain, and may be called
// by several threads at once.
type Strategy interface {
	// Source returns the place of a new event source.
	Source(td *machine.Thread) *Place
	// Queue returns the place of a new queue.
	Queue(td *machine.Thread) *Place
}

// A Resetter is a Strategy that can be used for one execution of a virtual machine
// after another, which saves the making of it. One that is none is made anew.
type Resetter interface {
	Strategy
	// Reset makes the strategy as it was when it was made, but that places which
	// it gave out may stay. It is called when every queue is closed, no thread is
	// left, and the machine has been reset. What it forgets to reset
	// makes an execution depend on those before it: then it does not replay.
	Reset()
}

// A Place is one domain. Every source and every queue points to one; two
// objects share a domain if and only if the pointers are equal.
type Place struct{ Domain }

// A Domain is a region that one thread at a time is in, and what being in it
// costs. All methods are called by the core only.
type Domain interface {
	// Enter brings td into the domain. It may block. On return every knote
	// whose Deliver returned before the call has been activated. td was in no
	// domain before.
	Enter(td *machine.Thread)

	// Exit takes td out of the domain. It must not wait for anybody. If
	// somebody may be asleep here, what was delivered while td was leaving
	// is activated without waiting for the next visitor: look again after
	// letting go (trap 9).
	Exit(td *machine.Thread)

	// Sleep leaves the domain as Exit does, waits on what td has interlocked
	// until the given instant or machine.Forever, and enters again, also
	// after an error. It returns machine.ErrTimeout if the time is over.
	Sleep(td *machine.Thread, until time.Duration) error

	// Deliver brings kn to the domain, which is that of its queue; td is in
	// another, that of its source, and stays there. Sooner or later
	// [Activate] must be called for kn, once, by a thread in this domain:
	// before any Enter that begins after Deliver has returned is over, and
	// without waiting for a visitor if somebody sleeps here. No second
	// Deliver of kn begins before that Activate, so kn can carry its own
	// link: see [Knote.Mail].
	Deliver(td *machine.Thread, kn *Knote)
}

// A Local is a Domain that is bound to a CPU: who is in it is on that. Who has
// interrupts for the sources in it, as package host has, can then see to it that
// they are taken there, and that those of different CPUs have nothing in common.
type Local interface {
	Domain
	// CPU returns the CPU, always the same.
	CPU() *machine.CPU
}

// CPU returns the CPU that the domain is bound to, or nil if it is to none, and on
// a virtual machine, where no CPU has interrupts of its own.
func (p *Place) CPU() *machine.CPU {
	if l, ok := p.Domain.(Local); ok {
		return l.CPU()
	}
	return nil
}
