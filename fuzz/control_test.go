package fuzz_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// controlled has this binary run a campaign on the planted fault that it names
// until it is caught: in a process of its own, which it may take with it.
const controlled = "KQLAB_FUZZ_CONTROL"

// racing has it carry scripts out instead, under the fault that it names, on a
// virtual machine: a race makes the whole of a process fail.
const racing = "KQLAB_FUZZ_RACING"

func TestMain(m *testing.M) {
	if name := os.Getenv(racing); name != "" {
		explore(name)
		os.Exit(0)
	}
	if name := os.Getenv(replaying); name != "" {
		if err := replayRaces(name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	name := os.Getenv(controlled)
	if name == "" {
		os.Exit(m.Run())
	}
	for _, f := range broken.All {
		if f.Name == name {
			c := fuzz.Campaign{Options: fuzz.Options{New: f.New, Strategy: name, Deadline: time.Second}, Seed: 1}
			out, err := c.Run(context.Background())
			fmt.Printf("script %d, after %d operations: %v, %v\n", out.Script, out.Operations, out.Failure.Finding, err)
			os.Exit(1)
		}
	}
	fmt.Printf("%s=%q: no such fault\n", controlled, name)
	os.Exit(3)
}

// explore carries some scripts out under a planted fault, whatever is found.
func explore(name string) {
	for _, f := range broken.All {
		for i := 0; f.Name == name && i < 100; i++ {
			func() {
				defer func() { recover() }() // a timer's thread has nobody else to
				fuzz.Run(fuzz.Drawn(1, i), fuzz.Options{New: f.New, Scheduler: sched.NewRandom(uint64(i))})
			}()
		}
	}
}

// racy are the planted faults that are races: they exclude nobody.
var racy = []string{"none", "deliver-without-the-lock"}

// skipRacy skips what would find such a fault in this process.
func skipRacy(t *testing.T, name string) {
	t.Helper()
	if raceEnabled && slices.Contains(racy, name) {
		t.Skipf("%s is a race to the detector, and so the end of this process: see TestExploreRaces", name)
	}
}

// A strategy that does not exclude is a race to the detector, on whatever schedule:
// also where no two threads happen to meet in a domain.
func TestExploreRaces(t *testing.T) {
	for _, name := range racy {
		t.Run(name, func(t *testing.T) {
			if !raceEnabled {
				t.Skip("only a build with the race detector sees races: go test -race")
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), racing+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 66 {
				t.Fatalf("ends with %v, want the exit status of a race\n%s", err, out)
			}
			if !bytes.Contains(out, []byte("DATA RACE")) || !bytes.Contains(out, []byte("model/kqueue.")) {
				t.Errorf("no race in the kernel is reported:\n%s", out)
			}
		})
	}
}

// Strategies that are wrong are caught by a campaign, with a finding, a crash or
// the race detector; or what finds nothing under the others shows nothing. Here
// are those that a second will do for; kqlab check tries all.
func TestControl(t *testing.T) {
	for _, name := range []string{"none", "deliver-dropped-when-busy", "sleep-forgets-the-interlock", "sleep-keeps-the-domain"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), controlled+"="+name)
			start := time.Now()
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() == 3 {
				t.Fatalf("%s was not caught: %v\n%s", name, err, out)
			}
			t.Logf("caught after %v: %v: %.300s", time.Since(start), err, out)
		})
	}
}

func brokenNamed(t *testing.T, name string) broken.Fault {
	t.Helper()
	i := slices.IndexFunc(broken.All, func(f broken.Fault) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no planted fault is named %s", name)
	}
	return broken.All[i]
}
