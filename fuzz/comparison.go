package fuzz

import (
	"context"
	"fmt"
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A Comparison asks whether users of a script can tell strategies from each other:
// whether what they can be answered under one they can be answered under the others.
// Script, Strategies and Most must be set.
type Comparison struct {
	Script     *script.Script
	Strategies []Options // Scheduler is the comparison's own
	Seed       uint64
	Most       int // executions of each strategy
	Workers    int // as of an [Exploration]

	// Progress, if not nil, is told after each round.
	Progress func(Compared)
}

// Compared is what came of a comparison.
type Compared struct {
	Sets []OutcomeSet

	// Common is how many outcomes were seen under all strategies. So many of them came
	// under some only by being Led there: by the order of what was done in an execution
	// under another, see led.
	Common, Led int

	// Ticks is how many were not, and are the same as one that was but for how often
	// a timer is said to have expired: a timer expires at any instant, see anyTicks in
	// package spec, and so there is no end of those.
	Ticks int

	// Differences are the others, those that came most often first.
	Differences []Difference

	Failure *Report // of a strategy that is wrong; there is nothing to compare then
}

// An OutcomeSet is what was seen under one strategy.
type OutcomeSet struct {
	Strategy   string
	Executions int
	Outcomes   int
	Unseen     float64 // an estimate of what was not, see [Explored.Unseen]; without Ticks
}

// A Difference is an outcome that was seen under some strategies and not under others.
type Difference struct {
	Has, Lacks []string // strategies
	Executions int      // that had it
	History    linearizability.History
	Script     *script.Script // with the schedule of such an execution, under the first that has it

	// Needs are the freedoms of the specification that it cannot do without. Who has
	// it has made use of them, and nobody must.
	Needs []linearizability.Freedom

	Why Why
}

// Why says why there is a difference.
type Why uint8

// The reasons.
const (
	// ByFreedom: the specification allows it only by a freedom, see Needs.
	ByFreedom Why = iota
	// Undecided: it is allowed to all, and those that lack it were not led to it, but
	// have outcomes left to be seen, by the estimate, or by how few executions there
	// are: with more it may come.
	Undecided
	// Unexplained: it is allowed to all, and those that lack it seem to have shown all
	// that they can. It should not be, or the specification should say why.
	Unexplained
)

var whys = [...]string{"freedom", "undecided", "unexplained"}

func (w Why) String() string { return whys[w] }

// MarshalText implements [encoding.TextMarshaler].
func (w Why) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (w *Why) UnmarshalText(text []byte) error {
	i := slices.Index(whys[:], string(text))
	if i < 0 {
		return fmt.Errorf("fuzz: %q: want one of %q", text, whys)
	}
	*w = Why(i)
	return nil
}

// drawers are the schedulers whose executions are compared: what one seldom reaches
// another may often.
var drawers = []string{"random", "pct:3", "pos"}

// roundLeast is how many executions each makes of each strategy, in the first round.
// Each round has twice as many as the one before.
const roundLeast = 100

// Compare makes the comparison, in rounds, until the strategies have shown the same
// and each outcome came more than once, or Most executions are made of each. The
// end of the context ends it too.
func (c Comparison) Compare(ctx context.Context) *Compared {
	sets := make([]*seenSet, len(c.Strategies))
	for i := range sets {
		sets[i] = &seenSet{exact: map[uint64]*seenOutcome{}, alike: map[uint64]*seenOutcome{}, tried: map[uint64]bool{}}
	}
	out := &Compared{}
	for round, each := uint64(0), roundLeast; ; round, each = round+1, 2*each {
		each = min(each, (c.Most-sets[0].executions+len(drawers)-1)/len(drawers))
		for i, o := range c.Strategies {
			for j, name := range drawers {
				if out.Failure = c.explore(ctx, sets[i], o, name, c.Seed+round*uint64(len(drawers))+uint64(j), each); out.Failure != nil {
					return out
				}
			}
		}
		c.sum(out, sets)
		for _, d := range out.Differences {
			c.lead(ctx, d, sets)
		}
		c.sum(out, sets)
		if c.Progress != nil {
			c.Progress(*out)
		}
		if ctx.Err() != nil || sets[0].executions >= c.Most || out.settled() {
			return out
		}
	}
}

// enoughByFreedom is after how many executions it is believed that a strategy makes no
// use of a freedom.
const enoughByFreedom = 2000

// enoughToMiss is after how many executions without an outcome that was not seen before
// it counts as a fact that a strategy lacks one: with 95 %, those that it has and that
// were not seen come in less than 1 of 6,000 then.
const enoughToMiss = 20_000

// settled reports whether more executions are not likely to change anything.
func (c *Compared) settled() bool {
	for _, s := range c.Sets {
		if s.Unseen > 0 || len(c.Differences) > 0 && s.Executions < enoughByFreedom {
			return false
		}
	}
	return !slices.ContainsFunc(c.Differences, func(d Difference) bool { return d.Why != ByFreedom })
}

// A seenSet is what has been seen under one strategy.
type seenSet struct {
	executions int
	exact      map[uint64]*seenOutcome
	alike      map[uint64]*seenOutcome // by the number that all have which differ only in ticks; the first of those
	tried      map[uint64]bool         // of alike: has been led to in vain
}

type seenOutcome struct {
	executions int
	led        bool // came only so
	alike      uint64
	report     *Report // of one execution
}

func (s *seenSet) unseen() float64 {
	once := 0
	for _, o := range s.alike {
		if o.executions == 1 && !o.led {
			once++
		}
	}
	return float64(once) / float64(max(1, s.executions))
}

// explore adds executions to a set.
func (c *Comparison) explore(ctx context.Context, set *seenSet, o Options, scheduler string, seed uint64, each int) *Report {
	got := Exploration{
		Options: o, Script: func(int) *script.Script { return c.Script }, Scripts: max(1, each/roundLeast), Each: roundLeast, Most: each,
		Workers: c.Workers, Keep: true,
		Scheduler: func(i int) sched.Scheduler {
			s, err := sched.New(scheduler, seed<<20+uint64(i))
			if err != nil {
				panic("fuzz: " + err.Error()) // it is one of ours
			}
			return s
		},
	}.Explore(ctx)
	if got.Failure != nil {
		return got.Failure
	}
	set.executions += got.Executions
	for x, k := range got.Kept {
		known := set.exact[x]
		if known == nil {
			s := *c.Script
			s.Schedule = &script.Schedule{Strategy: o.Strategy, Choices: o.Choices, Decisions: k.Schedule}
			r, err := Replay(&s, o)
			if err != nil || outcome(r.History) != x {
				r.Finding = &Finding{sameAgain, fmt.Sprintf("the schedule of an outcome has another when it is replayed: %v", err)}
				return r
			}
			r.Script = &s
			known = &seenOutcome{alike: outcome(withoutTicks(r.History)), report: r}
			set.exact[x] = known
		}
		known.executions += k.Executions
		alike := set.alike[known.alike]
		if alike == nil || alike.led {
			alike = &seenOutcome{report: known.report}
			set.alike[known.alike] = alike
		}
		alike.executions += k.Executions
	}
	return nil
}

// lead tries to have those strategies come to an outcome that lack it.
func (c *Comparison) lead(ctx context.Context, d Difference, sets []*seenSet) {
	x := outcome(withoutTicks(d.History))
	for i, s := range sets {
		if s.alike[x] != nil || s.tried[x] || ctx.Err() != nil {
			continue
		}
		if executions, yes := reaches(c.Script, c.Strategies[i], d.History, x); yes {
			s.alike[x] = &seenOutcome{executions: executions, led: true}
		} else {
			s.tried[x] = true
		}
	}
}

// withoutTicks leaves out of a history how often timers have expired.
func withoutTicks(h linearizability.History) linearizability.History {
	h = slices.Clone(h)
	for i := range h {
		events := &h[i].Result.Events
		if slices.ContainsFunc(*events, func(kev event.Kevent) bool { return kev.Filter == event.Timer }) {
			*events = slices.Clone(*events)
			for j := range *events {
				if kev := &(*events)[j]; kev.Filter == event.Timer {
					kev.Data = 0
				}
			}
		}
	}
	return h
}

// sum compares the sets.
func (c *Comparison) sum(out *Compared, sets []*seenSet) {
	*out = Compared{}
	exact, alike := map[uint64]int{}, map[uint64]int{} // how many sets have it
	for i, s := range sets {
		out.Sets = append(out.Sets, OutcomeSet{c.Strategies[i].Strategy, s.executions, len(s.exact), s.unseen()})
		for x := range s.exact {
			exact[x]++
		}
		for x := range s.alike {
			alike[x]++
		}
	}
	counted := map[uint64]bool{}
	for _, s := range sets {
		for x, o := range s.exact {
			switch {
			case counted[x]:
			case exact[x] == len(sets):
				out.Common++
			case alike[o.alike] == len(sets) && o.alike == x:
				out.Common++
			case alike[o.alike] == len(sets):
				out.Ticks++
			}
			counted[x] = true
		}
	}
	for x, n := range alike {
		if slices.ContainsFunc(sets, func(s *seenSet) bool { return s.alike[x] != nil && s.alike[x].led }) && n == len(sets) {
			out.Led++
		}
		if n < len(sets) {
			out.Differences = append(out.Differences, c.difference(x, sets))
		}
	}
	slices.SortFunc(out.Differences, func(a, b Difference) int {
		if a.Executions != b.Executions {
			return b.Executions - a.Executions
		}
		return compareText(a.History, b.History)
	})
}

func compareText(a, b linearizability.History) int {
	s, t := a.String(), b.String()
	switch {
	case s < t:
		return -1
	case s > t:
		return 1
	}
	return 0
}

// difference says what there is to say of an outcome that some sets lack.
func (c *Comparison) difference(x uint64, sets []*seenSet) Difference {
	d := Difference{Why: Unexplained}
	for i, s := range sets {
		o, name := s.alike[x], c.Strategies[i].Strategy
		if o == nil {
			d.Lacks = append(d.Lacks, name)
			if s.unseen() > 0 || s.executions < enoughToMiss {
				d.Why = Undecided
			}
			continue
		}
		if d.Has == nil && !o.led {
			d.History, d.Script = o.report.History, o.report.Script
		}
		d.Has = append(d.Has, name)
		d.Executions += o.executions
	}
	if d.Needs, _ = linearizability.Needs(d.History); d.Needs != nil {
		d.Why = ByFreedom
	}
	return d
}
