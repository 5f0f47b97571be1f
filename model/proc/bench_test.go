package proc_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// What a process costs, from fork to wait: with three descriptors; watched for everything
// by one queue, which takes two events of it; and untouched by all that.
func BenchmarkForkExitWait(b *testing.B) {
	for _, s := range strategies.All {
		for _, c := range []struct {
			name  string
			files int
			track bool
		}{{"bare", 0, false}, {"files=3", 3, false}, {"tracked", 0, true}} {
			b.Run(s.Name+"/"+c.name, func(b *testing.B) {
				r := newRound(b, s, c.files, c.track)
				defer r.td.Detach()
				b.ReportAllocs()
				for b.Loop() {
					r.turn(b)
				}
			})
		}
	}
}

// A round is what is done again and again: a child is forked, ends and is waited for.
type round struct {
	*lab
	kq     int
	track  bool
	events [4]event.Kevent
}

func newRound(tb testing.TB, s strategies.Entry, files int, track bool) *round {
	r := &round{lab: newLab(nil, s), track: track}
	for range files {
		if _, err := r.p.Open(r.td, r.file()); err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	if r.kq, err = r.p.Kqueue(r.td); err != nil {
		tb.Fatal(err)
	}
	if track {
		if _, err := r.p.Kevent(r.td, r.kq, []event.Kevent{{Ident: proc.Init, Filter: event.Proc, Flags: event.Add, Fflags: everything}}, nil, 0); err != nil {
			tb.Fatal(err)
		}
	}
	return r
}

func (r *round) turn(tb testing.TB) {
	c, err := r.p.Fork(r.td)
	if err == nil && r.track {
		r.take(tb, 2) // the parent's, and NOTE_CHILD
	}
	if err == nil {
		err = c.Exit(r.td, proc.Exited(1))
	}
	if err == nil && r.track {
		r.take(tb, 1)
	}
	if err == nil {
		_, _, err = r.p.Wait(r.td, c.Pid())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func (r *round) take(tb testing.TB, want int) {
	if n, err := r.p.Kevent(r.td, r.kq, nil, r.events[:], 0); n != want || err != nil {
		tb.Fatalf("%d events, %v, want %d", n, err, want)
	}
}

// A process costs so many allocations, and no more: itself; its table of descriptors, and
// each life in that, of which a file of this test tells its sources by one more; what watches
// it, whom to tell of it, and what the filter keeps of a knote.
func TestForkAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, s := range strategies.All {
		for _, c := range []struct {
			name  string
			files int
			track bool
			most  float64
		}{{"bare", 0, false, 1}, {"files=3", 3, false, 2 + 2*3}, {"tracked", 0, true, 4}} {
			t.Run(s.Name+"/"+c.name, func(t *testing.T) {
				r := newRound(t, s, c.files, c.track)
				defer r.td.Detach()
				least := -1.0
				for range 3 { // what goroutines of earlier tests allocate is counted too, but not in each
					if n := testing.AllocsPerRun(200, func() { r.turn(t) }); least < 0 || n < least {
						least = n
					}
				}
				t.Logf("%v allocations", least)
				if least > c.most {
					t.Errorf("%v allocations from fork to wait, want %v at most", least, c.most)
				}
			})
		}
	}
}
