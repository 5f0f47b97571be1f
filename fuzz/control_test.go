package fuzz_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
)

// controlled makes this binary run scripts under the control until it is
// caught: in a process of its own, which it may take with it.
const controlled = "KQLAB_FUZZ_CONTROL"

func TestMain(m *testing.M) {
	if os.Getenv(controlled) == "" {
		os.Exit(m.Run())
	}
	for seed := 0; ; seed++ {
		s := fuzz.Concurrent().Example(seed)
		for range 20 {
			if r := fuzz.Run(s, fuzz.Options{New: none.New, Strategy: "none", Deadline: time.Second}); r.Finding != nil {
				fmt.Printf("script %d: %v\n", seed, r.Finding)
				os.Exit(1)
			}
		}
	}
}

// A strategy that locks nothing is caught, by a finding, a crash or the race
// detector; or what finds nothing under the others shows nothing.
func TestControl(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), controlled+"=1")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) {
		t.Fatalf("the control was not caught: %v\n%s", err, out)
	}
	t.Logf("caught after %v: %v: %.300s", time.Since(start), err, out)
}
