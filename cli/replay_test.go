package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/cli"
)

const wakesTwo = "pcpu:two-sleepers-one-event:2@1.1.visit,3@2.1.asleep.kevent"

// Replay shows who is preempted, sleeps, waits and wakes whom, and takes effect when;
// with --points every point that a thread comes by.
func TestReplayLanes(t *testing.T) {
	inFolder(t)
	status, short, stderr := kqlab(t, "replay", wakesTwo)
	if status != cli.ExitOK || stderr != "" {
		t.Fatalf("status %d:\n%s%s", status, short, stderr)
	}
	for _, s := range []string{"    step  thread 1, cpu 0 ", "├ preempted before visit", "├ waits for cpu0", "├ sleeps on kevent", "» wakes thread 1, thread 2", "· took", "┃ ", "no finding in 6 operations", "Its schedule fits."} {
		if !strings.Contains(short, s) {
			t.Errorf("lacks %q:\n%s", s, short)
		}
	}
	if strings.Contains(short, "interlock") {
		t.Errorf("it shows points unasked:\n%s", short)
	}
	_, long, _ := kqlab(t, "replay", wakesTwo, "--points")
	for _, s := range []string{"interlock kevent", "enters domain 1", "leaves domain 1", "wakeup kevent", "» wakes thread 1, thread 2"} {
		if !strings.Contains(long, s) {
			t.Errorf("with points it lacks %q:\n%s", s, long)
		}
	}
	for _, line := range strings.Split(long, "\n") {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// The page has all in it that it shows, and shows each step, the domains, the halves, and
// what is broken.
func TestReplayPage(t *testing.T) {
	skipRace(t)
	inFolder(t)
	for _, c := range []struct {
		token string
		shows []string
		lacks string
	}{
		{wakesTwo, []string{
			"Nothing is wrong under pcpu", "wakes thread 1, thread 2", "marker-end", "domain 1: kqueue 0, the source of READ 1", "READ 1<br/>on kqueue 0",
			`title="posted">P</span>`, `on changed" title="listed">L</span>`, "preempted before visit", "Asleep: thread 2 on kevent", "show the 27 steps too",
		}, "violates"},
		{"none:two-sleepers-one-event:3@2.1.visit", []string{
			"none violates:</em> one thread in a domain", "One thread at a time is in a domain", "thread 3 activates a knote in a domain that thread 2 is in", "here it is seen",
		}, "wakes thread"},
		{"migrate-does-not-drain:message-against-migrate:usual", []string{
			"migrate-does-not-drain violates:</em> completeness", "a call with room left", "What is allowed", "READ 1 CLEAR data=1 udata=1", "Known then",
		}, "before step"},
		{"sleep-forgets-the-interlock:close-of-a-queue:2@1.1.interlock.box-interlocked-late,3@2.2.end", []string{
			"no deadlock", "all threads are asleep", "waits for box, interlocked late"}, "here it is seen"},
	} {
		status, stdout, stderr := kqlab(t, "replay", c.token, "--html", "pages/x.html")
		if status == cli.ExitUsage || !strings.Contains(stdout, "\npage: pages/x.html\n") {
			t.Fatalf("%s: status %d:\n%s%s", c.token, status, stdout, stderr)
		}
		text, err := os.ReadFile("pages/x.html")
		if err != nil {
			t.Fatal(err)
		}
		page := string(text)
		for _, s := range c.shows {
			if !strings.Contains(page, s) {
				t.Errorf("%s: the page lacks %q", c.token, s)
			}
		}
		if strings.Contains(page, c.lacks) {
			t.Errorf("%s: the page has %q", c.token, c.lacks)
		}
		if m := regexp.MustCompile(`(?i)https?:|<script|src=|@import|<link`).FindString(page); m != "" {
			t.Errorf("%s: the page loads something: %s", c.token, m)
		}
		if strings.Count(page, "<div") != strings.Count(page, "</div>") || strings.Count(page, "<span") != strings.Count(page, "</span>") {
			t.Errorf("%s: the page does not close what it opens", c.token)
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<no value>") {
			t.Errorf("%s: the page was not filled in", c.token)
		}
	}
	if status, _, stderr := kqlab(t, "replay", wakesTwo, "--html", "/dev/null/x.html"); status == cli.ExitOK || !strings.Contains(stderr, "--html: the page cannot be written") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
