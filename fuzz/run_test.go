package fuzz_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// corpus returns the scripts of testdata by name.
func corpus(t testing.TB) map[string]*script.Script {
	t.Helper()
	names, err := filepath.Glob("testdata/scenarios/*.kq")
	if err != nil || len(names) < 12 {
		t.Fatalf("%d scripts in testdata/scenarios, %v: want 12 at least", len(names), err)
	}
	all := map[string]*script.Script{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := script.Parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".kq")] = s
	}
	return all
}

// Every script of the corpus, under every strategy, many times: each round has
// an interleaving of its own.
func TestCorpus(t *testing.T) {
	rounds := 100
	switch {
	case testing.Short():
		rounds = 25
	case raceEnabled: // which does not ask for the one interleaving in which two threads meet
		rounds = 40
	}
	for name, s := range corpus(t) {
		if len(s.Doc) < 2 || !strings.Contains(strings.Join(s.Doc, " "), "Look at: ") {
			t.Errorf("%s does not say what to look at", name)
		}
		for _, e := range strategies.All {
			t.Run(name+"/"+e.Name, func(t *testing.T) {
				for range rounds {
					if r := fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name}); r.Finding != nil {
						t.Fatalf("%s", r.Text())
					}
				}
			})
		}
	}
}

// Who waits for ticks has some, although they end; who waits for more than there
// are is asleep then, and there is nothing for them.
func TestTicks(t *testing.T) {
	const want = 3
	s, err := script.Parse("ticks", "setup\nkqueue\nkevent 0: TIMER 1 ADD fflags=USECONDS data=20\n"+
		"thread\n"+strings.Repeat("kevent 0 room=1 wait=forever\n", 1000)+"thread cpu=1\nkevent 0 room=1 wait=finite\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range strategies.All {
		taken := 0
		for round := 0; taken < want; round++ {
			if round == 100 {
				t.Fatalf("%s: no run in 100 had %d events", e.Name, want)
			}
			r := fuzz.Run(s, fuzz.Options{New: e.New, Strategy: e.Name})
			if r.Finding != nil {
				t.Fatalf("%s", r.Text())
			}
			taken = 0
			pending := 0
			for _, rec := range r.History {
				taken += len(rec.Result.Events)
				if rec.Result.Pending {
					pending++
				}
			}
			if pending != 1 {
				t.Fatalf("%s: %d calls wait for a tick that does not come, want 1:\n%s", e.Name, pending, r.Text())
			}
		}
		t.Logf("%s: %d ticks", e.Name, taken)
	}
}

// A run is perturbed if that is asked for, and then it finds nothing wrong that
// is not.
func TestPerturb(t *testing.T) {
	for name, s := range corpus(t) {
		for _, e := range strategies.All {
			for _, rate := range []int{0, 2, 16} {
				var m *machine.Machine
				o := fuzz.Options{Strategy: e.Name, Perturb: rate}
				o.New = func(made *machine.Machine) kqueue.Strategy {
					m = made
					return e.New(made)
				}
				yields := uint64(0)
				for range 10 {
					r := fuzz.Run(s, o)
					if r.Finding != nil {
						t.Fatalf("%s", r.Text())
					}
					yields += m.Stats().Yields
				}
				if (yields > 0) != (rate > 0) {
					t.Errorf("%s under %s at a rate of %d: %d yields", name, e.Name, rate, yields)
				}
			}
		}
	}
}
