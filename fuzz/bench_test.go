package fuzz_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/strategies"
)

// Operations run, recorded and checked, of drawn scripts, by several workers.
func BenchmarkRun(b *testing.B) {
	var drawn []*script.Script
	for seed := range 100 {
		drawn = append(drawn, fuzz.Concurrent().Example(seed))
	}
	for _, e := range strategies.All {
		b.Run(e.Name, func(b *testing.B) {
			var ops, next atomic.Int64
			b.SetParallelism(4) // some wait while others run
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := fuzz.Run(drawn[int(next.Add(1))%len(drawn)], fuzz.Options{New: e.New, Strategy: e.Name})
					if r.Finding != nil {
						b.Error(r.Text())
						return
					}
					ops.Add(int64(len(r.History)))
				}
			})
			b.ReportMetric(float64(ops.Load())/b.Elapsed().Seconds()/float64(runtime.GOMAXPROCS(0)), "ops/s/core")
		})
	}
}
