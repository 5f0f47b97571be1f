package sched

import (
	"errors"
	"fmt"
	"slices"
)

// A DPOR makes of all executions that differ in the order of independent operations
// only one, or few: dynamic partial order reduction by source sets and sleep sets, the
// source-DPOR of Abdulla, Aronis, Jonsson, Sagonas, "Optimal Dynamic Partial Order
// Reduction", POPL 2014, after Flanagan and Godefroid, POPL 2005. After an execution
// it looks for races: pairs of dependent operations that nothing between them
// orders. Where the first was done, a thread is to be tried that leads to the second
// before it. A thread that has been tried sleeps until an operation comes that
// depends on its own.
//
// What it promises rests on what it is told, as a [Witness]:
//   - What a step does that matters to others is an access to something that the
//     machine says it has touched. What a thread is about to do is not asked.
//   - A thread ceases to be able to go on by a step of its own: whoever wants a
//     lock tries it and fails. A step of another that makes it so is taken for a
//     race while the thread waits at its operation, and missed if it comes later.
//     The last step of an execution is such a step for all that could go on then.
//   - What makes a thread able to go on is a step of another, which then comes
//     before all that the thread does. For [Clock] it is an access to [Time].
//
// Departures: what depends on what is known only when it has been done, so a thread
// sleeps on with what its step touched when it was tried; source sets, not wakeup
// trees, so that some executions turn out to be others in another order before they
// have ended. A scheduler cannot break off: they go on to their end anyhow, and are
// counted by Redundant. Choices are all made.
type DPOR struct {
	path      []node
	at        int // nodes come by in the execution under way
	fresh     int // from here on the path is not that of the execution before
	begun     bool
	done      bool
	skip      bool // the rest of this execution is another's
	redundant int
	err       error

	acts     bool // a step had an object, so that something must be told
	told     bool // something was
	touching int  // the node whose step is under way and to be noted; -1 if none
	met      int  // the highest number of an object in this execution

	last  []int       // by thread: its last step before the one looked at; -1 if none
	edges []vector    // by thread: what has made it able to go on
	found []candidate // scratch of order
	one   [1]int      // scratch of Forced
}

// A node is a step of an execution, or a choice.
type node struct {
	choices int // 0: a step
	taken   int // the choice, or the index in can of who went on

	can   []int // who could go on
	ops   []Op  // by index in can
	state []uint8
	feet  []footprint // by index in can: of the step of those who sleep or were tried
	did   footprint   // of the step that was made last
	met   int         // the highest number of an object before the step

	// before has, for each thread, one more than the last step of it that comes
	// before this step or is this step, in the happens-before order.
	before vector
}

// What is known of a thread that can go on at a node.
const (
	asleep  = 1 << iota // what begins with it has been made elsewhere
	wanted              // it is to be tried
	retired             // it has been tried
)

// NewDPOR returns a search that makes an execution of each kind.
func NewDPOR() *DPOR { return &DPOR{} }

// Err implements [Search].
func (d *DPOR) Err() error { return d.err }

// Redundant returns how many executions ended as others had that were made before,
// up to the order of independent operations.
func (d *DPOR) Redundant() int { return d.redundant }

// Begin implements [Scheduler].
func (d *DPOR) Begin() bool {
	if d.done {
		return false
	}
	if d.begun {
		if d.err == nil && d.at < len(d.path) {
			d.err = fmt.Errorf("sched: an execution ended after %d decisions; made alike, it came to %d before", d.at, len(d.path))
		}
		if d.err == nil && d.acts && !d.told {
			d.err = errors.New("sched: steps have objects, and it is not told what they touch: who hands decisions on must hand that on, too")
		}
		if d.err == nil {
			d.stepped()
			d.races()
		}
		if d.err != nil || !d.back() {
			d.done = true
			return false
		}
	}
	d.begun, d.skip, d.at, d.touching, d.met = true, false, 0, -1, 0
	return true
}

// back goes back to the last node at which something is left to be tried. What is
// new then begins there, or with the step in the midst of which it is chosen.
func (d *DPOR) back() bool {
	for len(d.path) > 0 {
		at := len(d.path) - 1
		n := &d.path[at]
		if n.choices > 0 {
			if n.taken++; n.taken < n.choices {
				for d.fresh = at; d.fresh > 0 && d.path[d.fresh].choices > 0; {
					d.fresh--
				}
				return true
			}
		} else {
			n.state[n.taken] |= retired
			for i, s := range n.state {
				if s == wanted {
					n.taken, d.fresh = i, at
					return true
				}
			}
		}
		d.path = d.path[:at]
	}
	return false
}

// Next implements [Scheduler].
func (d *DPOR) Next(can []int, current int, v View) int {
	if d.skip || d.err != nil {
		return max(0, current)
	}
	d.stepped()
	d.at++
	if d.at <= len(d.path) {
		return d.again(can, v)
	}
	n := d.push()
	n.can = append(n.can[:0], can...)
	n.ops = n.ops[:0]
	for _, t := range can {
		o := v.Pending(t)
		d.met = max(d.met, o.Object)
		d.acts = d.acts || o.Object != 0
		n.ops = append(n.ops, o)
	}
	n.met = d.met
	n.state = append(n.state[:0], make([]uint8, len(can))...)
	for len(n.feet) < len(can) {
		n.feet = append(n.feet, footprint{})
	}
	for i := range can {
		n.feet[i].clear(n.met)
	}
	d.sleepers(n)
	n.taken = -1
	for pos := range can {
		if i := turn(can, lead(can, current), pos); n.state[i] == 0 {
			n.taken = i
			break
		}
	}
	if n.taken < 0 {
		d.skip = true
		d.redundant++
		d.path = d.path[:len(d.path)-1]
		return max(0, current)
	}
	n.state[n.taken] = wanted
	d.begin(n)
	return n.taken
}

// begin begins to note what the step of a node touches.
func (d *DPOR) begin(n *node) {
	d.touching = d.at - 1
	n.did.clear(n.met)
}

// stepped ends that. Of a step in the midst of which something was chosen, all that
// it may touch counts while its thread sleeps.
func (d *DPOR) stepped() {
	if d.touching >= 0 {
		n := &d.path[d.touching]
		n.feet[n.taken].join(&n.did)
		d.touching = -1
	}
}

// Witnesses implements [Witness].
func (d *DPOR) Witnesses() bool { return true }

// Touched implements [Witness].
func (d *DPOR) Touched(object int, how Access) {
	d.told = true
	if d.skip || d.err != nil {
		return
	}
	d.met = max(d.met, object)
	if d.touching >= 0 {
		d.path[d.touching].did.add(object, how)
	}
}

// Forced implements [Observer].
func (d *DPOR) Forced(thread int, v View) {
	d.one[0] = thread
	d.Next(d.one[:], 0, v)
}

// Choose implements [Scheduler].
func (d *DPOR) Choose(n int) int {
	if d.skip || d.err != nil {
		return 0
	}
	d.at++
	if d.at > len(d.path) {
		p := d.push()
		p.choices, p.taken = n, 0
		return 0
	}
	if p := &d.path[d.at-1]; p.choices == n {
		return p.taken
	}
	d.astray()
	return 0
}

// push adds a node, with the memory of one that was there before.
func (d *DPOR) push() *node {
	if len(d.path) < cap(d.path) {
		d.path = d.path[:len(d.path)+1]
	} else {
		d.path = append(d.path, node{})
	}
	n := &d.path[len(d.path)-1]
	n.choices = 0
	return n
}

// again makes the decision of a node again, which must be the one that it was.
func (d *DPOR) again(can []int, v View) int {
	n := &d.path[d.at-1]
	same := n.choices == 0 && slices.Equal(n.can, can)
	for i := 0; same && i < len(can); i++ {
		same = n.ops[i] == v.Pending(can[i])
		d.met = max(d.met, n.ops[i].Object)
	}
	if !same {
		d.astray()
		return 0
	}
	if d.at > d.fresh {
		d.begin(n)
	}
	return n.taken
}

func (d *DPOR) astray() {
	d.err = fmt.Errorf("sched: decision %d is not the one that it was in an execution made alike: "+
		"something decides that no scheduler sees", d.at)
}

// sleepers puts those to sleep at the new node that slept at the step before or
// have been tried there, unless what was done there depends on what they did, or
// made them unable to go on.
func (d *DPOR) sleepers(n *node) {
	for i := len(d.path) - 2; i >= 0; i-- {
		p := &d.path[i]
		if p.choices > 0 {
			continue
		}
		for j, t := range p.can {
			k := slices.Index(n.can, t)
			if p.state[j]&(asleep|retired) != 0 && k >= 0 && !p.did.conflicts(&p.feet[j]) {
				n.state[k] = asleep
				n.feet[k].copy(&p.feet[j])
			}
		}
		return
	}
}

// thread returns who went on.
func (n *node) thread() int { return n.can[n.taken] }
