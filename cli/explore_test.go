package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/fuzz"
)

// A right strategy is explored without a finding, and the last line says how fast.
func TestExplore(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "giant,globaltoken,pcpu", "--schedules", "300")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if status != cli.ExitOK || stderr != "" || !strings.HasSuffix(lines[len(lines)-1], " executions/s") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if ok, _ := regexp.MatchString(`(?m)^giant  +no finding  +300  +\d,\d{3}  +\d+  +\d+\.\d\d %  +\d+ `, stdout); !ok {
		t.Errorf("outcomes, what is unseen and pairs are not in the table:\n%s", stdout)
	}
	for _, s := range []string{"standard, scheduler random, seed 1", "giant", "globaltoken", "pcpu", "no finding"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("standard output lacks %q:\n%s", s, stdout)
		}
	}
	if _, err := os.Stat("failures"); err == nil {
		t.Error("a folder for failures, of which there are none")
	}
}

// However many workers there are, what is seen is the same.
func TestExploreWorkers(t *testing.T) {
	inFolder(t)
	for _, scenario := range []string{"generated", "message-against-migrate"} {
		var seen []string
		for _, workers := range []string{"1", "2", "3"} {
			status, stdout, stderr := kqlab(t, "explore", "--format", "json", "--strategies", "pcpu", "--scenario", scenario, "--schedules", "450", "--workers", workers)
			var one map[string]any
			if err := json.Unmarshal([]byte(stdout), &one); err != nil || status != cli.ExitOK {
				t.Fatalf("status %d, %v:\n%s%s", status, err, stdout, stderr)
			}
			if u, _ := one["unseen"].(float64); u <= 0 || u >= 1 {
				t.Errorf("unseen is %v", one["unseen"])
			}
			delete(one, "seconds")
			delete(one, "undecided") // a search ends by the clock
			text, _ := json.Marshal(one)
			seen = append(seen, string(text))
		}
		if seen[0] != seen[1] || seen[0] != seen[2] {
			t.Errorf("one worker sees\n%s\ntwo\n%s\nthree\n%s", seen[0], seen[1], seen[2])
		}
	}
}

// It is said how much has come about of what the scenario says must, and what has not.
func TestExploreSometimes(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "pcpu", "--scenario", "message-against-migrate", "--schedules", "1000")
	if ok, _ := regexp.MatchString(`(?m)^pcpu  +no finding .* 5/5 `, stdout); !ok || status != cli.ExitOK || strings.Contains(stdout, "did not come to") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr = kqlab(t, "explore", "--strategies", "pcpu", "--scenario", "message-against-migrate", "--scheduler", "dfs:0", "--exhaust")
	says := "message-against-migrate under pcpu did not come to what the scenario is for, in "
	if status != cli.ExitOK || !strings.Contains(stdout, says) || !strings.Contains(stdout, "  sometimes under=pcpu reached news-of-claimed\n") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}

// A space of executions that is small is exhausted.
func TestExploreExhausts(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "giant", "--scenario", "two-sleepers-one-event", "--scheduler", "dfs:0", "--exhaust")
	if status != cli.ExitOK || !strings.Contains(stdout, "complete") || !strings.Contains(stdout, " –  ") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}

// All scenarios are explored one after another, and of the small ones those that
// are small.
func TestExploreAll(t *testing.T) {
	inFolder(t)
	for _, word := range []string{"all", "small"} {
		var want []string
		for _, name := range fuzz.Scenarios() {
			s, err := fuzz.Scenario(name)
			if err != nil {
				t.Fatal(err)
			}
			small := len(s.Threads) <= 3
			for _, th := range s.Threads {
				small = small && len(th.Ops) <= 3
			}
			if word == "all" || small {
				want = append(want, name+" pcpu")
			}
		}
		args := []string{"explore", "--scenario", word, "--strategies", "pcpu", "--schedules", "2"}
		status, stdout, stderr := kqlab(t, append(args, "--format", "json")...)
		var got []string
		for dec := json.NewDecoder(strings.NewReader(stdout)); dec.More(); {
			var one struct {
				Scenario, Strategy string
				Executions         int
			}
			if err := dec.Decode(&one); err != nil {
				t.Fatal(err)
			}
			if one.Executions != 2 {
				t.Errorf("%+v", one)
			}
			got = append(got, one.Scenario+" "+one.Strategy)
		}
		if status != cli.ExitOK || !slices.Equal(got, want) || len(want) < 20 {
			t.Errorf("%s: status %d, %v\n%s\nwant %v", word, status, got, stderr, want)
		}
		if word == "all" {
			continue
		}
		if _, stdout, _ = kqlab(t, args...); strings.Count(stdout, "\nnested-crossing  ") != 1 || !strings.HasSuffix(stdout, " executions/s\n") {
			t.Errorf("%s:\n%s", word, stdout)
		}
	}
}

// A strategy that ends its process, or hangs it, is caught, and this process does not
// hear of it; the others are explored all the same.
func TestExploreCatches(t *testing.T) {
	inFolder(t)
	patience := *cli.ExplorePatience
	t.Cleanup(func() { *cli.ExplorePatience = patience })
	*cli.ExplorePatience = 3 * time.Second // which a busy machine may need for one word
	status, stdout, stderr := kqlab(t, "explore", "--format", "json", "--schedules", "50", "--strategies", "exiting,hanging,crashing,mine")
	var got []string
	for dec := json.NewDecoder(strings.NewReader(stdout)); dec.More(); {
		var one struct {
			Strategy, Caught, Finding string
			Correct                   bool
			Executions                int
		}
		if err := dec.Decode(&one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one.Strategy+" "+one.Caught)
		if one.Correct != (one.Finding == "") || one.Correct != (one.Executions == 50) {
			t.Errorf("%+v", one)
		}
	}
	if want := []string{"exiting crash", "hanging deadline", "crashing finding", "mine "}; status != cli.ExitWrong || !slices.Equal(got, want) {
		t.Errorf("status %d, %q, want %q", status, got, want)
	}
	for _, says := range []string{
		"exiting is wrong, caught by a crash: exit status 9", "explore --strategies exiting --scenario standard --scheduler random --seed 1 --schedules 50",
		"hanging is wrong, caught by a deadline: came no further for 3s", "no such place",
	} {
		if !strings.Contains(stderr, says) {
			t.Errorf("standard error lacks %q:\n%s", says, stderr)
		}
	}
}

// A planted fault may be named, and is found.
func TestExplorePlanted(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "sleep-keeps-the-domain", "--scheduler", "pct:3", "--scenario", "message-against-migrate")
	if status != cli.ExitWrong || !strings.Contains(stdout, "wrong") || !strings.Contains(stderr, "no deadlock violated") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}

// skipRace skips what would explore the control none in this process. That the
// detector sees it is TestExploreRaces of package fuzz, in a process of its own.
func skipRace(t *testing.T) {
	t.Helper()
	if cli.RaceBuild() {
		t.Skip("none is a race to the detector, and so the end of this process: see TestExploreRaces of package fuzz")
	}
}

// What fails is saved with its schedule, made smaller and as it was, and the
// command that is named shows the smaller one again.
func TestExploreFinds(t *testing.T) {
	skipRace(t)
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "none", "--schedules", "1000", "--out", "found")
	if status != cli.ExitWrong || !strings.Contains(stdout, "wrong") || !strings.Contains(stderr, "one thread in a domain") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if ok, _ := regexp.MatchString(`(?m)^  made smaller: from \d+ threads, \d+ operations, \d+ preemptions to \d+ threads?, \d+ operations?, \d+ preemptions?$`, stderr); !ok {
		t.Errorf("it is not said how much smaller:\n%s", stderr)
	}
	files := regexp.MustCompile(`see: (found/.*\.kq)`).FindAllStringSubmatch(stderr, -1)
	if len(files) != 2 || !strings.Contains(stderr, "replay "+files[0][1]) {
		t.Fatalf("saved %v:\n%s", files, stderr)
	}
	var size []int64
	for _, f := range files {
		text, err := os.Stat(f[1])
		if err != nil {
			t.Fatal(err)
		}
		size = append(size, text.Size())
	}
	if size[0] >= size[1] {
		t.Errorf("the file of the smaller one has %d bytes, the other %d", size[0], size[1])
	}
	var shown []string
	for range 2 {
		status, stdout, stderr := kqlab(t, "replay", files[0][1])
		if status != cli.ExitWrong || !strings.Contains(stdout, "replayed") || !strings.Contains(stderr, "again: ") {
			t.Errorf("status %d:\n%s%s", status, stdout, stderr)
		}
		shown = append(shown, stdout)
	}
	if shown[0] != shown[1] || !strings.Contains(shown[0], "turn") || !strings.Contains(shown[0], "one thread in a domain violated") {
		t.Errorf("shown once:\n%s\nand then:\n%s", shown[0], shown[1])
	}
}

// What cannot be saved, or shown again, does not hide what was found, and the command
// that is named then is that of the exploration.
func TestExploreUnsaved(t *testing.T) {
	inFolder(t)
	if err := os.WriteFile("file", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		says []string
	}{
		{"--strategies none --out file --spurious 1 --placement home", []string{
			"none is wrong, caught by a finding: one thread in a domain", "\n  --out: the script cannot be saved: mkdir file: ",
			"explore --strategies none --scenario standard --scheduler random --seed 1 --schedules 900 --placement home --spurious 1\n"}},
		// The first execution of each sixteenth hundred is made again, on a machine of its own.
		{"--strategies shifting --scenario scan-against-delete", []string{
			"shifting is wrong, caught by a finding: the same execution again violated", "see: failures/shifting-",
			"explore --strategies shifting --scenario scan-against-delete --scheduler random --seed 1 --schedules 900\n"}},
	} {
		status, stdout, stderr := kqlab(t, append([]string{"explore", "--schedules", "900"}, strings.Fields(tt.args)...)...)
		for _, says := range tt.says {
			if status != cli.ExitWrong || !strings.Contains(stdout, "wrong") || !strings.Contains(stderr, says) {
				t.Errorf("%s: status %d, lacks %q:\n%s%s", tt.args, status, says, stdout, stderr)
			}
		}
	}
}

// Who interrupts an exploration while what it has found is made smaller is told what that is.
func TestExploreIsInterrupted(t *testing.T) {
	inFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat("lingers"); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var stdout, stderr bytes.Buffer
	status := cli.RunContext(ctx, []string{"explore", "--strategies", "lingering"}, &stdout, &stderr, extras...)
	if status != cli.ExitWrong || !strings.Contains(stdout.String(), "wrong") || !strings.Contains(stderr.String(), "lingering is wrong, caught by a finding: no panic violated") {
		t.Errorf("status %d:\n%s%s", status, &stdout, &stderr)
	}
}

// What goes wrong between two CPUs is found where placement is drawn, as it is if
// executions are, and not where all is at home, as it is in a search; and the table says
// which it was.
func TestExplorePlacement(t *testing.T) {
	skipRace(t)
	inFolder(t)
	for flags, wrong := range map[string]bool{
		"--schedules 300":                    true,
		"--schedules 300 --placement home":   false,
		"--scheduler dfs:2 --exhaust":        false,
		"--schedules 300 --placement drawn":  true,
		"--schedules 300 --spurious 2":       true,
		"--scheduler dfs:1 --placement home": false,
	} {
		args := append([]string{"explore", "--strategies", "migrate-does-not-drain", "--scenario", "scan-against-delete"}, strings.Fields(flags)...)
		status, stdout, stderr := kqlab(t, args...)
		if (status == cli.ExitWrong) != wrong || !wrong && status != 0 {
			t.Errorf("%s: status %d:\n%s%s", flags, status, stdout, stderr)
		}
		if got := strings.Contains(stdout, "placement drawn"); got != wrong {
			t.Errorf("%s: placement is drawn, says the table: %t:\n%s", flags, got, stdout)
		}
		if got := strings.Contains(stdout, "2 spurious wakeups"); got != strings.Contains(flags, "spurious") {
			t.Errorf("%s: wakeups, says the table: %t:\n%s", flags, got, stdout)
		}
	}
}

// What fails in a scenario that is kept has a token, which replay takes for a file.
func TestExploreToken(t *testing.T) {
	skipRace(t)
	inFolder(t)
	_, stdout, stderr := kqlab(t, "explore", "--strategies", "none", "--scenario", "two-sleepers-one-event", "--schedules", "1000")
	token := regexp.MustCompile(`(?m)^  token: (none:two-sleepers-one-event\+drawn:\S+)$`).FindStringSubmatch(stderr)
	if token == nil {
		t.Fatalf("no token:\n%s%s", stdout, stderr)
	}
	status, stdout, stderr := kqlab(t, "replay", token[1])
	if status != cli.ExitWrong || !strings.HasPrefix(stdout, "two-sleepers-one-event under none, replayed\n") || !strings.Contains(stderr, " replay "+token[1]) {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}

// A program is told the sizes too.
func TestExploreSizes(t *testing.T) {
	skipRace(t)
	inFolder(t)
	_, stdout, stderr := kqlab(t, "explore", "--strategies", "none", "--scenario", "generated", "--schedules", "1000", "--format", "json")
	var one struct {
		From, To struct{ Threads, Operations, Preemptions int }
		File     string
	}
	if err := json.Unmarshal([]byte(stdout), &one); err != nil {
		t.Fatalf("%v:\n%s%s", err, stdout, stderr)
	}
	if one.To.Operations < 1 || one.To.Operations >= one.From.Operations || !strings.Contains(stderr, "replay "+one.File) {
		t.Errorf("%+v:\n%s", one, stderr)
	}
}

func TestExploreBadUsage(t *testing.T) {
	inFolder(t)
	script := "thread\nclose 1\n"
	for name, text := range map[string]string{
		"bare.kq": script, "nobody.kq": script + "schedule strategy=nobody\n 0\n", "misfit.kq": script + "schedule strategy=giant\n 0 0 0 0\n", "bad.kq": "thread\nclos 1\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ args, says string }{
		{"explore --schedules 0", "--schedules 0: want 1 to"},
		{"explore --placement here", `--placement "here": want home or drawn`},
		{"explore --spurious 101", "--spurious 101: want 0 to 100"},
		{"explore --spurious -1", "--spurious -1: want 0 to 100"},
		{"explore --workers 0", "--workers 0: want 1 to"},
		{"explore --exhaust --scenario generated --scheduler dfs:2", "--exhaust with --scenario generated, of which there is no end"},
		{"explore --exhaust", "--exhaust with --scheduler random, which draws without an end"},
		{"explore --scheduler pct:0", `"pct:0"`},
		{"explore --scheduler fifo", `"fifo"`},
		{"explore --scenario standart", "did you mean standard?"},
		{"explore --scenario nowhere.kq", "nowhere.kq"},
		{"explore --scenario bad.kq", "bad.kq:2:1"},
		{"explore --strategies gaint", "did you mean giant?"},
		{"explore standard", "standard"},
		{"replay", "replay takes one script or token"},
		{"replay nowhere.kq", "nowhere.kq"},
		{"replay bare.kq", "bare.kq has no schedule"},
		{"replay nobody.kq", `strategy "nobody"`},
		{"replay misfit.kq", "misfit.kq: the schedule does not fit"},
		{"replay bad.kq", "bad.kq:2:1"},
		{"replay giant:standard", "there is no such file, and a token has three parts"},
		{"replay giant:standärd:usual", `token: character "ä" in a token: want letters`},
		{"replay giant:standard:1@2", `token: turn 1: place "2"`},
		{"replay giant:standart:usual", `scenario "standart": want one of`},
		{"replay gaint:standard:usual", `strategy "gaint" of the schedule: want one of giant, globaltoken, pcpu`},
		{"replay giant:standard:2@1.1.end", "giant:standard:2@1.1.end: the schedule does not fit: turn 1, 2@1.1.end: thread 1 in its operation 1 never came there, but by"},
	} {
		status, stdout, stderr := kqlab(t, strings.Fields(tt.args)...)
		if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: status %d, %q\n%s\nwant 2, and %q", tt.args, status, stdout, stderr, tt.says)
		}
	}
}

// A data race is a finding like any other, in a build that sees it: with a file that
// is replayed, and with who touched what. The detector's reports are the child's, and
// do not end this process. Without a preemption no two threads meet, and it is a race all
// the same.
func TestExploreRace(t *testing.T) {
	if !cli.RaceBuild() {
		t.Skip("only a build with the race detector sees races: go test -race")
	}
	inFolder(t)
	status, stdout, stderr := kqlab(t, "explore", "--strategies", "none", "--scenario", "two-sleepers-one-event", "--scheduler", "dfs:0", "--schedules", "50", "--out", "found")
	if status != cli.ExitWrong {
		t.Fatalf("status %d:\n%s%s", status, stdout, stderr)
	}
	for _, want := range []string{"caught by a data race: no data race violated: ", " in kqueue.", "; previous ", " replay found/none-", "made smaller: "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
}
