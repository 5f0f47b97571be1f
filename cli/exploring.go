package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// What a process does that explores one subject under one strategy.

const (
	// Of a drawn script so many executions are made before the next is drawn;
	// of a scenario so many by one worker in a row.
	eachDrawn, eachKept = 5, 100

	// What fails is made smaller in at most so many executions, which are enough
	// for most and take some seconds; more time than that is for a strategy that
	// hangs now and then, each time until a livelock is seen.
	reduceMost = 20_000
	reduceTime = 30 * time.Second

	tellEvery = 100 * time.Millisecond // of progress
)

// subject returns the script of an order, nil for drawn ones.
func (o *order) subject() (*script.Script, error) {
	switch {
	case o.Scenario == generated:
		return nil, nil
	case o.Script != "":
		return script.Parse(o.Scenario, o.Script)
	}
	return fuzz.Scenario(o.Scenario)
}

// fits returns what is wrong with an order to explore, or nil.
func (o *order) fits() error {
	if _, err := sched.New(o.Scheduler, o.Seed); err != nil {
		return err
	}
	_, err := o.subject()
	return err
}

// exploration returns what explores a script, or drawn ones, under a strategy.
func (o *order) exploration(e strategies.Entry, s *script.Script) fuzz.Exploration {
	x := fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name, Choices: script.Choices{Placement: o.Placement, Spurious: o.Spurious}},
		Workers: o.Workers,
		Most:    o.Schedules,
		Scheduler: func(i int) sched.Scheduler {
			// Far from each other, or the next seed of a user would repeat all but
			// one of these.
			c, err := sched.New(o.Scheduler, o.Seed+uint64(i)<<32)
			if err != nil {
				panic("cli: " + err.Error()) // fits has looked at it
			}
			return c
		},
	}
	if s == nil {
		x.Script = func(i int) *script.Script { return fuzz.Drawn(o.Seed, i) }
		x.Each, x.Scripts = eachDrawn, (o.Schedules+eachDrawn-1)/eachDrawn
		return x
	}
	x.Script = func(int) *script.Script { return s }
	x.Each, x.Scripts = eachKept, (o.Schedules+eachKept-1)/eachKept
	c, _ := sched.New(o.Scheduler, o.Seed)
	if _, search := c.(sched.Search); search || o.Exhaust {
		// The executions of a search follow from each other.
		x.Each, x.Scripts = o.Schedules, 1
		if o.Exhaust {
			x.Each, x.Most = 1<<60, 0
		}
	}
	return x
}

// exploring carries an order out in this process.
func exploring(ctx context.Context, w io.Writer, e strategies.Entry, o *order) error {
	s, err := o.subject()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	x := o.exploration(e, s)
	begin, told := time.Now(), time.Time{}
	drawn, found := o.draws(), ""
	tell := func(known *fuzz.Explored, doing string) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		p := newExploring(known, drawn, begin, doing)
		p.Finding = found
		enc.Encode(p) // who cannot write to its parent has none
	}
	tell(&fuzz.Explored{}, "")
	x.Progress = func(known fuzz.Explored) { tell(&known, "") }
	got := x.Explore(ctx)
	told = time.Time{}
	tell(&got, "")
	p := newExploring(&got, drawn, begin, "")
	p.Explored.Complete = got.Complete
	for _, r := range got.Sometimes {
		p.Explored.Sometimes++
		if !r.Reached {
			p.Explored.Missed = append(p.Explored.Missed, r.Sometimes.String())
		}
	}
	if got.Failure != nil {
		// It is known from now on, also if that takes too long for somebody.
		found, told = got.Failure.Finding.Error(), time.Time{}
		tell(&got, "smaller")
		small := reduced(ctx, got.Failure, x.Options, func(known fuzz.Reduced) {
			tell(&got, "smaller, "+commas(known.Executions)+" executions")
		})
		p.Finding, p.Explored.From, p.Explored.To = small.Failure.Finding.Error(), &small.From, &small.To
		p.Token, p.NoToken = tokenOf(ctx, got.Failure, o.Scenario, x.Options)
		p.save(got.Failure, small.Failure, x.Options, o.Folder)
	}
	if err := enc.Encode(p); err != nil {
		return err
	}
	if p.Finding != "" {
		os.Exit(exitWrong)
	}
	return nil
}

// newExploring says what is known of an exploration.
func newExploring(known *fuzz.Explored, drawn bool, begin time.Time, doing string) *progress {
	x := &explored{
		Executions: known.Executions, Operations: known.Operations, Outcomes: known.Outcomes, Pairs: known.Pairs,
		Searched: known.Searched, Undecided: known.Undecided, Seconds: time.Since(begin).Seconds(), Doing: doing,
	}
	if u := known.Unseen(); drawn {
		x.Unseen = &u
	}
	return &progress{tallies: tallies{Rounds: known.Executions, Operations: uint64(known.Operations)}, Explored: x}
}

// draws reports whether the scheduler draws its executions, so that those which it
// has made tell of those which it has not.
func (o *order) draws() bool {
	s, err := sched.New(o.Scheduler, o.Seed)
	_, search := s.(sched.Search)
	return err == nil && !search
}

// reduced makes a failure smaller.
func reduced(ctx context.Context, r *fuzz.Report, o fuzz.Options, progress func(fuzz.Reduced)) fuzz.Reduced {
	ctx, cancel := context.WithTimeout(ctx, reduceTime)
	defer cancel()
	return fuzz.Reduce(ctx, r, o, reduceMost, progress)
}

// save saves an execution with a finding, behind it what that was before it was made
// smaller, and a page of each. What cannot be saved is said beside the finding.
func (p *progress) save(r, small *fuzz.Report, o fuzz.Options, folder string) {
	if folder == "" {
		return
	}
	reports := []*fuzz.Report{small}
	if small != r {
		reports = append(reports, r)
	}
	for i, r := range reports {
		// Its turns are moved by no edit elsewhere. Where they do not say it all the
		// decisions do, as long as nothing is edited.
		if turning, err := r.Turning(o); err == nil {
			r = turning
		}
		name, err := r.Save(folder)
		if err != nil {
			p.Unsaved = fmt.Sprintf("--out: the script cannot be saved: %v", err)
			return
		}
		p.Files = append(p.Files, name)
		picture, shown, err := drawnExecution(name, r, o)
		if picture != "" {
			p.Files = append(p.Files, picture)
		}
		if err != nil {
			p.Unsaved = err.Error()
		}
		if i == 0 {
			p.Shown = shown
		}
	}
}
