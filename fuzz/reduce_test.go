package fuzz_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

const reduceMost = 20_000

// small is how small each planted fault becomes, with a thread and two operations
// to spare.
var small = map[string]fuzz.Size{
	"none":                        {Threads: 2, Operations: 4, Preemptions: 2},
	"deliver-without-the-lock":    {Threads: 3, Operations: 9, Preemptions: 1},
	"deliver-dropped-when-busy":   {Threads: 3, Operations: 8, Preemptions: 2},
	"enter-does-not-drain":        {Threads: 2, Operations: 5, Preemptions: 0},
	"migrate-does-not-drain":      {Threads: 2, Operations: 5, Preemptions: 0},
	"no-second-look":              {Threads: 2, Operations: 3, Preemptions: 2},
	"sleep-forgets-the-interlock": {Threads: 2, Operations: 4, Preemptions: 0},
	"sleep-keeps-the-domain":      {Threads: 2, Operations: 4, Preemptions: 0},
}

// drawnOnce returns a script that breaks under a planted fault. They were drawn, and
// are kept, since what becomes of one says nothing of the next: what is drawn changes
// with each object that scripts can have.
func drawnOnce(t *testing.T, fault string) *script.Script {
	name := filepath.Join("testdata", "reduce", fault+".kq")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		name = filepath.Join("testdata", "reduce", "none.kq")
		text, err = os.ReadFile(name)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := script.Parse(name, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is found of each planted fault becomes small, the same each time, is wrong
// in the same way, and makes the same execution whenever it is replayed.
func TestReduce(t *testing.T) {
	for _, f := range broken.All {
		t.Run(f.Name, func(t *testing.T) {
			skipRacy(t, f.Name)
			x := exploration(f.Entry, 1, 100_000)
			x.Script = func(int) *script.Script { return drawnOnce(t, f.Name) }
			r := x.Explore(t.Context()).Failure
			if r == nil {
				t.Fatal("not found")
			}
			before, told := r.Script.String(), 0
			got := fuzz.Reduce(t.Context(), r, x.Options, reduceMost, func(fuzz.Reduced) { told++ })
			t.Logf("from %v to %v in %d executions", got.From, got.To, got.Executions)
			if r.Script.String() != before {
				t.Errorf("the script itself was changed:\n%s\nit was\n%s", r.Script, before)
			}
			if got.From.Threads != len(r.Script.Threads) || got.From.Operations != r.Script.Ops() || got.From.Preemptions < got.To.Preemptions {
				t.Errorf("from %v, which it was not:\n%s", got.From, before)
			}
			if most := small[f.Name]; got.To.Threads > most.Threads || got.To.Operations > most.Operations || got.To.Preemptions > most.Preemptions {
				t.Errorf("to %v, want %v at most:\n%s", got.To, most, got.Failure.Text())
			}
			if !got.Ended || told != got.Executions/8 {
				t.Errorf("ended: %v, after %d executions and %d words", got.Ended, got.Executions, told)
			}
			times := 1000
			if testing.Short() || raceEnabled { // the same execution races, or does not
				times = 50
			}
			replays(t, got.Failure, x.Options, r.Finding.Property, times)
			again := fuzz.Reduce(t.Context(), r, x.Options, reduceMost, nil)
			if diff := cmp.Diff(got.Failure.Script.String(), again.Failure.Script.String()); diff != "" || got.Executions != again.Executions {
				t.Errorf("reduced again, in %d executions, it is another one: %s", again.Executions, diff)
			}
		})
	}
}

// replays wants a failure to be the same execution each time, from its text.
func replays(t *testing.T, r *fuzz.Report, o fuzz.Options, property string, times int) {
	t.Helper()
	back, err := script.Parse("reduced", r.Text())
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		again, err := fuzz.Replay(back, o)
		if err != nil || again.Finding == nil || again.Finding.Property != property {
			t.Fatalf("replayed: %v, %v, want that %q is violated", again.Finding, err, property)
		}
		if diff := cmp.Diff(r.History, again.History); diff != "" {
			t.Fatalf("replayed, it is another execution: %s", diff)
		}
	}
}

// turns panics if threads have entered one after the other, and again. Nobody
// waits for what another has but in the middle of that one's visit, so that both
// of them must be preempted.
func turns(m *machine.Machine) kqueue.Strategy {
	said := ""
	return newWrong(func(w *wrong) {
		enter := w.enter
		w.enter = func(td *machine.Thread) {
			enter(td)
			if name, ok := strings.CutPrefix(td.Name, "thread "); ok && !strings.HasSuffix(said, name) {
				said += name
			}
			if said == "1212" || said == "2121" {
				panic("in turns")
			}
		}
	})(m)
}

// The control: of the preemptions that a failure cannot do without none is lost,
// and of the others none is left.
func TestReduceNeedsTwo(t *testing.T) {
	s, err := script.Parse("turns", `
setup
  kqueue
thread
  kevent 0: USER 1 ADD
  kevent 0: USER 2 ADD
  kevent 0: USER 3 ADD
  kevent 0: USER 4 ADD
thread cpu=1
  kevent 0: USER 5 ADD
  kevent 0: USER 6 ADD
  kevent 0: USER 7 ADD
`)
	if err != nil {
		t.Fatal(err)
	}
	o := fuzz.Options{New: turns, Strategy: "turns"}
	x := fuzz.Exploration{
		Options: o, Script: func(int) *script.Script { return s }, Scripts: 1, Each: 1000,
		Scheduler: func(int) sched.Scheduler { return sched.NewRandom(3) },
	}
	r := x.Explore(t.Context()).Failure
	if r == nil {
		t.Fatal("not found")
	}
	got := fuzz.Reduce(t.Context(), r, o, reduceMost, nil)
	t.Logf("from %v to %v in %d executions:\n%s", got.From, got.To, got.Executions, got.Failure.Script)
	if got.To.Preemptions != 2 || got.From.Preemptions <= 2 || got.To.Threads != 2 {
		t.Errorf("from %v to %v, want 2 threads and 2 preemptions:\n%s", got.From, got.To, got.Failure.Text())
	}
	replays(t, got.Failure, o, "no panic", 100)
}

// With no execution to make, or no time, the failure stays what it is; with a few
// it is one that has failed, and never larger.
func TestReduceEnds(t *testing.T) {
	f := brokenNamed(t, "deliver-dropped-when-busy")
	x := exploration(f.Entry, 1, 100_000)
	x.Script = func(int) *script.Script { return drawnOnce(t, f.Name) }
	r := x.Explore(t.Context()).Failure
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		most int
	}{{t.Context(), 0}, {over, reduceMost}, {t.Context(), 1}, {t.Context(), 2}, {t.Context(), 10}, {t.Context(), 100}, {t.Context(), 780}} {
		got := fuzz.Reduce(c.ctx, r, x.Options, c.most, nil)
		if got.Executions > max(1, c.most) || got.Ended || got.From.Preemptions == 0 || got.To.Operations > got.From.Operations || got.To.Threads > got.From.Threads {
			t.Errorf("%d executions: %+v", c.most, got)
		}
		if c.most < 2 && got.Failure != r {
			t.Errorf("%d executions: it became %s", c.most, got.Failure.Text())
		}
		if c.ctx == over && got.Failure != r {
			t.Errorf("no time: it became %s", got.Failure.Text())
		}
		replays(t, got.Failure, x.Options, r.Finding.Property, 10)
	}
}

// What does not fail as it is said to has nothing smaller.
func TestReduceRight(t *testing.T) {
	x := exploration(broken.All[2].Entry, 400, 3)
	r := x.Explore(t.Context()).Failure
	got := fuzz.Reduce(t.Context(), r, fuzz.Options{New: strategies.All[0].New, Strategy: "giant"}, reduceMost, nil)
	if got.Failure != r || got.Executions != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSizeString(t *testing.T) {
	s := fuzz.Size{Threads: 2, Operations: 1}
	if got, want := s.String(), "2 threads, 1 operation, 0 preemptions"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
