package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// A right strategy passes, the planted faults are tried beside it, and no folder
// is made for nothing.
func TestCheck(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "check", "--strategies", "giant,mine", "--budget", "3s", "--seed", "5", "--format", "json")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, standard error %q", status, stderr)
	}
	got := verdicts(t, stdout)
	if len(got) != 2+len(broken.All) || got[0].Strategy != "giant" || got[1].Strategy != "mine" {
		t.Fatalf("verdicts %+v", got)
	}
	names := map[string]bool{}
	caught := 0
	for i, v := range got {
		names[v.Strategy] = true
		if v.Control != (i >= 2) || v.Seed != 5 {
			t.Errorf("verdict %+v", v)
		}
		if v.Caught != "" {
			caught++
			if v.Correct || v.Finding == "" || i < 2 {
				t.Errorf("verdict %+v", v)
			}
		} else if !v.Correct || v.Scripts == 0 || v.Rounds < v.Scripts || v.Operations == 0 || v.Checked == 0 || v.Checked > v.Rounds {
			t.Errorf("verdict %+v", v)
		}
		if v.Control && v.Strategy != "none" && v.Again != "" {
			t.Errorf("%s is no name that a verb takes, but to see it again is %q", v.Strategy, v.Again)
		}
	}
	for _, f := range broken.All {
		if !names[f.Name] {
			t.Errorf("the fault %s was not tried", f.Name)
		}
	}
	// None, and those whose threads sleep with a lock, or without one.
	if caught < 2 {
		t.Errorf("%d faults were caught", caught)
	}
	if left, err := filepath.Glob("*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What is wrong is said, and kept: scripts, the smaller first, and pictures of
// what the specification forbids.
func TestCheckFinds(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "check", "--strategies", "dropping,giant", "--budget", "2s", "--out", "r")
	if status != cli.ExitWrong {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	for _, s := range []string{"dropping", "wrong", "caught by a finding", "giant", "correct", " faults", "Planted faults", "report: r\n"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("lacks %q:\n%s", s, stdout)
		}
	}
	for line := range strings.Lines(stdout) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns, want at most 100: %s", n, line)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("colour where there is no terminal:\n%q", stdout)
	}
	var dropping verdict
	for _, v := range verdicts(t, file(t, "r", "verdicts.jsonl")) {
		if v.Strategy == "dropping" {
			dropping = v
		}
	}
	if dropping.Caught != "finding" || len(dropping.Files) < 2 {
		t.Fatalf("verdict %+v", dropping)
	}
	pictures := 0
	for _, name := range dropping.Files {
		text := file(t, name)
		switch filepath.Ext(name) {
		case ".html":
			pictures++
			if !strings.Contains(text, "<html") && !strings.Contains(text, "<!DOCTYPE") && !strings.Contains(text, "<!doctype") {
				t.Errorf("%s is no page: %.200s", name, text)
			}
		case ".kq":
			if !strings.Contains(text, "# Found under dropping: ") || !strings.Contains(text, "# What happened") {
				t.Errorf("%s:\n%s", name, text)
			}
		}
		if !strings.Contains(stderr, "  see: "+name+"\n") {
			t.Errorf("standard error does not name %s:\n%s", name, stderr)
		}
	}
	if forbidden := strings.Contains(dropping.Finding, "the specification violated"); forbidden && pictures == 0 {
		t.Errorf("no picture of %s", dropping.Finding)
	}
	again, ok := strings.CutPrefix(dropping.Again, "cli.test ")
	if !ok || !strings.Contains(stderr, "  again: "+dropping.Again) {
		t.Fatalf("to see it again: %q\n%s", dropping.Again, stderr)
	}
	if status, stdout, _ := kqlab(t, strings.Fields(again)...); status != cli.ExitWrong {
		t.Errorf("%s: status %d, want %d:\n%s", again, status, cli.ExitWrong, stdout)
	}
}

// A process that dies leaves its parent to say which scripts it was at.
func TestCheckKeepsTheScriptsOfAProcessThatDied(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "check", "--strategies", "exiting", "--budget", "300ms", "--workers", "1", "--out", "r", "--format", "json")
	if status != cli.ExitWrong {
		t.Fatalf("status %d: %s", status, stderr)
	}
	v := verdicts(t, stdout)[0]
	if v.Caught != "crash" || len(v.Files) != 1 || !strings.Contains(v.Again, "run "+v.Files[0]) {
		t.Fatalf("verdict %+v", v)
	}
	text := file(t, v.Files[0])
	if !strings.Contains(text, "Found under exiting: an end of the process by itself violated") || !strings.Contains(text, "\nthread ") {
		t.Errorf("%s:\n%s", v.Files[0], text)
	}
}

// The faults' files are kept where the user has said where, and only there.
func TestCheckKeepsWhatIsFoundInFaults(t *testing.T) {
	inFolder(t)
	if status, _, stderr := kqlab(t, "check", "--strategies", "giant", "--budget", "1s", "--out", "r"); status != cli.ExitOK {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if kept, err := filepath.Glob("r/controls/*.kq"); err != nil || len(kept) == 0 {
		t.Errorf("kept: %v, %v", kept, err)
	}
	if _, err := os.Stat("r/verdicts.jsonl"); err != nil {
		t.Error(err)
	}
}

func TestCheckIsInterrupted(t *testing.T) {
	inFolder(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(200*time.Millisecond, cancel)
	var stdout, stderr bytes.Buffer
	begin := time.Now()
	status := cli.RunContext(ctx, []string{"check", "--budget", "1m"}, &stdout, &stderr, extras...)
	if status != cli.Interrupted || !strings.Contains(stdout.String(), "unfinished") {
		t.Errorf("status %d, want %d:\n%s%s", status, cli.Interrupted, stdout.String(), stderr.String())
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
}

// What a child cannot understand is an error of the program, and no verdict.
func TestOrders(t *testing.T) {
	for _, c := range []struct{ order, says string }{
		{"", "order"},
		{"{", "order"},
		{`{"Work":"campaign","Strategy":"gaint"}`, `unknown strategy "gaint"`},
		{`{"Work":"campaign","Strategy":"planted/gaint"}`, `no planted fault is named "gaint"`},
		{`{"Work":"campaign","Strategy":"giant","Wrok":1}`, "Wrok"},
		{`{"Work":"play","Strategy":"giant"}`, `work "play"`},
		{`{"Work":"explore","Strategy":"giant","Scheduler":"fifo","Scenario":"standard"}`, `"fifo"`},
		{`{"Work":"explore","Strategy":"giant","Scheduler":"random","Scenario":"standart"}`, `"standart"`},
		{`{"Work":"explore","Strategy":"giant","Scheduler":"random","Scenario":"x.kq","Script":"thraed"}`, "x.kq:1:1"},
	} {
		status, stdout, stderr := kqlab(t, cli.ChildVerb, c.order)
		if status != cli.ExitUsage || stdout != "" || !strings.HasPrefix(stderr, cli.ChildVerb+": ") || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: status %d, %q, %q; want %d, nothing and %q", c.order, status, stdout, stderr, cli.ExitUsage, c.says)
		}
	}
}
