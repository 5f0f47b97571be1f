package broken

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// newUndrained returns pcpu with a queue of messages of its own for each CPU,
// since the machine's is always worked off by who comes there. This one is
// worked off by who leaves, and by an interrupt if somebody sleeps there.
func newUndrained(m *machine.Machine) kqueue.Strategy {
	u := make(undrained, m.NumCPU())
	for i := range u {
		u[i].Domain = &undrainedCPU{cpu: m.CPU(i)}
	}
	return u
}

type undrained []kqueue.Place

func (u undrained) Source(td *machine.Thread) *kqueue.Place { return &u[td.Home().ID()] }
func (u undrained) Queue(td *machine.Thread) *kqueue.Place  { return &u[td.Home().ID()] }

type undrainedCPU struct {
	cpu    *machine.CPU
	mail   machine.Inbox
	asleep machine.Uint32 // threads on their way into Sleep, or there
}

// Enter is the fault: it does not look at the mail.
func (d *undrainedCPU) Enter(td *machine.Thread) { td.Migrate(d.cpu) }

func (d *undrainedCPU) Exit(td *machine.Thread) {
	d.mail.Drain(td)
	td.Leave()
	d.interrupt(td)
}

func (d *undrainedCPU) Sleep(td *machine.Thread, until time.Duration) error {
	d.asleep.Add(td, 1)
	d.interrupt(td)
	err := td.Sleep(until)
	d.asleep.Add(td, ^uint32(0))
	return err
}

func (d *undrainedCPU) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	d.mail.Push(td, kn.Mail())
	d.interrupt(td)
}

// interrupt has the mail worked off on the CPU if somebody sleeps there.
func (d *undrainedCPU) interrupt(td *machine.Thread) {
	if d.asleep.Load(td) != 0 && !d.mail.Empty(td) {
		i := &interrupt{d: d}
		i.To = i
		d.cpu.Send(td, &i.Mail)
	}
}

type interrupt struct {
	machine.Mail
	d *undrainedCPU
}

func (i *interrupt) Receive(td *machine.Thread) { i.d.mail.Drain(td) }
