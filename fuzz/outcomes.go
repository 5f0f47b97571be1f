package fuzz

import (
	"hash/fnv"
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
)

// Outcomes counts how often each outcome was seen of executions of one script.
type outcomes struct {
	seen map[uint64]uint32
	once int // those that were seen once
}

// add counts an outcome.
func (o *outcomes) add(outcome uint64) {
	if o.seen == nil {
		o.seen = map[uint64]uint32{}
	}
	n := o.seen[outcome]
	switch n {
	case 0:
		o.once++
	case 1:
		o.once--
	}
	o.seen[outcome] = n + 1
}

// tally counts the outcomes in a list, and those that are in it once. It sorts the
// list.
func tally(list []uint64) (all, once int) {
	slices.Sort(list)
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n] == list[0] {
			n++
		}
		if all++; n == 1 {
			once++
		}
		list = list[n:]
	}
	return all, once
}

// Unseen estimates how likely it is that the next execution has an outcome which
// none had, by how many outcomes came once: I. J. Good, "The Population Frequencies
// of Species and the Estimation of Population Parameters", Biometrika 40, 1953, after
// a thought of Turing's. For what it means to someone who looks for bugs see
// Böhme, "STADS: Software Testing as Species Discovery", TOSEM 2018. It says
// something of executions that are drawn, not of a search, and of the scheduler that
// draws them: what that can hardly reach is not in it.
func (e *Explored) Unseen() float64 {
	if e.Executions == 0 {
		return 1
	}
	return float64(e.Once) / float64(e.Executions)
}

// outcome is a number for what the users of a script see of an execution.
func outcome(h linearizability.History) uint64 {
	sum := uint64(0)
	var order [script.MaxThreads + 1]int
	for _, rec := range h {
		// The calls of one thread are in order; how those of several lie to each
		// other in time nobody is answered.
		f := fnv.New64a()
		f.Write([]byte{byte(rec.Thread), byte(order[rec.Thread]), byte(order[rec.Thread] >> 8)})
		f.Write([]byte(rec.Result.String()))
		order[rec.Thread]++
		sum += f.Sum64()
	}
	return sum
}
