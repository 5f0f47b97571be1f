package sched

import "math/rand/v2"

// A URW is the uniform random walk of Zhao, Wolff, Mathur, Roychoudhury,
// "Selectively Uniform Concurrency Testing", ASPLOS 2025. A thread goes on with a
// probability in proportion to the steps that it has left, so every interleaving
// of threads that do not block is as probable as any other: there are as many of
// them, behind each step, as the multinomial coefficient of what is left. A plain
// [Random] favours those in which the threads end one soon after the other.
//
// What a thread has left counts what the threads have that will appear behind its
// steps, as in the paper those that it creates.
//
// Departures:
//   - The steps are not counted beforehand: they are the mean of the executions so
//     far, in which the recent ones count most. The first execution is a random
//     walk.
//   - Who creates whom is not told: it is whoever made the step before a thread
//     was first seen. So [Clock] creates the callouts that it sets off.
//   - The selective walk (SURW), which is uniform only over some of the steps, is
//     not here: it would have to know the objects of one execution again in
//     another, and they are numbered as they are met.
type URW struct {
	rng     *rand.PCG
	threads []walker
	last    int // the thread that went on last; -1 if none did
}

type walker struct {
	known  bool    // from an earlier execution
	mean   float64 // steps of an execution
	parent int     // whose step made it appear; -1 if it was there from the start
	seen   bool    // in this execution
	done   float64 // steps in this execution
	behind float64 // steps of those that are still to appear behind its own
}

// NewURW returns a uniform random walk. Equal seeds decide alike.
func NewURW(seed uint64) *URW { return &URW{rng: rand.NewPCG(seed, 3), last: -1} }

// Begin implements [Scheduler].
func (u *URW) Begin() bool {
	for i := range u.threads {
		w := &u.threads[i]
		switch {
		case !w.known && w.seen:
			w.known, w.mean = true, w.done
		case w.known:
			w.mean += (w.done - w.mean) / 8
		}
		w.seen, w.done, w.behind = false, 0, 0
	}
	// A thread has a higher number than the one behind which it appears, but
	// for threads that were told apart by chance; those are left out.
	for i := len(u.threads) - 1; i >= 0; i-- {
		if w := &u.threads[i]; w.known && w.parent >= 0 && w.parent < i {
			u.threads[w.parent].behind += w.mean + w.behind
		}
	}
	u.last = -1
	return true
}

// Next implements [Scheduler].
func (u *URW) Next(can []int, current int, v View) int {
	for _, t := range can {
		u.see(t) // before any is weighed: who appears is behind nobody any more
	}
	sum := 0.0
	for _, t := range can {
		sum += u.left(t)
	}
	x := float64(u.rng.Uint64()>>11) / (1 << 53) * sum
	i := 0
	for ; i < len(can)-1; i++ {
		if x -= u.left(can[i]); x < 0 {
			break
		}
	}
	u.step(can[i])
	return i
}

// Forced implements [Observer].
func (u *URW) Forced(thread int, v View) {
	u.see(thread)
	u.step(thread)
}

func (u *URW) step(thread int) {
	u.threads[thread].done++
	u.last = thread
}

// left returns the steps that a thread has left, and what comes behind them. Since
// it may go on there is one at least.
func (u *URW) left(thread int) float64 {
	w := &u.threads[thread]
	return max(1, w.mean-w.done) + max(0, w.behind)
}

// see takes a thread that has not been seen in this execution off what is to come
// behind others.
func (u *URW) see(thread int) {
	for thread >= len(u.threads) {
		u.threads = append(u.threads, walker{parent: -1})
	}
	w := &u.threads[thread]
	if w.seen {
		return
	}
	w.seen = true
	if w.known {
		for p, child := w.parent, thread; p >= 0 && p < child; p, child = u.threads[p].parent, p {
			u.threads[p].behind -= w.mean + w.behind
			if u.threads[p].seen {
				break
			}
		}
	}
	w.parent = u.last
}

// Choose implements [Scheduler]: every number is as probable.
func (u *URW) Choose(n int) int { return below(u.rng, n) }
