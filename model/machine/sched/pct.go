package sched

import (
	"math"
	"math/rand/v2"
)

// A PCT is probabilistic concurrency testing: Burckhardt, Kothari, Musuvathi,
// Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding
// Bugs", ASPLOS 2010. Threads have random priorities, and of those that may go on
// the one with the highest does. At depth-1 decisions, drawn beforehand, whoever
// would go on falls below all others. A bug that shows whenever depth operations
// come in a certain order is met with a probability of 1/(n k^(depth-1)) at least,
// for n threads and k decisions.
//
// Departures:
//   - A step that is forced is not counted. To lower the only thread that may go
//     on is of no use then and there, so the bound holds for the smaller k.
//   - k is not given: it is the greatest number of decisions seen, which fades if
//     executions become shorter. The first execution changes no priority.
//   - Threads may appear during the execution; each falls in at a random place
//     among those that have not been lowered.
//   - [Clock] is a thread as any other and counts in n. Whoever needs the time to
//     pass early, late, or in the middle of something then finds it as probable as
//     the like of a thread. It cannot starve the others more than a thread that
//     spins, and the next departure is for both.
//   - Priorities are not fair: a thread that spins at the top waits forever for
//     one below. An execution eight times as long as was to be expected, and 1000
//     decisions at least, goes on as a random walk, which is fair.
type PCT struct {
	rng     *rand.PCG
	seen    int      // k: decisions of an execution
	step    int      // decisions so far in this one
	limit   int      // after so many the walk is random
	changes []int    // at which decision; whoever is lowered at changes[i] has priority i+1
	next    int      // the least of changes that is to come
	rank    []uint64 // by thread: its priority; 0 if it has not been seen
}

// maxDepth bounds the depth of a PCT: with more changes than there are decisions
// it would be a poor random walk.
const maxDepth = 100

const original = 1 << 63 // priorities from here on have not been lowered

// NewPCT returns a scheduler for bugs of a depth from 1 to 100; what is beyond
// counts as the nearest. Equal seeds decide alike.
func NewPCT(depth int, seed uint64) *PCT {
	depth = min(max(depth, 1), maxDepth)
	return &PCT{rng: rand.NewPCG(seed, 1), changes: make([]int, depth-1)}
}

// Begin implements [Scheduler].
func (p *PCT) Begin() bool {
	n := p.step
	if n > p.limit && p.limit > 0 {
		// Perhaps it was long only because somebody starved: what came after
		// it became fair is what it takes.
		n -= p.limit
	}
	p.seen = max(n, p.seen-(p.seen-n+15)/16)
	p.step, p.limit = 0, max(1000, 8*p.seen)
	for i := range p.changes {
		p.changes[i] = 0
		if p.seen > 0 {
			p.changes[i] = 1 + below(p.rng, p.seen)
		}
	}
	p.ahead()
	clear(p.rank)
	return true
}

// ahead finds the next change.
//
//go:norace
func (p *PCT) ahead() {
	p.next = math.MaxInt
	for _, at := range p.changes {
		if at > p.step {
			p.next = min(p.next, at)
		}
	}
}

// Unseen implements [Unseen].
func (p *PCT) Unseen() bool { return true }

// Next implements [Scheduler].
//
//go:norace
func (p *PCT) Next(can []int, current int, v View) int {
	p.step++
	if p.step > p.limit {
		return below(p.rng, len(can))
	}
	best := p.highest(can)
	if p.step == p.next {
		for i, at := range p.changes {
			if at == p.step {
				p.rank[can[best]] = uint64(i) + 1
				best = p.highest(can)
			}
		}
		p.ahead()
	}
	return best
}

// Lasts implements [Steady]: up to the next change the one with the highest priority
// goes on.
//
//go:norace
func (p *PCT) Lasts() int { return max(0, min(p.next-1, p.limit)-p.step) }

// Passed implements [Steady].
//
//go:norace
func (p *PCT) Passed(n int) { p.step += n }

// highest returns the index of the thread with the highest priority.
//
//go:norace
func (p *PCT) highest(can []int) (best int) {
	for last := can[len(can)-1]; last >= len(p.rank); { // one by one: the race detector looks at a copy
		p.rank = append(p.rank, 0)
	}
	var top uint64
	for i, t := range can {
		if p.rank[t] == 0 {
			p.rank[t] = p.rng.Uint64() | original
		}
		if p.rank[t] > top {
			best, top = i, p.rank[t]
		}
	}
	return best
}

// Choose implements [Scheduler]: every number is as probable.
//
//go:norace
func (p *PCT) Choose(n int) int { return below(p.rng, n) }
