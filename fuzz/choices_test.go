package fuzz_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// exploring explores a kept scenario under a strategy.
func exploring(t *testing.T, scenario string, e strategies.Entry, c script.Choices, n int, s sched.Scheduler) fuzz.Explored {
	t.Helper()
	kept, err := fuzz.Scenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name, Choices: c},
		Script:  func(int) *script.Script { return kept }, Scripts: 1, Each: n,
		Scheduler: func(int) sched.Scheduler { return s },
	}.Explore(t.Context())
}

// The scenario is made on one CPU, and so there are no messages between two in it: of all
// its executions none meets the fault of who does not work them off. When placement is
// drawn, it is met soon; and what is met replays, is made smaller, and replays then.
func TestDrawnPlacementReaches(t *testing.T) {
	const scenario = "scan-against-delete"
	i := slices.IndexFunc(broken.All, func(f broken.Fault) bool { return f.Name == "migrate-does-not-drain" })
	e := broken.All[i].Entry
	var home sched.Search = sched.NewDPOR()
	most := 1 << 30
	if testing.Short() || raceEnabled {
		home = sched.NewDFS(2)
	}
	all := exploring(t, scenario, e, script.Choices{}, most, home)
	if all.Failure != nil || !all.Complete {
		t.Fatalf("at home it is found, or not all executions are made: %+v", all)
	}
	drawn := script.Choices{Placement: true}
	got := exploring(t, scenario, e, drawn, 100, sched.NewRandom(1))
	if got.Failure == nil {
		t.Fatal("not found in 100 executions with placement drawn")
	}
	t.Logf("found in execution %d; at home in none of %d, and there are no more", got.Executions, all.Executions)
	o := fuzz.Options{New: e.New, Strategy: e.Name}
	small := fuzz.Reduce(t.Context(), got.Failure, o, 2000, nil)
	for _, r := range []*fuzz.Report{got.Failure, small.Failure} {
		back, err := script.Parse("found", r.Script.String())
		if err != nil || !back.Schedule.Placement {
			t.Fatalf("%v\n%v", err, r.Script)
		}
		again, err := fuzz.Replay(back, o)
		if err != nil || again.Finding == nil || *again.Finding != *r.Finding {
			t.Fatalf("replayed: %v, %v, want %v", again.Finding, err, r.Finding)
		}
		if diff := cmp.Diff(r.History, again.History); diff != "" {
			t.Error("another history: " + diff)
		}
		back.Schedule.Placement = false
		if _, err := fuzz.Replay(back, o); err == nil {
			t.Error("without the placement it fits all the same")
		}
	}
	if small.To.Operations > small.From.Operations || small.To.Preemptions > small.From.Preemptions {
		t.Errorf("from %v to %v", small.From, small.To)
	}
	token, err := fuzz.ShortToken(t.Context(), got.Failure, scenario, o, 2000)
	if err != nil || !token.Placement {
		t.Fatalf("%v: %v", token, err)
	}
	back, err := fuzz.ParseToken(token.String())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Replay(o); err != nil || again.Finding == nil {
		t.Errorf("%v: %v, %v", token, again.Finding, err)
	}
	t.Log(small.From, "to", small.To, token)
}

// The strategies survive sleeps that end with no wakeup, and any placement, and what is
// done then is done again by a replay.
func TestChoicesSurvived(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	for _, e := range strategies.All {
		x := exploration(e, n, 4)
		x.Choices = script.Choices{Placement: true, Spurious: 2}
		got := x.Explore(t.Context())
		if got.Failure != nil {
			t.Fatalf("%s, script %d: %s", e.Name, got.Index, got.Failure.Text())
		}
		for i := range n / 3 {
			r := &sched.Recorded{Scheduler: sched.NewRandom(uint64(i))}
			o := x.Options
			o.Scheduler = r
			r.Begin()
			first := fuzz.Run(fuzz.Drawn(1, i), o)
			replay := sched.NewReplay(slices.Clone(r.Schedule))
			o.Scheduler = replay
			replay.Begin()
			again := fuzz.Run(fuzz.Drawn(1, i), o)
			if diff := cmp.Diff(first.History, again.History); diff != "" || replay.Misfit() != 0 || replay.Left() != 0 {
				t.Errorf("%s, script %d: replayed, it is another: %s", e.Name, i, diff)
			}
		}
	}
}
