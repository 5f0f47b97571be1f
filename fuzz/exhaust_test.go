package fuzz_test

import (
	"flag"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

var exhaust = flag.Bool("exhaust", false, "exhaust small scenarios at two preemptions, not at one: a minute")

// wide are small scenarios with too many executions at two preemptions: a thread that
// waits for a time, or for a filter that blocks, is no preemption, and whoever is next
// then is free. They are exhausted by delays, where that costs one too.
var wide = map[string]string{
	"added-by-two":          "over 1,700,000 under giant",
	"level-against-sleeper": "over 100,000, and over 60,000 with one",
	"watched-by-many":       "over 300,000",
	"timer-against-modify":  "no end after 10,000, which take a minute and a half: a periodic timer ticks on in them",
}

// TestExhaust: of each small scenario all executions are made that have two preemptions
// at most, or two delays, and nothing is found under any strategy. Without -exhaust it
// is one of each.
func TestExhaust(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("with -short, or the race detector, it takes too long")
	}
	preemptions, delays := "dfs:1", "delay:1"
	if *exhaust {
		preemptions, delays = "dfs:2", "delay:2"
	}
	small := 0
	for _, name := range fuzz.Scenarios() {
		s, err := fuzz.Scenario(name)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Small() {
			continue
		}
		small++
		for _, e := range strategies.All {
			t.Run(name+"/"+e.Name, func(t *testing.T) {
				t.Parallel()
				policy := preemptions
				if wide[name] != "" {
					policy = delays
				}
				got := fuzz.Exploration{
					Options: fuzz.Options{New: e.New, Strategy: e.Name},
					Script:  func(int) *script.Script { return s }, Scripts: 1, Each: 1 << 40,
					Scheduler: func(int) sched.Scheduler {
						search, err := sched.New(policy, 0)
						if err != nil {
							panic(err)
						}
						return search
					},
				}.Explore(t.Context())
				if got.Failure != nil {
					t.Fatal(got.Failure.Text())
				}
				if !got.Complete || got.Executions < 2 {
					t.Errorf("%s: %d executions, complete: %t", policy, got.Executions, got.Complete)
				}
				t.Logf("%s: %d executions, %d outcomes", policy, got.Executions, got.Outcomes)
			})
		}
	}
	if small < 20 {
		t.Errorf("%d small scenarios, want 20 at least", small)
	}
	for name := range wide {
		if s, err := fuzz.Scenario(name); err != nil || !s.Small() {
			t.Errorf("%s is no small scenario: %v", name, err)
		}
	}
}
