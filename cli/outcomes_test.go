package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
)

// Where the strategies differ it is said by which freedom, with an example; else that
// there is no difference.
func TestOutcomes(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "outcomes", "--scenario", "pruned-against-scan", "--strategies", "giant,globaltoken,pcpu", "--schedules", "600")
	for _, says := range []string{"1 only pcpu, by anyOrder", "pruned-against-scan: pcpu, by anyOrder; not under giant, globaltoken", "events USER 1 udata=1; READ 3"} {
		if status != cli.ExitOK || !strings.Contains(stdout, says) {
			t.Errorf("status %d, lacks %q:\n%s%s", status, says, stdout, stderr)
		}
	}
	status, stdout, stderr = kqlab(t, "outcomes", "--scenario", "two-sleepers-one-event", "--strategies", "giant,mine", "--format", "json")
	var one struct {
		Scenario    string
		Common      int
		Differences []any
		Sets        []struct {
			Strategy             string
			Executions, Outcomes int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &one); err != nil || status != cli.ExitOK {
		t.Fatalf("status %d, %v:\n%s%s", status, err, stdout, stderr)
	}
	if one.Common != 2 || one.Differences != nil || len(one.Sets) != 2 || one.Sets[1].Strategy != "mine" || one.Sets[1].Outcomes != 2 || one.Sets[1].Executions < 100 {
		t.Errorf("%+v", one)
	}
}

// A strategy that is wrong, or ends the process, is named.
func TestOutcomesWrong(t *testing.T) {
	inFolder(t)
	for strategy, says := range map[string][]string{
		"crashing": {"crashing is wrong, caught by a finding: no panic violated", "no such place", "again: ", " replay failures/crashing-"},
		"exiting":  {"giant,exiting is wrong, caught by a crash: exit status 9", "outcomes --strategies giant,exiting "},
	} {
		status, stdout, stderr := kqlab(t, "outcomes", "--scenario", "nested-crossing", "--strategies", "giant,"+strategy)
		for _, text := range says {
			if status != cli.ExitWrong || !strings.Contains(stderr, text) {
				t.Errorf("%s: status %d, lacks %q:\n%s%s", strategy, status, text, stdout, stderr)
			}
		}
	}
}

func TestOutcomesBadUsage(t *testing.T) {
	inFolder(t)
	for _, tt := range []struct{ args, says string }{
		{"outcomes --schedules 0", "--schedules 0: want 1 to"},
		{"outcomes --workers 0", "--workers 0: want 1 to"},
		{"outcomes --strategies giant", "want two at least"},
		{"outcomes --strategies gaint,pcpu", "did you mean giant?"},
		{"outcomes --scenario generated", "--scenario generated: want a scenario"},
		{"outcomes --scenario standart", "did you mean standard?"},
		{"outcomes --format bench", "bench"},
		{"outcomes all", "all"},
	} {
		status, stdout, stderr := kqlab(t, strings.Fields(tt.args)...)
		if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: status %d, %q\n%s\nwant 2, and %q", tt.args, status, stdout, stderr, tt.says)
		}
	}
}
