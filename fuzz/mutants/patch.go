package mutants

import (
	"fmt"
	"path"
	"strings"
)

// A file is what a patch does to one file.
type file struct {
	name  string // below the module's directory, with slashes
	line  int    // of the patch, where it begins
	hunks []hunk
}

// A hunk replaces some lines that stand together, and only once, in a file.
// It has no line numbers, since the core is edited all the time.
type hunk struct {
	line int // of the patch, where the hunk's first line is
	old  []line
	new  []string
}

// A line is one that the file must have.
type line struct {
	text string
	at   int // line of the patch
}

// Parse reads a patch. Its first lines are a head of the form "key: value",
// with the keys what, bug, caught, seldom and equivalent, of which caught may
// be given several times, as "STRATEGY TEST" or "PACKAGE TEST"; then, for each file, a line
// "--- PATH", and hunks as diff -u has them, each after a line that begins
// with "@@", without line numbers. An error names the patch and the line.
func Parse(name, text string) (*Mutant, error) {
	m := &Mutant{Name: strings.TrimSuffix(path.Base(name), path.Ext(name))}
	n := 0
	wrong := func(format string, args ...any) (*Mutant, error) {
		return nil, fmt.Errorf("%s:%d: %s", name, n, fmt.Sprintf(format, args...))
	}
	for l := range strings.Lines(text) {
		n++
		l = strings.TrimSuffix(l, "\n")
		if after, ok := strings.CutPrefix(l, "--- "); ok {
			if after == "" || path.IsAbs(after) || path.Clean(after) != after || strings.HasPrefix(after, "..") {
				return wrong("file %q: want a path below the module, as model/kqueue/scan.go", after)
			}
			for _, f := range m.files {
				if f.name == after {
					return wrong("file %s again, as in line %d: want its hunks together", after, f.line)
				}
			}
			m.files = append(m.files, file{name: after, line: n})
			continue
		}
		if len(m.files) == 0 {
			if err := m.head(l); err != nil {
				return wrong("%v", err)
			}
			continue
		}
		f := &m.files[len(m.files)-1]
		if strings.HasPrefix(l, "@@") {
			f.hunks = append(f.hunks, hunk{line: n + 1})
			continue
		}
		if len(f.hunks) == 0 {
			return wrong("%q: want a line that begins with @@", l)
		}
		h := &f.hunks[len(f.hunks)-1]
		if l == "" {
			l = " " // an empty line of context, whose space an editor has taken
		}
		switch l[0] {
		case ' ':
			h.old = append(h.old, line{l[1:], n})
			h.new = append(h.new, l[1:])
		case '-':
			h.old = append(h.old, line{l[1:], n})
		case '+':
			h.new = append(h.new, l[1:])
		default:
			return wrong("%q: want a line that begins with a space, - or +", l)
		}
	}
	for _, f := range m.files {
		for _, h := range f.hunks {
			if len(h.old) == 0 {
				n = h.line
				return wrong("a hunk for %s without a line that the file has", f.name)
			}
		}
		if len(f.hunks) == 0 {
			n = f.line
			return wrong("no hunk for %s", f.name)
		}
	}
	switch said := count(m.Cells != nil, m.Seldom != "", m.Equivalent != ""); {
	case len(m.files) == 0:
		return wrong("the patch changes no file: want a line --- PATH")
	case m.What == "":
		return wrong("no line that begins with what:")
	case said != 1:
		return wrong("want one of caught:, seldom: and equivalent:, have %d", said)
	}
	return m, nil
}

func count(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// head reads a line of the head.
func (m *Mutant) head(l string) error {
	key, value, ok := strings.Cut(l, ": ")
	if !ok {
		return fmt.Errorf("%q: want KEY: VALUE, or --- PATH", l)
	}
	var to *string
	switch key {
	case "what":
		to = &m.What
	case "bug":
		to = &m.Bug
	case "seldom":
		to = &m.Seldom
	case "equivalent":
		to = &m.Equivalent
	case "caught":
		words := strings.Fields(value)
		if len(words) != 2 {
			return fmt.Errorf("caught: %q: want STRATEGY TEST, or PACKAGE TEST", value)
		}
		m.Cells = append(m.Cells, Cell{words[0], words[1]})
		return nil
	default:
		return fmt.Errorf("%q: want what, bug, caught, seldom or equivalent", key)
	}
	if *to != "" {
		return fmt.Errorf("%s is given twice", key)
	}
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%s is empty", key)
	}
	*to = value
	return nil
}

// apply returns the text of the file with all hunks applied.
func (f *file) apply(patch, text string) (string, error) {
	lines := strings.Split(text, "\n")
	for _, h := range f.hunks {
		at, bad, err := h.find(lines)
		if err != nil {
			return "", fmt.Errorf("%s:%d: %s %w", patch, bad, f.name, err)
		}
		rest := lines[at+len(h.old):]
		lines = append(append(lines[:at:at], h.new...), rest...)
	}
	return strings.Join(lines, "\n"), nil
}

// find returns where the hunk's old lines stand, or which line of the patch
// does not fit, and why.
func (h *hunk) find(lines []string) (at, bad int, err error) {
	found, best, after := -1, 0, 0
	for at := range lines {
		k := 0
		for k < len(h.old) && at+k < len(lines) && lines[at+k] == h.old[k].text {
			k++
		}
		if k == len(h.old) {
			if found >= 0 {
				return 0, h.line, fmt.Errorf("has these lines twice, at line %d and at line %d", found+1, at+1)
			}
			found = at
		} else if k > best {
			best, after = k, at+k
		}
	}
	if found >= 0 {
		return found, 0, nil
	}
	miss := h.old[best]
	if best == 0 {
		return 0, miss.at, fmt.Errorf("has no line %q", miss.text)
	}
	return 0, miss.at, fmt.Errorf("has, after line %d, no line %q", after, miss.text)
}
