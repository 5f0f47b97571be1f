package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine"
)

// What lanes of an execution that was traced show beside calls and returns.
const (
	commits momentKind = iota + 10 // what takes effect
	points                         // a point of the machine, with points only
	turns                          // why another thread goes on
	wakes                          // whom a thread wakes
	clock                          // the time passes
)

// signs are what the moments of a trace are marked by.
var signs = map[momentKind][2]string{commits: {"· ", "  "}, points: {"  ", "  "}, turns: {"├ ", "│ "}, wakes: {"» ", "  "}}

// A happening is a part of the history, in the step in which it was seen.
type happening struct {
	at   int64
	lane int
	kind momentKind
	text string
}

// happenings are the calls, commit points and returns of the threads, in order.
func happenings(h linearizability.History) (all []happening) {
	for _, rec := range h {
		if rec.Thread == 0 {
			continue
		}
		lane := rec.Thread - 1
		call := happening{rec.Call, lane, calls, rec.Op.String()}
		if rec.Result.Pending {
			call.kind = pending
			call.text += " … pending"
		}
		all = append(all, call)
		for _, s := range rec.Steps {
			all = append(all, happening{s.At, lane, commits, s.Step.String()})
		}
		if !rec.Result.Pending {
			all = append(all, happening{rec.Return, lane, returns, answer(rec.Op, rec.Result)})
		}
	}
	slices.SortStableFunc(all, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	return all
}

// trace makes the moments of an execution that was traced; with every, of each point.
func (d *lanes) trace(t *fuzz.Trace, h linearizability.History, every bool) {
	d.width = (laneColumns-timeColumns)/len(t.Threads) - 1
	d.n, d.open, d.unitIs = len(t.Threads), make([]bool, len(t.Threads)), "step"
	d.head = nil
	for i, name := range t.Threads {
		if t.CPUs[i] >= 0 {
			name += fmt.Sprintf(", cpu %d", t.CPUs[i])
		}
		d.head = append(d.head, name)
	}
	all := happenings(h)
	inside := make([]bool, d.n)
	for k, s := range t.Steps {
		add := func(lane int, kind momentKind, format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			n := len(d.moments) - 1
			if kind == commits && n >= 0 && d.moments[n].kind == commits && d.moments[n].lane == lane {
				d.moments[n].text += ", " + text
				return
			}
			d.moments = append(d.moments, moment{at: int64(k + 1), lane: lane, kind: kind, text: text, inside: inside})
		}
		if k > 0 && s.Could {
			before := t.Steps[k-1]
			add(before.Lane, turns, "preempted before %s", before.Then)
		}
		if s.Lane < 0 {
			add(0, clock, "the clock goes on to %v", s.Clock)
			continue
		}
		if every && s.Did != "" {
			add(s.Lane, points, "%s", s.Did)
		}
		inside = make([]bool, d.n)
		for domain, lane := range s.Inside {
			if lane >= 0 {
				inside[lane] = true
			}
			before := -1
			if k > 0 && domain < len(t.Steps[k-1].Inside) {
				before = t.Steps[k-1].Inside[domain]
			}
			switch {
			case !every || before == lane:
			case lane < 0:
				add(before, points, "leaves domain %d", domain+1)
			default:
				add(lane, points, "enters domain %d", domain+1)
			}
		}
		if len(s.Woke) > 0 {
			add(s.Lane, wakes, "wakes %s", names(t, s.Woke))
		}
		if every && len(s.Freed) > 0 {
			add(s.Lane, points, "lets %s try again", names(t, s.Freed))
		}
		for ; len(all) > 0 && all[0].at <= s.Turn; all = all[1:] {
			add(all[0].lane, all[0].kind, "%s", all[0].text)
		}
		switch s.State {
		case fuzz.StepAsleep:
			until := ""
			if s.Until != machine.Forever {
				until = fmt.Sprintf(" until %v", s.Until)
			}
			add(s.Lane, turns, "sleeps on %s%s", s.Then, until)
		case fuzz.StepWaiting:
			add(s.Lane, turns, "waits for %s", s.Then)
		case fuzz.StepEnded:
			if every || t.CPUs[s.Lane] < 0 {
				add(s.Lane, points, "ends")
			}
		}
		if k == t.Found {
			d.moments = append(d.moments, moment{at: int64(k + 1), lane: s.Lane, kind: turns, text: "here it is seen to be wrong", inside: inside, bad: true})
		}
	}
	d.join()
	d.cut = t.Cut
}

func names(t *fuzz.Trace, lanes []int) string {
	var all []string
	for _, l := range lanes {
		all = append(all, t.Threads[l])
	}
	return strings.Join(all, ", ")
}

// printClock prints that the time passes: no lane's doing.
func (d *lanes) printClock(w io.Writer, m moment) {
	fmt.Fprintln(w, d.p.dim(fmt.Sprintf("%*d  ", timeColumns-2, m.at)+m.text))
}
