package fuzz

import (
	"slices"
	"testing"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
)

// A watch is held against what the queues have only if nothing may have changed it.
func TestWatches(t *testing.T) {
	const setup = "setup\n kqueue\n kqueue\n probe\n kevent 1: READ 0 ADD\nthread\n "
	for rest, want := range map[string]int{
		"kevent 1 room=4":                        1,
		"kevent 0: READ 2 ADD":                   1,
		"kevent 1: READ 0 ADD|CLEAR":             0,
		"kevent 1 room=4: READ 0 DELETE|RECEIPT": 0,
		"close 0":                                0,
		"close 1":                                0,
		"close 2":                                1,
		"dup 1":                                  0,
		"dup 2":                                  1,
		"dup2 2 0":                               0,
		"dup2 1 7":                               0,
	} {
		s, err := script.Parse("watch", setup+rest)
		if err != nil {
			t.Fatal(err)
		}
		var h linearizability.History
		for _, op := range s.Setup[0].Ops {
			h = append(h, linearizability.Record{Op: op})
		}
		if got := watches(s, h); len(got) != want || want == 1 && got[0] != (watch{1, 0}) {
			t.Errorf("%s: %v, want %d", rest, got, want)
		}
		last := &h[len(h)-1]
		last.Result.Events = []event.Kevent{{}} // who knows what was refused
		if got := watches(s, h); got != nil {
			t.Errorf("%s: %v of an EV_ADD that was answered an event", rest, got)
		}
	}
}

// Who watches is asked before whom it watches, in any order of queues.
func TestOuterFirst(t *testing.T) {
	chain := []watch{{3, 0}, {4, 3}, {4, 1}}
	for _, queues := range [][]int{{0, 1, 3, 4}, {4, 3, 1, 0}, {3, 3, 0, 4, 1, 0}} {
		got := outerFirst(queues, chain)
		for _, w := range chain {
			if len(got) != 4 || slices.Index(got, w.outer) > slices.Index(got, w.inner) {
				t.Errorf("%v: queue %d watches %d", got, w.outer, w.inner)
			}
		}
	}
}

// The watches of the scenario in which mutants finds a poster that does not visit
// are among those that are looked at.
func TestWatchesOfTheScenario(t *testing.T) {
	s, err := Scenario("nested-queues")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []watch{{3, 0}, {4, 3}} {
		if !w.lasts(s) {
			t.Errorf("%v is not looked at", w)
		}
	}
}
