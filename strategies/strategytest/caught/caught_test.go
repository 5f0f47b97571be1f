package caught_test

import (
	"os"
	"testing"
	"time"

	"github.com/kqlab/kqlab/strategies/strategytest/caught"
)

const variable = "KQLAB_CAUGHT_ACT"

// TestAct is the child: it fails in the way that it is told to.
func TestAct(t *testing.T) {
	switch os.Getenv(variable) {
	case "":
		t.Skip("runs in a process of its own, started by TestTest")
	case "fail":
		t.Log("no reason yet")
		t.Run("part", func(t *testing.T) {
			t.Run("passes", func(t *testing.T) {})
			t.Run("fails", func(t *testing.T) {
				t.Error("the reason")
				t.Error("what follows from it")
			})
		})
	case "crash":
		panic("torn link")
	case "hang":
		time.Sleep(time.Hour)
	case "silent":
		os.Exit(3)
	}
}

func TestTest(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		act, run string
		want     caught.How
		why      string
		fails    bool
	}{
		{act: "pass", run: "^TestAct$"},
		{act: "fail", run: "^TestAct$", want: caught.Finding, why: "TestAct/part/fails: the reason"},
		{act: "crash", run: "^TestAct$", want: caught.Crash, why: "panic: torn link"},
		{act: "hang", run: "^TestAct$", want: caught.Deadline, why: "it did not end within 1s"},
		{act: "silent", run: "^TestAct$", fails: true},
		{act: "pass", run: "^TestNothing$", fails: true},
	} {
		t.Run(tt.act+" "+tt.run, func(t *testing.T) {
			deadline := time.Minute
			if tt.want == caught.Deadline {
				deadline = time.Second
			}
			v, err := caught.Test(exe, tt.run, true, deadline, variable+"="+tt.act)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if v.How != tt.want && !tt.fails || tt.why != "" && v.Why[:min(len(v.Why), len(tt.why))] != tt.why {
				t.Errorf("%v, want %s: %s", v, tt.want, tt.why)
			}
		})
	}
	if _, err := caught.Test(exe+" that is not there", "^TestAct$", true, time.Second, variable+"=pass"); err == nil {
		t.Error("a binary that is not there was run")
	}
}
