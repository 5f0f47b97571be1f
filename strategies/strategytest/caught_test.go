package strategytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/strategytest"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

// The controls: strategies that are wrong, each of which the suite and the
// stress test must catch. None runs in this process, which a wrong strategy may
// crash or hang.
var controls = map[string]func(*machine.Machine) kqueue.Strategy{
	"none":                      none.New,
	"no-second-look":            boxedWith(noSecondLook),
	"enter-does-not-drain":      boxedWith(noDrain),
	"deliver-dropped-when-busy": boxedWith(dropsWhenBusy),
	"sleep-keeps-the-domain":    boxedWith(sleepsInside),
}

// stressFinds are the controls that the stress test must catch too. That a
// delivery comes late is nothing that it can see, since it comes.
var stressFinds = []string{"none", "deliver-dropped-when-busy", "sleep-keeps-the-domain"}

const (
	controlVariable = "KQLAB_STRATEGYTEST_CONTROL"
	deadline        = 8 * time.Second
	tries           = 10 // natively a window of some nanoseconds is met by luck
)

func TestControlsAreCaught(t *testing.T) {
	for name := range controls {
		t.Run(name, func(t *testing.T) { mustBeCaught(t, "TestSuiteOnControl", name) })
	}
}

func TestControlsAreCaughtUnderStress(t *testing.T) {
	for _, name := range stressFinds {
		t.Run(name, func(t *testing.T) { mustBeCaught(t, "TestStressOnControl", name) })
	}
}

// mustBeCaught runs a test of this binary on a control, in processes of its own
// one after another until it is caught, and says how it was.
func mustBeCaught(t *testing.T, test, control string) {
	t.Parallel()
	for try := 1; try <= tries; try++ {
		if caught(t, test, control) {
			t.Logf("at try %d of %d", try, tries)
			return
		}
	}
	t.Fatalf("not caught in %d tries", tries)
}

// caught is one try.
func caught(t *testing.T, test, control string) bool {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+test+"$", "-test.short")
	cmd.Env = append(os.Environ(), controlVariable+"="+control)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Logf("caught by the deadline of %v", deadline)
	case err == nil:
		return false
	case !errors.As(err, &exit):
		t.Fatalf("could not be run: %v", err)
	case bytes.Contains(out, []byte("WARNING: DATA RACE")):
		t.Log("caught by the race detector")
	default:
		line := regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG).*`).Find(out)
		if line != nil {
			t.Logf("caught by a crash: %s", line)
			break
		}
		// What is logged before anything has failed is about the strategy.
		_, rest, _ := bytes.Cut(out, []byte("--- FAIL: "+test+"/"))
		if test == "TestStressOnControl" {
			rest = out
		}
		line = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: .*`).Find(rest)
		if line == nil {
			t.Fatalf("failed without a reason: %v\n%s", err, out)
		}
		t.Logf("caught by a finding: %s", bytes.TrimSpace(line))
	}
	return true
}

// TestSuiteOnControl is the child of TestControlsAreCaught.
func TestSuiteOnControl(t *testing.T) {
	strategytest.Run(t, control(t))
}

// TestStressOnControl is the child of TestControlsAreCaughtUnderStress.
func TestStressOnControl(t *testing.T) {
	new := control(t)
	for seed := range uint64(200) {
		if _, err := stress.Run(stress.Options{New: new, Strategy: os.Getenv(controlVariable), Seed: seed}); err != nil {
			t.Fatal(err)
		}
	}
}

func control(t *testing.T) func(*machine.Machine) kqueue.Strategy {
	name := os.Getenv(controlVariable)
	if name == "" {
		t.Skip("runs in a process of its own, started by the tests of the controls")
	}
	new, ok := controls[name]
	if !ok {
		t.Fatal(fmt.Errorf("%s=%q: no such control", controlVariable, name))
	}
	return new
}

// TestBoxed: without a fault the strategy that the controls are made of passes.
// It has a shape of its own: a place for each object, and deliveries that wait
// in a box until somebody comes by.
func TestBoxed(t *testing.T) { strategytest.Run(t, boxedWith(nothing)) }
