// Package globaltoken is what the Summer of Code of 2010 put in the place of
// the giant lock: one LWKT token around the kqueue subsystem.
//
// What shares a domain: all queues and all sources.
//
// What it costs: the token for a visit; and for each call of a filter that is
// not MP-safe the mplock inside the token. To wait for that is a block, and a
// block lets go of the token, so such a filter is a gap in the domain that
// giant does not have. The core allows for it: see "busy" in package kqueue.
//
// Source: DragonFly BSD 5b22f1a730 (2010-07-29), sys/kern/kern_event.c with
// kq_token; sys/kern/lwkt_token.c.
package globaltoken

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// New returns the strategy for machine m.
func New(m *machine.Machine) kqueue.Strategy {
	return &globaltoken{kqueue.Place{Domain: &domain{machine.Token{Name: "kq_token"}}}}
}

type globaltoken struct{ subsystem kqueue.Place }

func (g *globaltoken) Source(*machine.Thread) *kqueue.Place { return &g.subsystem }
func (g *globaltoken) Queue(*machine.Thread) *kqueue.Place  { return &g.subsystem }

// Reset implements [kqueue.Resetter]: nothing is kept that a thread does not put
// back when it leaves.
func (g *globaltoken) Reset() {}

type domain struct{ token machine.Token }

func (d *domain) Enter(td *machine.Thread) { td.Get(&d.token) }
func (d *domain) Exit(td *machine.Thread)  { td.Put(&d.token) }

// Sleep is a block, so it lets go of the token and takes it back.
func (d *domain) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }

// Deliver is never called: no two domains exist.
func (d *domain) Deliver(td *machine.Thread, kn *kqueue.Knote) { kqueue.Activate(td, kn) }
