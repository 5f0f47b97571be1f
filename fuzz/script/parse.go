package script

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kqlab/kqlab/model/event"
)

// An Error says what is wrong with the text of a script, and where.
type Error struct {
	File         string
	Line, Column int // from 1; columns count bytes
	Text         string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text) }

// Parse reads a script. The name is what errors call the text, usually its
// file. An error is an [*Error]: it gives the place, the word at fault and what
// was expected there.
func Parse(name, text string) (*Script, error) {
	p := parser{file: name, s: &Script{}}
	if len(text) > maxText {
		return nil, &Error{name, 1, 1, fmt.Sprintf("a script of %d bytes: want at most %d", len(text), maxText)}
	}
	top := true
	for line := range strings.Lines(text) {
		p.line++
		line = strings.TrimRight(line, "\r\n")
		if at := strings.IndexFunc(line, func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) && r != '\t' }); at >= 0 {
			return nil, p.wrong(at, "character %q: want printable text", line[at:at+1])
		}
		code, comment, commented := strings.Cut(line, "#")
		if strings.TrimSpace(code) != "" {
			top = false
		} else if top && commented {
			p.s.Doc = append(p.s.Doc, strings.TrimSpace(comment))
		} else if top && len(p.s.Doc) > 0 {
			top = false
		}
		if err := p.read(code); err != nil {
			return nil, err
		}
	}
	if len(p.s.Threads) == 0 {
		p.line++
		return nil, p.wrong(0, "the script ends without a thread: want a line such as %q", "thread cpu=0")
	}
	if err := p.fit(); err != nil {
		return nil, err
	}
	return p.s, nil
}

// A parser reads line by line.
type parser struct {
	file   string
	line   int
	s      *Script
	seeded bool
	in     *Thread  // the section that operations belong to
	setup  bool     // it is one of setup
	places [][2]int // of each line of sometimes: the line, and where it begins
}

func (p *parser) wrong(at int, format string, args ...any) error {
	return &Error{p.file, p.line, at + 1, fmt.Sprintf(format, args...)}
}

// read reads one line, without its comment.
func (p *parser) read(line string) error {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" {
		return nil
	}
	words := strings.Fields(trimmed)
	at := strings.Index(line, words[0])
	switch words[0] {
	case "seed":
		if p.seeded || p.in != nil {
			return p.wrong(at, "another seed: want one, before the first section")
		}
		p.seeded = true
		if len(words) != 2 {
			return p.wrong(at, "seed with %d words: want one number", len(words)-1)
		}
		n, err := strconv.ParseUint(words[1], 0, 64)
		if err != nil {
			return p.wrong(strings.LastIndex(line, words[1]), "seed %q: want a number from 0 to 2^64-1", words[1])
		}
		p.s.Seed = n
		return nil
	case "sometimes":
		return p.sometimes(line, at, words)
	case "setup", "thread", "schedule":
		if p.s.Schedule != nil {
			return p.wrong(at, "%s behind the schedule: want its decisions, and nothing after them", words[0])
		}
		if words[0] == "schedule" {
			return p.schedule(line, at, words)
		}
		return p.section(line, at, words)
	}
	if p.s.Schedule != nil {
		return p.decisions(line)
	}
	if p.in == nil {
		return p.wrong(at, "%q before any section: want seed, setup or thread", words[0])
	}
	if len(p.in.Ops) == MaxOps {
		return p.wrong(at, "more than %d operations in one section", MaxOps)
	}
	op, err := event.ParseOp(trimmed)
	if err != nil {
		return p.wrong(column(line, at, err), "%s", strings.TrimPrefix(err.Error(), "event: "))
	}
	if word, want := check(op, p.setup); want != "" {
		return p.wrong(max(at, strings.Index(line, word)), "%s: want %s", word, want)
	}
	p.in.Ops = append(p.in.Ops, op)
	return nil
}

// section begins one.
func (p *parser) section(line string, at int, words []string) error {
	list := &p.s.Threads
	p.setup = words[0] == "setup"
	if p.setup {
		if len(p.s.Threads) > 0 {
			return p.wrong(at, "setup behind a thread: want all setup before the first thread")
		}
		list = &p.s.Setup
	}
	if len(*list) == MaxThreads {
		return p.wrong(at, "%s number %d: want at most %d", words[0], MaxThreads+1, MaxThreads)
	}
	cpu := 0
	if len(words) > 1 {
		value, ok := strings.CutPrefix(words[1], "cpu=")
		n, err := strconv.Atoi(value)
		if !ok || err != nil || n < 0 || n > MaxCPU || len(words) > 2 {
			return p.wrong(strings.LastIndex(line, words[len(words)-1]), "%q: want cpu= and a number from 0 to %d, and no more", strings.Join(words[1:], " "), MaxCPU)
		}
		cpu = n
	}
	*list = append(*list, Thread{CPU: cpu})
	p.in = &(*list)[len(*list)-1]
	return nil
}

// schedule begins one.
func (p *parser) schedule(line string, at int, words []string) error {
	if len(p.s.Threads) == 0 {
		return p.wrong(at, "a schedule before any thread: want it at the end of the script")
	}
	name, ok := "", false
	if len(words) > 1 {
		name, ok = strings.CutPrefix(words[1], "strategy=")
	}
	if !ok || name == "" {
		return p.wrong(at+len(words[0]), "%q: want strategy= and a name", strings.Join(words[1:], " "))
	}
	s := &Schedule{Strategy: name}
	for _, w := range words[2:] {
		if !s.read(w) {
			return p.wrong(strings.LastIndex(line, w), "%q: want %s, or %s and a number from 1 to %d, each once", w, drawnPlacement, spurious, MaxSpurious)
		}
	}
	p.s.Schedule = s
	return nil
}

// decisions reads a line of them.
func (p *parser) decisions(line string) error {
	rest := line
	for _, w := range strings.Fields(line) {
		at := len(line) - len(rest) + strings.Index(rest, w)
		rest = line[at+len(w):]
		c := p.s.Schedule
		if w == Usual || strings.Contains(w, "@") {
			if c.Decisions != nil || w == Usual && c.Turns != nil || len(c.Turns) == 0 && c.Turns != nil {
				return p.wrong(at, "turn %q: want turns alone, or %s alone, or decisions alone", w, Usual)
			}
			if c.Turns == nil {
				c.Turns = []string{}
			}
			if w != Usual {
				c.Turns = append(c.Turns, w)
			}
			continue
		}
		if c.Turns != nil {
			return p.wrong(at, "decision %q: want no decisions beside turns", w)
		}
		n, err := strconv.ParseUint(w, 10, 31)
		if err != nil || n > MaxChoice {
			return p.wrong(at, "decision %q: want a number from 0 to %d", w, MaxChoice)
		}
		p.s.Schedule.Decisions = append(p.s.Schedule.Decisions, int(n))
	}
	return nil
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// column returns where in the line the word is that err quotes.
func column(line string, at int, err error) int {
	word, uerr := strconv.Unquote(quoted.FindString(err.Error()))
	if uerr != nil || word == "" {
		return at
	}
	if i := strings.Index(line[at:], word); i > 0 {
		return at + i
	}
	return at
}

// check returns the word at fault in an operation that no script may have, and
// what is wanted instead.
func check(op event.Op, setup bool) (word, want string) {
	switch {
	case op.Call == event.CallDup2 && op.To > MaxFD:
		return fmt.Sprint(op.To), fmt.Sprintf("a descriptor up to %d", MaxFD)
	case transfers(op.Call) && op.N > MaxBytes:
		return fmt.Sprint(op.N), fmt.Sprintf("at most %d bytes", MaxBytes)
	case (op.Call == event.CallInput || op.Call == event.CallOutput) && op.N > MaxBytes:
		return fmt.Sprint(op.N), fmt.Sprintf("at most %d units", MaxBytes)
	case op.Room > MaxRoom:
		return fmt.Sprintf("room=%d", op.Room), fmt.Sprintf("at most %d", MaxRoom)
	case setup && op.Wait == event.Forever:
		return "wait=forever", "zero or finite, since setup has nobody to wait for"
	case len(op.Changes) > MaxChanges:
		return fmt.Sprintf("%d changes", len(op.Changes)), fmt.Sprintf("at most %d", MaxChanges)
	case op.Call == event.CallSelect && slices.ContainsFunc(op.FDs, func(p event.PollFD) bool { return p.FD > MaxSelected }):
		return "select", fmt.Sprintf("descriptors up to %d", MaxSelected)
	case len(op.FDs) > MaxPolled:
		return fmt.Sprintf("%d entries", len(op.FDs)), fmt.Sprintf("at most %d", MaxPolled)

	case (op.Call == event.CallExit || op.Call == event.CallExec) && op.Pid == 1:
		return "1", "another process, since this is the one of the threads"
	case op.Call == event.CallExit && op.N > MaxStatus:
		return fmt.Sprint(op.N), fmt.Sprintf("a status up to %d", MaxStatus)
	}
	for _, kev := range op.Changes {
		if kev.Filter == event.Timer && kev.Flags&event.Add != 0 {
			if want := checkTimer(kev); want != "" {
				return kev.String(), want
			}
		}
	}
	return "", ""
}

// transfers reports whether N of a call are bytes.
func transfers(c event.Call) bool {
	return c == event.CallRead || c == event.CallWrite || c == event.CallSend || c == event.CallRecv
}

// checkTimer refuses timers that a test would wait for too long, or that would
// take a CPU for themselves. What is no valid timer at all may stand: the kernel
// has an answer to it.
func checkTimer(kev event.Kevent) string {
	var unit int64 // in nanoseconds
	switch kev.Fflags &^ event.NoteAbsTime {
	case event.NoteSeconds:
		unit = 1e9
	case 0, event.NoteMSeconds:
		unit = 1e6
	case event.NoteUSeconds:
		unit = 1e3
	case event.NoteNSeconds:
		unit = 1
	default:
		return ""
	}
	periodic := kev.Flags&event.OneShot == 0 && kev.Fflags&event.NoteAbsTime == 0
	if most := MaxTimer * 1_000_000 / unit; kev.Data > most {
		return fmt.Sprintf("data of at most %d here, which is %d ms", most, MaxTimer)
	}
	// A period of 0 is one unit.
	if least := MinPeriod * 1000 / unit; periodic && kev.Data >= 0 && max(kev.Data, 1) < least {
		return fmt.Sprintf("data of at least %d here, which is %d µs, or ONESHOT", least, MinPeriod)
	}
	return ""
}
