package device

import "github.com/kqlab/kqlab/model/machine"

// A Call is one of the three calls of a filter.
type Call int

// The calls in which the filter of a gated probe can block.
const (
	InAttach Call = iota
	InDetach
	InEvent
)

var callNames = [...]string{"attach", "detach", "event"}

func (c Call) String() string { return callNames[c] }

// A gate stops threads inside a filter until somebody opens it. Its lock is its
// own: who opens it must not need the domain of the probe's source, which some
// strategies keep while the filter blocks. Nobody sleeps with the lock held.
type gate struct {
	mu    machine.Mutex
	err   error    // guarded by mu: what attaching answers
	doors [3]*door // by Call; immutable
}

// A door is the gate's for one Call.
type door struct {
	held    bool             // guarded by mu
	opened  int              // guarded by mu: how often; who waits passes when it changes
	waiting int              // guarded by mu: threads that wait since it was last opened
	open    machine.WaitChan // it has been opened
	more    machine.WaitChan // waiting has grown
}

func newGate() *gate {
	g := &gate{}
	g.mu.Name = "gate of a probe"
	for c := range g.doors {
		d := &door{}
		d.open.Name = "gate of a probe in " + Call(c).String()
		d.more.Name = "threads at the gate of a probe in " + Call(c).String()
		g.doors[c] = d
	}
	return g
}

// pass blocks td while door c is held; so td loses its CPU and its tokens, the
// mplock among them. Interrupts and callouts, which must not sleep, pass.
func (g *gate) pass(td *machine.Thread, c Call) error {
	d := g.doors[c]
	g.mu.Lock(td)
	for opened := d.opened; d.held && d.opened == opened && !td.NoSleep; {
		d.waiting++
		td.Wakeup(&d.more)
		td.Interlock(&d.open)
		g.mu.Unlock(td)
		td.Sleep(machine.Forever)
		g.mu.Lock(td)
	}
	err := g.err
	g.mu.Unlock(td)
	return err
}

func (g *gate) hold(td *machine.Thread, c Call) {
	g.mu.Lock(td)
	g.doors[c].held = true
	g.mu.Unlock(td)
}

func (g *gate) let(td *machine.Thread, c Call) {
	d := g.doors[c]
	g.mu.Lock(td)
	d.held = false
	d.opened++
	d.waiting = 0
	td.Wakeup(&d.open)
	g.mu.Unlock(td)
}

func (g *gate) await(td *machine.Thread, c Call, n int) {
	d := g.doors[c]
	g.mu.Lock(td)
	for d.waiting < n {
		td.Interlock(&d.more)
		g.mu.Unlock(td)
		td.Sleep(machine.Forever)
		g.mu.Lock(td)
	}
	g.mu.Unlock(td)
}

func (g *gate) fail(td *machine.Thread, err error) {
	g.mu.Lock(td)
	g.err = err
	g.mu.Unlock(td)
}
