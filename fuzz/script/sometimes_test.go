package script_test

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
)

const threads = "\nthread\n  close 1\n  kevent 0 room=2\nthread\n  close 2\n"

// What is said parses, and prints as it was.
func TestSometimes(t *testing.T) {
	for _, line := range []string{
		"sometimes 1.1 => EBADF",
		"sometimes 1.2 => events READ 1 ADD data=5; USER 2",
		"sometimes 1.2 has READ 1 and 2.1 => ok and reached a-place",
		"sometimes under=pcpu reached a-place",
		"sometimes 1.2 => pending",
	} {
		s, err := script.Parse("s.kq", "seed 3\n"+line+" # why"+threads)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := s.Sometimes[0].String(); got != line {
			t.Errorf("%q became %q", line, got)
		}
		again, err := script.Parse("again.kq", s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%s: printed, it is another: %v\n%s", line, err, s)
		}
	}
}

// An answer, or a part of it in whole words.
func TestConditionOf(t *testing.T) {
	result := func(text string) event.Result {
		r, err := event.ParseResult(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		condition, answer string
		want              bool
	}{
		{"=> ok", "ok", true},
		{"=> ok", "pending", false},
		{"=> EBADF", "EBADF", true},
		{"=> events READ 1 data=5", "events READ 1 data=5", true},
		{"=> events READ 1 data=5", "events READ 1 data=5; USER 2", false},
		{"has READ 1", "events USER 2; READ 1 data=5", true},
		{"has READ 1", "events READ 12", false},
		{"has data=5", "events READ 1 data=50; READ 2 data=5", true},
		{"has data=5", "events READ 1 data=50", false},
		{"has EOF", "events READ 1 CLEAR|EOF data=1", true},
		{"has READ 1 data=5; USER 2", "events READ 1 data=5; USER 2 udata=1", true},
		{"has READ 1 data=6", "events READ 1 data=5; USER 2 data=6", false},
	} {
		s, err := script.Parse("s.kq", "sometimes 1.2 "+c.condition+threads)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Sometimes[0].All[0].Of(result(c.answer)); got != c.want {
			t.Errorf("%s of %q: %v", c.condition, c.answer, got)
		}
	}
}

func TestSometimesErrors(t *testing.T) {
	for line, want := range map[string]string{
		"sometimes":                                 `s:1:1: condition "": want such as "1.2 => pending"`,
		"sometimes 1.1":                             `s:1:1: condition "1.1": want`,
		"sometimes 1.1 = ok":                        `s:1:1: condition "1.1 = ok": want`,
		"sometimes 1.1 => ok and":                   `s:1:1: condition "": want`,
		"sometimes  x => ok":                        `s:1:12: operation "x": want the number of a thread`,
		"sometimes 0.1 => ok":                       `s:1:11: operation "0.1": want`,
		"sometimes 1.0 => ok":                       `s:1:11: operation "1.0": want`,
		"sometimes 1.1 => EBAD":                     `s:1:1: `,
		"sometimes under= 1.1 => ok":                `s:1:11: "under=": want under= and the name`,
		"sometimes 3.1 => ok":                       `s:1:1: operation 3.1: there is none, in 2 threads`,
		"\nsometimes 2.2 => ok":                     `s:2:1: operation 2.2: there is none`,
		"thread\n close 1\nsometimes 1.1 => ok":     `s:3:1: sometimes behind a section`,
		strings.Repeat("sometimes reached x\n", 33): `s:33:1: sometimes number 33: want at most 32`,
	} {
		_, err := script.Parse("s", line+threads)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}
