package audit_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
)

const readme = "../../model/device/README.md"

// The table has what the catalog has.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if err := audit.Check(string(text), catalog.All()); err != nil {
		device, _, _ := strings.Cut(err.Error(), ":")
		t.Errorf("%v\nto make the lines of a device again:\n\tgo run -race ./cmd/kqlab audit --readme model/device/README.md %s", err, device)
	}
}

// What is wrong with a table is seen.
func TestCheck(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for _, c := range []struct{ what, from, to string }{
		{"a line is missing", "| pipe-reader | READ | event |", "pipe-reader, READ, event |"},
		{"a line is there twice", "| user | USER | attach |", "| user | USER | attach |\n| user | USER | attach |"},
		{"a declaration is another", "| user | USER | event | MP-safe |", "| user | USER | event | not MP-safe |"},
		{"a verdict is another", "| user | USER | event | MP-safe | MP-safe (", "| user | USER | event | MP-safe | a data race ("},
		{"a search has not ended", "| user | USER | event | MP-safe | MP-safe (", "| user | USER | event | MP-safe | nothing found ("},
		{"there is no mark", "<!-- the table of kqlab audit begins -->", ""},
		{"there is a device that is none", "\n<!-- the table of kqlab audit ends -->", "| none | READ | event | MP-safe | MP-safe (1 schedules) |\n<!-- the table of kqlab audit ends -->"},
	} {
		bad := strings.Replace(good, c.from, c.to, 1)
		if bad == good {
			t.Errorf("%s: the table has no %q", c.what, c.from)
		} else if audit.Check(bad, catalog.All()) == nil {
			t.Errorf("%s, and nothing is said", c.what)
		}
	}
}

func TestUpdate(t *testing.T) {
	devices := small(t)[:2] // pipe-reader and user
	const empty = "before\n<!-- the table of kqlab audit begins --><!-- the table of kqlab audit ends -->\nafter\n"
	verdict := func(name string, f event.Filter, n int) []audit.Verdict {
		return []audit.Verdict{{Device: name, Filter: f, Function: audit.Touch, Schedules: n, Complete: true}}
	}
	text := empty
	for _, v := range [][]audit.Verdict{verdict("user", event.User, 7), verdict("pipe-reader", event.Read, 8), verdict("user", event.User, 9)} {
		var err error
		if text, err = audit.Update(text, devices, v); err != nil {
			t.Fatal(err)
		}
	}
	const want = "before\n<!-- the table of kqlab audit begins -->\n\n" +
		"| device | filter | function | declared | verdict |\n|---|---|---|---|---|\n" +
		"| pipe-reader | READ | touch | MP-safe | MP-safe (8 schedules, complete at 2 preemptions) |\n" +
		"| user | USER | touch | MP-safe | MP-safe (9 schedules, complete at 2 preemptions) |\n" +
		"\n<!-- the table of kqlab audit ends -->\nafter\n"
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if gone, err := audit.Update(text, devices[:1], nil); err != nil || strings.Contains(gone, "user") {
		t.Errorf("a device that is no more in the catalog: %v\n%s", err, gone)
	}
	if _, err := audit.Update("no marks", devices, nil); err == nil {
		t.Error("a text without marks is updated")
	}
}
