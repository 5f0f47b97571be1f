package sched_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

var cheap = []string{"random", "pct:3", "pos", "urw"}

// Once its tables have grown a scheduler that draws lots allocates nothing, and
// being recorded neither.
func TestNoAllocation(t *testing.T) {
	for _, name := range append(cheap, "dfs:2", "delay:2") {
		inner, err := sched.New(name, 24)
		if err != nil {
			t.Fatal(err)
		}
		s := &sched.Recorded{Scheduler: inner}
		m := sim{prog: prog(mixed)}
		for range 100 {
			s.Begin()
			m.run(s)
		}
		if n := testing.AllocsPerRun(200, func() {
			if s.Begin() {
				m.run(s)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations an execution", name, n)
		}
	}
}

// A crowd is four threads, two of which are about to do something to one object.
type crowd struct{}

func (crowd) Pending(thread int) sched.Op { return sched.Op{Object: thread / 2} }

// BenchmarkNext measures a decision among four threads, in executions of a hundred.
func BenchmarkNext(b *testing.B) {
	can := []int{1, 2, 3, 4}
	for _, name := range cheap {
		b.Run(name, func(b *testing.B) {
			s, err := sched.New(name, 25)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			current, n := -1, 0
			for b.Loop() {
				if n%100 == 0 {
					s.Begin()
				}
				n++
				current = s.Next(can, current, crowd{})
			}
		})
	}
}

// BenchmarkDPOR measures executions, with what is found out after them.
func BenchmarkDPOR(b *testing.B) {
	m := sim{prog: prog("(1 +1 )1 +2 | (1 +1 )1 r2 | +2 (1 r1 )1 | (2 +3 )2 r2")}
	d := sched.NewDPOR()
	b.ReportAllocs()
	for b.Loop() {
		if !d.Begin() {
			d = sched.NewDPOR()
			d.Begin()
		}
		m.run(d)
	}
}
