package sched

import "math/rand/v2"

// A Random lets any thread go on, at each point, with the same probability: the
// random walk. It has no end. What it finds depends on no parameter, and it is
// the measure of all others, as in Thomson, Donaldson, Betts, "Concurrency Testing
// Using Controlled Schedulers: An Empirical Study", TOPC 2016, where it does as well
// as searches that are more elaborate; orders that need a thread to be held up for long
// it meets exponentially seldom.
type Random struct {
	rng *rand.PCG
}

// NewRandom returns a random walk; equal seeds walk alike.
func NewRandom(seed uint64) *Random { return &Random{rand.NewPCG(seed, 0)} }

// Begin implements [Scheduler].
func (r *Random) Begin() bool { return true }

// Unseen implements [Unseen].
func (r *Random) Unseen() bool { return true }

// Next implements [Scheduler].
//
//go:norace
func (r *Random) Next(can []int, current int, v View) int { return below(r.rng, len(can)) }

// Choose implements [Scheduler].
//
//go:norace
func (r *Random) Choose(n int) int { return below(r.rng, n) }

// below returns a number from 0 to n-1. For the n of threads the bias of the
// multiplication is far below what any test could see.
//
//go:norace
func below(rng *rand.PCG, n int) int { return int(rng.Uint64() >> 33 * uint64(n) >> 31) }
