// Package audit proves, or breaks, the MP-safety of filters: the pass through all filter
// functions that DragonFly's page of 2010 left open.
//
// Each function of each filter of a device (see package catalog) is called on one of two
// virtual CPUs while something is done to the device on the other, in each schedule of at
// most two preemptions. The function is called without the mplock, and each source and
// each queue has a domain of its own, see apart: so what a filter touches outside of its
// source's domain, it touches in no order with others. In a race build the detector says
// so. In any build it is broken by
//
//   - a filter that waits, and does not say that it blocks; that enters a domain, or calls
//     another filter; that keeps a lock, as an act of the device must not either;
//   - news that is lost: at rest a filter is asked that says yes, and its queue has
//     nothing;
//   - a panic, a deadlock, two threads in a domain, locks that are taken in a circle, and
//     what the audits of the core and the devices find at rest.
//
// What it proves is about the acts that the catalog has, one at a time against one call.
package audit

import (
	"context"
	"slices"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/races"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// Preemptions is how many a schedule has at most.
const Preemptions = 2

// Most is how many executions one trial may take, by default: many times what any takes
// that ends.
const Most = 50_000

// An Audit is what is to be audited.
type Audit struct {
	Devices []catalog.Device
	Most    int // executions of a trial; Most if it is 0

	// Progress, if not nil, is told after each trial how many of all have been made, and
	// of what the last one was.
	Progress func(done, all int, what string)
}

// A Verdict is what came of one function of one filter.
type Verdict struct {
	Device   string
	Filter   event.Filter
	Function Function

	// What the filter says of itself.
	Unsafe, Blocks bool

	Schedules int  // executions that were made
	Complete  bool // all that there are with so many preemptions

	Finding *fuzz.Finding // nil if nothing was found
	Replay  *Replay       // of it
}

// Wrong reports whether the filter is not what it says: it declares that it is MP-safe,
// and is not. One that says that it is not, and in which nothing is found, is slower than
// it could be, and no more: that is no proof that its author has no reason.
func (v *Verdict) Wrong() bool { return v.Finding != nil && !v.Unsafe }

// Run audits, and returns the verdicts in the order of the devices and their filters. What
// two conditions of a device have in common, function and all, is audited once. If the
// context ends before all is done, the error is its.
func (a Audit) Run(ctx context.Context) ([]Verdict, error) {
	if a.Most == 0 {
		a.Most = Most
	}
	devices := make([][]row, len(a.Devices))
	done, all := 0, 0
	for i := range a.Devices {
		devices[i] = rows(&a.Devices[i])
		for _, r := range devices[i] {
			all += len(r.trials)
		}
	}
	l := newLab()
	defer l.close()
	var verdicts []Verdict
	for _, rows := range devices {
		first := len(verdicts)
		for _, r := range rows {
			t := &r.trials[0]
			v := Verdict{Device: t.device.Name, Filter: t.filter.Filter, Function: t.function, Unsafe: r.own.Unsafe, Blocks: r.own.Blocks, Complete: true}
			if r.as >= 0 {
				v = verdicts[first+r.as]
				v.Filter = t.filter.Filter
			}
			for i := range r.trials {
				if t = &r.trials[i]; r.as < 0 && v.Finding == nil {
					v.add(t, l.search(ctx, t, a.Most))
				}
				if ctx.Err() != nil {
					return verdicts, ctx.Err()
				}
				if done++; a.Progress != nil {
					a.Progress(done, all, t.String())
				}
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// add adds what came of a trial.
func (v *Verdict) add(t *trial, s searched) {
	v.Schedules += s.made
	v.Complete = v.Complete && s.complete
	if v.Finding = s.finding; s.finding != nil {
		v.Replay = &Replay{Trial: t.String(), Decisions: s.decisions}
	}
}

// A searched is what came of the search through a trial.
type searched struct {
	made      int
	complete  bool
	finding   *fuzz.Finding
	decisions []int
}

// search makes the executions of a trial, at most so many. What it finds it looks for
// again with fewer preemptions, so as to show it by a plain schedule.
func (l *lab) search(ctx context.Context, t *trial, most int) (s searched) {
	s = l.bounded(ctx, t, most, Preemptions)
	for fewer := 0; s.finding != nil && fewer < Preemptions; fewer++ {
		if plainer := l.bounded(ctx, t, s.made, fewer); plainer.finding != nil && plainer.finding.Property == s.finding.Property {
			plainer.made = s.made
			return plainer
		}
	}
	return s
}

func (l *lab) bounded(ctx context.Context, t *trial, most, preemptions int) (s searched) {
	l.set(t)
	search := sched.NewPunctualDFS(preemptions)
	l.recorded.Scheduler = search
	for s.made < most && ctx.Err() == nil {
		if !l.recorded.Begin() {
			if err := search.Err(); err != nil {
				s.finding = &fuzz.Finding{Property: sameAgain, Detail: err.Error()}
			} else if s.complete = true; l.called[t.function] == 0 {
				s.finding = &fuzz.Finding{Property: exercised, Detail: "it never was"}
			}
			return s
		}
		s.made++
		if s.finding = l.run(); s.finding != nil {
			s.decisions = slices.Clone(l.recorded.Schedule)
			return s
		}
	}
	return s
}

// RaceDetector reports whether this binary has the race detector. Without it an audit
// looks for all but races.
const RaceDetector = races.Enabled
