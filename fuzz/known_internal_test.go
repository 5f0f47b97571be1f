package fuzz

import (
	"testing"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// Whatever the specification is asked about makes another history of one.
func TestKnownTellsApart(t *testing.T) {
	history := func() linearizability.History {
		return linearizability.History{
			{Thread: 1, Call: 1, Return: 5, Steps: []linearizability.Stamp{{At: 2, Step: event.Found}, {At: 3, Step: event.Change}},
				Result: event.Result{Events: []event.Kevent{{Ident: 1, Filter: event.Read, Data: 1, Udata: 2}}}},
			{Thread: 2, Call: 4, Return: linearizability.Never, Result: event.Result{Pending: true}},
		}
	}
	want := sumOf(history())
	if again := sumOf(history()); again != want {
		t.Fatalf("a history has two numbers, %#x and %#x", want, again)
	}
	for name, change := range map[string]func(h linearizability.History) linearizability.History{
		"a record less": func(h linearizability.History) linearizability.History { return h[:1] },
		"the thread":    func(h linearizability.History) linearizability.History { h[1].Thread = 3; return h },
		"the call":      func(h linearizability.History) linearizability.History { h[1].Call = 6; return h },
		"the return":    func(h linearizability.History) linearizability.History { h[0].Return = 6; return h },
		"no step":       func(h linearizability.History) linearizability.History { h[0].Steps = h[0].Steps[:1]; return h },
		"when a step":   func(h linearizability.History) linearizability.History { h[0].Steps[1].At = 4; return h },
		"which step":    func(h linearizability.History) linearizability.History { h[0].Steps[1].Step = event.Found; return h },
		"pending":       func(h linearizability.History) linearizability.History { h[1].Result.Pending = false; return h },
		"the errno":     func(h linearizability.History) linearizability.History { h[1].Result.Errno = 9; return h },
		"a number":      func(h linearizability.History) linearizability.History { h[0].Result.N = 1; return h },
		"the other":     func(h linearizability.History) linearizability.History { h[0].Result.N2 = 1; return h },
		"no event":      func(h linearizability.History) linearizability.History { h[0].Result.Events = nil; return h },
		"the ident":     func(h linearizability.History) linearizability.History { h[0].Result.Events[0].Ident = 2; return h },
		"the filter": func(h linearizability.History) linearizability.History {
			h[0].Result.Events[0].Filter = event.Write
			return h
		},
		"the flags": func(h linearizability.History) linearizability.History {
			h[0].Result.Events[0].Flags = event.EOF
			return h
		},
		"the fflags": func(h linearizability.History) linearizability.History { h[0].Result.Events[0].Fflags = 1; return h },
		"the data":   func(h linearizability.History) linearizability.History { h[0].Result.Events[0].Data = 2; return h },
		"the udata":  func(h linearizability.History) linearizability.History { h[0].Result.Events[0].Udata = 3; return h },
	} {
		if sumOf(change(history())) == want {
			t.Errorf("%s: another history has the same number", name)
		}
	}
}

// A history of the same script that comes again is known, one of another script is
// not; and a history that is wrong is found each time that it comes.
func TestKnown(t *testing.T) {
	s, err := Scenario("standard")
	if err != nil {
		t.Fatal(err)
	}
	other := *s
	l, recorded := newBench(Options{New: strategies.All[0].New, Strategy: strategies.All[0].Name})
	defer l.close()
	run := func(seed uint64) (checked bool) {
		recorded.Scheduler = sched.NewPCT(1, seed)
		recorded.Begin()
		r := l.run(s)
		if r.Finding != nil {
			t.Fatal(r.Finding)
		}
		return r.Linear != nil
	}
	for i, want := range []bool{true, true, false, false} { // the first of a script is not kept
		if got := run(1); got != want {
			t.Errorf("execution %d: held against the specification: %v, want %v", i, got, want)
		}
	}
	s = &other
	if !run(1) {
		t.Error("the history of another script is taken for known")
	}

	wrong := Report{Script: s, History: detached(l.report.History)}
	wrong.History[0].Result.N++
	for i := range 3 {
		wrong.Finding = nil
		if l.verify(&wrong); wrong.Finding == nil {
			t.Errorf("a wrong history is found right at look %d", i)
		}
	}
}
