package linearizability_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/linearizability"
)

// each runs f on every history of a directory, of which there must be 20.
func each(t *testing.T, dir string, f func(t *testing.T, text string, h linearizability.History)) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d histories in testdata/%s, %v: want 20 at least", len(files), dir, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			h, err := linearizability.Parse(name, string(text))
			if err != nil {
				t.Fatal(err)
			}
			f(t, string(text), h)
		})
	}
}

func TestGood(t *testing.T) {
	each(t, "good", func(t *testing.T, text string, h linearizability.History) {
		if r := linearizability.Check(h, linearizability.Options{}); r.Verdict != linearizability.OK || r.Projections == 0 {
			t.Errorf("want ok, of one projection at least:\n%v\n%v", r, text)
		}
	})
}

// Every bad history is a violation, of the rule that its file names and of no
// other.
func TestBad(t *testing.T) {
	each(t, "bad", func(t *testing.T, text string, h linearizability.History) {
		_, rule, ok := strings.Cut(text, "# rule: ")
		if !ok {
			t.Fatal("no line \"# rule: \" says what is broken")
		}
		rule, _, _ = strings.Cut(rule, "\n")
		r := linearizability.Check(h, linearizability.Options{})
		if r.Verdict != linearizability.Violation {
			t.Fatalf("want a violation:\n%v\n%v", r, text)
		}
		for _, f := range r.Findings {
			if !strings.HasPrefix(f.Rule, rule) {
				t.Errorf("want %q:\n%v\n%v", rule, f, text)
			}
		}
	})
}

// A strategy that promises no more than that nobody sleeps for ever may miss
// what is ready, and nothing else.
func TestWeak(t *testing.T) {
	each(t, "bad", func(t *testing.T, text string, h linearizability.History) {
		r := linearizability.Check(h, linearizability.Options{Weak: true})
		want := linearizability.Violation
		if strings.Contains(text, "# rule: completeness") {
			want = linearizability.OK
		}
		if r.Verdict != want {
			t.Errorf("want %v:\n%v\n%v", want, r, text)
		}
	})
}

// What cannot be decided within the limit is never ok.
func TestUndecided(t *testing.T) {
	each(t, "good", func(t *testing.T, text string, h linearizability.History) {
		r := linearizability.Check(h, linearizability.Options{Limit: time.Nanosecond})
		if r.Verdict != linearizability.Undecided || len(r.Findings) == 0 || r.Findings[0].Parts == 0 || !strings.Contains(r.Findings[0].Rule, "after") {
			t.Errorf("want undecided, with size and time:\n%v", r)
		}
	})
}

// Knotes that watch a kqueue are not projected, and the report says so.
func TestUnchecked(t *testing.T) {
	h, err := linearizability.Parse("nested", "0 0 1 kqueue => 0\n0 2 3 kqueue => 1\n0 4 5 kevent 0: READ 1 ADD => ok\n")
	if err != nil {
		t.Fatal(err)
	}
	if r := linearizability.Check(h, linearizability.Options{}); len(r.Unchecked) != 1 || !strings.Contains(r.String(), "not checked: READ 1 on kqueue 0") {
		t.Errorf("want one knote that is not checked:\n%v", r)
	}
}

// A call must return that a kqueue which it watches has something. Who has
// something else in hand may leave that out while others are at work.
func TestReplayWatch(t *testing.T) {
	const setup = `
		0 1 3 kqueue => 0 @ 2 made
		0 4 6 probe => 1 @ 5 made
		0 7 12 kevent 0: READ 1 ADD udata=1 => ok @ 8 found; 9 change; 10 found; 11 changed
		0 13 15 kqueue => 2 @ 14 made
		0 16 23 kevent 2: READ 0 ADD udata=2; USER 1 ADD udata=3 fflags=TRIGGER => ok @ 17 found; 18 change; 19 found; 20 changed; 21 change; 22 changed
`
	for _, tt := range []struct {
		name, calls string
		explained   bool
	}{
		{"returned", `
			1 30 33 set 1 1 => ok @ 31 found; 32 acted
			2 40 45 kevent 2 room=4 => events USER 1 udata=3; READ 0 data=1 udata=2 @ 41 found; 42 took; 43 pruned; 44 took`, true},
		{"missed", `
			1 30 33 set 1 1 => ok @ 31 found; 32 acted
			2 40 45 kevent 2 room=4 => events USER 1 udata=3 @ 41 found; 42 took`, false},
		{"no room", `
			1 30 33 set 1 1 => ok @ 31 found; 32 acted
			2 40 45 kevent 2 room=1 => events USER 1 udata=3 @ 41 found; 42 took`, true},
		{"missed while it is under way", `
			1 30 50 set 1 1 => ok @ 31 found; 32 acted
			2 40 45 kevent 2 room=4 => events USER 1 udata=3 @ 41 found; 42 took`, true},
		{"missed with nothing in hand", `
			2 24 29 kevent 2: USER 1 DELETE => ok @ 25 found; 26 change; 27 changed
			1 30 50 set 1 1 => ok @ 31 found; 32 acted
			2 40 45 kevent 2 room=4 => ok @ 41 found`, false},
	} {
		h, err := linearizability.Parse(tt.name, setup+tt.calls)
		if err != nil {
			t.Fatal(err)
		}
		if got := linearizability.Replayed(h, false); got != tt.explained {
			t.Errorf("%s: explained: %v, want %v", tt.name, got, tt.explained)
		}
	}
}
