package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/cli"
)

func records(t *testing.T, text string) []bench.Record {
	t.Helper()
	var recs []bench.Record
	for line := range strings.Lines(text) {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		var r bench.Record
		if err := dec.Decode(&r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		recs = append(recs, r)
	}
	return recs
}

func file(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func measured(recs []bench.Record) map[string]bool {
	names := map[string]bool{}
	for _, r := range recs {
		if r.Strategy != "" {
			names[r.Strategy] = true
		}
	}
	return names
}

func TestCompare(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "compare", "--strategies", "giant,mine", "--workloads", "single,disjoint",
		"--budget", "400ms", "--seed", "3", "--out", "r", "--format", "json")
	if status != cli.ExitOK {
		t.Fatalf("status %d:\n%s", status, stderr)
	}
	if got := file(t, "r", "results.jsonl"); got != stdout {
		t.Errorf("results.jsonl is not what was printed: %d and %d bytes", len(got), len(stdout))
	}
	recs := records(t, stdout)
	if got := measured(recs); !got["giant"] || !got["mine"] || len(got) != 2 {
		t.Errorf("strategies measured: %v, want giant and mine", got)
	}
	for _, r := range recs {
		if r.Seed != 3 || r.Machine == "" || r.Go == "" || r.Rounds == 0 || r.Partial || r.Min > r.Median || r.Median > r.Max {
			t.Fatalf("record %+v", r)
		}
	}
	if !strings.Contains(stderr, "report: "+filepath.Join("r", "index.html")) {
		t.Errorf("standard error does not say where the report is:\n%s", stderr)
	}

	all := verdicts(t, file(t, "r", "verdicts.jsonl"))
	if len(all) != 3 || !all[0].Correct || !all[1].Correct || all[2].Correct || !all[2].Control || all[2].Caught == "" {
		t.Errorf("verdicts %+v, want giant and mine correct and the control caught", all)
	}

	for _, v := range all[:2] {
		if x := v.Explored; x.Executions < 25 || x.Scenarios == 0 || x.Planted < 8 || x.Caught < 5 {
			t.Errorf("%s: explored %+v, want executions, and most controls caught", v.Strategy, x)
		}
	}

	lines := benchfmt.NewReader(strings.NewReader(file(t, "r", "bench.txt")), "bench.txt")
	n := 0
	for lines.Scan() {
		switch r := lines.Result().(type) {
		case *benchfmt.Result:
			n++
		case *benchfmt.SyntaxError:
			t.Errorf("bench.txt: %v", r)
		}
	}
	if err := lines.Err(); err != nil || n == 0 {
		t.Errorf("bench.txt has %d results, %v", n, err)
	}

	page := file(t, "r", "index.html")
	for _, s := range []string{"giant", "mine", "caught 1 of 1 faults", "the same caught ", "explored on a virtual machine", "held against the specification", "undecided", "Cost of an event, by strategy", "From one CPU to two",
		"<svg ", "prefers-color-scheme: dark", "compare --strategies giant,mine", "seed 3", recs[0].Go, "How to read this"} {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	standsAlone(t, page)
}

// found is the name of a script that failed, or of a picture.
var found = regexp.MustCompile(`^[a-z]+-[0-9a-f]{16}\.(kq|html)$`)

var reference = regexp.MustCompile(`(?i)(?:src|href|url|@import)\s*[=(]?\s*["']?([^"'\s)>]+)`)

// standsAlone checks that a page loads nothing, and that its plots are well
// formed and follow the page's colours.
func standsAlone(t *testing.T, page string) {
	t.Helper()
	local := []string{"results.jsonl", "bench.txt", "verdicts.jsonl"}
	for _, m := range reference.FindAllStringSubmatch(page, -1) {
		if !slices.Contains(local, m[1]) && !strings.HasPrefix(m[1], "output-") && !found.MatchString(m[1]) {
			t.Errorf("the page refers to %q", m[0])
		}
	}
	if strings.Contains(page, "://") {
		t.Errorf("the page has an address in it")
	}
	for rest := page; ; {
		i := strings.Index(rest, "<svg ")
		if i < 0 {
			return
		}
		j := strings.Index(rest[i:], "</svg>")
		if j < 0 {
			t.Fatal("a plot does not end")
		}
		svg := rest[i : i+j+len("</svg>")]
		rest = rest[i+j:]
		for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("plot: %v", err)
			}
		}
		for _, c := range regexp.MustCompile(`(?:fill|stroke):#[0-9A-Fa-f]{6}`).FindAllString(svg, -1) {
			t.Errorf("a plot has the colour %s, which does not follow the page", c)
		}
	}
}

func TestCompareNone(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "compare", "--strategies", "none", "--workloads", "single", "--budget", "2s", "--out", "r")
	if status != cli.ExitWrong {
		t.Errorf("status %d, want %d", status, cli.ExitWrong)
	}
	for _, s := range []string{"none is wrong, caught by a", "again: "} {
		if !strings.Contains(stderr, s) {
			t.Errorf("standard error lacks %q:\n%s", s, stderr)
		}
	}
	if !strings.Contains(stdout, "nothing measured: no strategy is right") {
		t.Errorf("standard output:\n%s", stdout)
	}
	if got := file(t, "r", "results.jsonl"); got != "" {
		t.Errorf("a strategy that is wrong was measured:\n%s", got)
	}
	standsAlone(t, file(t, "r", "index.html"))
}

func TestCompareMeasuresOnlyWhatIsRight(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "compare", "--strategies", "giant,crashing", "--workloads", "single", "--budget", "300ms", "--out", "r", "--format", "json")
	// Which thread is left, when the script has been made smaller, is for the time there was.
	wrong := regexp.MustCompile(`crashing is wrong, caught by a finding: no panic violated: (setup|thread \d+): no such place`)
	if status != cli.ExitWrong || !wrong.MatchString(stderr) {
		t.Errorf("status %d:\n%s", status, stderr)
	}
	if got := measured(records(t, stdout)); !got["giant"] || len(got) != 1 {
		t.Errorf("strategies measured: %v, want giant alone", got)
	}
	v := verdicts(t, file(t, "r", "verdicts.jsonl"))[1]
	if v.Strategy != "crashing" || len(v.Files) == 0 || !strings.Contains(stderr, "run "+v.Files[0]+" --strategy crashing") {
		t.Fatalf("verdict %+v; standard error does not say how to run a script:\n%s", v, stderr)
	}
	page := file(t, "r", "index.html")
	for _, name := range v.Files {
		file(t, name)
		if !strings.Contains(page, `href="`+filepath.Base(name)) {
			t.Errorf("the page does not name %s", name)
		}
	}
	standsAlone(t, page)
}

func TestCompareTable(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "compare", "--strategies", "giant,pcpu", "--workloads", "single", "--budget", "300ms")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, standard error:\n%s", status, stderr)
	}
	for _, s := range []string{"Correctness", "Cost", "giant", "pcpu", "caught 1 of 1 faults", "caught by a", "searched", "single"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("lacks %q:\n%s", s, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("colour where there is no terminal:\n%q", stdout)
	}
	for line := range strings.Lines(stdout) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns, want at most 100: %s", n, line)
		}
	}
	m := regexp.MustCompile(`(?m)^report: (report-\d{8}-\d{6})/index.html$`).FindStringSubmatch(stdout)
	if m == nil {
		t.Fatalf("does not say where the report is:\n%s", stdout)
	}
	file(t, m[1], "index.html")
}

// A compare that is interrupted while it measures keeps what it has.
func TestInterruptWhileMeasuring(t *testing.T) {
	inFolder(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The campaigns have a fifth of the budget, so this is in the middle of
	// measuring, or, on a slow machine, earlier: the report is partial anyway.
	time.AfterFunc(1500*time.Millisecond, cancel)
	var stdout, stderr bytes.Buffer
	status := cli.RunContext(ctx, []string{"compare", "--strategies", "giant", "--workloads", "single", "--budget", "6s", "--out", "r", "--format", "json"}, &stdout, &stderr, extras...)
	if status != cli.Interrupted {
		t.Errorf("status %d, want %d:\n%s", status, cli.Interrupted, stderr.String())
	}
	if got := file(t, "r", "results.jsonl"); got != stdout.String() {
		t.Errorf("results.jsonl is not what was printed: %d and %d bytes", len(got), stdout.Len())
	}
	for _, r := range records(t, stdout.String()) {
		if !r.Partial {
			t.Fatalf("not marked partial: %+v", r)
		}
	}
	if !strings.Contains(file(t, "r", "index.html"), "Partial: the run was interrupted") {
		t.Error("the page does not say that it is partial")
	}
}

// So does one that is interrupted before that.
func TestInterruptAtOnce(t *testing.T) {
	inFolder(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	status := cli.RunContext(ctx, []string{"compare", "--out", "r"}, &stdout, &stderr, extras...)
	if status != cli.Interrupted || !strings.Contains(stdout.String(), "unfinished") {
		t.Errorf("status %d, want %d:\n%s%s", status, cli.Interrupted, stdout.String(), stderr.String())
	}
	if !strings.Contains(file(t, "r", "index.html"), "Partial: the run was interrupted") {
		t.Error("the page does not say that it is partial")
	}
}
