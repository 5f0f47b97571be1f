package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// A Sometimes is something that must come about in some executions of a script, or the
// script does not show what it is for: all of its conditions in one execution.
//
//	sometimes 1.2 => pending and 2.1 has READ 1
//	sometimes under=pcpu reached news-of-claimed
type Sometimes struct {
	Under string // the one strategy of which it is said; empty: of all
	All   []Condition
}

// A Condition is of what an operation answers, or of a place in the kernel.
type Condition struct {
	Thread, Op int           // from 1, in that order in a script; 0 if it is of a place
	Is         *event.Result // what is answered; nil if it is only a part of it
	Has        string        // the words of a part
	Place      string        // named by machine.Thread.Sometimes
}

// MaxSometimes is how many lines of it a script may have.
const MaxSometimes = 32

// String returns the line that Parse reads back.
func (s Sometimes) String() string {
	words := []string{"sometimes"}
	if s.Under != "" {
		words = append(words, "under="+s.Under)
	}
	for i, c := range s.All {
		if i > 0 {
			words = append(words, "and")
		}
		words = append(words, c.String())
	}
	return strings.Join(words, " ")
}

// String returns the condition as it stands in the line.
func (c Condition) String() string {
	switch {
	case c.Place != "":
		return "reached " + c.Place
	case c.Is != nil:
		return fmt.Sprintf("%d.%d => %v", c.Thread, c.Op, *c.Is)
	}
	return fmt.Sprintf("%d.%d has %s", c.Thread, c.Op, c.Has)
}

// Of reports whether the condition holds of an answer to its operation.
func (c Condition) Of(r event.Result) bool {
	if c.Is != nil {
		return c.Is.Equal(r)
	}
	text := r.String()
	for from := 0; ; {
		at := strings.Index(text[from:], c.Has)
		if at < 0 {
			return false
		}
		at += from
		if end := at + len(c.Has); (at == 0 || between(text[at-1])) && (end == len(text) || between(text[end])) {
			return true
		}
		from = at + 1
	}
}

// between reports whether a byte stands between words of a result.
func between(b byte) bool { return b == ' ' || b == ';' || b == '|' }

// sometimes reads a line.
func (p *parser) sometimes(line string, at int, words []string) error {
	if p.in != nil {
		return p.wrong(at, "sometimes behind a section: want it before the first")
	}
	if len(p.s.Sometimes) == MaxSometimes {
		return p.wrong(at, "sometimes number %d: want at most %d", MaxSometimes+1, MaxSometimes)
	}
	var s Sometimes
	rest := words[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "under=") {
		if s.Under = strings.TrimPrefix(rest[0], "under="); s.Under == "" {
			return p.wrong(strings.Index(line, rest[0]), "%q: want under= and the name of a strategy", rest[0])
		}
		rest = rest[1:]
	}
	for {
		end := 0
		for end < len(rest) && rest[end] != "and" {
			end++
		}
		c, err := p.condition(line, at, rest[:end])
		if err != nil {
			return err
		}
		s.All = append(s.All, c)
		if end == len(rest) {
			break
		}
		rest = rest[end+1:]
	}
	p.s.Sometimes = append(p.s.Sometimes, s)
	p.places = append(p.places, [2]int{p.line, at})
	return nil
}

// condition reads one.
func (p *parser) condition(line string, at int, words []string) (c Condition, err error) {
	text := strings.Join(words, " ")
	if len(words) == 2 && words[0] == "reached" {
		c.Place = words[1]
		return c, nil
	}
	if len(words) < 3 || words[1] != "=>" && words[1] != "has" {
		return c, p.wrong(at, "condition %q: want such as \"1.2 => pending\", \"1.2 has READ 1\" or \"reached PLACE\", with \"and\" between several", text)
	}
	thread, op, ok := strings.Cut(words[0], ".")
	t, terr := strconv.ParseUint(thread, 10, 16)
	o, oerr := strconv.ParseUint(op, 10, 16)
	if !ok || terr != nil || oerr != nil || t == 0 || o == 0 {
		return c, p.wrong(max(at, strings.Index(line, words[0])), "operation %q: want the number of a thread, a point, and that of its operation, each from 1", words[0])
	}
	c.Thread, c.Op = int(t), int(o)
	answer := strings.Join(words[2:], " ")
	if words[1] == "has" {
		c.Has = answer
		return c, nil
	}
	r, err := event.ParseResult(answer)
	if err != nil {
		return c, p.wrong(at, "%s", strings.TrimPrefix(err.Error(), "event: "))
	}
	c.Is = &r
	return c, nil
}

// fit refuses what is said of operations that there are not.
func (p *parser) fit() error {
	for i, s := range p.s.Sometimes {
		for _, c := range s.All {
			if c.Place == "" && (c.Thread > len(p.s.Threads) || c.Op > len(p.s.Threads[c.Thread-1].Ops)) {
				p.line = p.places[i][0]
				return p.wrong(p.places[i][1], "operation %d.%d: there is none, in %d threads", c.Thread, c.Op, len(p.s.Threads))
			}
		}
	}
	return nil
}
