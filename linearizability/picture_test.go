package linearizability_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/kqlab/kqlab/linearizability"
)

// An element is one of a page, with all text in it.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

func (e element) is(class string) bool {
	return slices.Contains(strings.Fields(e.attrs["class"]), class)
}

// elements reads a page, which is written so that a reader of XML can, once it
// knows what HTML leaves open.
func elements(t *testing.T, page string) (all []*element) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var open []*element
	for {
		token, err := d.Token()
		switch {
		case err == io.EOF && len(open) == 0:
			return all
		case err != nil:
			t.Fatalf("not a page: %v in\n%.3000s", err, page)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := &element{name: x.Name.Local, attrs: map[string]string{}}
			for _, a := range x.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, e := range open {
				e.text += string(x)
			}
		}
	}
}

func with(all []*element, class string) (found []*element) {
	for _, e := range all {
		if e.is(class) {
			found = append(found, e)
		}
	}
	return found
}

func draw(t *testing.T, r *linearizability.Report) (page string, drawn bool) {
	t.Helper()
	var b strings.Builder
	drawn, err := r.Draw(&b)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), drawn
}

// Every bad history has a page that names the rule, marks the call, says what is
// allowed, numbers an order, and can be read without a network or scripts.
func TestPicture(t *testing.T) {
	each(t, "bad", func(t *testing.T, text string, h linearizability.History) {
		_, rule, _ := strings.Cut(text, "# rule: ")
		rule, _, _ = strings.Cut(rule, "\n")
		r := linearizability.Check(h, linearizability.Options{})
		page, drawn := draw(t, r)
		if !drawn {
			t.Fatal("no page")
		}
		all := elements(t, page)
		if heads := slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return e.name != "h1" }); len(heads) != 1 || !strings.HasPrefix(heads[0].text, "violation: "+rule) {
			t.Errorf("the heading is not the verdict and %q", rule)
		}
		if got := with(all, "stuck"); len(got) != 1 || !strings.Contains(got[0].text, "✗") {
			t.Errorf("%d calls are marked, want 1", len(got))
		}
		if got := with(all, "allowed"); len(got) != 1 || len(got[0].text) < len("only 3.") {
			t.Errorf("what is allowed is not said")
		}
		if got := with(all, "call"); len(got) != 1 || !strings.Contains(text, got[0].text+" =>") {
			t.Errorf("the call is not one of the history")
		}
		checkOrder(t, all)
		for _, e := range all {
			if e.name == "script" || e.name == "link" || e.attrs["src"] != "" || e.attrs["href"] != "" ||
				e.name == "style" && (strings.Contains(e.text, "@import") || strings.Contains(e.text, "url(")) {
				t.Errorf("<%s> loads something, or runs", e.name)
			}
		}
		frames := slices.DeleteFunc(slices.Clone(all), func(e *element) bool { return e.name != "iframe" })
		if slices.ContainsFunc(alone, func(begin string) bool { return strings.HasPrefix(rule, begin) }) {
			if len(frames) != 0 {
				t.Error("there is a picture of porcupine's")
			}
			if got := with(all, "unsearched"); len(got) != 1 || !strings.Contains(got[0].text, "no picture of porcupine") {
				t.Error("it is not said that there is no picture of porcupine's")
			}
		} else if len(with(all, "unsearched")) != 0 || len(frames) != 1 || !strings.Contains(frames[0].attrs["srcdoc"], "? render(data) :") || frames[0].attrs["sandbox"] != "allow-scripts" {
			t.Error("porcupine's picture is not there, or not in a frame that has no more than scripts")
		}
	})
}

// alone is how rules begin that no projection shows.
var alone = []string{"an event appears", "a call that waits", "a poll fails only", "a wait is interrupted by a signal", "no signal lost"}

// checkOrder: the numbers go up from 1 as one reads down, what does not fit comes
// after all of them, and each is on a bar in the lane of its thread.
func checkOrder(t *testing.T, all []*element) {
	t.Helper()
	threads := map[string]string{} // by place
	n, after := 0, false
	place, thread := "", ""
	for _, e := range all {
		switch {
		case e.name == "text" && e.is("name"):
			threads[e.attrs["x"]] = e.text
		case e.name == "li":
			place = ""
			after = after || e.is("stuck")
		case e.name == "text":
			place = e.attrs["x"]
			if e.text == "✗" {
				break
			}
			if i, err := strconv.Atoi(e.text); err != nil || i != n+1 || after {
				t.Errorf("number %q after %d, beyond what does not fit: %v", e.text, n, after)
			}
			n++
		case e.is("who") && place != "":
			if thread = strings.TrimPrefix(e.text, "thread "); threads[place] != thread {
				t.Errorf("a step of thread %s is in the lane of %s", thread, threads[place])
			}
		}
	}
	if frame := slices.ContainsFunc(all, func(e *element) bool { return e.name == "iframe" }); frame == (n == 0) {
		t.Errorf("%d steps have a number", n)
	}
}

// What the pages say is to be read by people. Rewrite with -rewrite.
func TestWhy(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("testdata", "why.txt"), func(t *testing.T, d *datadriven.TestData) string {
		name := filepath.Join("testdata", "bad", d.CmdArgs[0].Key+".txt")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, err := linearizability.Parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		page, _ := draw(t, linearizability.Check(h, linearizability.Options{}))
		var b strings.Builder
		all := elements(t, page)
		for _, class := range []string{"call", "answer", "did", "allowed", "turn", "state"} {
			for _, e := range with(all, class) {
				fmt.Fprintf(&b, "%s: %s\n", class, e.text)
			}
		}
		return b.String()
	})
	names, _ := filepath.Glob(filepath.Join("testdata", "bad", "*.txt"))
	said, err := os.ReadFile(filepath.Join("testdata", "why.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name = strings.TrimSuffix(filepath.Base(name), ".txt"); !strings.Contains(string(said), "why "+name+"\n") {
			t.Errorf("testdata/why.txt lacks %s", name)
		}
	}
}

// Of what is right there is no picture.
func TestNoPicture(t *testing.T) {
	each(t, "good", func(t *testing.T, _ string, h linearizability.History) {
		if page, drawn := draw(t, linearizability.Check(h, linearizability.Options{})); drawn || page != "" {
			t.Errorf("drawn %v, %d bytes, want none", drawn, len(page))
		}
	})
}

// A history that could not be decided has a page that says so, and marks no call
// if the search for the picture finds an order.
func TestPictureOfUndecided(t *testing.T) {
	each(t, "good", func(t *testing.T, _ string, h linearizability.History) {
		page, drawn := draw(t, linearizability.Check(h, linearizability.Options{Limit: time.Nanosecond}))
		all := elements(t, page)
		if !drawn || len(with(all, "undecided")) != 1 || len(with(all, "stuck")) != 0 || !strings.Contains(page, "found an order of all steps: here") {
			t.Errorf("drawn %v, %d calls marked, in\n%.6000s", drawn, len(with(all, "stuck")), page)
		}
		checkOrder(t, all)
	})
}

// A long history shows what is near the call that does not fit, folds the rest
// away, and leaves out what is far.
func TestPictureOfALongHistory(t *testing.T) {
	for _, c := range []struct{ n, rows int }{{200, 3 + 200 + 3 + 200}, {1200, 1000 + 60 + 30 + 1000}} {
		text := "0 0 1 kqueue => 0\n0 2 3 probe => 1\n0 4 5 kevent 0: READ 1 ADD => ok\n"
		for i := range 2*c.n + 1 {
			if i == c.n {
				text += fmt.Sprintf("2 %d %d kevent 0 room=1 => events READ 1 data=9\n", 10*i+10, 10*i+11)
				continue
			}
			text += fmt.Sprintf("1 %d %d set 1 %d => ok\n", 10*i+10, 10*i+11, 1+i%3)
		}
		h, err := linearizability.Parse("long", text)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := draw(t, linearizability.Check(h, linearizability.Options{}))
		all := elements(t, page)
		if rows, folds := with(all, "row"), with(all, "fold"); len(rows) != c.rows || len(folds) != 2 {
			t.Errorf("%d rows and %d folds, want %d and 2", len(rows), len(folds), c.rows)
		}
		if stuck := with(all, "stuck"); len(stuck) != 1 || !strings.Contains(stuck[0].text, fmt.Sprintf("only READ 1 data=%d", 1+(c.n-1)%3)) {
			t.Errorf("want one step marked, and what is there allowed")
		}
		if cut := strings.Contains(page, "farther away and are left out"); cut != (c.n > rowsThatAreKept) {
			t.Errorf("of %d rows before and after, some are left out: %v", c.n, cut)
		}
		if c.n <= rowsThatAreKept {
			checkOrder(t, all)
		}
	}
}

const rowsThatAreKept = 1000

// Whatever the history, one call is marked, and what the page says is allowed is
// not what the call has answered.
func TestPictureOfRandom(t *testing.T) {
	drawn := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(*first, seed))
		h, stamped := invent(rng)
		spoil(rng, h, stamped)
		r := linearizability.Check(h, linearizability.Options{})
		page, ok := draw(t, r)
		if ok != (r.Verdict != linearizability.OK) {
			t.Fatalf("drawn %v, of\n%v", ok, r)
		}
		if !ok {
			continue
		}
		drawn++
		all := elements(t, page)
		stuck, allowed, answer, did := with(all, "stuck"), with(all, "allowed"), with(all, "answer"), with(all, "did")
		if checkOrder(t, all); len(stuck) != 1 || len(allowed) != 1 || len(did) > 1 || len(answer) != 1 ||
			strings.TrimPrefix(allowed[0].text, "only ") == answer[0].text+"." ||
			len(did) == 1 && strings.TrimPrefix(allowed[0].text, "only ") == strings.TrimPrefix(did[0].text, "It returned ") {
			t.Errorf("%d steps are marked; what is allowed: %+v, what is not: %+v %+v", len(stuck), allowed, answer, did)
		}
		if t.Failed() {
			t.Fatalf("history %d is\n%v\nAgain: go test ./linearizability -run TestPictureOfRandom -linearizability.seed %d", seed, h, *first)
		}
	}
	if drawn < 15 {
		t.Errorf("%d of 60 histories are wrong, want 15", drawn)
	}
}
