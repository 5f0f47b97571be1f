package machine

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// Executions of three threads that lock and unlock five times.
func BenchmarkVirtual(b *testing.B) {
	s := sched.NewRandom(1)
	b.ReportAllocs()
	points := 0
	for b.Loop() {
		m := Virtual(2, s)
		mu := &Mutex{Name: "mu"}
		for range 3 {
			m.Go("t", 0, func(td *Thread) {
				for range 5 {
					mu.Lock(td)
					mu.Unlock(td)
				}
			})
		}
		if err := m.Run(); err != nil {
			b.Fatal(err)
		}
		points += m.vm.(*virtual).steps
		m.Abandon()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "executions/s")
	b.ReportMetric(float64(points)/float64(b.N), "points")
}
