package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/strategies"
)

// Operations run, recorded and checked, of drawn scripts.
func BenchmarkRun(b *testing.B) {
	var drawn []*script.Script
	for seed := range 100 {
		drawn = append(drawn, fuzz.Concurrent().Example(seed))
	}
	for _, e := range strategies.All {
		b.Run(e.Name, func(b *testing.B) {
			ops := 0
			for i := 0; b.Loop(); i++ {
				r := fuzz.Run(drawn[i%len(drawn)], fuzz.Options{New: e.New, Strategy: e.Name})
				if r.Finding != nil {
					b.Fatal(r.Text())
				}
				ops += len(r.History)
			}
			b.ReportMetric(float64(ops)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}
