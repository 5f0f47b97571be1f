package fuzz

import (
	"math/bits"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
)

// Known are histories of one script that the specification explains by the order of
// their commit points. To see that costs a fifth of a short execution, and a scheduler
// that seldom preempts makes most histories again and again.
//
// A history is known by a number of 64 bits, from all that the specification is asked
// about: when each call began and returned, on a clock of turns, its commit points and
// its answer; what was called the script says. That one is taken for another has a
// probability of 2^-64 each time. Of those whose numbers begin alike the last is known.
type known struct {
	s    *script.Script
	sums []uint64
	sum  uint64 // of the history that was looked for last; 0 if it was not

	asked, found int // histories that were looked for, and that were known
}

// Of 2^knownBits histories the numbers fit into the cache of a core. More would be
// found more often, and more slowly.
const knownBits = 15

// patience is how many histories are looked for before that is given up, if fewer than
// one in sixteen is known: a random walk hardly makes any again.
const patience = 1024

// has reports whether a history of script s is known. The first of a script is not
// looked for: most labs carry one out once.
func (k *known) has(s *script.Script, h linearizability.History) bool {
	switch {
	case k.s != s:
		*k = known{s: s, sums: k.sums}
		clear(k.sums)
		return false
	case k.asked >= patience && k.found < k.asked/16:
		k.sum = 0
		return false
	case k.sums == nil:
		k.sums = make([]uint64, 1<<knownBits)
	}
	k.sum = max(sumOf(h), 1)
	k.asked++
	if k.sums[k.sum>>(64-knownBits)] != k.sum {
		return false
	}
	k.found++
	return true
}

// add makes known what has was asked about last.
func (k *known) add() {
	if k.sum != 0 {
		k.sums[k.sum>>(64-knownBits)] = k.sum
	}
}

// sumOf is the number of a history.
func sumOf(h linearizability.History) uint64 {
	x := uint64(len(h))
	for i := range h {
		rec := &h[i]
		x = stir(x, uint64(rec.Thread))
		x = stir(x, uint64(rec.Call))
		x = stir(x, uint64(rec.Return))
		for _, s := range rec.Steps {
			x = stir(x, uint64(s.At)<<8|uint64(s.Step))
		}
		x = stir(x, result(0, &rec.Result))
	}
	return x
}

// stir adds a word to a hash as mix does, in a third of the time: both halves of a
// product, as in Wang Yi's wyhash.
func stir(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x^0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	return hi ^ lo
}
