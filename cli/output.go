package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// output is a writer that remembers why something could not be written: most of what
// is printed is printed without a look at that.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("the output cannot be written: %w", err)
	}
	return n, err
}

// writeLines writes each as a line of JSON.
func writeLines[T any](w io.Writer, all []T) error {
	enc := json.NewEncoder(w)
	for _, one := range all {
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

// crashLine finds the line of a Go crash that says what happened.
func crashLine(out []byte) string {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		for _, p := range []string{"fatal error: ", "panic: ", "runtime: "} {
			if strings.HasPrefix(line, p) {
				return line
			}
		}
	}
	return ""
}

// raceLine says in a line between what the race detector has seen the race.
func raceLine(out []byte) string {
	var sides []string
	side := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if side != "" && line != "" {
			sides = append(sides, side+" in "+line)
			side = ""
		}
		if what, _, ok := strings.Cut(line, " at 0x"); ok && strings.Contains(line, " by ") && len(sides) < 2 {
			side = strings.ToLower(what)
		}
	}
	if len(sides) < 2 {
		return "data race"
	}
	return "data race: " + strings.Join(sides, "; ")
}

// lastLine is a writer that keeps the last whole line.
type lastLine struct {
	told func(line []byte) // of each, if not nil
	mu   sync.Mutex
	part []byte
	line []byte
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line = bytes.Clone(l.part[:i])
		l.part = l.part[i+1:]
		if l.told != nil {
			l.told(l.line)
		}
	}
}

func (l *lastLine) last() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line
}

// ends is a writer that keeps the first and the last bytes, at least max each: a crash says
// at its beginning what happened, and a hang may print without end.
type ends struct {
	mu    sync.Mutex
	max   int
	first []byte
	rest  []byte
	lost  int
}

func (e *ends) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	room := min(e.max-len(e.first), len(p))
	e.first = append(e.first, p[:room]...)
	e.rest = append(e.rest, p[room:]...)
	if len(e.rest) > 2*e.max { // seldom, so that moving the rest is cheap
		over := len(e.rest) - e.max
		e.lost += over
		e.rest = append(e.rest[:0], e.rest[over:]...)
	}
	return n, nil
}

func (e *ends) bytes() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := bytes.Clone(e.first)
	if e.lost > 0 {
		out = fmt.Appendf(out, "\n... %d bytes left out ...\n", e.lost)
	}
	return append(out, e.rest...)
}
