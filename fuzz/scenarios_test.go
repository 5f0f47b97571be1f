package fuzz_test

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// Every scenario survives some hundred executions under every strategy, says what
// it is for, and has more than one outcome, or it shows nothing.
func TestScenarios(t *testing.T) {
	each := 300
	if testing.Short() {
		each = 60
	}
	for _, name := range fuzz.Scenarios() {
		s, err := fuzz.Scenario(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(s.Doc) < 2 || !strings.Contains(strings.Join(s.Doc, " "), "Look at:") {
			t.Errorf("%s does not say what it is for, and what to look at", name)
		}
		most := 0
		for _, e := range strategies.All {
			x := fuzz.Exploration{
				Options: fuzz.Options{New: e.New, Strategy: e.Name},
				Script:  func(int) *script.Script { return s }, Scripts: 1, Each: each,
				Scheduler: func(int) sched.Scheduler { return sched.NewRandom(1) },
			}
			got := x.Explore(t.Context())
			if got.Failure != nil {
				t.Errorf("%s under %s: %s", name, e.Name, got.Failure.Text())
			}
			most = max(most, got.Outcomes)
		}
		if most < 2 {
			t.Errorf("%s has %d outcome in %d executions", name, most, each)
		}
		t.Logf("%s: up to %d outcomes", name, most)
	}
	if _, err := fuzz.Scenario("nowhere"); err == nil || !strings.Contains(err.Error(), "standard") {
		t.Errorf("no such scenario: %v", err)
	}
}
