// Package none is the control: a strategy that locks nothing. Every test that
// passes under the real strategies must be seen to fail under this one, or it
// has shown nothing.
//
// What shares a domain: every object has one of its own, so that the core
// takes all the steps that it takes between domains; and none of them keeps
// anybody out.
package none

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// New returns the control for machine m.
func New(m *machine.Machine) kqueue.Strategy { return none{} }

type none struct{}

func (none) Source(*machine.Thread) *kqueue.Place { return &kqueue.Place{Domain: domain{}} }
func (none) Queue(*machine.Thread) *kqueue.Place  { return &kqueue.Place{Domain: domain{}} }

type domain struct{}

func (domain) Enter(*machine.Thread)                               {}
func (domain) Exit(*machine.Thread)                                {}
func (domain) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (domain) Deliver(td *machine.Thread, kn *kqueue.Knote)        { kqueue.Activate(td, kn) }
