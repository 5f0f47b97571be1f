package machine

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// Executions of three threads that lock and unlock five times, on one machine: what
// it costs by itself.
func BenchmarkVirtual(b *testing.B) {
	for _, name := range []string{"random", "pct:3"} {
		b.Run(name, func(b *testing.B) {
			s, err := sched.New(name, 1)
			if err != nil {
				b.Fatal(err)
			}
			m := Virtual(2, s)
			defer m.Abandon()
			mu := &Mutex{Name: "mu"}
			body := func(td *Thread) {
				for range 5 {
					mu.Lock(td)
					mu.Unlock(td)
				}
			}
			b.ReportAllocs()
			points := 0
			for b.Loop() {
				if !m.Reset() {
					b.Fatal("the machine cannot be used again")
				}
				s.Begin()
				for range 3 {
					m.Go("t", 0, body)
				}
				if err := m.Run(); err != nil {
					b.Fatal(err)
				}
				points += m.vm.steps
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
			b.ReportMetric(float64(points)/float64(b.N), "points")
		})
	}
}
