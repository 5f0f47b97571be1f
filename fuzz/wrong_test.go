package fuzz_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A wrong strategy has the mplock around everything, one place for sources and
// one for queues, and one thing that it does wrong.
type wrong struct {
	mp      *machine.Token
	enter   func(td *machine.Thread)
	sleep   func(td *machine.Thread, until time.Duration) error
	deliver func(td *machine.Thread, kn *kqueue.Knote)
	places  [2]kqueue.Place
}

func newWrong(change func(w *wrong)) func(*machine.Machine) kqueue.Strategy {
	return func(m *machine.Machine) kqueue.Strategy {
		w := &wrong{mp: m.MPLock(), deliver: kqueue.Activate}
		w.enter = func(td *machine.Thread) { td.Get(w.mp) }
		w.sleep = func(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
		change(w)
		w.places[0].Domain, w.places[1].Domain = w, w
		return w
	}
}

func (w *wrong) Source(*machine.Thread) *kqueue.Place                { return &w.places[0] }
func (w *wrong) Queue(*machine.Thread) *kqueue.Place                 { return &w.places[1] }
func (w *wrong) Enter(td *machine.Thread)                            { w.enter(td) }
func (w *wrong) Exit(td *machine.Thread)                             { td.Put(w.mp) }
func (w *wrong) Sleep(td *machine.Thread, until time.Duration) error { return w.sleep(td, until) }
func (w *wrong) Deliver(td *machine.Thread, kn *kqueue.Knote)        { w.deliver(td, kn) }

// elsewhere sleeps on a channel that nobody knows.
func elsewhere(name string) func(*wrong) {
	return func(w *wrong) {
		w.sleep = func(td *machine.Thread, until time.Duration) error {
			td.Uninterlock()
			wc := &machine.WaitChan{Name: name}
			td.Interlock(wc)
			return td.Sleep(until)
		}
	}
}

const (
	oneSleeps = "setup\nkqueue\nthread\nkevent 0 room=1 wait=forever\n"
	// The second thread waits for a moment at a queue of its own, so that the
	// first is mostly asleep when the event comes.
	oneIsWoken = "setup\nkqueue\nprobe\nkqueue\nkevent 0: READ 1 ADD\nthread\nkevent 0 room=1 wait=forever\nthread cpu=1\nkevent 2 room=1 wait=finite\nset 1 5\n"
	oneComes   = "setup\nkqueue\nprobe\nkevent 0: READ 1 ADD\nthread\nset 1 5\n"
	// Without an end that is made for them the ticks would go on for ever.
	oneTicks = "setup\nkqueue\nkevent 0: TIMER 1 ADD fflags=USECONDS data=20\n" +
		"thread\nkevent 0 room=1 wait=forever\nkevent 0 room=1 wait=forever\nkevent 0: TIMER 1 DELETE\nkevent 0 room=1 wait=forever\n"
)

// Each property that Run looks at is broken by somebody, and each such break is
// found; with nothing wrong nothing is.
func TestWrongStrategies(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		change       func(*wrong)
		property     string
	}{
		{"nothing", oneIsWoken, func(*wrong) {}, ""},
		{"nothing, asleep", oneSleeps, func(*wrong) {}, ""},
		{"nothing, ticking", oneTicks, func(*wrong) {}, ""},
		{"asleep for something else than a tick", oneTicks, elsewhere("something else"), "no deadlock"},
		{"deaf to a tick", oneTicks, elsewhere("kevent"), "no lost wakeup"},
		{"a panic", oneSleeps, func(w *wrong) { w.enter = func(*machine.Thread) { panic("no such place") } }, "no panic"},
		{"a hang", oneSleeps, func(w *wrong) { w.enter = func(*machine.Thread) { time.Sleep(time.Hour) } }, "an end of every call"},
		{"asleep for something else", oneSleeps, elsewhere("something else"), "no deadlock"},
		{"asleep where no event comes", oneSleeps, elsewhere("kevent"), "no lost wakeup"},
		{"deaf to the close", oneSleeps, func(w *wrong) {
			w.sleep = func(td *machine.Thread, until time.Duration) error {
				td.Sleep(until)
				elsewhere("kevent")(w)
				return w.sleep(td, until)
			}
		}, "a close that wakes"},
		{"deaf to the event", oneIsWoken, elsewhere("kevent"), "no lost wakeup"},
		{"an event that is dropped", oneIsWoken, func(w *wrong) { w.deliver = func(*machine.Thread, *kqueue.Knote) {} }, "no lost wakeup"},
		{"an event that is dropped, and nobody asleep", oneComes, func(w *wrong) { w.deliver = func(*machine.Thread, *kqueue.Knote) {} }, "the invariants"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := script.Parse(tt.name, tt.script)
			if err != nil {
				t.Fatal(err)
			}
			// Whether a thread is asleep already when the event comes is the
			// machine's to say.
			for seed := range uint64(1000) {
				s.Seed = seed
				r := fuzz.Run(s, fuzz.Options{New: newWrong(tt.change), Strategy: "wrong", Deadline: time.Second})
				if r.Finding == nil && tt.property != "" {
					continue
				}
				if r.Finding != nil && r.Finding.Property != tt.property {
					t.Fatalf("%v, want that %q is violated", r.Finding, tt.property)
				}
				return
			}
			t.Fatalf("nothing was found in 1000 runs, want that %q is violated", tt.property)
		})
	}
}

// A failure is a file that runs again as it is, and has the history in it.
func TestSave(t *testing.T) {
	s, err := script.Parse("s", "# Doc.\nseed 3\n"+oneIsWoken)
	if err != nil {
		t.Fatal(err)
	}
	r := fuzz.Run(s, fuzz.Options{New: newWrong(func(*wrong) {}), Strategy: "wrong"})
	r.Finding = &fuzz.Finding{Property: "truth", Detail: "a lie\nat\t\x00\xff\n# once\n"}
	name, err := r.Save(filepath.Join(t.TempDir(), "new", "folder"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Save(t.TempDir()); err != nil || filepath.Base(again) != filepath.Base(name) {
		t.Errorf("saved again as %s, %v: want the name %s", again, err, name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	back, err := script.Parse(name, string(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	s.Doc = []string{"Found under wrong: truth violated: a lie", "Doc."}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Error(diff)
	}
	_, after, _ := strings.Cut(string(text), "# What happened")
	records, _, _ := strings.Cut(after, "# truth violated")
	_, records, _ = strings.Cut(records, "\n")
	h, err := linearizability.Parse(name, strings.ReplaceAll(records, "#", ""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.History, h); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Save(name); err == nil {
		t.Error("saved in a folder that is a file")
	}
}
