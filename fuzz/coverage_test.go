package fuzz_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

func kept(t *testing.T, name string) *script.Script {
	t.Helper()
	s, err := fuzz.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of explores a scenario.
func of(s *script.Script, strategy string, scripts, each int) fuzz.Exploration {
	i := slices.IndexFunc(strategies.All, func(e strategies.Entry) bool { return e.Name == strategy })
	return fuzz.Exploration{
		Options: fuzz.Options{New: strategies.All[i].New, Strategy: strategy},
		Script:  func(int) *script.Script { return s }, Scripts: scripts, Each: each,
		Scheduler: func(i int) sched.Scheduler { return sched.NewRandom(uint64(i)) },
	}
}

// Which pairs and which outcomes are seen of a scenario does not depend on who looks,
// and no outcome is counted twice since it came in two parts.
func TestExploreTogether(t *testing.T) {
	s := kept(t, "two-sleepers-one-event")
	var first fuzz.Explored
	for workers := range 3 {
		x := of(s, "pcpu", 12, 30)
		x.Workers = workers + 1
		got := x.Explore(t.Context())
		if workers == 0 {
			first = got
		}
		if diff := gocmp.Diff(first, got); diff != "" {
			t.Errorf("%d workers: %s", workers+1, diff)
		}
	}
	// The event goes to one of two, before it sleeps or after; nothing else is left
	// open by the script.
	if first.Outcomes != 2 || first.Once != 0 || first.Unseen() != 0 {
		t.Errorf("%d outcomes, %d once", first.Outcomes, first.Once)
	}
	for _, want := range []fuzz.Pair{
		{"wait channel kevent", machine.PointWakeup, machine.PointInterlock},
		{"wait channel kevent", machine.PointInterlock, machine.PointWakeup},
	} {
		if !slices.Contains(first.Covered, want) {
			t.Errorf("no pair %v in %v", want, first.Covered)
		}
	}
	inOrder := slices.IsSortedFunc(first.Covered, func(a, b fuzz.Pair) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), int(a.First)-int(b.First), int(a.Second)-int(b.Second))
	})
	if !inOrder || len(first.Covered) < 15 || len(first.Covered) != first.Pairs {
		t.Errorf("pairs: %v", first.Covered)
	}
}

// The controls: without a preemption pairs are missing, and threads that have no
// object in common but the CPU make few.
func TestCoveredLess(t *testing.T) {
	s := kept(t, "message-against-migrate")
	x := of(s, "pcpu", 1, 400)
	all := x.Explore(t.Context())
	x.Scheduler = func(int) sched.Scheduler { return sched.NewDFS(0) }
	some := x.Explore(t.Context())
	if some.Pairs == 0 || some.Pairs >= all.Pairs {
		t.Errorf("%d pairs without preemptions, %d with them", some.Pairs, all.Pairs)
	}
	alone, err := script.Parse("alone.kq", "thread\n  kqueue\n  probe\n  set 1 1\n  kevent 0: READ 1 ADD\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := of(alone, "pcpu", 1, 10).Explore(t.Context()); got.Pairs != 0 || got.Outcomes != 1 {
		t.Errorf("one thread: %+v", got)
	}
}
