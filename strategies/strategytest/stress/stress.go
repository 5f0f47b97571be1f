// Package stress runs a kernel under one strategy with threads that notify,
// take events, register, delete and close at random, and checks what must hold
// whatever the interleaving:
//
//   - conservation: counts, trigger, timer ticks and bytes are seen exactly once;
//   - at most once: EV_CLEAR, EV_ONESHOT and EV_DISPATCH give each activation
//     to one caller;
//   - nothing after the end: what EV_DELETE, EV_DISABLE or close has ended
//     before a call began is not returned by it;
//   - no lost wakeup: when nothing runs any more, nothing is left to be taken,
//     and only those sleep who wait for events.
//
// There is no clock behind the last: the machine knows when all threads are
// asleep. A finding is an error; it names the property, the seed and the
// command that repeats it. The interleaving of a native machine is not in the
// seed, so that a repetition may need several tries.
//
// A wrong strategy may also crash the process, hang it, or be found by the
// race detector only: who expects one runs this in a process of its own, with
// a deadline.
package stress

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Options say what a round is made of. New must be set; what else is zero has
// a default.
type Options struct {
	New        func(*machine.Machine) kqueue.Strategy
	Strategy   string // its name, for the message of a finding
	Threads    int    // at least 3; by default 4 to 8, drawn from the seed
	Operations int    // by producers and churners together; by default 3000
	Seed       uint64 // of all that is random
}

// A Report says what a round has done.
type Report struct {
	Operations int           // changes, notifications, writes and closes
	Events     int           // events that were taken
	Checked    int           // registrations whose history was checked
	Stats      machine.Stats // of all threads
}

// A Finding is a property that does not hold.
type Finding struct {
	Property string // in a few words
	Detail   string
	Strategy string
	Seed     uint64
}

func (f *Finding) Error() string {
	return fmt.Sprintf("%s: %s violated: %s (seed %d; again: kqlab stress --seed %d --rounds 1 %s)",
		f.Strategy, f.Property, f.Detail, f.Seed, f.Seed, f.Strategy)
}

// The properties.
const (
	conservation = "conservation"
	atMostOnce   = "at most once"
	afterTheEnd  = "nothing after the end"
	lostWakeup   = "no lost wakeup"
	noDeadlock   = "no deadlock"
	errnos       = "documented errors"
)

// Run does one round: some tens of milliseconds with the default number of
// operations. Rounds with other seeds differ in their objects and threads. The
// error is a [*Finding], or says what is wrong with the options. After a
// finding threads of the round may still be there, asleep or not.
func Run(o Options) (Report, error) {
	if o.New == nil {
		return Report{}, errors.New("stress: Options.New is nil, want a strategy")
	}
	if o.Threads < 0 || o.Threads == 1 || o.Threads == 2 {
		return Report{}, fmt.Errorf("stress: %d threads, want 0 for the default or at least 3: one that takes, one that gives, one that churns", o.Threads)
	}
	if o.Operations < 0 {
		return Report{}, fmt.Errorf("stress: %d operations, want 0 for the default or more", o.Operations)
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	if o.Threads == 0 {
		o.Threads = 4 + rng.IntN(5)
	}
	if o.Operations == 0 {
		o.Operations = 3000
	}
	w := newWorld(o, rng)
	err := w.round()
	r := Report{
		Operations: int(w.operations.Load()),
		Events:     int(w.events.Load()),
		Checked:    int(w.ledger.next.Load()),
		Stats:      w.m.Stats(),
	}
	if err != nil {
		return r, err
	}
	return r, nil
}
