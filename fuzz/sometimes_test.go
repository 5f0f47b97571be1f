package fuzz_test

import (
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// Every scenario says what must come about in it sometimes, and under every strategy it
// does: in a thousand executions that walk at random and a thousand by PCT. All did in
// a quarter of that when it was written.
func TestSometimes(t *testing.T) {
	const budget = 1000
	for _, name := range fuzz.Scenarios() {
		s := kept(t, name)
		if len(s.Sometimes) == 0 {
			t.Errorf("%s does not say what it must come to", name)
		}
		for _, x := range s.Sometimes {
			if x.Under != "" && !slices.ContainsFunc(strategies.All, func(e strategies.Entry) bool { return e.Name == x.Under }) {
				t.Errorf("%s: %v: there is no such strategy", name, x)
			}
		}
		for _, e := range strategies.All {
			missed := s.Sometimes
			for each := budget / 16; each <= budget && missed != nil; each *= 4 {
				missed = bothMiss(t, s, e.Name, each)
			}
			for _, x := range missed {
				t.Errorf("%s under %s: in %d executions each by random and pct:3, seed 1, never: %v", name, e.Name, budget, x)
			}
		}
	}
}

// bothMiss returns what neither of two schedulers comes to.
func bothMiss(t *testing.T, s *script.Script, strategy string, each int) (missed []script.Sometimes) {
	x := of(s, strategy, 1, each)
	first := x.Explore(t.Context())
	x.Scheduler = func(int) sched.Scheduler { return sched.NewPCT(3, 1) }
	second := x.Explore(t.Context())
	for i, r := range first.Sometimes {
		if !r.Reached && !second.Sometimes[i].Reached {
			missed = append(missed, r.Sometimes)
		}
	}
	return missed
}

// The controls: what cannot come about does not, what needs preemptions does not
// without any, and a kernel that does not say where it is reaches no place.
func TestSometimesMissed(t *testing.T) {
	s := *kept(t, "two-sleepers-one-event")
	for line, want := range map[string]bool{
		"1.1 => pending and 2.1 => pending": false, // somebody has the event
		"1.1 has READ 1 and 2.1 has READ 1": false, // but not both
		"1.1 has READ 1 and 2.1 => pending": true,
		"reached nowhere":                   false,
		"reached woken-for-nothing":         true,
		"under=giant 1.1 => pending":        false, // it is not said of pcpu
	} {
		text := strings.Replace(s.String(), "\nsometimes ", "\nsometimes "+line+"\nsometimes ", 1)
		one, err := script.Parse("one.kq", text)
		if err != nil {
			t.Fatal(err)
		}
		one.Sometimes = one.Sometimes[:1]
		got := of(one, "pcpu", 2, 300).Explore(t.Context())
		if reached := len(got.Sometimes) == 1 && got.Sometimes[0].Reached; reached != want {
			t.Errorf("%s: %+v, want %v", line, got.Sometimes, want)
		}
	}
	all := of(kept(t, "message-against-migrate"), "pcpu", 1, 1000)
	all.Scheduler = func(int) sched.Scheduler { return sched.NewDFS(0) }
	if got := all.Explore(t.Context()); !got.Complete || len(got.Missed()) == 0 {
		t.Errorf("without a preemption in %d executions: missed %v", got.Executions, got.Missed())
	}
}

// What has come about does not depend on who looks.
func TestSometimesTogether(t *testing.T) {
	var first []fuzz.Reach
	for workers := range 3 {
		x := of(kept(t, "message-against-migrate"), "pcpu", 9, 7)
		x.Workers = workers + 1
		got := x.Explore(t.Context()).Sometimes
		if workers == 0 {
			first = got
		}
		if diff := gocmp.Diff(first, got); diff != "" || len(got) < 5 {
			t.Errorf("%d workers: %s", workers+1, diff)
		}
	}
}
