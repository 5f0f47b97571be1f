package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// Executions of the scenario standard, explored and checked.
func BenchmarkExplore(b *testing.B) {
	s, err := fuzz.Scenario("standard")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range strategies.All {
		b.Run(e.Name, func(b *testing.B) {
			x := fuzz.Exploration{
				Options: fuzz.Options{New: e.New, Strategy: e.Name},
				Script:  func(int) *script.Script { return s }, Scripts: 1, Each: b.N,
				Scheduler: func(int) sched.Scheduler { return sched.NewRandom(1) },
			}
			b.ReportAllocs()
			if got := x.Explore(b.Context()); got.Failure != nil {
				b.Fatal(got.Failure.Text())
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
