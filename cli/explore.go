package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

const (
	generated = "generated" // in place of a scenario: drawn scripts
	standard  = "standard"  // the scenario that is explored if none is named
	allKept   = "all"       // in place of a scenario: each that is kept
	smallKept = "small"     // each that is small enough to be exhausted

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

// exploreFlags are the flags of explore.
type exploreFlags struct {
	strategies []string
	scheduler  string
	scenario   string
	schedules  int
	exhaust    bool
	workers    int
	seed       uint64
	out        string
	format     string
}

func (a *app) exploreVerb() *cobra.Command {
	var f exploreFlags
	cmd := &cobra.Command{
		Use:   "explore",
		Short: "try interleavings of a scenario one by one, on a virtual machine",
		Long: `Explore carries a scenario out on a virtual machine, in one execution after another:
one thread runs at a time, and at each point of the machine (a lock, an atomic, a
wakeup, ...) a scheduler decides which. So a rare interleaving is as near as any
other, and what is found replays. Each history is held against the specification;
a deadlock, a lost wakeup, a livelock, a panic, or two threads in one domain is a
finding too.

Scenarios are kept scripts, those that list prints, or a file; "all" are all that are
kept, one after another, and "small" those with at most three threads of at most three
operations; "generated" draws scripts, as check does. Schedulers: ` + strings.Join(sched.Names(), ", ") + `;
those after urw make every execution that they know of once, see --exhaust, and
dfs and delay say "complete" when there is none left.

What fails is saved, with its schedule: the verb replay shows the same execution.
A smaller one that is wrong in the same way is looked for, for half a minute at
most, and saved too: with fewer threads and operations, and with no more
preemptions than it takes, as far as was found.

How much was seen is said by the different outcomes (what every call answered, and who
sleeps at the end); by the pairs of points that two threads came to at one object,
one after the other; and, where executions are drawn, by an estimate of how likely the
next one has an outcome that none had: Good and Turing's, by how many came once.

All this is in one process, which a strategy may end, or hang by waiting for
something that the machine does not know.

Exit status: 0 no finding; 1 a strategy is wrong; 2 bad usage; 130 interrupted.`,
		Example: a.examples(
			"explore                                                 the scenario standard",
			"explore --scenario scan-against-delete --schedules 100000",
			"explore --scenario two-sleepers-one-event --scheduler dfs:2 --exhaust",
			"explore --scenario generated --scheduler pct:3 --strategies pcpu",
			"explore --scenario all --scheduler pct:3                each that is kept",
			"explore --scenario small --scheduler dfs:1 --exhaust    each to its end",
			"explore --strategies none                               a control"),
		Args: noArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON); err != nil {
			return err
		}
		switch {
		case f.schedules < 1 || f.schedules > 1e12:
			return usage(verb, "--schedules %d: want 1 to 1000000000000", f.schedules)
		case f.workers < 1 || f.workers > 1000:
			return usage(verb, "--workers %d: want 1 to 1000", f.workers)
		}
		if _, err := sched.New(f.scheduler, f.seed); err != nil {
			return usage(verb, "--scheduler: %v", err)
		}
		entries, err := a.find(verb, given(cmd, "strategies", f.strategies))
		if err != nil {
			return err
		}
		subjects, err := f.subjects(verb)
		if err != nil {
			return err
		}
		return a.explore(cmd.Context(), &f, entries, subjects)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.strategies, "strategies", nil, "strategies to explore, such as giant,pcpu; all if not given")
	fs.StringVar(&f.scenario, "scenario", standard, "a scenario, the file of a script, or one of "+strings.Join(inPlace, ", "))
	fs.StringVar(&f.scheduler, "scheduler", "random", "who decides: "+strings.Join(sched.Names(), ", "))
	fs.IntVar(&f.schedules, "schedules", 10_000, "executions to make of each scenario under each strategy")
	fs.BoolVar(&f.exhaust, "exhaust", false, "make all executions that the scheduler knows of, however many")
	fs.IntVar(&f.workers, "workers", 1, "executions that are made side by side; what is found does not depend on it")
	fs.Uint64Var(&f.seed, "seed", 1, "of the scheduler, and of the first drawn script")
	fs.StringVar(&f.out, "out", "failures", "folder for what is found")
	fs.StringVar(&f.format, "format", formatTable, "table or json")
	return cmd
}

// inPlace are the words that stand for other than one scenario.
var inPlace = []string{allKept, smallKept, generated}

// A subject is what is explored under each strategy.
type subject struct {
	name   string
	script *script.Script // nil: drawn ones
}

// subjects returns what --scenario stands for.
func (f *exploreFlags) subjects(verb string) ([]subject, error) {
	kept := fuzz.Scenarios()
	switch {
	case f.scenario == generated:
		return []subject{{generated, nil}}, nil
	case f.scenario == allKept || f.scenario == smallKept:
		var all []subject
		for _, name := range kept {
			s, err := fuzz.Scenario(name)
			if err != nil {
				return nil, err
			}
			if f.scenario == allKept || s.Small() {
				all = append(all, subject{name, s})
			}
		}
		return all, nil
	case slices.Contains(kept, f.scenario):
		s, err := fuzz.Scenario(f.scenario)
		return []subject{{f.scenario, s}}, err
	}
	if _, err := os.Stat(f.scenario); errors.Is(err, os.ErrNotExist) && filepath.Ext(f.scenario) == "" {
		_, err := pick(verb, "scenario", []string{f.scenario}, append(kept, inPlace...), func(s string) string { return s })
		return nil, err
	}
	s, err := readScript(verb, f.scenario)
	return []subject{{f.scenario, s}}, err
}

// exploration returns what explores a script, or drawn ones, under a strategy.
func (f *exploreFlags) exploration(e strategies.Entry, s *script.Script) fuzz.Exploration {
	x := fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name},
		Workers: f.workers,
		Most:    f.schedules,
		Scheduler: func(i int) sched.Scheduler {
			c, err := sched.New(f.scheduler, f.seed+uint64(i))
			if err != nil {
				panic("cli: " + err.Error()) // it has been looked at
			}
			return c
		},
	}
	if s == nil {
		x.Script = func(i int) *script.Script { return fuzz.Drawn(f.seed, i) }
		x.Each, x.Scripts = eachDrawn, (f.schedules+eachDrawn-1)/eachDrawn
		return x
	}
	x.Script = func(int) *script.Script { return s }
	x.Each, x.Scripts = eachKept, (f.schedules+eachKept-1)/eachKept
	c, _ := sched.New(f.scheduler, f.seed)
	if _, search := c.(sched.Search); search || f.exhaust {
		// The executions of a search follow from each other.
		x.Each, x.Scripts = f.schedules, 1
		if f.exhaust {
			x.Each, x.Most = 1<<60, 0
		}
	}
	return x
}

// An explored is what came of one strategy.
type explored struct {
	Strategy   string `json:"strategy"`
	Scenario   string `json:"scenario"`
	Scheduler  string `json:"scheduler"`
	Seed       uint64 `json:"seed"`
	Correct    bool   `json:"correct"`
	Complete   bool   `json:"complete,omitempty"`
	Executions int    `json:"executions"`
	Operations int    `json:"operations"`
	Outcomes   int    `json:"outcomes"`

	// Unseen is how likely an outcome is that has not been seen; of a search it
	// is not known.
	Unseen    *float64 `json:"unseen,omitempty"`
	Pairs     int      `json:"pairs"`
	Searched  int      `json:"searched,omitempty"`
	Undecided int      `json:"undecided,omitempty"`
	Seconds   float64  `json:"seconds"`
	Finding   string   `json:"finding,omitempty"`
	File      string   `json:"file,omitempty"` // the smallest
	Token     string   `json:"token,omitempty"`

	// How large what was found is, and what it was made smaller to.
	From *fuzz.Size `json:"from,omitempty"`
	To   *fuzz.Size `json:"to,omitempty"`
}

// explore explores each subject under one strategy after another, and stops none
// for another's sake.
func (a *app) explore(ctx context.Context, f *exploreFlags, entries []strategies.Entry, subjects []subject) error {
	bar := newBarOf(a.stderr, 16, 76)
	defer bar.clear()
	var all []*explored
	var wrong []*verdict
	parts := float64(len(subjects) * len(entries))
	for _, s := range subjects {
		for _, e := range entries {
			if ctx.Err() != nil {
				break
			}
			at := float64(len(all))
			one, v, err := a.exploreOne(ctx, f, e, s, func(done float64, what string) {
				done = (at + done) / parts
				bar.span(done, done, 0, e.Name+", "+what)
			})
			if err != nil {
				return err
			}
			if all = append(all, one); v != nil {
				wrong = append(wrong, v)
			}
		}
	}
	bar.clear()
	if f.format == formatJSON {
		enc := json.NewEncoder(a.stdout)
		for _, one := range all {
			if err := enc.Encode(one); err != nil {
				return err
			}
		}
	} else {
		printExplored(a.stdout, f, all, newPaint(a.stdout))
	}
	switch {
	case wrong != nil:
		return &wrongError{wrong}
	case ctx.Err() != nil:
		return errInterrupted
	}
	return nil
}

// exploreOne explores one subject under one strategy. The verdict is nil if nothing
// was found.
func (a *app) exploreOne(ctx context.Context, f *exploreFlags, e strategies.Entry, s subject, tell func(done float64, what string)) (*explored, *verdict, error) {
	x := f.exploration(e, s.script)
	begin := time.Now()
	drawn, told := f.draws(), begin
	x.Progress = func(known fuzz.Explored) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		estimate, of := known.Unseen(), f.schedules
		if f.exhaust {
			of = math.MaxInt
		}
		tell(float64(known.Executions)/float64(of), fmt.Sprintf("%s executions, %s/s, %s outcomes, %s unseen, %s pairs",
			commas(known.Executions), commas(int(float64(known.Executions)/time.Since(begin).Seconds())), commas(known.Outcomes),
			unseen(pointer(drawn, estimate)), commas(known.Pairs)))
	}
	got := x.Explore(ctx)
	one := &explored{
		Strategy: e.Name, Scenario: s.name, Scheduler: f.scheduler, Seed: f.seed, Correct: got.Failure == nil, Complete: got.Complete,
		Executions: got.Executions, Operations: got.Operations, Outcomes: got.Outcomes, Pairs: got.Pairs, Searched: got.Searched, Undecided: got.Undecided,
		Seconds: time.Since(begin).Seconds(),
	}
	one.Unseen = pointer(drawn, got.Unseen())
	if got.Err != nil {
		return nil, nil, fmt.Errorf("%s, %s: %w", e.Name, s.name, got.Err)
	}
	if f.scheduler == "dpor" {
		// A step of the machine may touch more than the object that it names, such
		// as the mail of a CPU.
		one.Complete = false
	}
	if got.Failure == nil {
		return one, nil, nil
	}
	small := reduced(ctx, got.Failure, x.Options, func(known fuzz.Reduced) { tell(1, "smaller, "+commas(known.Executions)) })
	v, err := a.wrongExecution(got.Failure, small, f.out)
	if err != nil {
		return nil, nil, err
	}
	a.tokenFor(ctx, v, got.Failure, s.name, x.Options)
	one.Finding, one.File, one.Token, one.From, one.To = v.Finding, v.Files[0], v.Token, &small.From, &small.To
	return one, v, nil
}

// draws reports whether the scheduler draws its executions, so that those which it
// has made tell of those which it has not.
func (f *exploreFlags) draws() bool {
	s, err := sched.New(f.scheduler, f.seed)
	_, search := s.(sched.Search)
	return err == nil && !search
}

func pointer(known bool, x float64) *float64 {
	if !known {
		return nil
	}
	return &x
}

// unseen writes an estimate of what has not been seen; nil is none.
func unseen(share *float64) string {
	switch {
	case share == nil:
		return "–"
	case *share > 0 && *share < 0.0001:
		return "<0.01 %"
	}
	return fmt.Sprintf("%.2f %%", 100**share)
}

// reduced makes a failure smaller.
func reduced(ctx context.Context, r *fuzz.Report, o fuzz.Options, progress func(fuzz.Reduced)) fuzz.Reduced {
	ctx, cancel := context.WithTimeout(ctx, reduceTime)
	defer cancel()
	return fuzz.Reduce(ctx, r, o, reduceMost, progress)
}

// wrongExecution saves an execution with a finding, behind it what that was before
// it was made smaller, and a picture of each if there is one.
func (a *app) wrongExecution(r *fuzz.Report, small fuzz.Reduced, folder string) (*verdict, error) {
	v := &verdict{Strategy: r.Strategy, Caught: byFinding, Finding: small.Failure.Finding.Error()}
	reports := []*fuzz.Report{small.Failure}
	if small.Failure != r {
		reports = append(reports, r)
		v.smaller = fmt.Sprintf("from %v to %v", small.From, small.To)
	}
	for _, r := range reports {
		name, err := r.Save(folder)
		if err != nil {
			return nil, fmt.Errorf("--out: the script cannot be saved: %w", err)
		}
		v.Files = append(v.Files, name)
		picture, err := drawn(name, r)
		if picture != "" {
			v.Files = append(v.Files, picture)
		}
		if err != nil {
			return nil, err
		}
	}
	v.Again = fmt.Sprintf("%s replay %s", a.program, v.Files[0])
	return v, nil
}

// printExplored prints what came of each, and last how fast it was.
func printExplored(w io.Writer, f *exploreFlags, all []*explored, p paint) {
	several := slices.ContainsFunc(all, func(one *explored) bool { return one.Scenario != all[0].Scenario })
	g := grid{{
		left("strategy"), left("verdict"), right("executions"), right("operations"), right("outcomes"), right("unseen"), right("pairs"),
		right("searched"), right("undecided"), right("seconds"), left(""),
	}}
	if several {
		g[0] = slices.Insert(g[0], 0, left("scenario"))
	}
	executions, took, last := 0, 0.0, ""
	for _, one := range all {
		executions += one.Executions
		took += one.Seconds
		word, complete := left("no finding"), ""
		if word.paint = p.green; !one.Correct {
			word = left("wrong")
			word.paint = p.red
		}
		if one.Complete {
			complete = "complete"
		}
		row := []cell{
			left(one.Strategy), word, right(commas(one.Executions)), right(commas(one.Operations)), right(commas(one.Outcomes)),
			right(unseen(one.Unseen)), right(commas(one.Pairs)), right(commas(one.Searched)), right(commas(one.Undecided)), right(fmt.Sprintf("%.1f", one.Seconds)), left(complete),
		}
		if several {
			name := one.Scenario
			if name == last {
				name = ""
			}
			last = one.Scenario
			row = slices.Insert(row, 0, left(name))
		}
		g = append(g, row)
	}
	fmt.Fprintf(w, "%s  %s, scheduler %s, seed %d\n", p.bold("Explored"), f.scenario, f.scheduler, f.seed)
	g.print(w, p)
	for _, line := range wrap("outcomes: different histories, by what was answered. unseen: how likely the next execution has another, "+
		"estimated by how many came once. pairs: of points that two threads came to at one object, one after the other.", 98) {
		fmt.Fprintln(w, p.dim(line))
	}
	fmt.Fprintf(w, "%s executions/s\n", commas(int(float64(executions)/max(took, 1e-9))))
}
