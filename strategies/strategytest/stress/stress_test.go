package stress_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/giant"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

var rounds = flag.Int("rounds", 20, "rounds of stress for each strategy")

func TestRun(t *testing.T) {
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			var total stress.Report
			for seed := range *rounds {
				r, err := stress.Run(stress.Options{New: e.New, Strategy: e.Name, Seed: uint64(seed)})
				if err != nil {
					t.Fatal(err)
				}
				total.Operations += r.Operations
				total.Events += r.Events
				total.Checked += r.Checked
				total.Stats.Add(&r.Stats)
			}
			t.Logf("%d rounds: %d operations, %d events, %d registrations checked; %+v", *rounds, total.Operations, total.Events, total.Checked, total.Stats)
			if total.Events == 0 || total.Checked == 0 {
				t.Error("nothing was checked")
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    stress.Options
		want string
	}{
		{stress.Options{}, "New is nil"},
		{stress.Options{New: giant.New, Threads: 2}, "2 threads, want 0 for the default or at least 3"},
		{stress.Options{New: giant.New, Operations: -1}, "-1 operations"},
	} {
		if _, err := stress.Run(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Run(%+v): %v, want an error with %q", tt.o, err, tt.want)
		}
	}
}

func ExampleRun() {
	r, err := stress.Run(stress.Options{New: giant.New, Strategy: "giant", Threads: 4, Operations: 500, Seed: 1})
	fmt.Println(err, r.Events > 0)
	// Output: <nil> true
}
