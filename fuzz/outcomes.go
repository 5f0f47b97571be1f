package fuzz

import (
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
)

// Outcomes counts how often each outcome was seen of executions of one script.
type outcomes struct {
	seen map[uint64]uint32
	once int // those that were seen once

	schedules map[uint64][]int // of those that are kept
}

// Kept is an outcome: what the users of a script saw of some executions.
type Kept struct {
	Executions int
	Schedule   []int // of the first: see [Replay]
}

// kept returns the outcomes whose schedules are kept, nil if there are none.
func (o *outcomes) kept() map[uint64]Kept {
	if o.schedules == nil {
		return nil
	}
	all := map[uint64]Kept{}
	for x, schedule := range o.schedules {
		all[x] = Kept{int(o.seen[x]), schedule}
	}
	return all
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
	for i := range h {
		rec := &h[i]
		// The calls of one thread are in order; how those of several lie to each
		// other in time nobody is answered.
		sum += result(uint64(rec.Thread)<<32|uint64(order[rec.Thread]), &rec.Result)
		order[rec.Thread]++
	}
	return sum
}

// result is a number for a result in its place.
func result(place uint64, r *event.Result) uint64 {
	x := mix(place, uint64(r.Errno)<<1)
	if r.Pending {
		x++
	}
	x = mix(mix(x, uint64(r.N)), uint64(r.N2))
	for i := range r.Events {
		e := &r.Events[i]
		x = mix(x, e.Ident)
		x = mix(x, uint64(uint16(e.Filter))<<48|uint64(e.Flags)<<32|uint64(e.Fflags))
		x = mix(mix(x, uint64(e.Data)), e.Udata)
	}
	for _, p := range r.Polled {
		x = mix(mix(x, p.ID), uint64(p.Events))
	}
	return mix(x, uint64(len(r.Events)+len(r.Polled)))
}

// mix adds a word to a hash: two rounds of the finalizer of SplitMix64.
func mix(h, x uint64) uint64 {
	h = (h ^ x) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
