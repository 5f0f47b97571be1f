package linearizability

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// A Verdict is what a check says of a history.
type Verdict int

// The verdicts.
const (
	OK        Verdict = iota // the specification allows it
	Undecided                // over the limit: nothing is known
	Violation                // the specification forbids it
)

// String returns the name of the verdict.
func (v Verdict) String() string { return [...]string{"ok", "undecided", "violation"}[v] }

// Options say how a history is checked. The zero Options are strict.
type Options struct {
	// Weak leaves out completeness: a call may miss what is ready, if nobody
	// sleeps at the end who should not.
	Weak bool
	// Limit is how long the search may take, all projections together; 10
	// seconds if it is 0.
	Limit time.Duration
}

// A Finding is one thing that is wrong with a history, or could not be decided.
type Finding struct {
	Verdict Verdict
	Where   string // the knote, or the operation
	Rule    string // the sentence that it breaks; of what is undecided, why
	Parts   int    // the size of the projection
	key     key
	drawn   bool   // a projection, which there is a picture of
	at      int    // the index of the record that shows it, if it is not drawn
	allowed string // what that may answer, with code between backticks; "" if the rule says so
}

// String returns the finding as one line.
func (f Finding) String() string { return fmt.Sprintf("%v: %s: %s", f.Verdict, f.Where, f.Rule) }

// A Report is the outcome of a check.
type Report struct {
	Verdict     Verdict // the worst
	Findings    []Finding
	Replayed    bool          // the commit points explain all of it, and nothing else was looked at
	Projections int           // checked
	Searched    int           // of those, where the first guess was wrong
	Parts       int           // in all of them
	Took        time.Duration // all of the check
	Unchecked   []string      // knotes that are not projected: those that watch a kqueue
	history     History
	plan        *plan // nil if it was replayed
	weak        bool
}

// String returns the report in a line for each finding and one for the sum. Nothing in
// it depends on the computer, so of equal histories it is equal, if none is undecided.
func (r *Report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	how := "in the order of their commit points"
	if !r.Replayed {
		how = fmt.Sprintf("%d projections (%d searched), %d steps", r.Projections, r.Searched, r.Parts)
	}
	fmt.Fprintf(&b, "%v: %d operations, %s", r.Verdict, len(r.history), how)
	if len(r.Unchecked) > 0 {
		fmt.Fprintf(&b, "; not checked: %s", strings.Join(r.Unchecked, ", "))
	}
	return b.String()
}

func (r *Report) found(f Finding) {
	r.Findings = append(r.Findings, f)
	r.Verdict = max(r.Verdict, f.Verdict)
}

// Check holds a history against the specification. The history begins with
// nothing open, and ends when nothing moves any more: whose kevent(2) is pending
// is asleep.
func Check(h History, o Options) *Report { return new(Checker).Check(h, o) }

// A Checker checks one history after another, and keeps its memory. It is used by
// one goroutine at a time; the zero Checker is ready.
type Checker struct {
	replay replay
	report Report // of a history that its commit points explain
}

// Check is the function of that name. The report is good until the next call.
func (c *Checker) Check(h History, o Options) *Report {
	begin := time.Now()
	if c.replay.explains(h, o.Weak, 0) {
		c.report = Report{history: h, weak: o.Weak, Replayed: true, Took: time.Since(begin)}
		if c.report.signals(); c.report.Verdict == OK {
			return &c.report
		}
	}
	return project(h, o, begin)
}

// project checks a history knote by knote.
func project(h History, o Options, begin time.Time) *Report {
	if o.Limit == 0 {
		o.Limit = 10 * time.Second
	}
	h = h.clone() // a search that is given up may look at it for a moment longer
	r := &Report{history: h, weak: o.Weak}
	r.plan = newPlan(h)
	r.count()
	r.signals()
	for _, k := range r.plan.keys {
		if r.plan.unprojected(k) {
			r.Unchecked = append(r.Unchecked, k.String())
			continue
		}
		ops := r.plan.project(k, o.Weak)
		r.Projections++
		r.Parts += len(ops)
		if time.Since(begin) < o.Limit && witness(k, ops) {
			continue
		}
		r.Searched++
		verdict, rule := search(k, ops, begin.Add(o.Limit))
		if verdict != OK {
			r.found(Finding{Verdict: verdict, Where: k.String(), Rule: rule, Parts: len(ops), key: k, drawn: true})
		}
	}
	r.Took = time.Since(begin)
	return r
}

// signals checks what becomes of signals, of a history in which something does.
func (r *Report) signals() {
	for i := range r.history {
		if r.history[i].signaled() {
			r.history.signals(func(at int, rule, allowed string) {
				rec := &r.history[at]
				r.found(Finding{Verdict: Violation, Where: rec.Op.String() + " => " + rec.Result.String(), Rule: rule, at: at, allowed: allowed})
			})
			return
		}
	}
}

// search looks for an order of the steps. If there is none it names the rule
// that stands in the way; if it does not know it says how far it came.
func search(k key, ops []porcupine.Operation, until time.Time) (Verdict, string) {
	begin := time.Now()
	for lax := strict; lax <= laxities; lax++ {
		left := time.Until(until)
		result := porcupine.Unknown
		if left > 0 {
			result = porcupine.CheckOperationsTimeout(model(k, lax), ops, left)
		}
		switch {
		case result == porcupine.Ok && lax == strict:
			return OK, ""
		case result == porcupine.Ok:
			return Violation, rules[lax]
		case result == porcupine.Unknown && lax == strict:
			return Undecided, fmt.Sprintf("no answer within the limit, with %d steps after %v", len(ops), time.Since(begin).Round(time.Millisecond))
		case result == porcupine.Unknown:
			return Violation, "a rule that was not found within the limit"
		}
	}
	return Violation, "no rule alone: what the operations answer contradicts itself"
}

// count checks what needs no search: that a call returns an event once, and
// no more than there is room for, and that no more bytes come out of a pipe than
// went in.
func (r *Report) count() {
	bytes := map[int]int64{}
	each := map[int]int64{}   // byte that went in, so many may come out; 1 if not said
	unit := map[int]int64{}   // that the other side brings to a device, bytes of it
	without := map[int]bool{} // devices that nobody says that of
	for _, rec := range r.plan.h {
		if rec.Op.Call == event.CallPty {
			// It is read, it is echoed, and three more say that it is erased.
			each[r.plan.groups.of(int(rec.Result.N))] = 5
		}
		if rec.Op.Call == event.CallDevice && rec.Result.Errno == 0 {
			g := r.plan.groups.of(int(rec.Result.N))
			unit[g] = max(unit[g], spec.Unit(rec.Op.Device))
			without[g] = without[g] || spec.Unit(rec.Op.Device) == 0
		}
	}
	for i, rec := range r.plan.h {
		wrong := func(rule string) {
			r.found(Finding{Verdict: Violation, Where: rec.Op.String() + " => " + rec.Result.String(), Rule: rule, at: i})
		}
		seen := map[key]bool{}
		for _, kev := range rec.Result.Events {
			k := key{ident: kev.Ident, filter: kev.Filter}
			if seen[k] && kev.Flags&event.Error == 0 && !r.plan.h.twoLives(&rec, kev) {
				wrong("an event appears at most once a call")
			}
			seen[k] = true
		}
		if len(rec.Result.Events) > rec.Op.Room {
			wrong("a call returns no more events than there is room for")
		}
		r.countPolled(&rec, wrong)
		g := r.plan.groups.of(rec.Op.FD)
		switch {
		case g == r.plan.groups.of(theFiles):
			// What is in a file is read again and again, and there are holes.
		case writes(rec.Op.Call) && rec.Result.Pending:
			bytes[g] += rec.Op.N * max(each[g], 1)
		case writes(rec.Op.Call):
			bytes[g] += rec.Result.N * max(each[g], 1)
		case reads(rec.Op.Call):
			bytes[g] -= rec.Result.N
		case rec.Op.Call == event.CallInput && rec.Result.Pending:
			bytes[g] += rec.Op.N * unit[g]
		case rec.Op.Call == event.CallInput:
			bytes[g] += rec.Result.N * unit[g]
		}
	}
	for i, rec := range r.plan.h {
		if g := r.plan.groups.of(rec.Op.FD); reads(rec.Op.Call) && bytes[g] < 0 && !without[g] {
			r.found(Finding{Verdict: Violation, Where: rec.Op.String(), Rule: fmt.Sprintf("conservation: %d bytes more were read than written", -bytes[g]), at: i})
			bytes[g] = 0
		}
	}
}

func reads(c event.Call) bool  { return c == event.CallRead || c == event.CallRecv }
func writes(c event.Call) bool { return c == event.CallWrite || c == event.CallSend }
