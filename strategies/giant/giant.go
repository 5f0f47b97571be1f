// Package giant is the strategy of DragonFly BSD before July 2010: one big
// lock, the mplock, around everything.
//
// What shares a domain: all queues, all sources, and with them whatever state
// of devices and processes the sources guard. Any filter, MP-safe or not, runs
// in it without a further lock, since the mplock is recursive.
//
// What it costs: one lock for a visit, and no two CPUs in the kernel at a time.
//
// It differs from globaltoken in scope, not in kind. Both are let go whenever
// their holder blocks. But the mplock covers devices too, so a filter that is
// not MP-safe costs nothing here, while under the token it must take the
// mplock inside, which is one more lock and a blocking point.
//
// Source: DragonFly BSD before 5b22f1a730; sys/kern/kern_mplock.c.
package giant

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// New returns the strategy for machine m.
func New(m *machine.Machine) kqueue.Strategy {
	return &giant{kqueue.Place{Domain: domain{m.MPLock()}}}
}

type giant struct{ everything kqueue.Place }

func (g *giant) Source(*machine.Thread) *kqueue.Place { return &g.everything }
func (g *giant) Queue(*machine.Thread) *kqueue.Place  { return &g.everything }

// Reset implements [kqueue.Resetter]: nothing is kept that a thread does not put
// back when it leaves.
func (g *giant) Reset() {}

type domain struct{ mp *machine.Token }

func (d domain) Enter(td *machine.Thread) { td.Get(d.mp) }
func (d domain) Exit(td *machine.Thread)  { td.Put(d.mp) }

// Sleep is a block, so it lets go of the mplock and takes it back.
func (d domain) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }

// Deliver is never called: no two domains exist.
func (d domain) Deliver(td *machine.Thread, kn *kqueue.Knote) { kqueue.Activate(td, kn) }
