package sched

import "math/rand/v2"

// A POS is partial order sampling: Yuan, Yang, Gu, "Partial Order Aware
// Concurrency Sampling", CAV 2018. Each pending operation has a random priority,
// and the highest is done next. Then the priorities of all that depend on it are
// drawn again. So an operation is put off behind m of another thread that do not
// depend on it, and then one that does, with a probability of 1/(m+2), where a
// random walk does so with one of 2^-(m+1).
//
// Departures:
//   - A thread that could not go on has a new priority when it can again. What
//     freed it depends on what it waited for, and would have changed it.
//   - [Clock] has a priority that is drawn once for each instant: nothing depends
//     on it. A new one at each step would make it the less probable that the time
//     stands still the longer something takes; so it is as with any thread that
//     has one operation pending.
type POS struct {
	rng  *rand.PCG
	now  int      // decisions and forced steps of all executions
	seen []int    // by thread: when it could last go on
	rank []uint64 // by thread: the priority of its pending operation
}

// NewPOS returns a partial order sampling. Equal seeds decide alike.
func NewPOS(seed uint64) *POS { return &POS{rng: rand.NewPCG(seed, 2)} }

// Begin implements [Scheduler].
func (p *POS) Begin() bool {
	p.now += 2 // whatever was seen is long ago
	return true
}

// Next implements [Scheduler].
func (p *POS) Next(can []int, current int, v View) int {
	p.now++
	if last := can[len(can)-1]; last >= len(p.rank) {
		p.rank = append(p.rank, make([]uint64, last+1-len(p.rank))...)
		p.seen = append(p.seen, make([]int, last+1-len(p.seen))...)
	}
	best := 0
	for i, t := range can {
		if p.seen[t] != p.now-1 {
			p.rank[t] = p.rng.Uint64()
		}
		p.seen[t] = p.now
		if p.rank[t] > p.rank[can[best]] {
			best = i
		}
	}
	done := v.Pending(can[best])
	for i, t := range can {
		if i == best || done.Object != 0 && done.Dependent(v.Pending(t)) {
			p.rank[t] = p.rng.Uint64()
		}
	}
	return best
}

// Forced implements [Observer]: no other thread can go on, and this one's next
// operation is a new one.
func (p *POS) Forced(thread int, v View) { p.now++ }

// Choose implements [Scheduler]: every number is as probable.
func (p *POS) Choose(n int) int { return below(p.rng, n) }
