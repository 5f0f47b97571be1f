package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
)

func TestAuditUsage(t *testing.T) {
	inFolder(t)
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"audit pipe-raeder", cli.ExitUsage, "did you mean pipe-reader?"},
		{"audit --most 0", cli.ExitUsage, "want 1 at least"},
		{"audit --format bench", cli.ExitUsage, `unknown format "bench"`},
		{"audit --replay nonsense", cli.ExitUsage, "want device:FILTER:function"},
		{"audit --replay a:b:c:d:0 user", cli.ExitUsage, "names its device itself"},
		{"audit --replay a:b:c:d:0", cli.ExitWrong, "there is no trial"},
	} {
		status, _, stderr := kqlab(t, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, want %d:\n%s", c.args, status, c.status, stderr)
		}
	}
}

// Without the race detector there is no audit, but a command that makes it; a replay is
// carried out, and may show all but a race.
func TestAuditWithoutDetector(t *testing.T) {
	if cli.RaceBuild() {
		t.Skip("what is said without the race detector is said by a build without it: go test ./cli")
	}
	status, stdout, stderr := kqlab(t, "audit", "user")
	if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, "go run -race ./cmd/kqlab audit user") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr = kqlab(t, "audit", "--replay", "pipe-reader:READ:attach:write:")
	if status != cli.ExitOK || !strings.Contains(stdout, "nothing is found") || !strings.Contains(stdout, "go run -race") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}

func TestAudit(t *testing.T) {
	if !cli.RaceBuild() {
		t.Skip("only a build with the race detector audits: go test -race")
	}
	inFolder(t)
	if err := os.WriteFile("README", []byte("<!-- the table of kqlab audit begins -->\n<!-- the table of kqlab audit ends -->\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := kqlab(t, "audit", "--most", "20", "--readme", "README", "user", "probe-unsafe")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	for _, says := range []string{
		"filter  function  declared     verdict\n", "\n  probe-unsafe\n", "not MP-safe  a data race [1]\n", "nothing found (", "not complete)",
		"[1] probe-unsafe READ, event: a data race\n", "write in device.", "previous read in",
	} {
		if !strings.Contains(stdout, says) {
			t.Errorf("%q is not said:\n%s", says, stdout)
		}
	}
	if text, err := os.ReadFile("README"); err != nil || !strings.Contains(string(text), "| probe-unsafe | READ | event | not MP-safe | a data race |\n") {
		t.Errorf("%v\n%s", err, text)
	}
	_, again, _ := strings.Cut(stdout, "audit --replay '")
	again, _, _ = strings.Cut(again, "'")
	status, stdout, stderr = kqlab(t, "audit", "--replay", again)
	if status != cli.ExitWrong || !strings.Contains(stdout, "no data race violated: write in device.") {
		t.Errorf("the replay %q: status %d\n%s%s", again, status, stdout, stderr)
	}

	status, stdout, _ = kqlab(t, "audit", "--most", "20", "--format", "json", "probe-unsafe")
	var first struct {
		Device, Filter, Function, Finding string
		MPSafe                            bool
		Schedules                         int
	}
	if err := json.NewDecoder(strings.NewReader(stdout)).Decode(&first); err != nil || status != cli.ExitOK {
		t.Fatal(status, err)
	}
	if first.Device != "probe-unsafe" || first.Filter != "READ" || first.Function != "attach" || first.MPSafe || first.Schedules == 0 || first.Finding != "" {
		t.Errorf("got %+v", first)
	}

	if status, _, stderr := kqlab(t, "audit", "--readme", "none", "user"); status != cli.ExitWrong || !strings.Contains(stderr, "--readme") {
		t.Errorf("status %d, %s", status, stderr)
	}
}
