package cli_test

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/creack/pty"

	"github.com/kqlab/kqlab/cli"
)

func TestBenchJSON(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "bench", "--format", "json", "--strategies", "giant,mine", "--budget", "200ms", "--seed", "9", "single")
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d, standard error:\n%s", status, stderr)
	}
	recs := records(t, stdout)
	if got := measured(recs); !got["giant"] || !got["mine"] || len(got) != 2 {
		t.Errorf("strategies measured: %v, want giant and mine", got)
	}
	mutex := false
	for _, r := range recs {
		if r.Workload != "single" && r.Workload != "reference" {
			t.Errorf("workload %q, want single", r.Workload)
		}
		if r.Seed != 9 {
			t.Errorf("seed %d, want 9", r.Seed)
		}
		mutex = mutex || r.Workload == "reference" && r.Strategy == "" && r.Parameters["op"] == "mutex"
	}
	if !mutex {
		t.Error("no mutex pair beside the strategies")
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("bench without --out has left %v, %v", left, err)
	}
}

func TestBenchReport(t *testing.T) {
	inFolder(t)
	status, stdout, stderr := kqlab(t, "bench", "--format", "bench", "--strategies", "giant", "--budget", "200ms", "--out", "r", "single")
	if status != cli.ExitOK {
		t.Fatalf("status %d:\n%s", status, stderr)
	}
	if got := file(t, "r", "bench.txt"); got != stdout || !strings.Contains(got, "Benchmark") {
		t.Errorf("bench.txt is not what was printed:\n%s\n%s", got, stdout)
	}
	standsAlone(t, file(t, "r", "index.html"))
}

func TestBenchGoals(t *testing.T) {
	status, stdout, stderr := kqlab(t, "bench", "--strategies", "giant", "--budget", "300ms", "goals", "single")
	if status != cli.ExitOK || !strings.Contains(stdout, "Goals") || !strings.Contains(stdout, "single, batch 64") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}

func TestBenchDoesNotMeasureWhatIsWrong(t *testing.T) {
	for _, name := range []string{"none", "crashing"} {
		status, stdout, stderr := kqlab(t, "bench", "--format", "json", "--strategies", name, "--budget", "200ms", "single")
		if status != cli.ExitWrong || stdout != "" || !strings.Contains(stderr, name+" is wrong") {
			t.Errorf("%s: status %d, standard output %q:\n%s", name, status, stdout, stderr)
		}
	}
}

// A strategy that fails only when it is measured takes neither the figures nor
// the report with it.
func TestFailureWhileMeasuring(t *testing.T) {
	machines.Store(0)
	inFolder(t)
	status, stdout, stderr := kqlab(t, "compare", "--strategies", "giant,flagging", "--workloads", "churn", "--budget", "4s", "--out", "r", "--format", "json")
	if status != cli.ExitWrong {
		t.Errorf("status %d, want %d", status, cli.ExitWrong)
	}
	for _, s := range []string{"measuring churn flagging", "panic: too tired", "bench --seed 1 --strategies flagging churn"} {
		if !strings.Contains(stderr, s) {
			t.Errorf("standard error lacks %q:\n%s", s, stderr)
		}
	}
	recs := records(t, file(t, "r", "results.jsonl"))
	if got := measured(recs); !got["giant"] || file(t, "r", "results.jsonl") != stdout {
		t.Errorf("strategies in results.jsonl: %v, want giant at least, and what was printed", got)
	}
	for _, r := range recs {
		if !r.Partial {
			t.Fatalf("not marked partial: %+v", r)
		}
	}
	page := file(t, "r", "index.html")
	if !strings.Contains(page, "Partial: measuring churn flagging") || strings.Contains(page, "the run was interrupted") {
		t.Error("the page does not say why it is partial")
	}
}

// terminal runs a command line on a terminal and returns what it shows.
func terminal(t *testing.T, args ...string) string {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	shown := make(chan string)
	go func() {
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			b.Write(buf[:n])
			if err != nil { // the terminal is closed
				shown <- b.String()
				return
			}
		}
	}()
	status := cli.Run(args, tty, tty, extras...)
	tty.Close()
	text := <-shown
	master.Close()
	if status != cli.ExitOK {
		t.Fatalf("status %d:\n%s", status, text)
	}
	return text
}

func TestTerminal(t *testing.T) {
	inFolder(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	args := []string{"stress", "--rounds", "20", "giant"}
	if got := terminal(t, args...); !strings.Contains(got, "\x1b[32mcorrect") || !strings.Contains(got, "stress giant") {
		t.Errorf("no colour or no progress on a terminal:\n%q", got)
	}
	for _, c := range terminal(t, args...) {
		if unicode.Is(unicode.Co, c) {
			t.Fatalf("%U, which most fonts lack, on a terminal", c)
		}
	}
	t.Setenv("NO_COLOR", "1")
	if got := terminal(t, args...); strings.Contains(got, "\x1b[32m") {
		t.Errorf("colour in spite of NO_COLOR:\n%q", got)
	}
	t.Setenv("TERM", "dumb")
	if got := terminal(t, args...); strings.Contains(got, "\x1b") || strings.Contains(got, "stress giant") {
		t.Errorf("more than text on a dumb terminal:\n%q", got)
	}
}
