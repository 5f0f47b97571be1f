package cli_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
)

const (
	rightHistory = "0 0 1 kqueue => 0\n0 2 3 probe => 1\n0 4 5 kevent 0: READ 1 ADD => ok\n"
	staleHistory = rightHistory + "1 10 20 kevent 0: READ 1 DELETE => ok\n2 30 40 kevent 0 room=1 => events READ 1\n"
	missHistory  = rightHistory + "1 10 20 set 1 7 => ok\n2 30 40 kevent 0 room=1 => ok\n"
)

func TestHistory(t *testing.T) {
	inFolder(t)
	for name, text := range map[string]string{"right.txt": rightHistory, "stale.txt": staleHistory, "miss.txt": missHistory} {
		write(t, name, text)
	}
	if err := os.Mkdir("more", 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, "more/stale.txt", staleHistory)
	write(t, "twice.txt", rightHistory+strings.Repeat("1 10 10 kevent 0 room=2 => events READ 1; READ 1\n", 9))
	write(t, "nested.txt", "0 0 1 kqueue => 0\n0 2 3 kqueue => 1\n0 4 5 kevent 0: READ 1 ADD => ok\n")
	for _, c := range []struct {
		args   string
		status int
		out    []string
		err    string
		pages  int
	}{
		{"right.txt", cli.ExitOK, []string{"right.txt  ok         steps: 5, of projections: 1, in "}, "", 0},
		{"right.txt --out p", cli.ExitOK, []string{"right.txt  ok "}, "", 0},
		{"right.txt stale.txt", cli.ExitWrong, []string{
			"right.txt  ok  ", "stale.txt  violation  READ 1 on kqueue 0: nothing after the end\n"},
			"histories that are not ok: 1 of 2 (violations 1, undecided 0)", 0},
		{"stale.txt --out p", cli.ExitWrong, []string{"picture: p/stale.html\n"}, "1 of 1 (violations 1", 1},
		{"stale.txt more/stale.txt right.txt --out p/q", cli.ExitWrong, []string{"2 pictures in p/q, each named after its file\n"}, "2 of 3 (violations 2", 2},
		{"miss.txt", cli.ExitWrong, []string{"miss.txt  violation  READ 1 on kqueue 0: completeness\n"}, "1 of 1 (violations 1", 0},
		{"miss.txt --weak", cli.ExitOK, []string{"miss.txt  ok  "}, "", 0},
		{"twice.txt --out p", cli.ExitWrong, []string{"an event appears at most once a call\n", "           and "}, "1 of 1 (violations 1", 1},
		{"nested.txt", cli.ExitOK, []string{"nested.txt  ok  ", "            not checked, for it watches a kqueue: READ 1 on kqueue 0\n"}, "", 0},
	} {
		os.RemoveAll("p")
		status, stdout, stderr := kqlab(t, strings.Fields("history "+c.args)...)
		if status != c.status || !strings.Contains(stderr, c.err) || c.err == "" && stderr != "" {
			t.Errorf("%s: status %d, standard error %q, want %d and %q", c.args, status, stderr, c.status, c.err)
		}
		for _, s := range c.out {
			if !strings.Contains(stdout, s) {
				t.Errorf("%s: lacks %q:\n%s", c.args, s, stdout)
			}
		}
		pages, _ := filepath.Glob("p/*.html")
		deeper, _ := filepath.Glob("p/q/*.html")
		if pages = append(pages, deeper...); len(pages) != c.pages {
			t.Errorf("%s: pages %q, want %d", c.args, pages, c.pages)
		}
		for _, name := range pages {
			if page, err := os.ReadFile(name); err != nil || !strings.Contains(string(page), `class="row acts stuck"`) && !strings.Contains(string(page), `class="row entire stuck"`) {
				t.Errorf("%s: %s marks no call, %v", c.args, name, err)
			}
		}
	}
}

// What cannot be decided is not ok.
func TestHistoryUndecided(t *testing.T) {
	inFolder(t)
	text := rightHistory
	for i := range 30 { // all at once, in any order, and nobody sets 99
		text += fmt.Sprintf("%d 100 900 set 1 %d => ok\n%d 100 900 kevent 0 room=1 => events READ 1 data=%d\n", 10+i, i+1, 50+i, i+1)
	}
	write(t, "wide.txt", text+"9 100 900 kevent 0 room=1 => events READ 1 data=99\n")
	status, stdout, stderr := kqlab(t, "history", "wide.txt", "--limit", "50ms")
	if status != cli.ExitWrong || !strings.Contains(stdout, "wide.txt  undecided  READ 1 on kqueue 0: no answer within the limit") || !strings.Contains(stderr, "1 of 1 (violations 0, undecided 1)") {
		t.Errorf("status %d, %q, %q; want undecided", status, stdout, stderr)
	}
}

func TestHistoryBadUsage(t *testing.T) {
	inFolder(t)
	write(t, "right.txt", rightHistory)
	write(t, "wrong.txt", rightHistory+"1 10 9 set 1 7 => ok\n")
	write(t, "empty.txt", "# nothing\n")
	write(t, "file", "")
	for _, c := range []struct{ args, says string }{
		{"history", "history takes one at least"},
		{"history missing.txt", "missing.txt: no such file"},
		{"history .", "is a directory"},
		{"history right.txt wrong.txt", `wrong.txt:4:6: return "9": want an instant, not before the call at 10`},
		{"history empty.txt", "empty.txt: no record in it: want one at least"},
		{"history right.txt --limit 0s", "--limit 0s: want 1ms to 24h"},
		{"history right.txt --limit soon", `--limit "soon": want a duration`},
		{"history right.txt --out=", "--out is empty; want a folder"},
		{"history right.txt --week", "did you mean --weak?"},
	} {
		status, stdout, stderr := kqlab(t, strings.Fields(c.args)...)
		if status != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: status %d, %q, %q; want %d, nothing and %q", c.args, status, stdout, stderr, cli.ExitUsage, c.says)
		}
	}
	write(t, "stale.txt", staleHistory)
	if status, stdout, stderr := kqlab(t, "history", "stale.txt", "--out", "file"); status != cli.ExitWrong || !strings.Contains(stdout, "violation") || !strings.Contains(stderr, "the picture of stale.txt cannot be written") {
		t.Errorf("with nowhere to draw: status %d, %q, %q", status, stdout, stderr)
	}
}

func TestHistoryInterrupted(t *testing.T) {
	inFolder(t)
	write(t, "right.txt", rightHistory)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if status := cli.RunContext(ctx, []string{"history", "right.txt"}, io.Discard, io.Discard); status != cli.Interrupted {
		t.Errorf("status %d, want %d", status, cli.Interrupted)
	}
}
