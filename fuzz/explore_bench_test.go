package fuzz_test

import (
	"context"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// standard is an exploration of n executions of the scenario standard, in parts.
func standard(tb testing.TB, e strategies.Entry, scheduler string, n, parts int) fuzz.Exploration {
	tb.Helper()
	return explorationOf(tb, "standard", e, scheduler, n, parts)
}

// explorationOf is standard of another scenario.
func explorationOf(tb testing.TB, scenario string, e strategies.Entry, scheduler string, n, parts int) fuzz.Exploration {
	tb.Helper()
	s, err := fuzz.Scenario(scenario)
	if err != nil {
		tb.Fatal(err)
	}
	return fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name},
		Script:  func(int) *script.Script { return s }, Scripts: parts, Each: (n + parts - 1) / parts, Most: n,
		Scheduler: func(i int) sched.Scheduler {
			by, err := sched.New(scheduler, uint64(i))
			if err != nil {
				tb.Error(err)
			}
			return by
		},
	}
}

func explored(b *testing.B, x fuzz.Exploration, workers, executions int) time.Duration {
	x.Workers = workers
	begin := time.Now()
	if got := x.Explore(context.Background()); got.Failure != nil || got.Executions != executions {
		b.Fatalf("%d executions, want %d; %v", got.Executions, executions, got.Failure)
	}
	return time.Since(begin)
}

// Executions of the scenario standard, explored, recorded and held against the
// specification, by one worker.
func BenchmarkExplore(b *testing.B) {
	for _, e := range strategies.All {
		for _, scheduler := range []string{"random", "pct:3"} {
			b.Run(e.Name+"/"+scheduler, func(b *testing.B) {
				b.ReportAllocs()
				explored(b, standard(b, e, scheduler, b.N, 1), 1, b.N)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
			})
		}
	}
}

// How many times the executions a second of one worker two make. The two are
// measured by turns, so that whatever else the computer does slows both.
func BenchmarkTwoWorkers(b *testing.B) {
	for _, e := range strategies.All {
		b.Run(e.Name, func(b *testing.B) {
			const turns, parts = 10, 8
			var took [3]time.Duration
			n := max(b.N/turns, parts)
			for range turns {
				for workers := 1; workers <= 2; workers++ {
					took[workers] += explored(b, standard(b, e, "random", n, parts), workers, n)
				}
			}
			b.ReportMetric(float64(took[1])/float64(took[2]), "times")
			b.ReportMetric(0, "ns/op")
		})
	}
}
