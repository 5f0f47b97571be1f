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
		schedule     []uint8
		misfit, left int
		word         string
	}{
		{[]uint8{0, 1}, 0, 0, "121"},
		{[]uint8{0}, 2, 0, "112"},
		{nil, 1, 0, "112"},
		{[]uint8{2, 1}, 1, 0, "121"},
		{[]uint8{1, 0, 0}, 0, 2, "211"},
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
	n := &noting{Scheduler: sched.NewReplay([]uint8{0, 0})}
	s := &sched.Recorded{Scheduler: n}
	m := sim{prog: prog("+1 +1 | +1 z1 +1")}
	s.Begin()
	m.run(s)
	if want := []int{2, 2, sched.Clock, 2}; !slices.Equal(n.forced, want) || len(s.Schedule) != 2 {
		t.Errorf("forced %v and %d decisions, want %v and 2", n.forced, len(s.Schedule), want)
	}
}
