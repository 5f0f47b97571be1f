package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kqlab/kqlab/cli"
	"github.com/kqlab/kqlab/fuzz/script"
)

const wakes = `# A sleeper is woken.
seed 1
setup
  kqueue
  probe
  kevent 0: READ 1 ADD|CLEAR
thread
  kevent 0 room=1 wait=forever
thread cpu=1
  set 1 5
`

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestRunShowsLanes(t *testing.T) {
	inFolder(t)
	write(t, "wakes.kq", wakes)
	status, stdout, stderr := kqlab(t, strings.Fields("run wakes.kq --strategy pcpu --seed 9 --rounds 3")...)
	if status != cli.ExitOK || stderr != "" {
		t.Errorf("status %d, standard error %q", status, stderr)
	}
	for _, s := range []string{
		"wakes.kq under pcpu, seed 9, round 3 of 3\n  A sleeper is woken.\n",
		"\n  setup  kqueue → 0\n         probe → 1\n",
		"thread 1, cpu 0   ", "thread 2, cpu 1\n",
		"kevent 0 room=1 wait=forever", "set 1 5", "data=5",
		"\nno finding in 5 operations\n",
	} {
		if !strings.Contains(stdout, s) {
			t.Errorf("lacks %q:\n%s", s, stdout)
		}
	}
}

// Whatever is in a script, the lanes are aligned and fit a terminal.
func TestRunFitsTheTerminal(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "fuzz", "testdata", "scenarios", "*.kq"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	wide := "thread\n  kevent 0 room=8 wait=finite: USER 1 ADD|CLEAR|ONESHOT|DISPATCH|RECEIPT fflags=FFCOPY|TRIGGER|0x123 udata=18446744073709551615\n"
	name := filepath.Join(t.TempDir(), "six.kq")
	write(t, name, "setup\n  kqueue\n"+strings.Repeat(wide, script.MaxThreads))
	for _, name := range append(names, name) {
		status, stdout, stderr := kqlab(t, "run", name, "--strategy", "giant")
		if status != cli.ExitOK {
			t.Errorf("%s: status %d: %s", name, status, stderr)
		}
		columns := map[int]bool{}
		_, rows, _ := strings.Cut(stdout, " µs ")
		head, rows, _ := strings.Cut(rows, "\n")
		for at := 0; ; at += len("thread") {
			i := strings.Index(head[at:], "thread")
			if i < 0 {
				break
			}
			at += i
			columns[at+len("      µs ")-1] = true
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
				t.Errorf("%s: %d columns, want at most 100: %s", name, n, line)
			}
			if strings.Contains(line, "\x1b") {
				t.Errorf("%s: colour where there is no terminal: %q", name, line)
			}
		}
		for line := range strings.Lines(rows) {
			if line == "\n" {
				break
			}
			for i, r := range []rune(line) {
				if strings.ContainsRune("┌└─│", r) && !columns[i] {
					t.Errorf("%s: a mark in column %d, where no thread is: %s", name, i, line)
				}
			}
		}
	}
}

// A finding is said, saved as a script, and named with the command that runs it
// again.
func TestRunFinds(t *testing.T) {
	inFolder(t)
	write(t, "wakes.kq", wakes)
	status, stdout, stderr := kqlab(t, "run", "wakes.kq", "--strategy", "crashing", "--out", "found")
	if status != cli.ExitWrong {
		t.Errorf("status %d, want %d", status, cli.ExitWrong)
	}
	saved, err := filepath.Glob("found/crashing-*.kq")
	if err != nil || len(saved) != 1 {
		t.Fatalf("saved: %v, %v", saved, err)
	}
	if !strings.Contains(stdout, "no panic violated: setup: no such place") {
		t.Errorf("standard output does not say what is wrong:\n%s", stdout)
	}
	for _, s := range []string{"crashing is wrong, caught by a finding: no panic violated", fmt.Sprintf("run %s --strategy crashing --rounds 10000", saved[0])} {
		if !strings.Contains(stderr, s) {
			t.Errorf("standard error lacks %q:\n%s", s, stderr)
		}
	}
	status, stdout, stderr = kqlab(t, "run", saved[0], "--strategy", "mine")
	if status != cli.ExitOK || !strings.Contains(stdout, "Found under crashing") {
		t.Errorf("what was saved: status %d, %s%s", status, stdout, stderr)
	}

	status, stdout, _ = kqlab(t, "run", "wakes.kq", "--strategy", "crashing", "--out", "small", "--shrink", "2s")
	if saved, err := filepath.Glob("small/crashing-*.kq"); status != cli.ExitWrong || err != nil || len(saved) != 2 || strings.Contains(stdout, "set 1 5") {
		t.Errorf("status %d, saved %v, %v, want two scripts, and the smaller shown:\n%s", status, saved, err, stdout)
	}

	status, _, stderr = kqlab(t, "run", "wakes.kq", "--strategy", "crashing", "--out", "perturbed", "--perturb", "4")
	if status != cli.ExitWrong || !strings.Contains(stderr, "--strategy crashing --rounds 10000 --perturb 4\n") {
		t.Errorf("perturbed: status %d, %q, want a command that perturbs as well", status, stderr)
	}

	write(t, "file", "")
	status, _, stderr = kqlab(t, "run", "wakes.kq", "--strategy", "crashing", "--out", "file")
	if status != cli.ExitWrong || !strings.Contains(stderr, "is wrong") {
		t.Errorf("with nowhere to save: status %d, %s", status, stderr)
	}
}

func TestRunBadUsage(t *testing.T) {
	inFolder(t)
	write(t, "wakes.kq", wakes)
	write(t, "wrong.kq", "thread\n  closes 1\n")
	for _, c := range []struct{ args, says string }{
		{"run", "run takes one script, got []"},
		{"run wakes.kq wakes.kq", "run takes one script"},
		{"run wakes.kq", "needs --strategy"},
		{"run wakes.kq --strategy gaint", "did you mean giant?"},
		{"run waked.kq --strategy giant", "waked.kq: no such file"},
		{"run . --strategy giant", "is a directory"},
		{"run wrong.kq --strategy giant", `wrong.kq:2:3: call "closes": want kqueue, pipe`},
		{"run wakes.kq --strategy giant --rounds 0", "--rounds 0: want 1 to"},
		{"run wakes.kq --strategy giant --perturb -1", "--perturb -1: want 0 to 1000000"},
		{"run wakes.kq --strategy giant --shrink -1s", "--shrink -1s: want 0s to 24h"},
		{"run wakes.kq --strategy giant --seed x", `--seed "x": want a whole number`},
	} {
		status, stdout, stderr := kqlab(t, strings.Fields(c.args)...)
		if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, %q, %q; want %d, nothing and %q", c.args, status, stdout, stderr, cli.ExitUsage, c.says)
		}
	}
}
