package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/model/event"
)

const (
	laneColumns = 100 // of the terminal
	timeColumns = 10  // of them for the time
)

// Lanes are a history with a column for each thread, and time going down. A
// call begins with ┌ and ends with └, and as long as it is under way there is a
// bar; one that nothing else began or ended in is a single row with ─.
//
//	0.0  ┌ kevent 0 room=1
//	1.2  │                     ─ write 2 5 → 5
//	2.0  └ READ 1 data=5
type lanes struct {
	p          paint
	n          int
	width      int  // of a column, without the space behind it
	turns      bool // instants are not nanoseconds: they count what happened
	head       []string
	moments    []moment
	open       []bool // by lane: a call is under way
	wroteSetup bool
	unitIs     string // if it is not one of these
	cut        int    // steps of an execution that are left out, behind all
}

// A moment is the beginning or the end of a call, or both.
type moment struct {
	at   int64
	lane int
	kind momentKind
	text string

	// Of an execution that was traced.
	inside []bool // by lane: it is in some domain
	bad    bool
}

type momentKind int

const (
	returns momentKind = iota // first, of those at one instant
	calls
	pending // a call that did not return
	whole   // a call and its return
)

func newLanes(r *fuzz.Report, p paint) *lanes {
	d := &lanes{p: p, n: len(r.Script.Threads), turns: r.Script.Schedule != nil}
	d.width = (laneColumns-timeColumns)/d.n - 1
	d.open = make([]bool, d.n)
	for i, t := range r.Script.Threads {
		d.head = append(d.head, fmt.Sprintf("thread %d, cpu %d", i+1, t.CPU))
	}
	start := int64(-1)
	for _, rec := range r.History {
		if rec.Thread == 0 {
			continue
		}
		if start < 0 {
			start = rec.Call
		}
		at := moment{at: rec.Call - start, lane: rec.Thread - 1, kind: calls, text: rec.Op.String()}
		if rec.Result.Pending {
			at.kind = pending
			at.text += " … pending"
			d.moments = append(d.moments, at)
			continue
		}
		d.moments = append(d.moments, at, moment{at: rec.Return - start, lane: rec.Thread - 1, kind: returns, text: answer(rec.Op, rec.Result)})
	}
	slices.SortStableFunc(d.moments, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.lane, b.lane), 0)
	})
	d.join()
	return d
}

// join makes one moment of a call and the return that follows it at once.
func (d *lanes) join() {
	var out []moment
	for _, m := range d.moments {
		if n := len(out); m.kind == returns && n > 0 && out[n-1].lane == m.lane && out[n-1].kind == calls {
			out[n-1].kind = whole
			out[n-1].text += " → " + m.text
			continue
		}
		out = append(out, m)
	}
	d.moments = out
}

func (d *lanes) print(w io.Writer) {
	line := fmt.Sprintf("%*s", timeColumns-2, d.unit())
	for i, h := range d.head {
		line += "  "
		if i > 0 {
			line = line[:len(line)-1]
		}
		line += fmt.Sprintf("%-*.*s", d.width, d.width, h)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, d.p.dim(strings.TrimRight(line, " ")))
	for _, m := range d.moments {
		d.moment(w, m)
	}
	if d.cut > 0 {
		fmt.Fprintln(w, d.p.dim(fmt.Sprintf("%*s  and %s steps more", timeColumns-2, "…", commas(d.cut))))
	}
}

func (d *lanes) unit() string {
	switch {
	case d.unitIs != "":
		return d.unitIs
	case d.turns:
		return "turn"
	}
	return "µs"
}

func (d *lanes) instant(at int64) string {
	if d.turns {
		return fmt.Sprint(at)
	}
	return fmt.Sprintf("%.1f", float64(at)/1000)
}

// moment prints one, in as many rows as its text needs.
func (d *lanes) moment(w io.Writer, m moment) {
	if m.kind == clock {
		d.printClock(w, m)
		return
	}
	sign, below := "─ ", "  "
	if s, ok := signs[m.kind]; ok {
		sign, below = s[0], s[1]
	}
	color := func(s string) string { return s }
	switch m.kind {
	case calls:
		sign, below = "┌ ", "│ "
	case returns:
		sign, below = "└ ", "  "
		color = d.p.green
	case pending:
		sign, below = "┌ ", "│ "
		color = d.p.bold
	case commits, points:
		color = d.p.dim
	}
	if m.bad {
		color = d.p.red
	}
	for row, text := range wrapHard(m.text, d.width-2) {
		line := strings.Repeat(" ", timeColumns)
		if row == 0 {
			line = d.p.dim(fmt.Sprintf("%*s  ", timeColumns-2, d.instant(m.at)))
		}
		for i := range d.n {
			pad := d.width
			switch {
			case i == m.lane:
				mark := sign
				if row > 0 {
					mark = below
				}
				line += d.p.dim(mark) + color(text)
				pad -= 2 + utf8.RuneCountInString(text)
			case m.inside != nil && i < len(m.inside) && m.inside[i]:
				line += d.p.dim("┃")
				pad--
			case d.open[i]:
				line += d.p.dim("│")
				pad--
			}
			if i < d.n-1 {
				line += strings.Repeat(" ", pad+1)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	switch m.kind {
	case calls, pending:
		d.open[m.lane] = true
	case returns, whole:
		d.open[m.lane] = false
	}
}

// answer is what a call has answered, in few words.
func answer(op event.Op, r event.Result) string {
	if r.Errno == 0 && r.N == 0 && r.N2 == 0 && (op.Call.Makes() > 0 || op.Call == event.CallRead || op.Call == event.CallRecv) {
		return "0"
	}
	return strings.TrimPrefix(strings.TrimPrefix(r.String(), "events "), "polled ")
}

// wrapHard is wrap, and breaks words that are longer than a line.
func wrapHard(text string, width int) []string {
	var lines []string
	for _, l := range wrap(text, width) {
		for utf8.RuneCountInString(l) > width {
			runes := []rune(l)
			lines = append(lines, string(runes[:width]))
			l = string(runes[width:])
		}
		lines = append(lines, l)
	}
	return lines
}
