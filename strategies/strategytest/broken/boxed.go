package broken

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A fault is what is wrong with a boxed strategy.
type fault uint8

const (
	nothing        fault = iota
	noSecondLook         // Exit does not look at the box after it has let go
	noDrain              // Enter does not work off the box; Exit does
	unlocked             // Deliver activates at once, whoever is inside
	dropsWhenBusy        // Deliver gives up if somebody is inside
	sleepsInside         // Sleep keeps the lock
	interlocksLate       // Sleep goes on a list only after it has let go
)

// Boxed returns what most of the faults are planted in, without any: each
// object has a lock, and a box for deliveries, which wait there until somebody
// comes by. It is right, and must pass every test.
func Boxed(m *machine.Machine) kqueue.Strategy { return boxedWith(nothing)(m) }

func boxedWith(f fault) func(*machine.Machine) kqueue.Strategy {
	return func(*machine.Machine) kqueue.Strategy { return boxed{f} }
}

type boxed struct{ fault fault }

func (b boxed) Source(*machine.Thread) *kqueue.Place { return b.place() }
func (b boxed) Queue(*machine.Thread) *kqueue.Place  { return b.place() }

func (b boxed) place() *kqueue.Place {
	d := &box{fault: b.fault}
	d.mu.Name = "box"
	d.late.Name = "box, interlocked late"
	return &kqueue.Place{Domain: d}
}

type box struct {
	fault  fault
	mu     machine.Mutex
	mail   machine.Inbox
	asleep machine.Uint32 // threads on their way into Sleep, or there

	late machine.WaitChan // of interlocksLate: whoever leaves wakes all
}

func (b *box) Enter(td *machine.Thread) {
	b.mu.Lock(td)
	if b.fault != noDrain {
		b.mail.Drain(td)
	}
}

func (b *box) Exit(td *machine.Thread) {
	if b.fault == noDrain {
		b.mail.Drain(td)
	}
	b.unlock(td)
	if b.fault != noSecondLook {
		b.look(td)
	}
}

func (b *box) unlock(td *machine.Thread) {
	if b.fault == interlocksLate {
		td.Wakeup(&b.late)
	}
	b.mu.Unlock(td)
}

// look works off what has come while somebody was inside, if anybody sleeps.
func (b *box) look(td *machine.Thread) {
	for b.asleep.Load(td) != 0 && !b.mail.Empty(td) && b.mu.TryLock(td) {
		b.mail.Drain(td)
		b.unlock(td)
	}
}

func (b *box) Sleep(td *machine.Thread, until time.Duration) error {
	if b.fault == sleepsInside {
		return td.Sleep(until)
	}
	b.asleep.Add(td, 1)
	b.Exit(td)
	if b.fault == interlocksLate {
		td.Interlock(&b.late)
	}
	err := td.Sleep(until)
	b.Enter(td)
	b.asleep.Add(td, ^uint32(0))
	return err
}

func (b *box) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	switch b.fault {
	case unlocked:
		kqueue.Activate(td, kn)
	case dropsWhenBusy:
		if b.mu.TryLock(td) {
			kqueue.Activate(td, kn)
			b.mu.Unlock(td)
		}
	default:
		b.mail.Push(td, kn.Mail())
		b.look(td)
	}
}
