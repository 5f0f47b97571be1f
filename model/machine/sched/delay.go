package sched

// A Delay makes every execution with at most so many delays, depth first: Emmi,
// Qadeer, Rakamaric, "Delay-Bounded Scheduling", POPL 2011. Without a delay the
// execution is the one of a deterministic scheduler: a thread goes on as long as it
// can, and then the next by number does. A delay passes over the thread whose turn
// it is. With the same bound there are fewer executions than of a [DFS] as soon
// as there are more than two threads: who comes next when a thread cannot go on
// costs something here, unless it is whose turn it is.
//
// Departures: the clock stands second wherever it could go on, and the turn is never
// its own: no time passes without a delay while a thread may go on, and with one
// delay it does. Choices cost nothing.
type Delay struct {
	tree
	bound int
	spent int
	last  int // the thread that went on last
}

// NewDelay returns a search of all executions with at most bound delays; less than
// none counts as none.
func NewDelay(bound int) *Delay { return &Delay{bound: max(bound, 0)} }

// Begin implements [Scheduler].
func (d *Delay) Begin() bool {
	d.spent, d.last = 0, 0
	return d.begin()
}

// Err implements [Search].
func (d *Delay) Err() error { return d.err }

// Next implements [Scheduler].
func (d *Delay) Next(can []int, current int, v View) int {
	first := current
	if current < 0 || can[current] == Clock {
		first = after(can, d.last)
	}
	pos := d.decide(min(len(can)-1, d.bound-d.spent), sum(can, current))
	d.spent += pos
	i := turn(can, first, pos)
	d.Forced(can[i], v)
	return i
}

// after returns the index of the first thread with a higher number than last, or
// else of the first.
func after(can []int, last int) int {
	for i, t := range can {
		if t != Clock && t > last {
			return i
		}
	}
	return lead(can, -1)
}

// Forced implements [Observer]: the turn of a thread comes after its steps that
// were forced, too.
func (d *Delay) Forced(thread int, v View) {
	if thread != Clock {
		d.last = thread
	}
}

// Choose implements [Scheduler].
func (d *Delay) Choose(n int) int { return d.choose(n) }
