package sched_test

import (
	"slices"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// A schedule of another program does not go unnoticed: too short, too long, and a
// decision that was among more.
func TestReplayMisfit(t *testing.T) {
	m := sim{prog: prog("+1 +1 | +1")}
	for _, c := range []struct {
		schedule     []int
		misfit, left int
		word         string
	}{
		{[]int{0, 1}, 0, 0, "121"},
		{[]int{0}, 2, 0, "112"},
		{nil, 1, 0, "112"},
		{[]int{2, 1}, 1, 0, "121"},
		{[]int{1, 0, 0}, 0, 2, "211"},
	} {
		r := sched.NewReplay(c.schedule)
		for range 2 { // the second begins afresh
			r.Begin()
			m.run(r)
			if r.Misfit() != c.misfit || r.Left() != c.left || string(m.word) != c.word {
				t.Errorf("%v: misfit %d, left %d, %s; want %d, %d, %s",
					c.schedule, r.Misfit(), r.Left(), m.word, c.misfit, c.left, c.word)
			}
		}
	}
}

// A noting is a scheduler that notes what is forced.
type noting struct {
	sched.Scheduler
	forced []int
}

func (n *noting) Forced(thread int, v sched.View) { n.forced = append(n.forced, thread) }

// Being recorded must not hide the forced steps from a scheduler that needs them.
func TestRecordedForced(t *testing.T) {
	n := &noting{Scheduler: sched.NewReplay([]int{0, 0})}
	s := &sched.Recorded{Scheduler: n}
	m := sim{prog: prog("+1 +1 | +1 z1 +1")}
	s.Begin()
	m.run(s)
	if want := []int{2, 2, sched.Clock, 2}; !slices.Equal(n.forced, want) || len(s.Schedule) != 2 {
		t.Errorf("forced %v and %d decisions, want %v and 2", n.forced, len(s.Schedule), want)
	}
}

// As many may be able to go on as there are timers that are due at once: a decision
// is kept whole, however many there are.
func TestRecordedMany(t *testing.T) {
	s := &sched.Recorded{Scheduler: sched.NewRandom(1)}
	s.Begin()
	var made []int
	for range 50 {
		made = append(made, s.Choose(1000))
	}
	if slices.Max(made) < 256 {
		t.Fatal("none above 255")
	}
	r := sched.NewReplay(s.Schedule)
	r.Begin()
	for i, want := range made {
		if got := r.Choose(1000); got != want {
			t.Fatalf("decision %d: %d, want %d", i, got, want)
		}
	}
}
