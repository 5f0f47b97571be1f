package sched_test

import (
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

func TestNew(t *testing.T) {
	for _, name := range append(sched.Names(), "pct", "pct:1", "pct:100", "dfs:0", "delay:0", "dfs:2147483647") {
		s, err := sched.New(name, 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, search := s.(sched.Search)
		if want := strings.HasPrefix(name, "d"); search != want {
			t.Errorf("%s: is a search: %v, want %v", name, search, want)
		}
		m := sim{prog: prog("+1 +1 | +1 +1")}
		if !s.Begin() {
			t.Errorf("%s makes no execution", name)
		}
		m.run(s)
	}
	for name, want := range map[string]string{
		"":                         `scheduler "" is none; expected one such as random, pct:3, pos, urw, dfs, dfs:2, delay:2, dpor`,
		"Random":                   `scheduler "Random" is none`,
		"pos:1":                    `scheduler "pos:1": pos takes no number`,
		"dpor:":                    `scheduler "dpor:": dpor takes no number`,
		"delay":                    `scheduler "delay": expected a bound of delays after it, as in delay:2`,
		"pct:0":                    `scheduler "pct:0": expected a depth from 1 to 100 after the colon, not "0"`,
		"pct:101":                  `from 1 to 100`,
		"pct:":                     `not ""`,
		"dfs:-1":                   `expected a bound of preemptions from 0 to 2147483647 after the colon, not "-1"`,
		"dfs:+1":                   `not "+1"`,
		"dfs:2:3":                  `not "2:3"`,
		"dfs:1e9":                  `not "1e9"`,
		"delay:1\n":                `not "1\n"`,
		"dfs:99999999999999999999": `from 0 to 2147483647`,
	} {
		if s, err := sched.New(name, 1); err == nil {
			t.Errorf("%q is a %T", name, s)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", name, err, want)
		}
	}
}

const mixed = "(1 +1 )1 ?3 | (1 +1 )1 s4 +2 | z2 +2 r1 | +1 +2"

// What was recorded makes the same execution again, to the last step, whoever
// decided at first.
func TestReplay(t *testing.T) {
	const seed = 12
	for _, name := range sched.Names() {
		inner, err := sched.New(name, seed)
		if err != nil {
			t.Fatal(err)
		}
		s := &sched.Recorded{Scheduler: inner}
		m, copied := sim{prog: prog(mixed)}, sim{prog: prog(mixed)}
		for range 200 {
			if !s.Begin() {
				break
			}
			m.run(s)
			r := sched.NewReplay(s.Schedule)
			r.Begin()
			copied.run(r)
			if string(m.word) != string(copied.word) || m.state != copied.state {
				t.Fatalf("%s, seed %d: %s is replayed as %s", name, seed, m.word, copied.word)
			}
			if r.Misfit() != 0 || r.Left() != 0 {
				t.Fatalf("%s, seed %d: misfit at %d, %d left over", name, seed, r.Misfit(), r.Left())
			}
		}
	}
}

func FuzzNew(f *testing.F) {
	for _, name := range append(sched.Names(), "pct:0", "dfs:-1", "delay:", ":", "dpor:2", "pct:007") {
		f.Add(name, uint64(1))
	}
	f.Fuzz(func(t *testing.T, name string, seed uint64) {
		s, err := sched.New(name, seed)
		if (s == nil) == (err == nil) {
			t.Fatalf("%q: %v and %v", name, s, err)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("%q: not to be printed: %q", name, err)
			}
			return
		}
		m := sim{prog: prog("+1 ?2 | (1 +1 )1 | (1 z1 )1")}
		for range 5 {
			if !s.Begin() {
				break
			}
			m.run(s)
			if len(m.word) < 9 {
				t.Fatalf("%q: execution %s", name, m.word)
			}
		}
	})
}

// What can be named says what it does; what cannot, says nothing.
func TestDoc(t *testing.T) {
	for _, name := range append(sched.Names(), "dfs:7") {
		if sched.Doc(name) == "" {
			t.Errorf("nothing about %s", name)
		}
	}
	for _, name := range []string{"", ":", "fair"} {
		if doc := sched.Doc(name); doc != "" {
			t.Errorf("%q is none, but %q", name, doc)
		}
	}
}
