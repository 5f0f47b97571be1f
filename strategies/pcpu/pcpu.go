// Package pcpu gives each CPU its own part of the subsystem, in which no lock
// is needed: who wants to touch an object goes to the CPU that it lives on.
//
// What shares a domain: the queues and sources of one CPU. An object lives on
// the home CPU of the thread that made it.
//
// What it costs: to hold the CPU, which is nothing while a thread stays there;
// a migration to visit an object of another CPU; and for a delivery from one
// CPU to another an interprocessor message, which the other works off when it
// next comes by, or its sender at once if that CPU is idle.
//
// The Summer of Code's page of 2010 names this as "Locking strategy 2, pcpu".
// It never landed; what landed instead is pool tokens for each queue and list
// (e2b148c60d, 2011). So this is a reconstruction, in the style of LWKT:
// sys/kern/lwkt_ipiq.c, and lwkt_setcpu_self in sys/kern/lwkt_thread.c.
package pcpu

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// New returns the strategy for machine m.
func New(m *machine.Machine) kqueue.Strategy {
	p := make(pcpu, m.NumCPU())
	for i := range p {
		p[i].Domain = domain{m.CPU(i)}
	}
	return p
}

type pcpu []kqueue.Place

func (p pcpu) Source(td *machine.Thread) *kqueue.Place { return &p[td.Home().ID()] }
func (p pcpu) Queue(td *machine.Thread) *kqueue.Place  { return &p[td.Home().ID()] }

// Reset implements [kqueue.Resetter]: nothing is kept that a thread does not put
// back when it leaves.
func (p pcpu) Reset() {}

type domain struct{ cpu *machine.CPU }

// CPU says where interrupts of its sources are best taken.
func (d domain) CPU() *machine.CPU { return d.cpu }

// Enter moves to the CPU and works off the mail that came there before.
func (d domain) Enter(td *machine.Thread) { td.Migrate(d.cpu) }

// Exit leaves the CPU if anybody waits for it, and then looks for mail again.
func (d domain) Exit(td *machine.Thread) { td.Leave() }

// Sleep is a block, so it leaves the CPU and takes it back.
func (d domain) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }

// Deliver posts the knote to its queue's CPU.
func (d domain) Deliver(td *machine.Thread, kn *kqueue.Knote) { d.cpu.Send(td, kn.Mail()) }
