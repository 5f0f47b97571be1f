package sched_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// Programs with a bug that shows if as many operations as its depth come in a
// certain order, and not with fewer.
var deep = []struct {
	name    string
	prog    string
	depth   int
	threads int // with the clock, where there is one
	bug     func(m *sim) bool
}{
	{
		"the last before the first", "+1 +2 +2 +2 +2 +2 +2 +2 | +2 +2 +2 +2 +2 +2 +2 +1 | +3 +3", 1, 3,
		func(m *sim) bool { return m.state.mem[1] == digits(2, 1) },
	},
	{
		"a lost update", "+2 +2 +2 r1 w1 +2 +2 | +2 +2 +2 r1 w1 +2 +2", 2, 2,
		func(m *sim) bool { return m.state.reg[1] == m.state.reg[2] },
	},
	{
		"a deadlock", "+1 (1 +1 (2 +1 )2 )1 | +1 (2 +1 (1 +1 )1 )2", 2, 2,
		func(m *sim) bool { return m.state.pc[1]+m.state.pc[2] < 14 },
	},
	{
		"of a thread that is started late", "+2 +2 +2 +2 s3 +2 r1 +2 w1 | +3 | +2 r1 +2 w1", 2, 3,
		func(m *sim) bool { return m.state.reg[1] == m.state.reg[3] },
	},
	{
		"a time-out amid", "+1 +2 +1 | z1 +1 +2", 2, 3,
		func(m *sim) bool { return m.state.mem[1] == digits(1, 2, 1) },
	},
	{
		"there, back and there", "+2 +1 +2 +1 +2 | +2 +1 +2 +1 +2", 3, 2,
		func(m *sim) bool { return m.state.mem[1] == digits(1, 2, 1, 2) },
	},
	{
		"and back again", "+1 +2 +1 +2 +1 | +1 +2 +1 +2", 4, 2,
		func(m *sim) bool { return m.state.mem[1] == digits(1, 2, 1, 2, 1) },
	},
	{
		"and there again", "+1 +2 +1 +2 +1 | +1 +2 +1 +2 +1", 5, 2,
		func(m *sim) bool { return m.state.mem[1] == digits(1, 2, 1, 2, 1, 2) },
	},
}

// digits is what is left where threads add in this order.
func digits(threads ...int) (n int) {
	for _, t := range threads {
		n = 5*n + t
	}
	return n
}

// hits makes n executions, after a hundred that are for the estimates, and counts
// those with the bug, and the decisions of the longest.
func hits(s sched.Scheduler, m *sim, bug func(m *sim) bool, n int) (count, longest int) {
	for i := range n + 100 {
		s.Begin()
		m.run(s)
		if longest = max(longest, m.decisions); i >= 100 && bug(m) {
			count++
		}
	}
	return count, longest
}

// A bug of depth d is found with a probability of 1/(n k^(d-1)) at least, at 99 %
// confidence, and with more changes than it needs too if the bound allows for them.
func TestPCTBound(t *testing.T) {
	const seed, n = 16, 40_000
	for _, c := range deep {
		m := &sim{prog: prog(c.prog)}
		count, k := hits(sched.NewPCT(c.depth, seed), m, c.bug, n)
		bound := 1 / float64(c.threads)
		for range c.depth - 1 {
			bound /= float64(k)
		}
		p := atLeast(count, n, bound)
		t.Logf("seed %d: %-32s depth %d, n %d, k %2d: %5d of %d, %.5f, bound %.5f", seed, c.name, c.depth, c.threads, k, count, n,
			float64(count)/n, bound)
		if p > 0.01 {
			t.Errorf("seed %d: %s: not above the bound at 99 %% confidence: p = %.3f", seed, c.name, p)
		}
	}
}

// The controls: what goes by a smaller depth never meets the bug, so the programs
// are as deep as they say; and a random walk is below the bound where the order
// that is needed is a long one.
func TestPCTControls(t *testing.T) {
	const seed, n = 17, 10_000
	for _, c := range deep {
		m := &sim{prog: prog(c.prog)}
		if c.depth > 1 {
			if count, _ := hits(sched.NewPCT(c.depth-1, seed), m, c.bug, n); count > 0 {
				t.Errorf("seed %d: %s: %d times with depth %d", seed, c.name, count, c.depth-1)
			}
			continue
		}
		count, _ := hits(sched.NewRandom(seed), m, c.bug, n)
		if p := atLeast(count, n, 1/float64(c.threads)); p < 0.99 {
			t.Errorf("seed %d: %s: a random walk meets it %d times of %d, as if it were PCT", seed, c.name, count, n)
		}
	}
}

// The estimate of k follows when executions become longer and shorter.
func TestPCTEstimate(t *testing.T) {
	const seed, n = 18, 40_000
	s := sched.NewPCT(2, seed)
	for _, p := range []program{threadsOf(3, 3), threadsOf(900, 900)} {
		for range 3 {
			s.Begin()
			(&sim{prog: p}).run(s)
		}
	}
	c := deep[1]
	count, k := hits(s, &sim{prog: prog(c.prog)}, c.bug, n)
	if p := atLeast(count, n, 1/float64(c.threads*k)); p > 0.01 {
		t.Errorf("seed %d: after long executions %d of %d, k %d: not above the bound, p = %.3f", seed, count, n, k, p)
	}
}

// A thread that spins until another has gone on does not spin forever, and the
// executions that took long for it do not spoil the estimate.
func TestPCTSpin(t *testing.T) {
	const seed = 19
	s := sched.NewPCT(1, seed) // nobody is ever lowered
	spun := 0
	for range 2000 {
		s.Begin()
		n := 1
		for ; s.Next([]int{1, 2}, 0, own{}) != 1; n++ {
			if n > 10_000 {
				t.Fatalf("seed %d: spins forever", seed)
			}
		}
		if n > 100 {
			spun++
		}
	}
	if spun == 0 {
		t.Errorf("seed %d: nobody spun: the test shows nothing", seed)
	}
}
