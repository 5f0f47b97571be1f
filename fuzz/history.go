package fuzz

import (
	"fmt"
	"strings"
)

// Text returns the script with its history and the finding in comments: a
// script that [script.Parse] reads, and that runs again as it is.
func (r *Report) Text() string {
	var b strings.Builder
	s := *r.Script
	if r.Finding != nil {
		first, _, _ := strings.Cut(r.Finding.Error(), "\n")
		s.Doc = append([]string{"Found under " + r.Strategy + ": " + printable(first)}, s.Doc...)
	}
	b.WriteString(s.String())
	b.WriteString("\n# What happened: thread (0 is setup), call, return, operation => result @ commit points.\n")
	for _, rec := range r.History {
		fmt.Fprintf(&b, "#   %v\n", rec)
	}
	if r.Finding != nil {
		for line := range strings.Lines(r.Finding.Error()) {
			b.WriteString("# " + printable(strings.TrimRight(line, "\n")) + "\n")
		}
	}
	return b.String()
}

// printable replaces what may not stand in a script, such as the tabs and the
// control characters of a panic.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
