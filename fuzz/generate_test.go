package fuzz_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
	"github.com/kqlab/kqlab/strategies"
)

// What is drawn is what the text form can say.
func TestDrawnScriptsParse(t *testing.T) {
	for name, scripts := range map[string]*rapid.Generator[*script.Script]{"concurrent": fuzz.Concurrent(), "sequential": fuzz.Sequential()} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s := scripts.Draw(t, "script")
			back, err := script.Parse("drawn", s.String())
			if err != nil {
				t.Fatalf("%v\n%s", err, s)
			}
			if diff := cmp.Diff(s, back); diff != "" {
				t.Fatalf("%s", diff)
			}
		}))
	}
}

// All that a script can say is drawn.
func TestDrawnScriptsCover(t *testing.T) {
	calls, flags, waits, filters := map[event.Call]int{}, map[event.Flags]int{}, map[event.Wait]int{}, map[event.Filter]int{}
	manners := map[event.Manner]int{}
	periodic, absolute := 0, 0
	nested := 0
	for seed := range 900 {
		s := fuzz.Concurrent().Example(seed)
		for _, th := range append(s.Setup, s.Threads...) {
			for _, op := range th.Ops {
				calls[op.Call]++
				waits[op.Wait]++
				if op.Call == event.CallProbe {
					manners[op.Manner]++
				}
				for _, kev := range op.Changes {
					filters[kev.Filter]++
					if kev.Filter == event.Timer && kev.Flags&(event.Add|event.OneShot) == event.Add {
						if kev.Fflags&event.NoteAbsTime != 0 {
							absolute++
						} else {
							periodic++
						}
					}
					for bit := event.Add; bit <= event.Dispatch; bit <<= 1 {
						flags[kev.Flags&bit]++
					}
					if kev.Filter == event.Read && kev.Ident == 0 && kev.Flags&event.Add != 0 {
						nested++ // number 0 is a queue
					}
				}
			}
		}
	}
	for c := range event.Calls {
		if drawn := fuzz.Draws(c); drawn && calls[c] < 50 || !drawn && calls[c] > 0 {
			t.Errorf("%v was drawn %d times; it is among what is drawn: %t", c, calls[c], drawn)
		}
	}
	for w := event.NoWait; w <= event.Forever; w++ {
		if waits[w] < 100 {
			t.Errorf("wait=%v was drawn %d times", w, waits[w])
		}
	}
	for _, f := range []event.Filter{event.Read, event.Write, event.User, event.Timer, event.Except, event.Vnode, event.Proc, event.Signal} {
		if filters[f] < 5 {
			t.Errorf("filter %v was drawn %d times", f, filters[f])
		}
	}
	for m := range event.Blocks | event.Unsafe + 1 {
		if manners[m] < 30 {
			t.Errorf("a probe of manner %v was drawn %d times", m, manners[m])
		}
	}
	for bit := event.Add; bit <= event.Dispatch; bit <<= 1 {
		if flags[bit] < 50 {
			t.Errorf("flag %v was drawn %d times", bit, flags[bit])
		}
	}
	if periodic < 50 || absolute < 20 {
		t.Errorf("timers without EV_ONESHOT were drawn %d times with a period and %d times with an instant", periodic, absolute)
	}
	if nested < 20 {
		t.Errorf("a queue was nested %d times", nested)
	}
}

// A test's failures go to a folder of their own, once each: of a failure that
// depends on the interleaving the first sight is the best.
var failures = os.Getenv("KQLAB_FAILURES")

// run runs a script under a strategy, and saves what it finds.
func run(t interface {
	Fatalf(string, ...any)
	Logf(string, ...any)
}, once *sync.Once, s *script.Script, e strategies.Entry) *fuzz.Report {
	r := fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name})
	if r.Finding != nil {
		report(t, once, r)
	}
	return r
}

func report(t interface {
	Fatalf(string, ...any)
	Logf(string, ...any)
}, once *sync.Once, r *fuzz.Report) {
	once.Do(func() {
		folder := failures
		if folder == "" {
			folder = filepath.Join(os.TempDir(), "kqlab-failures")
		}
		name, err := r.Save(folder)
		t.Logf("saved: %v\nagain: %s", err, fuzz.Again("kqlab", name, r.Strategy, r.Perturb))
	})
	t.Fatalf("%s", r.Text())
}

// In a sequence of operations each answer is the specification's.
func TestSequential(t *testing.T) {
	for _, e := range strategies.All {
		t.Run(e.Name, rapid.MakeCheck(func(t *rapid.T) { sequential(t, fuzz.Sequential().Draw(t, "script"), e) }))
	}
}

func sequential(t *rapid.T, s *script.Script, e strategies.Entry) {
	var once sync.Once
	r := run(t, &once, s, e)
	if rec, says := unexplained(r.History); rec >= 0 {
		r.Finding = &fuzz.Finding{Property: "the specification", Detail: r.History[rec].String() + "; it says " + says.String()}
		report(t, &once, r)
	}
}

// unexplained returns the first record that no state of the specification
// allows, and what it would have answered; -1 if there is none.
func unexplained(history linearizability.History) (int, event.Result) {
	states := []spec.State{spec.New(0)}
	for i, rec := range history {
		var next []spec.State
		for _, st := range states {
			next = append(next, st.Step(rec.Op, rec.Result)...)
		}
		if len(next) == 0 {
			st := states[0].Clone()
			return i, st.Apply(rec.Op)
		}
		states = next
	}
	return -1, event.Result{}
}

// The control of TestSequential: an answer that is changed is found out.
func TestSequentialControl(t *testing.T) {
	for seed := range 50 {
		s := fuzz.Sequential().Example(seed)
		r := fuzz.Run(s, fuzz.Options{New: strategies.All[0].New})
		for i, rec := range r.History {
			wrong := slices.Clone(r.History)
			if n := len(rec.Result.Events); n > 0 {
				wrong[i].Result.Events = slices.Clone(rec.Result.Events)
				wrong[i].Result.Events[n-1].Udata += 1000
			} else {
				wrong[i].Result.Errno ^= 1
			}
			if at, _ := unexplained(wrong); at < 0 || at > i {
				t.Fatalf("seed %d: %v was changed to %v, and nobody saw", seed, rec, wrong[i])
			}
		}
	}
}

// Threads at once: what Run and Check find. Each script runs several times.
func TestConcurrent(t *testing.T) {
	for _, e := range strategies.All {
		var once sync.Once
		var runs, undecided, events, pending, refused int
		t.Run(e.Name, rapid.MakeCheck(func(t *rapid.T) {
			s := fuzz.Concurrent().Draw(t, "script")
			for range 5 {
				r := run(t, &once, s, e)
				runs++
				if r.Undecided != "" {
					undecided++
				}
				for _, rec := range r.History {
					switch {
					case rec.Result.Pending:
						pending++
					case rec.Result.Errno != 0:
						refused++
					}
					events += len(rec.Result.Events)
				}
			}
		}))
		if events == 0 || pending == 0 || refused == 0 {
			t.Errorf("%s: %d events, %d calls asleep at the end, %d refused: want some of each, or the scripts show little", e.Name, events, pending, refused)
		}
		if undecided > runs/10 {
			t.Errorf("%s: of %d histories %d were undecided: want a tenth at most", e.Name, runs, undecided)
		}
		t.Logf("%s: %d runs, %d of them undecided; %d events, %d calls asleep at the end, %d refused", e.Name, runs, undecided, events, pending, refused)
	}
}

// seeds are the bytes that fuzzing starts with. A script takes up to 32 KiB of
// them; from too few none is drawn, and then nothing is tried.
func seeds() (all [][]byte) {
	for seed := range byte(8) {
		b := make([]byte, 32<<10)
		rand.NewChaCha8([32]byte{seed}).Read(b)
		all = append(all, b)
	}
	return all
}

// From all that fuzzing starts with a script is drawn.
func TestSeedsDraw(t *testing.T) {
	for name, scripts := range map[string]*rapid.Generator[*script.Script]{"concurrent": fuzz.Concurrent(), "sequential": fuzz.Sequential()} {
		for i, b := range seeds() {
			drawn := false
			t.Run(fmt.Sprint(name, i), func(t *testing.T) {
				rapid.MakeFuzz(func(t *rapid.T) { drawn = scripts.Draw(t, "script").Ops() > 1 })(t, b)
			})
			if !drawn {
				t.Errorf("%s: seed %d draws no script", name, i)
			}
		}
	}
}

// Drawn scripts under every strategy, guided by what of the core they reach. Run it
// with -fuzzminimizetime 1x: what concurrent threads cover differs from run to
// run, so that without it the time goes into making inputs smaller.
func FuzzConcurrent(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		var once sync.Once
		s := fuzz.Concurrent().Draw(t, "script")
		for _, e := range strategies.All {
			run(t, &once, s, e)
		}
	}))
}

func FuzzSequential(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		s := fuzz.Sequential().Draw(t, "script")
		for _, e := range strategies.All {
			sequential(t, s, e)
		}
	}))
}
