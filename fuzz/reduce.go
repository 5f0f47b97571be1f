package fuzz

import (
	"context"
	"fmt"
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// Reduced is what came of making a failure smaller, or is known so far.
type Reduced struct {
	Failure    *Report // the smallest; the failure itself if there is no smaller one
	From, To   Size
	Executions int
	Ended      bool // nothing more could go; else the executions or the time were used up
}

// A Size is how much there is to read in a failure: threads of the script, its
// operations, those of setup too, and in the schedule the preemptions, decisions
// that took the turn from a thread which could have gone on.
type Size struct {
	Threads     int `json:"threads"`
	Operations  int `json:"operations"`
	Preemptions int `json:"preemptions"`
}

func (s Size) String() string {
	return plural(s.Threads, "thread") + ", " + plural(s.Operations, "operation") + ", " + plural(s.Preemptions, "preemption")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Reduce is [Shrink] for a failure that an [Exploration] has found: it looks for a
// smaller script, and for a plainer schedule of it, that break the same property.
// What is returned has a schedule too, from which [Replay] makes it again. The
// scheduler of the options is not asked.
//
// A smaller script counts if one of a few executions fails: the old schedule is
// tried, as far as it fits, and then some that are drawn, always the same ones.
// Of the schedule those decisions go that are not needed for the failure, and then
// it is looked for with fewer preemptions, beginning with none.
//
// Most is how many executions may be made; the first is that of the failure itself.
// By that alone the same failure always becomes the same; only the end of the
// context, or a history that is searched for a second, can make a difference.
// Progress, if not nil, is told now and then how far it is.
func Reduce(ctx context.Context, r *Report, o Options, most int, progress func(Reduced)) Reduced {
	x, again := newReduction(ctx, r, o, most, progress)
	for searched := 0; again && !x.over(); {
		shorter, plainer := x.shorten(searched), x.straighten()
		if shorter || plainer {
			continue
		}
		if searched > 0 {
			x.out.Ended = !x.over()
			break
		}
		searched = searchedLast
	}
	return x.out
}

const (
	// drawnTries is how many schedules are drawn for a smaller script.
	drawnTries = 24
	// drawnSeed is the seed of each draw: a script is tried alike wherever it
	// comes up.
	drawnSeed = 1
	// searchedLast is how many executions of a smaller script are searched, when
	// drawing finds none any more. The old schedule may need one preemption at one
	// point: without an operation that came before, it misses it, and so do those
	// that are drawn; but scripts are small by then and have few points.
	searchedLast = 300
	// searchedPlain is how many executions of a script are searched for one with so
	// many preemptions; a small script has no more with one, or with two.
	searchedPlain = 2000
)

// newReduction makes the failure once more, and reports whether it failed again.
func newReduction(ctx context.Context, r *Report, o Options, most int, progress func(Reduced)) (x *reduction, again bool) {
	x = &reduction{ctx: ctx, o: o, property: r.Finding.Property, most: most, progress: progress}
	x.out.Failure = r
	if r.Script.Schedule == nil { // no one execution shows it
		x.out.From = Size{Threads: len(r.Script.Threads), Operations: r.Script.Ops()}
		x.out.To, x.out.Ended = x.out.From, true
		return x, false
	}
	x.o.Choices = r.Script.Schedule.Choices
	first := &tour{Scheduler: sched.NewReplay(r.Script.Schedule.Decisions)}
	failed, _ := x.once(r.Script, first)
	x.out.From = sizeOf(r, first)
	x.out.To, x.plan = x.out.From, first.made
	return x, failed != nil
}

type reduction struct {
	ctx      context.Context
	o        Options
	property string
	most     int
	progress func(Reduced)

	out  Reduced
	plan []detour // of the smallest
}

func (x *reduction) over() bool { return x.out.Executions >= x.most || x.ctx.Err() != nil }

// once carries a script out, and returns the report if it fails as it should. None
// says that there was no execution left to be made.
func (x *reduction) once(s *script.Script, t *tour) (r *Report, none bool) {
	first := x.out.Executions == 0 // or the size of the failure would not be known
	if x.over() && !first || !t.Begin() {
		return nil, true
	}
	x.out.Executions++
	if x.progress != nil && x.out.Executions%8 == 0 {
		x.progress(x.out)
	}
	o := x.o
	o.Scheduler = &sched.Recorded{Scheduler: t}
	r = Run(s, o)
	if r.Finding == nil || r.Finding.Property != x.property {
		return nil, false
	}
	return r, false
}

// take makes a failure the smallest.
func (x *reduction) take(r *Report, t *tour) {
	x.out.Failure, x.out.To, x.plan = r, sizeOf(r, t), t.made
}

func sizeOf(r *Report, t *tour) Size {
	return Size{len(r.Script.Threads), r.Script.Ops(), t.preemptions}
}

// shorten makes the script smaller. So many executions of each one are searched
// when none that was drawn fails.
func (x *reduction) shorten(searched int) (shorter bool) {
	descend(x.out.Failure, x.over, func(s *script.Script) *Report {
		pct, random := sched.NewPCT(3, drawnSeed), sched.NewRandom(drawnSeed)
		for i := range 1 + drawnTries {
			// Choices are drawn too in some, or where they have moved they would not be found.
			t := &tour{plan: x.plan, planned: i%4 < 2}
			switch {
			case i == 0:
			case i%2 == 1:
				t.Scheduler = pct
			default:
				t.Scheduler = random
			}
			if r, _ := x.once(s, t); r != nil {
				x.take(r, t)
				shorter = true
				return r
			}
		}
		r := x.search(s, x.out.To.Preemptions, searched)
		shorter = shorter || r != nil
		return r
	})
	return shorter
}

// search looks for the failure among executions with so many preemptions at most.
func (x *reduction) search(s *script.Script, preemptions, most int) *Report {
	search := sched.NewDFS(preemptions)
	for range most {
		t := &tour{Scheduler: search, plan: x.plan, planned: true}
		r, none := x.once(s, t)
		if r != nil {
			x.take(r, t)
			return r
		}
		if none {
			break
		}
	}
	return nil
}

// straighten makes the schedule plainer.
func (x *reduction) straighten() (plainer bool) {
	plainer = x.leaveOut()
	for n := range x.out.To.Preemptions {
		if x.search(x.out.Failure.Script, n, searchedPlain) != nil {
			x.leaveOut()
			return true
		}
	}
	return plainer
}

// leaveOut leaves detours out, many at a time and then each: Zeller and
// Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002.
func (x *reduction) leaveOut() (plainer bool) {
	for n := (len(x.plan) + 1) / 2; n > 0; {
		went := false
		for i := 0; i < len(x.plan) && !x.over(); {
			t := &tour{plan: slices.Delete(slices.Clone(x.plan), i, min(i+n, len(x.plan)))}
			// Without one detour another may preempt that did not.
			if r, _ := x.once(x.out.Failure.Script, t); r != nil && t.preemptions <= x.out.To.Preemptions {
				x.take(r, t)
				went = true
			} else {
				i += n
			}
		}
		plainer = plainer || went
		if n == 1 && !went {
			break
		}
		n = max(1, n/2)
	}
	return plainer
}
