package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// Never is the return of an operation that has not returned.
const Never = math.MaxInt64

// A Record is one operation of a thread. Instants are those of the recorder's
// clock, 0 or more.
type Record struct {
	Thread int
	Call   int64
	Return int64 // Never if the result is pending
	Op     event.Op
	Result event.Result
	Steps  []Stamp // its commit points, as far as the kernel has named them; none in most histories made by hand
}

// A Stamp is a commit point: a step of an operation, and the instant at which
// others could see it first.
type Stamp struct {
	At   int64
	Step event.Step
}

// A History is what all threads did until nothing moved any more, by call.
type History []Record

// clone returns a history that has no memory in common with what records it.
func (h History) clone() History {
	h = slices.Clone(h)
	for i := range h {
		r := &h[i]
		r.Result.Events = slices.Clone(r.Result.Events)
		r.Result.Polled = slices.Clone(r.Result.Polled)
		r.Steps = slices.Clone(r.Steps)
	}
	return h
}

// String returns the history as text that [Parse] reads back.
func (h History) String() string {
	var b strings.Builder
	for _, r := range h {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// String returns the record as one line: thread, call, return, the operation,
// an arrow, the result, and behind an @ the commit points if there are any. A
// return that is not known is a dash.
//
//	2 120 250 kevent 0 room=1 => events READ 1 data=5 @ 130 found; 180 took
//	3 130 - kevent 0 room=1 wait=forever => pending
func (r Record) String() string {
	ret := "-"
	if r.Return != Never {
		ret = strconv.FormatInt(r.Return, 10)
	}
	text := fmt.Sprintf("%d %d %s %v => %v", r.Thread, r.Call, ret, r.Op, r.Result)
	for i, s := range r.Steps {
		sign := ";"
		if i == 0 {
			sign = " @"
		}
		text += fmt.Sprintf("%s %d %v", sign, s.At, s.Step)
	}
	return text
}

// Parse reads a history: a record a line, see [Record.String]; blank lines, and
// what follows a #, are for people. Name stands for the text in errors, which
// say line and column and what was expected there.
func Parse(name, text string) (History, error) {
	var h History
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line, _, _ = strings.Cut(line, "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		r, column, err := parseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", name, n, column, err)
		}
		h = append(h, r)
	}
	h.sort()
	last := map[int]Record{}
	for _, r := range h {
		if p, ok := last[r.Thread]; ok && p.Return > r.Call {
			return nil, fmt.Errorf("%s: thread %d calls %q at %d, before %q has returned: want one operation of a thread at a time",
				name, r.Thread, r.Op, r.Call, p.Op)
		}
		last[r.Thread] = r
	}
	return h, nil
}

func (h History) sort() {
	slices.SortStableFunc(h, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Return, b.Return), cmp.Compare(a.Thread, b.Thread))
	})
}

// parseRecord reads a line; of an error it returns the column, from 1.
func parseRecord(line string) (r Record, column int, err error) {
	rest := line
	at := func() int { return len(line) - len(rest) + 1 }
	word := func() (w string, column int) {
		rest = strings.TrimLeft(rest, " \t\r\v\f")
		column = at()
		if i := strings.IndexAny(rest, " \t\r\v\f"); i >= 0 {
			w, rest = rest[:i], rest[i:]
		} else {
			w, rest = rest, ""
		}
		return w, column
	}
	w, column := word()
	n, err := strconv.ParseUint(w, 10, 31)
	if err != nil {
		return r, column, fmt.Errorf("thread %q: want a number from 0 to 2^31-1", w)
	}
	r.Thread = int(n)
	w, column = word()
	if r.Call, err = strconv.ParseInt(w, 10, 64); err != nil || r.Call < 0 || r.Call >= Never-8 {
		return r, column, fmt.Errorf("call %q: want an instant, 0 or more", w)
	}
	w, column = word()
	if r.Return = Never; w != "-" {
		if r.Return, err = strconv.ParseInt(w, 10, 64); err != nil || r.Return < r.Call || r.Return >= Never-8 {
			return r, column, fmt.Errorf("return %q: want an instant, not before the call at %d, or - if it has not returned", w, r.Call)
		}
	}
	rest = strings.TrimLeft(rest, " \t\r\v\f")
	column = at()
	op, result, ok := strings.Cut(rest, "=>")
	if !ok {
		return r, len(line) + 1, fmt.Errorf("the line ends: want => and a result")
	}
	if r.Op, err = event.ParseOp(op); err != nil {
		return r, column, err
	}
	column += len(op) + len("=>")
	result, steps, stamped := strings.Cut(result, "@")
	if r.Result, err = event.ParseResult(result); err != nil {
		return r, column, err
	}
	if r.Result.Pending != (r.Return == Never) {
		return r, column, fmt.Errorf("result %q: want pending if and only if the return is -", strings.TrimSpace(result))
	}
	if !stamped {
		return r, 0, nil
	}
	column += len(result) + len("@")
	last := r.Call
	for text := range strings.SplitSeq(steps, ";") {
		s, err := parseStamp(text)
		if err == nil && (s.At < last || s.At > r.Return) {
			err = fmt.Errorf("commit point at %d: want an instant within the call, and not before the point that precedes it", s.At)
		}
		if err != nil {
			return r, column, err
		}
		r.Steps = append(r.Steps, s)
		last = s.At
		column += len(text) + len(";")
	}
	return r, 0, nil
}

func parseStamp(text string) (s Stamp, err error) {
	words := strings.Fields(text)
	if len(words) != 2 {
		return s, fmt.Errorf("commit point %q: want an instant and the name of a step", strings.TrimSpace(text))
	}
	if s.At, err = strconv.ParseInt(words[0], 10, 64); err != nil {
		return s, fmt.Errorf("commit point at %q: want a number", words[0])
	}
	s.Step, err = event.ParseStep(words[1])
	return s, err
}
