package fuzz

import (
	"slices"
	"testing"

	"github.com/kqlab/kqlab/linearizability"
)

// The controls of a comparison: what one strategy lacks is said to be explained only
// by a freedom that it needs, and else to be undecided only while there may be more.
func TestDifference(t *testing.T) {
	plain := `
0 1 3 kqueue => ok @ 2 made
0 4 6 probe => 1 @ 5 made
0 7 9 probe => 2 @ 8 made
0 10 14 kevent 0: READ 1 ADD udata=1; READ 2 ADD udata=2 => ok @ 11 found; 11 change; 11 found; 11 changed; 12 change; 12 found; 12 changed
1 15 17 set 1 5 => ok @ 16 found; 16 acted
1 18 20 set 2 5 => ok @ 19 found; 19 acted
2 21 25 kevent 0 room=2 => events `
	for _, c := range []struct {
		what       string
		text       string
		executions int // of the set that lacks it
		once       bool
		why        Why
		needs      []linearizability.Freedom
	}{
		{"seen often, never under the other", plain + "READ 1 data=5 udata=1; READ 2 data=5 udata=2 @ 22 found; 23 took; 24 took", enoughToMiss, false, Unexplained, nil},
		{"there may be more", plain + "READ 1 data=5 udata=1; READ 2 data=5 udata=2 @ 22 found; 23 took; 24 took", enoughToMiss, true, Undecided, nil},
		{"too few executions", plain + "READ 1 data=5 udata=1; READ 2 data=5 udata=2 @ 22 found; 23 took; 24 took", enoughToMiss - 1, false, Undecided, nil},
		{"in another order", plain + "READ 2 data=5 udata=2; READ 1 data=5 udata=1 @ 22 found; 23 took; 24 took", enoughToMiss, false, ByFreedom, []linearizability.Freedom{linearizability.AnyOrder}},
	} {
		h, err := linearizability.Parse(c.what, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if v := linearizability.Check(h, linearizability.Options{}); v.Verdict != linearizability.OK || !v.Replayed {
			t.Fatalf("%s: %v", c.what, v)
		}
		x := outcome(h)
		has := &seenSet{executions: 100, exact: map[uint64]*seenOutcome{}, alike: map[uint64]*seenOutcome{}}
		has.exact[x] = &seenOutcome{executions: 7, alike: x, report: &Report{History: h}}
		has.alike[x] = &seenOutcome{executions: 7, report: &Report{History: h}}
		lacks := &seenSet{executions: c.executions, exact: map[uint64]*seenOutcome{}, alike: map[uint64]*seenOutcome{}}
		if c.once {
			lacks.exact[1], lacks.alike[1] = &seenOutcome{executions: 1, alike: 1, report: &Report{}}, &seenOutcome{executions: 1, report: &Report{}}
			has.exact[1], has.alike[1] = &seenOutcome{executions: 9, alike: 1, report: &Report{}}, &seenOutcome{executions: 9, report: &Report{}}
		}
		for _, sets := range [][]*seenSet{{has, lacks}, {lacks, has}} {
			comparison := Comparison{Strategies: []Options{{Strategy: "a"}, {Strategy: "b"}}}
			var out Compared
			comparison.sum(&out, sets)
			if len(out.Differences) != 1 {
				t.Fatalf("%s: %+v", c.what, out)
			}
			if d := out.Differences[0]; d.Why != c.why || !slices.Equal(d.Needs, c.needs) || d.Executions != 7 || len(d.Has) != 1 || len(d.Lacks) != 1 || d.Has[0] == d.Lacks[0] {
				t.Errorf("%s: %+v", c.what, d)
			}
		}
	}
}

// A difference in how often a timer has expired is none that needs a reason, and one
// in anything else is.
func TestWithoutTicks(t *testing.T) {
	one := linearizability.History{}
	for _, text := range []string{
		"1 1 2 kevent 0 room=1 => events TIMER 1 data=3 udata=1", "1 1 2 kevent 0 room=1 => events TIMER 1 data=4 udata=1",
		"1 1 2 kevent 0 room=1 => events TIMER 1 data=3 udata=2", "1 1 2 kevent 0 room=1 => events READ 1 data=3 udata=1",
	} {
		h, err := linearizability.Parse("h", text)
		if err != nil {
			t.Fatal(err)
		}
		one = append(one, h...)
	}
	number := func(i int) uint64 { return outcome(withoutTicks(one[i : i+1])) }
	if number(0) != number(1) || number(0) == number(2) || number(0) == number(3) || one[0].Result.Events[0].Data != 3 {
		t.Errorf("%x %x %x %x, %v", number(0), number(1), number(2), number(3), one[0])
	}
	if h := one[3:4]; number(3) != outcome(h) {
		t.Error("where there is no timer nothing is left out")
	}
}
