package fuzz_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// The strategies of the tests that are to be caught in this process, so they may
// not harm it.
var (
	dropping = fuzz.Options{
		New:      newWrong(func(w *wrong) { w.deliver = func(*machine.Thread, *kqueue.Knote) {} }),
		Strategy: "dropping",
		Deadline: time.Second,
	}
	stillborn = fuzz.Options{
		New:      func(*machine.Machine) kqueue.Strategy { panic("no place to be") },
		Strategy: "stillborn",
	}
)

// A right strategy passes, and the tally is that of what was asked for.
func TestCampaign(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			c := fuzz.Campaign{Options: fuzz.Options{New: e.New, Strategy: e.Name}, Seed: 1, Workers: 2, Rounds: 4, Scripts: n}
			out, err := c.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if out.Failure != nil {
				t.Fatalf("script %d of seed %d:\n%s", out.Script, c.Seed, out.Failure.Text())
			}
			if out.Scripts != n || out.Histories != 4*n || len(out.Running) != 0 {
				t.Errorf("%d scripts and %d histories, want %d and %d; %v still run", out.Scripts, out.Histories, n, 4*n, out.Running)
			}
			// Each script has ten operations or so, and every other one an event.
			// Most histories are checked to the end, or there is not much to them.
			if out.Operations < 4*n*5 || out.Events < n || out.Checked < 3*n || out.Undecided > n || out.Searched > out.Checked {
				t.Errorf("%+v", out.Tally)
			}
			t.Logf("%+v", out.Tally)
		})
	}
}

// What is found is told at once, saved, and then looked at for something
// smaller.
func TestCampaignFinds(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "failures")
	var told []fuzz.Outcome
	c := fuzz.Campaign{Options: dropping, Seed: 3, Workers: 2, Folder: folder, Shrink: 5 * time.Second,
		Progress: func(o fuzz.Outcome) { told = append(told, o) }}
	out, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out.Failure == nil || out.Failure.Finding == nil || out.Failure.Script.String() != fuzz.Drawn(3, out.Script).String() {
		t.Fatalf("failure %+v of script %d", out.Failure, out.Script)
	}
	last := told[len(told)-1]
	if last.Failure != out.Failure || last.File != out.File || last.Smaller != nil || !slices.Contains(last.Running, out.Script) {
		t.Errorf("when it was found this was told: %+v", last)
	}
	if out.Smaller == nil || out.Smaller.Script.Ops() >= out.Failure.Script.Ops() || out.Smaller.Finding.Property != out.Failure.Finding.Property {
		t.Errorf("%v of %d operations became %+v", out.Failure.Finding, out.Failure.Script.Ops(), out.Smaller)
	}
	for _, f := range []struct {
		name string
		of   *fuzz.Report
	}{{out.File, out.Failure}, {out.SmallerFile, out.Smaller}} {
		text, err := os.ReadFile(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := script.Parse(f.name, string(text)); err != nil {
			t.Error(err)
		}
		if string(text) != f.of.Text() || !strings.Contains(string(text), "# What happened") {
			t.Errorf("saved:\n%s\nwant\n%s", text, f.of.Text())
		}
	}
}

// A campaign is a list of scripts that the seed alone draws: the workers take
// each in turn, and each once.
func TestCampaignScripts(t *testing.T) {
	const n = 30
	drawn := map[string]int{}
	for i := range n {
		drawn[fuzz.Drawn(9, i).String()] = i
	}
	if len(drawn) != n {
		t.Errorf("%d different scripts of %d", len(drawn), n)
	}
	for _, workers := range []int{1, 2, 5} {
		began := map[int]int{}
		c := fuzz.Campaign{Options: fuzz.Options{New: strategies.All[0].New}, Seed: 9, Workers: workers, Rounds: 1, Scripts: n,
			Progress: func(o fuzz.Outcome) {
				if len(o.Running) > workers {
					t.Errorf("%d workers at %v", workers, o.Running)
				}
				began[o.Running[len(o.Running)-1]]++
			}}
		if out, err := c.Run(t.Context()); err != nil || out.Scripts != n || len(began) != n {
			t.Errorf("%d workers: %d scripts done, %d begun, %v; want %d", workers, out.Scripts, len(began), err, n)
		}
		for i, times := range began {
			if i < 0 || i >= n || times != 1 {
				t.Errorf("%d workers: script %d was begun %d times", workers, i, times)
			}
		}
		// The number that goes with a script is right.
		c = fuzz.Campaign{Options: stillborn, Seed: 9, Workers: workers, Scripts: n}
		out, err := c.Run(t.Context())
		if err != nil || out.Failure == nil {
			t.Fatalf("%d workers: %v", workers, err)
		}
		if i, ok := drawn[out.Failure.Script.String()]; !ok || i != out.Script {
			t.Errorf("%d workers: script %d is said to be script %d", workers, i, out.Script)
		}
	}
	if fuzz.Drawn(9, 4).String() != fuzz.Drawn(13, 0).String() {
		t.Error("the campaign with seed 9 + 4 does not begin with script 4 of seed 9")
	}
}

// A panic of a worker itself is a finding that says where.
func TestCampaignPanic(t *testing.T) {
	out, err := fuzz.Campaign{Options: stillborn, Folder: t.TempDir()}.Run(t.Context())
	if err != nil || out.Failure == nil {
		t.Fatalf("outcome %+v, %v", out, err)
	}
	f := out.Failure.Finding
	if f.Property != "no panic" || !strings.Contains(f.Detail, "no place to be") || !strings.Contains(f.Detail, "campaign_test.go") {
		t.Errorf("%v", f)
	}
	if _, err := os.Stat(out.File); err != nil {
		t.Error(err)
	}
}

// A campaign without end ends with its context, and that is no error.
func TestCampaignEnds(t *testing.T) {
	c := fuzz.Campaign{Options: fuzz.Options{New: strategies.All[0].New}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	out, err := c.Run(ctx)
	if took := time.Since(begin); err != nil || out.Scripts == 0 || took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("%d scripts in %v, %v", out.Scripts, took, err)
	}
	if out, err := c.Run(ctx); err != nil || out.Scripts != 0 {
		t.Errorf("after the end: %d scripts, %v", out.Scripts, err)
	}
}

// Nowhere to save is an error, and the failure is there all the same.
func TestCampaignCannotSave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := fuzz.Campaign{Options: stillborn, Folder: file}.Run(t.Context())
	if err == nil || out.Failure == nil || out.File != "" {
		t.Errorf("failure %v, saved as %q, %v", out.Failure, out.File, err)
	}
}
