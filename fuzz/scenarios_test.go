package fuzz_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// Every scenario survives some hundred executions under every strategy, says what
// it is for, and has more than one outcome, or it shows nothing.
func TestScenarios(t *testing.T) {
	each := 300
	switch {
	case testing.Short():
		each = 60
	case raceEnabled: // some times slower, and sees a race on any schedule
		each = 100
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

// Each planted fault of a strategy is found in a scenario made for its like, as a
// rule within some tens of executions.
func TestScenariosFind(t *testing.T) {
	in := map[string]string{
		"deliver-dropped-when-busy": "disable-against-notify",
		"enter-does-not-drain":      "message-against-migrate",
		"migrate-does-not-drain":    "message-against-migrate",
	}
	for _, f := range broken.All {
		if raceEnabled && slices.Contains(racy, f.Name) {
			t.Logf("%s: left out, since it is a race to the detector: see TestExploreRaces", f.Name)
			continue
		}
		name := "two-sleepers-one-event"
		if other, ok := in[f.Name]; ok {
			name = other
		}
		s, err := fuzz.Scenario(name)
		if err != nil {
			t.Fatal(err)
		}
		var needed []int
		for seed := range uint64(25) {
			x := fuzz.Exploration{
				Options: fuzz.Options{New: f.New, Strategy: f.Name},
				Script:  func(int) *script.Script { return s }, Scripts: 1, Each: 5000,
				Scheduler: func(int) sched.Scheduler { return sched.NewPCT(3, seed) },
			}
			got := x.Explore(t.Context())
			if got.Failure == nil {
				t.Errorf("%s: not found in %s, seed %d, in %d executions", f.Name, name, seed, got.Executions)
			}
			needed = append(needed, got.Executions)
		}
		slices.Sort(needed)
		median := needed[len(needed)/2]
		if median > 100 {
			t.Errorf("%s: found in %d executions of %s in the median, want at most 100", f.Name, median, name)
		}
		t.Logf("%-28s %-24s median %d, from %d to %d", f.Name, name, median, needed[0], needed[len(needed)-1])
	}
}
