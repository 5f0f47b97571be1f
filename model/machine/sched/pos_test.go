package sched_test

import (
	"fmt"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// sample counts the orders of steps of n executions, after a hundred that are for
// the estimates.
func sample(s sched.Scheduler, p string, n int) map[string]int {
	m := sim{prog: prog(p)}
	counts := map[string]int{}
	for i := range n + 100 {
		s.Begin()
		m.run(s)
		if i >= 100 {
			counts[string(m.word)]++
		}
	}
	return counts
}

// merge adds up counts by a feature.
func merge(counts map[string]int, feature func(word string) string) map[string]int {
	sums := map[string]int{}
	for w, c := range counts {
		sums[feature(w)] += c
	}
	return sums
}

// Orders of which the probabilities can be had by hand.
var sampled = []struct {
	prog    string
	feature func(w string) string
	want    map[string]float64
	why     string
	walk    bool // a random walk has the same
}{
	{
		"+2 +2 +2 +2 +2 +2 +1 | +1",
		func(w string) string { return w[7:] },
		map[string]float64{"2": 1. / 8, "1": 7. / 8},
		"the priority of thread 2 must be the least of eight", false,
	},
	{
		"+1 +1 | +1 +1",
		func(w string) string { return w },
		map[string]float64{"1122": 1. / 4, "2211": 1. / 4, "1212": 1. / 8, "2121": 1. / 8, "1221": 1. / 8, "2112": 1. / 8},
		"both priorities are drawn again at each step", true,
	},
	{
		"+1 +1 | +2 +2",
		func(w string) string { return w[:2] },
		map[string]float64{"11": 1. / 3, "12": 1. / 6, "21": 1. / 6, "22": 1. / 3},
		"only the priority of who went on is drawn again: the other's is the least of three, or the middle one", false,
	},
	{
		"r1 r1 | r1 r1",
		func(w string) string { return w[:2] },
		map[string]float64{"11": 1. / 3, "12": 1. / 6, "21": 1. / 6, "22": 1. / 3},
		"reads do not depend on reads", false,
	},
	{
		"z1 | +1 +1 +1",
		func(w string) string { return fmt.Sprint(w == "12220") },
		map[string]float64{"true": 1. / 10, "false": 9. / 10},
		"the clock's priority, drawn once, must be the least of five, and thread 1's above thread 2's first", false,
	},
	{
		"(1 )1 | (1 | +1",
		func(w string) string { return w[:1] },
		map[string]float64{"1": 1. / 3, "2": 1. / 3, "3": 1. / 3},
		"at first all are alike", true,
	},
	{
		"(1 +1 | (1 s1 +2 )1 +1",
		func(w string) string { return fmt.Sprint(w[:6] == "221221") },
		map[string]float64{"true": 1. / 4, "false": 3. / 4},
		"a step that was forced leaves no priority behind, and who is freed has a new one", true,
	},
}

func TestPOS(t *testing.T) {
	const seed, n = 20, 40_000
	for _, c := range sampled {
		counts := merge(sample(sched.NewPOS(seed), c.prog, n), c.feature)
		if p := fits(counts, c.want, n); p < 0.01 {
			t.Errorf("seed %d: %s: %v, want %v, since %s: p = %.2g", seed, c.prog, counts, c.want, c.why, p)
		}
	}
}

// An execution that is broken off leaves nothing behind for the next.
func TestPOSBrokenOff(t *testing.T) {
	const seed, n = 26, 20_000
	s := sched.NewPOS(seed)
	before, counts := 0, map[string]int{}
	for range n {
		s.Begin()
		i := s.Next([]int{2, 3}, -1, own{})
		counts[fmt.Sprint(i == before)]++
		before = i
	}
	if p := uniform(counts, 2, n); p < 0.01 {
		t.Errorf("seed %d: whether it is the same thread as before: %v: p = %.2g", seed, counts, p)
	}
}

// The control: a random walk has other probabilities wherever they are not those of
// one step.
func TestPOSControl(t *testing.T) {
	const seed, n = 23, 40_000
	for _, c := range sampled {
		counts := merge(sample(sched.NewRandom(seed), c.prog, n), c.feature)
		if p := fits(counts, c.want, n); (p > 1e-6) != c.walk {
			t.Errorf("seed %d: %s by a random walk: %v, POS has %v: p = %.2g", seed, c.prog, counts, c.want, p)
		}
	}
}
