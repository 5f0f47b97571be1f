package sched_test

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// Programs whose threads do not block, and how many interleavings they have: of the
// last ones, n! over the product of the numbers of steps that come after each step,
// itself included.
var interleaved = []struct {
	prog string
	want int
}{
	{"+1 +1 | +1 +1", 6},
	{"+1 +1 +1 +1 +1 +1 +1 +1 +1 | +1", 10},
	{"+1 +1 +1 +1 +1 | +1 +1 | +1", 168},
	{"+1 | +1 | +1 | +1 +1", 60},
	{"+1 s2 +1 +1 | +1 +1 +1", 10}, // the last two and three
	{"+1 s2 +1 | +1 s3 +1 | +1 +1 | +1", 9 * 6 * 3},
	{"s2 +1 s4 | s3 +1 | +1 | +1", 7 * 6 * 5 * 4 * 3 * 2 / (7 * 3 * 2 * 3)},
}

// What blocks and what appears now and then does not lead the estimates astray:
// no weight falls below one step, so each interleaving is met.
func TestURWBlocks(t *testing.T) {
	const seed, n = 22, 20_000
	for _, p := range []string{"(1 +1 )1 | (1 +1 )1 | +1 +1", "z1 +1 | +1 s3 +1 | +1 z1 +1", "?2 t1 +1 )1 | (1 +1 )1"} {
		want := search(t, prog(p), sched.NewDFS(-1))
		words := map[string]bool{}
		for w := range want {
			w, _, _ = strings.Cut(w, "[")
			words[w] = true
		}
		if got := sample(sched.NewURW(seed), p, n); len(got) != len(words) {
			t.Errorf("seed %d: %s: %d of %d interleavings", seed, p, len(got), len(words))
		}
	}
}

// A thread that goes on beyond what it was thought to have left still has a chance.
func TestURWBeyond(t *testing.T) {
	const seed, n = 27, 2000
	met := 0
	for i := range uint64(n) {
		s := sched.NewURW(seed + i)
		for range 10 {
			s.Begin()
			(&sim{prog: threadsOf(1, 5)}).run(s)
		}
		m := sim{prog: threadsOf(9, 5)}
		s.Begin()
		m.run(s)
		if w := string(m.word); strings.Index(w, "1") == 0 && strings.LastIndex(w, "1") < strings.LastIndex(w, "2") {
			met++
		}
	}
	// At each step after the first 1 has one step left against five at most.
	if met == 0 {
		t.Errorf("seeds from %d: thread 1 never ends before thread 2", seed)
	}
}

// Each interleaving is as probable as any other.
func TestURWUniform(t *testing.T) {
	const seed, n = 21, 30_000
	for _, c := range interleaved {
		if got := len(search(t, prog(c.prog), sched.NewDFS(-1))); got != c.want {
			t.Errorf("%s has %d interleavings, not %d", c.prog, got, c.want)
			continue
		}
		counts := sample(sched.NewURW(seed), c.prog, n)
		p := uniform(counts, c.want, n)
		t.Logf("seed %d: %s: %d of %d interleavings, p = %.3f", seed, c.prog, len(counts), c.want, p)
		if p < 0.01 {
			t.Errorf("seed %d: %s: not uniform over %d interleavings: p = %.2g", seed, c.prog, c.want, p)
		}
		// The control: a random walk is not.
		if p := uniform(sample(sched.NewRandom(seed), c.prog, n), c.want, n); p > 1e-6 {
			t.Errorf("seed %d: %s: a random walk is uniform: p = %.2g", seed, c.prog, p)
		}
	}
}
