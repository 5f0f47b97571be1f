package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// Of a poll that comes before the visit which the poster owes: with nothing in hand
// it has the queue below all the same, always; with something in hand it may not,
// and under each strategy sometimes has not. That is mayOweVisit, and no finding.
func TestVisitUnderWay(t *testing.T) {
	const text = `
setup cpu=0
  kqueue                 # 0
  probe                  # 1
  kevent 0: READ 1 ADD
setup cpu=1
  kqueue                 # 2
  kevent 2: READ 0 ADD
`
	const threads = `
thread cpu=0
  set 1 1
thread cpu=1
  kevent 0 room=4
  kevent 2 room=4
`
	for _, tt := range []struct {
		name, more string
		missed     bool // sometimes
	}{
		{"nothing in hand", "", false},
		{"something in hand", "  kevent 2: USER 1 ADD fflags=TRIGGER\n", true},
	} {
		s, err := script.Parse(tt.name, text+tt.more+threads)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range strategies.All {
			scheduler := &sched.Recorded{Scheduler: sched.NewDFS(2)}
			executions, seen, missed := 0, 0, 0
			for ; scheduler.Begin(); executions++ {
				r := fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name, Scheduler: scheduler})
				if r.Finding != nil {
					t.Fatalf("%s, %s: %s", tt.name, e.Name, r.Text())
				}
				var polls []event.Result // of the inner queue, then of the outer
				for _, rec := range r.History {
					if rec.Thread == 2 {
						polls = append(polls, rec.Result)
					}
				}
				if returns(polls[0].Events, 1) {
					seen++
					if !returns(polls[1].Events, 0) {
						missed++
					}
				}
			}
			t.Logf("%s, %s: %d executions; in %d the inner queue had the event before, and in %d of those the outer did not", tt.name, e.Name, executions, seen, missed)
			if seen == 0 || missed > 0 != tt.missed {
				t.Errorf("%s, %s: missed in %d of %d, want: %t", tt.name, e.Name, missed, seen, tt.missed)
			}
		}
	}
}

// returns reports whether READ of the descriptor is among the events.
func returns(events []event.Kevent, fd uint64) bool {
	for _, kev := range events {
		if kev.Filter == event.Read && kev.Ident == fd {
			return true
		}
	}
	return false
}
