package sched_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// At each point all threads have the same chance, so an interleaving has the
// product of those on its way; and equal seeds walk alike.
func TestRandomWalk(t *testing.T) {
	const seed, n = 11, 60_000
	m := sim{prog: prog("+1 +1 | +1 | ?5")}
	steps := map[string]int{}
	chosen := map[string]int{}
	s := sched.NewRandom(seed)
	again, copied := sched.NewRandom(seed), sim{prog: m.prog}
	for range n {
		if !s.Begin() || !again.Begin() {
			t.Fatal("a random walk has an end")
		}
		m.run(s)
		copied.run(again)
		if string(m.word) != string(copied.word) || m.state != copied.state {
			t.Fatalf("seed %d: %s and %s", seed, m.word, copied.word)
		}
		steps[string(m.word[:1])]++
		chosen[string(rune('0'+m.state.reg[3]))]++
	}
	if p := uniform(steps, 3, n); p < 0.01 {
		t.Errorf("seed %d: first steps %v are not uniform: p = %.2g", seed, steps, p)
	}
	if p := uniform(chosen, 5, n); p < 0.01 {
		t.Errorf("seed %d: choices %v are not uniform: p = %.2g", seed, chosen, p)
	}
}
