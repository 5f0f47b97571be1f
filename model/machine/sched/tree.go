package sched

import "fmt"

// A tree is what a depth-first search remembers of the executions that it makes:
// the decisions of the last one, and at each how many alternatives are left. The
// memory is in proportion to the length of an execution, not to their number.
type tree struct {
	path  []fork
	at    int // decisions of the execution under way
	begun bool
	done  bool
	err   error
}

type fork struct {
	taken int
	most  int    // the last alternative that is to be taken
	sum   uint32 // what there was to decide, to know it again
}

// begin goes back to the last decision that has an alternative left.
func (t *tree) begin() bool {
	switch {
	case t.done:
		return false
	case t.begun && t.err == nil && t.at < len(t.path):
		t.err = fmt.Errorf("sched: an execution ended after %d decisions; made alike, it came to %d before", t.at, len(t.path))
	}
	for len(t.path) > 0 && t.path[len(t.path)-1].taken == t.path[len(t.path)-1].most {
		t.path = t.path[:len(t.path)-1]
	}
	if t.err != nil || t.begun && len(t.path) == 0 {
		t.done = true
		return false
	}
	if t.begun {
		t.path[len(t.path)-1].taken++
	}
	t.begun, t.at = true, 0
	return true
}

// decide returns which of the alternatives from 0 to most is to be taken; sum
// stands for what they are.
//
//go:norace
func (t *tree) decide(most int, sum uint32) int {
	t.at++
	switch {
	case t.err != nil:
		return 0
	case t.at > len(t.path):
		t.path = append(t.path, fork{0, most, sum})
		return 0
	}
	f := t.path[t.at-1]
	if f.most != most || f.sum != sum {
		t.err = fmt.Errorf("sched: decision %d is not the one that it was in an execution made alike: "+
			"something decides that no scheduler sees", t.at)
		return 0
	}
	return f.taken
}

// sum makes a number of what there is to decide.
//
//go:norace
func sum(can []int, current int) uint32 {
	h := uint32(2166136261)
	for _, t := range can {
		h = (h ^ uint32(t)) * 16777619
	}
	return (h^uint32(current+1))*16777619 | 1 // even is for choices: see choose
}

// choose decides what is not about threads: each possibility is to be taken.
//
//go:norace
func (t *tree) choose(n int) int { return t.decide(n-1, 0) }

// lead returns the index in can of the thread that goes on if nobody is preempted:
// current, or if that is none, or the clock, the first thread.
//
//go:norace
func lead(can []int, current int) int {
	switch {
	case current >= 0 && can[current] != Clock:
		return current
	case can[0] == Clock && len(can) > 1:
		return 1
	}
	return 0
}

// turn returns the index in can of the thread that comes at place pos when the one
// at index first comes first: the others follow by number, round about, but the
// clock, if it is there, comes second. First is not the clock, unless there is nothing else.
//
//go:norace
func turn(can []int, first, pos int) int {
	switch {
	case can[0] != Clock:
		return (first + pos) % len(can)
	case pos == 0:
		return first
	case pos == 1:
		return 0
	}
	return 1 + (first-1+pos-1)%(len(can)-1)
}
