// Package broken has strategies that are wrong, each in one way. They are the
// controls of everything that tests strategies: what does not catch them has
// shown nothing about the others.
//
// Each must run in a process of its own, with a deadline: it may crash the
// process, corrupt it or hang it. See package caught.
package broken

import (
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
)

// A Fault is a strategy that is wrong.
type Fault struct {
	strategies.Entry

	// Trap is the test of the conformance suite that is made for such a fault,
	// by its path below strategytest.Run. In some tries it catches it alone.
	Trap string

	// Seldom says why package stress catches it natively only once in some
	// hundred rounds, which no test can rely on. Empty if a few rounds will do.
	Seldom string
}

// All is every planted fault.
var All = []Fault{
	{
		Entry: strategies.Entry{Name: "none", Doc: "Enter excludes nobody", New: none.New},
		Trap:  "traps/second-look/crowd",
	},
	{
		Entry: strategies.Entry{Name: "deliver-without-the-lock", Doc: "Deliver activates at once, whoever is in the queue's domain", New: boxedWith(unlocked)},
		Trap:  "traps/second-look/crowd",
	},
	{
		Entry: strategies.Entry{Name: "deliver-dropped-when-busy", Doc: "Deliver gives up if somebody is in the queue's domain", New: boxedWith(dropsWhenBusy)},
		Trap:  "traps/second-look/crowd",
	},
	{
		Entry:  strategies.Entry{Name: "enter-does-not-drain", Doc: "what was delivered before Enter is activated when its thread leaves", New: boxedWith(noDrain)},
		Trap:   "contract/delivered-before-later-enter",
		Seldom: late,
	},
	{
		Entry:  strategies.Entry{Name: "migrate-does-not-drain", Doc: "who migrates to a CPU does not work off its messages before it looks around", New: newUndrained},
		Trap:   "contract/delivered-before-later-enter",
		Seldom: late,
	},
	{
		Entry: strategies.Entry{Name: "no-second-look", Doc: "Exit does not look again for what came while it let go", New: boxedWith(noSecondLook)},
		Trap:  "traps/second-look/crowd",
		Seldom: "a delivery that lies in the box is worked off by the next visitor, and there is nearly always one: " +
			"only the last visitor of a round could leave somebody asleep",
	},
	{
		Entry: strategies.Entry{Name: "sleep-forgets-the-interlock", Doc: "Sleep lets go of the domain before it goes on the list of those to wake", New: boxedWith(interlocksLate)},
		Trap:  "contract/sleep-leaves-and-returns",
	},
	{
		Entry: strategies.Entry{Name: "sleep-keeps-the-domain", Doc: "Sleep does not let others in", New: boxedWith(sleepsInside)},
		Trap:  "contract/sleep-leaves-and-returns",
	},
}

const late = "the delivery comes late, and it does come; a poll that missed it is no error that can be told without the order of the calls. " +
	"What stress sees is a queue that watches another: it is told while the other's list is empty still"
