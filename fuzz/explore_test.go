package fuzz_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

func exploration(e strategies.Entry, scripts, each int) fuzz.Exploration {
	return fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name},
		Script:  func(i int) *script.Script { return fuzz.Drawn(1, i) }, Each: each, Scripts: scripts,
		Scheduler: func(i int) sched.Scheduler { return sched.NewRandom(uint64(i)) },
	}
}

// Nothing is found under a right strategy, and what is seen does not depend on
// how many look.
func TestExplore(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			var first fuzz.Explored
			for workers := range 3 {
				x := exploration(e, n, 4)
				x.Workers = workers + 1
				told := 0
				x.Progress = func(fuzz.Explored) { told++ }
				got := x.Explore(t.Context())
				if got.Failure != nil {
					t.Fatalf("script %d: %s", got.Index, got.Failure.Text())
				}
				if workers == 0 {
					first = got
				}
				if diff := cmp.Diff(first, got); diff != "" || told != n {
					t.Errorf("%d workers: after %d words it is another: %s", workers+1, told, diff)
				}
			}
			if first.Scripts != n || first.Executions != 4*n || first.Complete || first.Outcomes < n || first.Outcomes > 4*n || first.Once > first.Outcomes || first.Pairs != len(first.Covered) || first.Pairs < 20 || first.Undecided > n/10 {
				t.Errorf("%+v", first)
			}
			t.Logf("%d outcomes, %d once, %d pairs", first.Outcomes, first.Once, first.Pairs)
		})
	}
}

// faulty is an exploration that finds a planted fault, in a process that may do so.
func faulty(t *testing.T, f broken.Fault) fuzz.Exploration {
	t.Helper()
	scripts := 400
	if f.Name == "no-second-look" { // needs three threads at one box
		scripts = 4000
	}
	skipRacy(t, f.Name)
	return exploration(f.Entry, scripts, 3)
}

// Each planted fault is found: without luck, in this process, in the same script
// whoever looks, and again when its schedule is replayed.
func TestExploreFinds(t *testing.T) {
	for _, f := range broken.All {
		t.Run(f.Name, func(t *testing.T) {
			x := faulty(t, f)
			x.Workers = 2
			got := x.Explore(t.Context())
			if got.Failure == nil {
				t.Fatalf("not found: %+v", got)
			}
			t.Logf("script %d, execution %d: %.200v", got.Index, got.Executions, got.Failure.Finding)
			if x.Workers = 1; x.Explore(t.Context()).Index != got.Index {
				t.Error("one worker finds it in another script than two")
			}
			s := got.Failure.Script
			if s.Schedule == nil || s.Schedule.Strategy != f.Name || len(s.Schedule.Decisions) == 0 {
				t.Fatalf("its schedule is %+v", s.Schedule)
			}
			text := got.Failure.Text()
			back, err := script.Parse("failure", text)
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				r, err := fuzz.Replay(back, x.Options)
				if err != nil || r.Finding == nil || r.Finding.Property != got.Failure.Finding.Property {
					t.Fatalf("replayed: %v, %v", r.Finding, err)
				}
				if diff := cmp.Diff(got.Failure.History, r.History); diff != "" {
					t.Fatalf("replayed, it is another execution: %s", diff)
				}
			}
		})
	}
}

// A schedule that is not of the script is noticed.
func TestReplayMisfit(t *testing.T) {
	x := exploration(broken.All[2].Entry, 400, 3) // those before it are races
	s := *x.Explore(t.Context()).Failure.Script
	whole := s.Schedule.Decisions
	for name, d := range map[string][]int{
		"too short": whole[:len(whole)-1], "too long": append(slices.Clone(whole), 0), "impossible": {250},
	} {
		s.Schedule = &script.Schedule{Strategy: s.Schedule.Strategy, Decisions: d}
		if _, err := fuzz.Replay(&s, x.Options); !errors.Is(err, fuzz.ErrMisfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No more executions are made than are wanted.
func TestExploreMost(t *testing.T) {
	for most, want := range map[int]int{0: 12, 1: 1, 3: 3, 4: 4, 11: 11, 100: 12} {
		x := exploration(strategies.All[0], 3, 4)
		x.Most, x.Workers = most, 2
		if got := x.Explore(t.Context()); got.Executions != want {
			t.Errorf("at most %d: %d executions, want %d", most, got.Executions, want)
		}
	}
}

// The end of the context ends it, and then it is not complete.
func TestExploreEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x := exploration(strategies.All[0], 1<<30, 2)
	x.Progress = func(e fuzz.Explored) {
		if e.Scripts == 5 {
			cancel()
		}
	}
	if got := x.Explore(ctx); got.Scripts < 5 || got.Scripts > 7 || got.Complete {
		t.Errorf("%+v", got)
	}
}

func ExampleExploration() {
	s, _ := script.Parse("two.kq", `
setup
  kqueue
  probe
  kevent 0: READ 1 ADD|CLEAR
thread
  kevent 0 room=1 wait=forever
thread cpu=1
  set 1 5`)
	x := fuzz.Exploration{
		Options:   fuzz.Options{New: strategies.All[0].New, Strategy: strategies.All[0].Name},
		Script:    func(int) *script.Script { return s },
		Scheduler: func(int) sched.Scheduler { return sched.NewRandom(1) },
		Scripts:   1,
		Each:      500,
	}
	got := x.Explore(context.Background())
	fmt.Println(got.Executions, "executions, finding:", got.Failure != nil)
	// Output:
	// 500 executions, finding: false
}
