package fuzz

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// traced makes an execution of a scenario with a trace and without, and returns both.
func traced(t *testing.T, scenario string, e strategies.Entry, seed uint64) (with, without *Report, preemptions int) {
	t.Helper()
	kept, err := Scenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	run := func(to *Trace) (*Report, []int) {
		x := &tour{Scheduler: sched.NewRandom(seed)}
		r := &sched.Recorded{Scheduler: x}
		r.Begin()
		report := Run(kept, Options{New: e.New, Strategy: e.Name, Scheduler: r, Trace: to})
		preemptions = x.preemptions
		return report, slices.Clone(r.Schedule)
	}
	without, plain := run(nil)
	with, watched := run(&Trace{})
	if !slices.Equal(plain, watched) || !reflect.DeepEqual(with.History, without.History) || !reflect.DeepEqual(with.Finding, without.Finding) {
		t.Fatalf("%s under %s, seed %d: to look at it changes it:\n%v\n%v", scenario, e.Name, seed, without.History, with.History)
	}
	if with.Script.Schedule == nil || !slices.Equal(with.Script.Schedule.Decisions, plain) {
		t.Fatalf("%s under %s, seed %d: its schedule is %v", scenario, e.Name, seed, with.Script.Schedule)
	}
	return with, without, preemptions
}

// A trace tells of an execution as it is, and is none of its causes.
func TestTrace(t *testing.T) {
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	woken, slept, waited, inside := 0, 0, 0, 0
	bits := map[string]bool{}
	for _, scenario := range Scenarios() {
		for i, e := range strategies.All {
			for seed := range uint64(seeds) {
				name := fmt.Sprintf("%s under %s, seed %d", scenario, e.Name, seed)
				r, _, preemptions := traced(t, scenario, e, seed*3+uint64(i))
				x := r.Trace
				asleep, could, turn := map[int]bool{}, 0, int64(-1)
				for k, s := range x.Steps {
					if s.Could {
						could++
					}
					if s.Turn < turn {
						t.Fatalf("%s: step %d goes back in time: %d, %d", name, k+1, turn, s.Turn)
					}
					for _, rec := range r.History {
						for _, at := range append([]int64{rec.Call, rec.Return}, stamps(rec.Steps)...) {
							if k > 0 && rec.Thread > 0 && at > turn && at <= s.Turn && s.Lane != rec.Thread-1 {
								t.Fatalf("%s: step %d is of lane %d, and thread %d does something in it: %v", name, k+1, s.Lane, rec.Thread, rec)
							}
						}
					}
					turn = s.Turn
					for _, w := range s.Woke {
						delete(asleep, w)
						woken++
					}
					switch {
					case s.Lane < 0:
						clear(asleep) // of some it was the time
						continue
					case asleep[s.Lane]:
						t.Fatalf("%s: step %d is of %s, which sleeps", name, k+1, x.Threads[s.Lane])
					}
					switch s.State {
					case StepAsleep:
						asleep[s.Lane] = s.Until > s.Clock // or its time is over as it goes to sleep
						slept++
						if slices.Contains(s.Inside, s.Lane) {
							t.Errorf("%s: step %d: %s sleeps in a domain", name, k+1, x.Threads[s.Lane])
						}
					case StepWaiting:
						waited++
					}
					for _, lane := range s.Inside {
						if lane >= 0 {
							inside++
						}
					}
					for _, h := range s.Halves {
						for _, b := range strings.Fields(h.Source + " " + h.Link) {
							bits[b] = true
						}
						if h.Knote < 0 || h.Knote >= len(x.Knotes) || strings.Contains(x.Knotes[h.Knote], "a kqueue") {
							t.Fatalf("%s: step %d: knote %d of %q", name, k+1, h.Knote, x.Knotes)
						}
					}
				}
				if could != preemptions || x.Found != len(x.Steps) || x.Cut != 0 || len(x.Steps) == 0 {
					t.Errorf("%s: %d preemptions, want %d; found in %d of %d steps", name, could, preemptions, x.Found, len(x.Steps))
				}
			}
		}
	}
	if woken == 0 || slept <= woken/2 || waited == 0 || inside == 0 {
		t.Errorf("woken %d, slept %d, waited %d, inside %d", woken, slept, waited, inside)
	}
	for _, b := range []string{"busy", "hooked", "fired", "posted", "disabled", "gone", "done", "hashed", "listed", "claimed", "dying"} {
		if !bits[b] {
			t.Errorf("no knote is ever seen %s", b)
		}
	}
}

func stamps(steps []linearizability.Stamp) (all []int64) {
	for _, s := range steps {
		all = append(all, s.At)
	}
	return all
}

// An execution without an end has a trace with one.
func TestTraceCut(t *testing.T) {
	x := &tracer{to: &Trace{Steps: make([]TraceStep, traceMost)}}
	x.begin(1, false, nil)
	x.begin(1, false, nil)
	if x.to.Cut != 2 || len(x.to.Steps) != traceMost || x.going {
		t.Errorf("cut are %d of %d", x.to.Cut, len(x.to.Steps))
	}
}
