package sched

// A DFS makes every execution with at most so many preemptions, depth first:
// Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of
// Multithreaded Programs", PLDI 2007, as in CHESS. A switch from a thread that
// cannot go on costs nothing, so executions of any length are whole ones; most bugs
// show with two preemptions.
//
// Departures: the bound does not grow by itself. Whoever wants the executions with
// fewer preemptions first makes one search after another. To let the time pass
// while a thread may go on is a preemption; to stop it is none. Choices cost
// nothing.
type DFS struct {
	tree
	bound    int // -1: none
	spent    int
	punctual bool // see NewPunctualDFS
}

// NewDFS returns a search of all executions with at most bound preemptions; of all,
// if bound is negative.
func NewDFS(bound int) *DFS { return &DFS{bound: bound} }

// NewPunctualDFS returns one to which it is a preemption, too, to let the time pass
// when the thread that ran cannot go on, and another can. Without that a search has no
// end where a timer is periodic: it ticks on, for nothing, while others wait to run.
func NewPunctualDFS(bound int) *DFS { return &DFS{bound: bound, punctual: true} }

// Begin implements [Scheduler].
func (d *DFS) Begin() bool {
	d.spent = 0
	return d.begin()
}

// Err implements [Search].
func (d *DFS) Err() error { return d.err }

// Unseen implements [Unseen].
func (d *DFS) Unseen() bool { return true }

// Next implements [Scheduler].
//
//go:norace
func (d *DFS) Next(can []int, current int, v View) int {
	most := len(can) - 1
	going := current >= 0 && can[current] != Clock
	early := d.punctual && !going && can[0] == Clock && most > 0 // to let the time pass would be
	switch {
	case d.spent != d.bound:
	case going:
		most = 0
	case early:
		most--
	}
	pos := d.decide(most, sum(can, current))
	if early && d.spent == d.bound && pos > 0 {
		pos++ // the clock is second
	} else if pos > 0 && going || early && pos == 1 {
		d.spent++
	}
	return turn(can, lead(can, current), pos)
}

// Choose implements [Scheduler].
//
//go:norace
func (d *DFS) Choose(n int) int { return d.choose(n) }
