package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// A survey explores all kept scenarios in a given time, a few executions of each at a
// time: some of the small ones to their end, and all by drawing.

const (
	surveyEach    = 25      // executions of a scenario in a row
	surveyExhaust = "dfs:2" // what is made to its end
	// faultSurvey is how long a planted fault is surveyed; most are found in some tens
	// of executions.
	faultSurvey = 500 * time.Millisecond
)

// surveyDrawers take turns.
var surveyDrawers = []string{"pct:3", "random"}

// A surveyed strategy is what came of its survey.
type surveyed struct {
	Executions int     `json:"executions"`
	Scenarios  int     `json:"scenarios"`          // explored
	Complete   int     `json:"complete,omitempty"` // to their end at two preemptions
	Seconds    float64 `json:"seconds"`

	// The same survey of planted faults, those that were caught and all.
	Caught  int `json:"caught"`
	Planted int `json:"planted"`
}

// surveying carries an order out in this process.
func surveying(ctx context.Context, w io.Writer, e strategies.Entry, o *order) error {
	var all []*script.Script
	for _, name := range fuzz.Scenarios() {
		s, err := fuzz.Scenario(name)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	begin := time.Now()
	enc := json.NewEncoder(w)
	p := &progress{Surveyed: &surveyed{}}
	told := time.Time{}
	tell := func() {
		if p.Surveyed.Seconds = time.Since(begin).Seconds(); time.Since(told) > tellEvery {
			told = time.Now()
			enc.Encode(p) // who cannot write to its parent has none
		}
	}
	x := fuzz.Exploration{Options: fuzz.Options{New: e.New, Strategy: e.Name}, Scripts: 1}
	var failure *fuzz.Report
	explore := func(ctx context.Context, s *script.Script, scheduler string, seed uint64, each int) (complete bool) {
		before := *p
		x.Script, x.Each = func(int) *script.Script { return s }, each
		x.Scheduler = func(int) sched.Scheduler {
			c, err := sched.New(scheduler, seed)
			if err != nil {
				panic("cli: " + err.Error()) // it is one of ours
			}
			return c
		}
		count := func(got fuzz.Explored) {
			p.Surveyed.Executions = before.Rounds + got.Executions
			p.Rounds, p.Operations = p.Surveyed.Executions, before.Operations+uint64(got.Operations)
			tell()
		}
		x.Progress = count
		got := x.Explore(ctx)
		count(got)
		failure = got.Failure
		return got.Complete
	}
	if o.Exhaust {
		small := slices.DeleteFunc(slices.Clone(all), func(s *script.Script) bool { return !s.Small() })
		slices.SortStableFunc(small, func(a, b *script.Script) int { return cmp.Compare(ops(a), ops(b)) })
		half := begin.Add(o.Budget / 2)
		for _, s := range small {
			left := time.Until(half)
			if ctx.Err() != nil || failure != nil || left <= 0 {
				break
			}
			some, cancel := context.WithTimeout(ctx, min(left, o.Budget/8)) // not all of it for one
			if explore(some, s, surveyExhaust, 0, 1<<40) {
				p.Surveyed.Complete++
			}
			cancel()
		}
	}
	until, cancel := context.WithTimeout(ctx, o.Budget-time.Since(begin))
	defer cancel()
	for round := 0; failure == nil && until.Err() == nil; round++ {
		for i, s := range all {
			if explore(until, s, surveyDrawers[round%len(surveyDrawers)], o.Seed+uint64(round)<<32, surveyEach); failure != nil || until.Err() != nil {
				break
			}
			p.Surveyed.Scenarios = max(p.Surveyed.Scenarios, i+1)
		}
	}
	if failure != nil {
		small := fuzz.Reduced{Failure: failure}
		if o.Folder != "" {
			small = reduced(ctx, failure, x.Options, func(fuzz.Reduced) { tell() })
		}
		p.Finding = small.Failure.Finding.Error()
		p.save(failure, small.Failure, x.Options, o.Folder)
	}
	p.Surveyed.Seconds = time.Since(begin).Seconds()
	if err := enc.Encode(p); err != nil {
		return err
	}
	if failure != nil {
		os.Exit(exitWrong)
	}
	return nil
}

// ops counts the operations of the threads.
func ops(s *script.Script) (n int) {
	for _, t := range s.Threads {
		n += len(t.Ops)
	}
	return n
}

// survey explores the strategies that no campaign has caught, and first the planted
// faults in the same way. What is found is in the verdicts.
func (a *app) survey(ctx context.Context, verdicts []*verdict, seed uint64, budget time.Duration, out string, tell func(done float64, what string)) error {
	begin := time.Now()
	caught := 0
	for i, f := range broken.All {
		tell(0.5*float64(i)/float64(len(broken.All)), "explore controls")
		v, err := a.try(ctx, f.Entry, order{Work: workSurvey, Strategy: plantedPrefix + f.Name, Seed: seed, Budget: faultSurvey})
		if err != nil || v.Unfinished {
			return err
		}
		if !v.Correct {
			caught++
		}
	}
	right := slices.DeleteFunc(slices.Clone(verdicts), func(v *verdict) bool { return v.Control || !v.Correct })
	for i, v := range right {
		share := max(faultSurvey, (budget-time.Since(begin))/time.Duration(len(right)-i))
		tell(0.5+0.5*float64(i)/float64(len(right)), "explore "+v.Strategy)
		got, err := a.try(ctx, strategies.Entry{Name: v.Strategy}, order{
			Work: workSurvey, Strategy: v.Strategy, Seed: seed, Budget: share, Exhaust: true, Folder: out,
		})
		if err != nil {
			return err
		}
		if got.Unfinished {
			v.Unfinished, v.Correct = true, false
			return nil
		}
		if v.Surveyed = got.Surveyed; v.Surveyed == nil { // it did not come to say a word
			v.Surveyed = &surveyed{}
		}
		v.Surveyed.Caught, v.Surveyed.Planted = caught, len(broken.All)
		if !got.Correct {
			v.Correct, v.Caught, v.Finding, v.output = false, got.Caught, got.Finding, got.output
			v.Files = append(v.Files, got.Files...)
			v.Again = fmt.Sprintf("%s explore --strategies %s --scenario all --scheduler pct:3 --seed %d", a.program, v.Strategy, seed)
			v.unsaved = got.unsaved
			if got.shown {
				v.Again = fmt.Sprintf("%s replay %s", a.program, got.Files[0])
			}
		}
	}
	return nil
}

// printSurvey prints what was explored of each strategy, and what the same caught.
func printSurvey(w io.Writer, verdicts []*verdict, p paint) {
	g := grid{{
		left("strategy"), left("verdict"), right("executions"), right("executions/s"), right("scenarios"), right("complete"), left("why to believe it"),
	}}
	for _, v := range verdicts {
		if v.Surveyed == nil {
			continue
		}
		word := left("no finding")
		if word.paint = p.green; !v.Correct {
			word = left(v.word())
			word.paint = p.red
		}
		x := v.Surveyed
		g = append(g, []cell{
			left(v.Strategy), word, right(commas(x.Executions)), right(commas(x.speed())),
			right(commas(x.Scenarios)), right(commas(x.Complete)), left("the same " + x.why()),
		})
	}
	if len(g) == 1 {
		return
	}
	fmt.Fprintln(w, "\n"+p.bold("Exploration")+"  kept scenarios on a virtual machine, by "+strings.Join(surveyDrawers, " and ")+", and small ones by "+surveyExhaust)
	g.print(w, p)
	fmt.Fprintln(w, p.dim("complete: scenarios of which all executions with up to two preemptions were made"))
}

// why says what there is to believe a survey by.
func (x *surveyed) why() string { return fmt.Sprintf("caught %d of %d faults", x.Caught, x.Planted) }

// speed is how many executions were made a second.
func (x *surveyed) speed() int { return int(float64(x.Executions) / max(x.Seconds, 1e-3)) }
