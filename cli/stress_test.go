package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
)

// A verdict as a program reads it.
type verdict struct {
	Strategy, Caught, Finding, Again string
	Correct, Control                 bool
	Rounds, Scripts, Checked         int
	Operations, Events, Seed         uint64
	Files                            []string
	Explored                         struct{ Executions, Scenarios, Caught, Planted int }
}

func verdicts(t *testing.T, text string) []verdict {
	t.Helper()
	var all []verdict
	for line := range strings.Lines(text) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

func TestStressFindsNothingInARightStrategy(t *testing.T) {
	status, stdout, stderr := kqlab(t, "stress", "--rounds", "2", "--seed", "5", "--format", "json", "giant", "mine")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, standard error %q", status, stderr)
	}
	got := verdicts(t, stdout)
	if len(got) != 2 || got[0].Strategy != "giant" || got[1].Strategy != "mine" {
		t.Fatalf("verdicts %+v", got)
	}
	for _, v := range got {
		if !v.Correct || v.Caught != "" || v.Rounds != 2 || v.Seed != 5 || v.Operations == 0 || v.Events == 0 {
			t.Errorf("verdict %+v", v)
		}
	}
}

// The control must be caught, by whatever it breaks first, and what catches it
// must not reach this process.
func TestStressCatches(t *testing.T) {
	for _, c := range []struct{ name, by, says string }{
		{"none", "", ""},
		{"crashing", "crash", "no such place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := kqlab(t, "stress", "--rounds", "200", "--format", "json", c.name)
			if status != cli.ExitWrong {
				t.Errorf("status %d, want %d", status, cli.ExitWrong)
			}
			got := verdicts(t, stdout)
			if len(got) != 1 || got[0].Correct || got[0].Caught == "" || got[0].Finding == "" {
				t.Fatalf("verdicts %+v", got)
			}
			v := got[0]
			if c.by != "" && v.Caught != c.by {
				t.Errorf("caught by a %s, want a %s", v.Caught, c.by)
			}
			if !strings.Contains(v.Finding, c.says) {
				t.Errorf("finding %q, want %q in it", v.Finding, c.says)
			}
			if !strings.Contains(v.Again, "stress --seed") || !strings.HasSuffix(v.Again, " "+c.name) {
				t.Errorf("the command to see it again is %q", v.Again)
			}
			if !strings.Contains(stderr, v.Again) {
				t.Errorf("standard error does not name the command %q:\n%s", v.Again, stderr)
			}
		})
	}
}

func TestStressCatchesAHangByItsDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the deadline of a child")
	}
	status, stdout, _ := kqlab(t, "stress", "--budget", "10ms", "--format", "json", "hanging")
	got := verdicts(t, stdout)
	if status != cli.ExitWrong || len(got) != 1 || got[0].Caught != "deadline" {
		t.Fatalf("status %d, verdicts %+v", status, got)
	}
}

func TestStressTable(t *testing.T) {
	status, stdout, _ := kqlab(t, "stress", "--rounds", "1", "giant", "crashing")
	if status != cli.ExitWrong {
		t.Errorf("status %d, want %d", status, cli.ExitWrong)
	}
	for _, s := range []string{"giant", "correct", "no control was run beside it", "wrong", "caught by a crash"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("table lacks %q:\n%s", s, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("colour where there is no terminal:\n%q", stdout)
	}
}

// The control named by the user is wrong when it is caught, and a test that
// does not catch it is worth nothing, whoever named it.
func TestOutcomeOfNone(t *testing.T) {
	for _, c := range []struct{ caught, planted, fails bool }{
		{true, true, false}, {false, true, true}, {true, false, true}, {false, false, true},
	} {
		if err := cli.OutcomeOfNone(c.caught, c.planted); (err != nil) != c.fails {
			t.Errorf("caught %v, planted %v: %v", c.caught, c.planted, err)
		}
	}
}
