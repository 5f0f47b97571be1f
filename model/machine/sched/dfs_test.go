package sched_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// words returns every order of the steps of threads of these lengths, without a
// machine or a scheduler.
func words(lengths ...int) (out []string) {
	left := make([]int, len(lengths))
	copy(left, lengths)
	var rec func(w string)
	rec = func(w string) {
		end := true
		for t := range left {
			if left[t] > 0 {
				end = false
				left[t]--
				rec(w + string(rune('1'+t)))
				left[t]++
			}
		}
		if end {
			out = append(out, w)
		}
	}
	rec("")
	return out
}

// preemptions counts where a thread is left that has more to do.
func preemptions(w string) (n int) {
	for i := 1; i < len(w); i++ {
		if w[i] != w[i-1] && strings.IndexByte(w[i:], w[i-1]) >= 0 {
			n++
		}
	}
	return n
}

// delays counts over whom the turn, which goes round by number from thread 1, must
// pass in vain.
func delays(w string, threads int) (n int) {
	turn := byte('1')
	for i := range len(w) {
		for turn != w[i] {
			if strings.IndexByte(w[i:], turn) >= 0 {
				n++
			}
			if turn++; turn > '0'+byte(threads) {
				turn = '1'
			}
		}
	}
	return n
}

// threadsOf returns a program of threads of these lengths that never block.
func threadsOf(lengths ...int) (p program) {
	for _, n := range lengths {
		p = append(p, make([]op, n))
		for i := range p[len(p)-1] {
			p[len(p)-1][i] = op{add, 1}
		}
	}
	return p
}

// search makes all executions of a program and fails if one comes twice, by its
// decisions or by its steps. It returns the orders of steps.
func search(t *testing.T, p program, s sched.Search) map[string]bool {
	t.Helper()
	const limit = 1_000_000
	r := &sched.Recorded{Scheduler: s}
	m := sim{prog: p}
	byWord, bySchedule := map[string]bool{}, map[string]bool{}
	for n := 0; r.Begin(); n++ {
		if n == limit {
			t.Fatalf("%v: no end after %d executions", p, n)
		}
		f := m.run(r)
		w := fmt.Sprint(string(m.word), f.reg)
		schedule := fmt.Sprint(r.Schedule)
		if byWord[w] || bySchedule[schedule] {
			t.Fatalf("%v: %s, by %v, comes twice", p, w, r.Schedule)
		}
		byWord[w], bySchedule[schedule] = true, true
	}
	if s.Err() != nil {
		t.Fatalf("%v: %v", p, s.Err())
	}
	if r.Begin() {
		t.Fatalf("%v: begins again after the end", p)
	}
	return byWord
}

func TestDFSMultinomial(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		want    int
	}{
		{[]int{5}, 1},
		{[]int{1, 1}, 2},
		{[]int{3, 3}, 20},
		{[]int{8, 6}, 3003},
		{[]int{1, 2, 3}, 60},
		{[]int{2, 2, 2}, 90},
		{[]int{4, 3, 3}, 4200},
		{[]int{1, 1, 1, 1}, 24},
		{[]int{2, 2, 2, 2}, 2520},
	} {
		if got := len(search(t, threadsOf(c.lengths...), sched.NewDFS(-1))); got != c.want {
			t.Errorf("%v: %d executions, want %d", c.lengths, got, c.want)
		}
	}
}

// With two threads of m and n steps, of which neither blocks, an execution of r
// runs has r-2 preemptions, since the last run but one ends with its thread; and
// there are C(m-1, i-1) ways to part m steps into i runs.
func TestDFSClosedForm(t *testing.T) {
	choose := func(n, k int) int {
		c := 1
		for i := range k {
			c = c * (n - i) / (i + 1)
		}
		return c
	}
	const m, n = 7, 5
	want := 0
	for bound := range m + n {
		r := bound + 2
		want += choose(m-1, (r+1)/2-1)*choose(n-1, r/2-1) + choose(n-1, (r+1)/2-1)*choose(m-1, r/2-1)
		if got := len(search(t, threadsOf(m, n), sched.NewDFS(bound))); got != want {
			t.Errorf("at most %d preemptions: %d executions, want %d", bound, got, want)
		}
	}
	if all := choose(m+n, n); want != all {
		t.Errorf("the closed form comes to %d in all, want %d: the test is wrong", want, all)
	}
}

// A bound makes exactly the executions that a count by hand says are within it.
func TestBounds(t *testing.T) {
	for _, lengths := range [][]int{{3, 4}, {2, 3, 2}, {1, 1, 1, 1}, {2, 1, 2, 1}} {
		all := words(lengths...)
		for bound := range 8 {
			for what, c := range map[string]struct {
				search sched.Search
				cost   func(w string) int
			}{
				"dfs":   {sched.NewDFS(bound), preemptions},
				"delay": {sched.NewDelay(bound), func(w string) int { return delays(w, len(lengths)) }},
			} {
				want := 0
				for _, w := range all {
					if c.cost(w) <= bound {
						want++
					}
				}
				got := search(t, threadsOf(lengths...), c.search)
				if len(got) != want {
					t.Errorf("%s:%d of %v: %d executions, want %d", what, bound, lengths, len(got), want)
				}
				for w := range got {
					if w, _, _ := strings.Cut(w, "["); c.cost(w) > bound {
						t.Errorf("%s:%d of %v: %s costs %d", what, bound, lengths, w, c.cost(w))
					}
				}
			}
		}
	}
}

// Locks, choices, threads that are started and the clock, counted by hand.
func TestDFSCounts(t *testing.T) {
	for _, c := range []struct {
		prog string
		s    sched.Search
		want int
		why  string
	}{
		// 1 before 2 wholly, or with the attempt of 2 after ( or +: 3, and as
		// many the other way round. Behind a failed attempt all is forced.
		{"(1 +1 )1 | (1 +1 )1", sched.NewDFS(-1), 6, "the other may try after each step that holds the lock"},
		{"(1 +1 )1 | (1 +1 )1", sched.NewDFS(0), 2, "one after the other"},
		{"(1 +1 )1 | (1 +1 )1", sched.NewDelay(0), 1, "without a delay there is one"},
		{"(1 (2 )2 )1 | (2 (1 )1 )2", sched.NewDFS(0), 2, "no deadlock without a preemption"},
		{"?3 ?2", sched.NewDFS(0), 6, "choices cost nothing"},
		{"?3 ?2", sched.NewDelay(0), 6, "choices cost nothing"},
		{"s2 +1 | +1", sched.NewDFS(-1), 2, "what is not started cannot go on"},
		{"z1 +1 | +1 +1", sched.NewDFS(-1), 10, "thread 1 is a chain of three steps with the clock, so 5 over 2"},
		{"z1 | +1 +1", sched.NewDFS(0), 3, "the time may pass before and after thread 2, not in between"},
		{"z1 | +1 +1", sched.NewDelay(0), 1, "the same"},
		{"z1 | +1 +1", sched.NewDelay(1), 4, "one delay lets the time pass"},
	} {
		if got := search(t, prog(c.prog), c.s); len(got) != c.want {
			t.Errorf("%s by %T: %d executions, want %d, since %s: %v", c.prog, c.s, len(got), c.want, c.why, got)
		}
	}
}

// What no scheduler decides is found out, whichever way it shows, and ends the
// search without a panic.
func TestNondeterminism(t *testing.T) {
	programs := map[string][2]string{
		"a thread more":       {"+1 +1 | +1 +1", "+1 +1 | +1 +1 | +1"},
		"a thread less":       {"+1 +1 | +1 +1 | +1", "+1 +1 | +1 +1"},
		"others":              {"+1 | +1 | s2 +1 +1", "+1 | s1 +1 | +1 +1"},
		"an end before":       {"+1 +1 | +1 +1", "+1 | +1"},
		"fewer to choose":     {"+1 ?3 | +1", "+1 ?2 | +1"},
		"a thread, no choice": {"?2 +1 | +1", "+1 +1 | ?2"},
	}
	for what, p := range programs {
		for name, s := range map[string]sched.Search{
			"dfs": sched.NewDFS(-1), "dfs:1": sched.NewDFS(1), "delay:1": sched.NewDelay(1), "dpor": sched.NewDPOR(),
		} {
			n := 0
			for m := (sim{}); s.Begin() && n < 1000; n++ {
				m.prog = prog(p[min(n, 1)])
				m.run(s)
			}
			switch err := s.Err(); {
			case err == nil:
				t.Errorf("%s: %s does not see it in %d executions", what, name, n)
			case s.Begin():
				t.Errorf("%s: %s goes on although: %v", what, name, err)
			case !strings.Contains(err.Error(), "made alike"):
				t.Errorf("%s: %s: %v", what, name, err)
			}
		}
	}
}

// So is an execution that ends before its last decision.
func TestEndsBefore(t *testing.T) {
	for name, s := range map[string]sched.Search{
		"dfs": sched.NewDFS(-1), "delay:1": sched.NewDelay(1), "dpor": sched.NewDPOR(),
	} {
		s.Begin()
		s.Next([]int{1, 2}, -1, own{})
		s.Choose(2)
		s.Begin()
		s.Next([]int{1, 2}, -1, own{})
		if s.Begin() || s.Err() == nil {
			t.Errorf("%s does not see that a choice is missing: %v", name, s.Err())
		}
	}
}

// A machine that calls the clock current, after it has let the time pass, asks the
// same as one that calls nobody so.
func TestClockIsNeverCurrent(t *testing.T) {
	for name, c := range map[string]struct {
		s    func() sched.Search
		want []int
	}{
		"dfs:0":   {func() sched.Search { return sched.NewDFS(0) }, []int{1, 0, 2}},
		"delay:0": {func() sched.Search { return sched.NewDelay(0) }, []int{1}},
		"delay:1": {func() sched.Search { return sched.NewDelay(1) }, []int{1, 0}},
	} {
		for _, current := range []int{-1, 0} {
			var got []int
			for s := c.s(); s.Begin(); {
				got = append(got, s.Next([]int{sched.Clock, 2, 3}, current, own{}))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, current %d: %v, want %v", name, current, got, c.want)
			}
		}
	}
}
