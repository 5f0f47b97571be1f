package cli

import (
	"cmp"
	"context"
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
)

const (
	placementHome  = "home"
	placementDrawn = "drawn"

	generated = "generated" // in place of a scenario: drawn scripts
	standard  = "standard"  // the scenario that is explored if none is named
	allKept   = "all"       // in place of a scenario: each that is kept
	smallKept = "small"     // each that is small enough to be exhausted
)

// exploreFlags are the flags of explore.
type exploreFlags struct {
	strategies []string
	scheduler  string
	scenario   string
	schedules  int
	exhaust    bool
	placement  string
	spurious   int
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
with it they say "complete" when there is none left.

Besides who goes on a scheduler may choose the CPU on which each object is placed, or
all that one thread makes are on one, and sleeps that end with no wakeup, after which
the sleeper must look again. A search makes each choice: --placement drawn has it make
many times as many executions.

What fails is saved, with its schedule and a page that shows it step by step: the verb
replay shows the same execution.
A smaller one that is wrong in the same way is looked for, for half a minute at
most, and saved too: with fewer threads and operations, and with no more
preemptions than it takes, as far as was found.

How much was seen is said by the different outcomes (what every call answered, and who
sleeps at the end); by the pairs of points that two threads came to at one object,
one after the other; and, where executions are drawn, by an estimate of how likely the
next one has an outcome that none had: Good and Turing's, by how many came once. A
scenario says what must come about sometimes, or it does not show what it is for: it is
said how much of that did, and what did not; that is no finding, since more executions
may come to it.

Each strategy is explored in a process of its own, so one that crashes, or hangs by
waiting for something that the machine does not know, is caught too. Planted faults,
such as check tries, may be named as strategies, and must be caught.

Exit status: 0 no finding; 1 a strategy is wrong; 2 bad usage; 130 interrupted.`,
		Example: a.examples(
			"explore                                                 the scenario standard",
			"explore --scenario scan-against-delete --schedules 100000",
			"explore --scenario two-sleepers-one-event --scheduler dfs:2 --exhaust",
			"explore --scenario generated --scheduler pct:3 --strategies pcpu",
			"explore --scenario all --scheduler pct:3                each that is kept",
			"explore --scenario small --scheduler dfs:1 --exhaust    each to its end",
			"explore --scenario all --spurious 2                     sleeps may end with no wakeup",
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
		case f.spurious < 0 || f.spurious > script.MaxSpurious:
			return usage(verb, "--spurious %d: want 0 to %d", f.spurious, script.MaxSpurious)
		case f.workers < 1 || f.workers > 1000:
			return usage(verb, "--workers %d: want 1 to 1000", f.workers)
		}
		c, err := sched.New(f.scheduler, f.seed)
		if err != nil {
			return usage(verb, "--scheduler: %v", err)
		}
		if _, search := c.(sched.Search); f.exhaust && !search {
			return usage(verb, "--exhaust with --scheduler %s, which draws without an end: want one that searches, such as dfs:2", f.scheduler)
		}
		switch f.placement {
		case placementHome, placementDrawn:
		case "":
			if o := f.order("", subject{}); o.draws() {
				f.placement = placementDrawn
			}
		default:
			return usage(verb, "--placement %q: want %s or %s", f.placement, placementHome, placementDrawn)
		}
		entries, err := a.findPlanted(verb, given(cmd, "strategies", f.strategies))
		if err != nil {
			return err
		}
		subjects, err := f.subjects(verb)
		if err != nil {
			return err
		}
		if f.exhaust && f.scenario == generated {
			return usage(verb, "--exhaust with --scenario %s, of which there is no end: want a scenario, or --schedules", generated)
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
	fs.StringVar(&f.placement, "placement", "", "CPU of each object: "+placementHome+", that of the thread which makes it, or "+placementDrawn+"; "+placementDrawn+" if executions are")
	fs.IntVar(&f.spurious, "spurious", 0, "sleeps of an execution that may end with no wakeup, at most")
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
	script string // the text of a file; empty if the name is that of what is kept or drawn
}

// most is how long the text of a script may be that a process is told of.
const most = 100_000

// subjects returns what --scenario stands for.
func (f *exploreFlags) subjects(verb string) ([]subject, error) {
	kept := fuzz.Scenarios()
	switch {
	case f.scenario == generated:
		return []subject{{generated, ""}}, nil
	case f.scenario == allKept || f.scenario == smallKept:
		var all []subject
		for _, name := range kept {
			s, err := fuzz.Scenario(name)
			if err != nil {
				return nil, err
			}
			if f.scenario == allKept || s.Small() {
				all = append(all, subject{name: name})
			}
		}
		return all, nil
	case slices.Contains(kept, f.scenario):
		return []subject{{name: f.scenario}}, nil
	}
	if _, err := os.Stat(f.scenario); errors.Is(err, os.ErrNotExist) && filepath.Ext(f.scenario) == "" {
		_, err := pick(verb, "scenario", []string{f.scenario}, append(kept, inPlace...), func(s string) string { return s })
		return nil, err
	}
	s, err := readScript(verb, f.scenario)
	if err != nil {
		return nil, err
	}
	text := s.String()
	if len(text) > most {
		return nil, usage(verb, "--scenario %s: a script of %d bytes: want at most %d to explore", f.scenario, len(text), most)
	}
	return []subject{{f.scenario, text}}, nil
}

// order is what a process is told that explores a subject.
func (f *exploreFlags) order(name string, s subject) order {
	return order{
		Work: workExplore, Strategy: name, Seed: f.seed, Workers: f.workers, Folder: f.out,
		Scenario: s.name, Script: s.script, Scheduler: f.scheduler, Schedules: f.schedules, Exhaust: f.exhaust,
		Placement: f.placement == placementDrawn, Spurious: f.spurious,
	}
}

// An explored is what came of a subject under one strategy, or is known so far.
type explored struct {
	Strategy   string `json:"strategy"`
	Scenario   string `json:"scenario"`
	Scheduler  string `json:"scheduler"`
	Seed       uint64 `json:"seed"`
	Correct    bool   `json:"correct"`
	Unfinished bool   `json:"unfinished,omitempty"`
	Caught     string `json:"caught,omitempty"` // how, as of a verdict
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
	Sometimes int      `json:"sometimes,omitempty"` // what the scenario says must come about sometimes
	Missed    []string `json:"missed,omitempty"`    // and did not
	Seconds   float64  `json:"seconds"`
	Finding   string   `json:"finding,omitempty"`
	File      string   `json:"file,omitempty"` // the smallest
	Token     string   `json:"token,omitempty"`
	Doing     string   `json:"doing,omitempty"` // of progress: what is being done, if not what is mostly

	// How large what was found is, and what it was made smaller to.
	From *fuzz.Size `json:"from,omitempty"`
	To   *fuzz.Size `json:"to,omitempty"`
}

// explore explores each subject under one strategy after another, and stops none
// for another's sake.
func (a *app) explore(ctx context.Context, f *exploreFlags, entries []planted, subjects []subject) error {
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
			one, v, err := a.exploreOne(ctx, e, f.order(e.order, s), func(done float64, what string) {
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
		if err := writeLines(a.stdout, all); err != nil {
			return err
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

// exploreOne has a process explore one subject under one strategy. The verdict is nil
// if nothing was found.
func (a *app) exploreOne(ctx context.Context, e planted, o order, tell func(done float64, what string)) (*explored, *verdict, error) {
	begin := time.Now()
	v, err := a.tryTold(ctx, e.Entry, o, func(p *progress) {
		x := p.Explored
		if x == nil {
			return
		}
		of := float64(o.Schedules)
		if o.Exhaust {
			of = math.Inf(1)
		}
		tell(min(1, float64(x.Executions)/of), cmp.Or(x.Doing, fmt.Sprintf("%s executions, %s/s, %s outcomes, %s unseen, %s pairs",
			commas(x.Executions), commas(int(float64(x.Executions)/max(x.Seconds, 1e-3))), commas(x.Outcomes), unseen(x.Unseen), commas(x.Pairs))))
	})
	if err != nil {
		return nil, nil, err
	}
	one := v.execs
	if one == nil { // it did not come to say a word
		one = &explored{Seconds: time.Since(begin).Seconds()}
	}
	one.Strategy, one.Scenario, one.Scheduler, one.Seed, one.Doing = e.Name, o.Scenario, o.Scheduler, o.Seed, ""
	one.Correct, one.Unfinished, one.Caught, one.Finding = v.Correct, v.Unfinished, v.Caught, v.Finding
	if one.Token = v.Token; len(v.Files) > 0 {
		one.File = v.Files[0]
	}
	if v.Correct || v.Unfinished {
		return one, nil, nil
	}
	if one.From != nil && *one.From != *one.To {
		v.smaller = fmt.Sprintf("from %v to %v", one.From, one.To)
	}
	if v.shown {
		v.Again = fmt.Sprintf("%s replay %s", a.program, one.File)
	} else {
		v.Again = a.program + " " + o.command(e.Name)
	}
	return one, v, nil
}

// command is the verb and flags that have a strategy explored as the order says.
func (o *order) command(strategy string) string {
	text := fmt.Sprintf("explore --strategies %s --scenario %s --scheduler %s --seed %d", strategy, o.Scenario, o.Scheduler, o.Seed)
	if o.Exhaust {
		text += " --exhaust"
	} else {
		text += fmt.Sprint(" --schedules ", o.Schedules)
	}
	switch {
	case o.Placement == o.draws():
	case o.Placement:
		text += " --placement " + placementDrawn
	default:
		text += " --placement " + placementHome
	}
	if o.Spurious > 0 {
		text += fmt.Sprint(" --spurious ", o.Spurious)
	}
	return text
}

// sometimes is the cell of how much has come about that must.
func (x *explored) sometimes(p paint) cell {
	if x.Sometimes == 0 {
		return right("–")
	}
	c := right(fmt.Sprintf("%d/%d", x.Sometimes-len(x.Missed), x.Sometimes))
	if x.Missed != nil && x.Correct {
		c.paint = p.red
	}
	return c
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

// choices says what else the scheduler decides; "" if nothing.
func (f *exploreFlags) choices() (words string) {
	if f.placement == placementDrawn {
		words = ", placement drawn"
	}
	if f.spurious > 0 {
		words += fmt.Sprintf(", up to %d spurious wakeups", f.spurious)
	}
	return words
}

// printExplored prints what came of each, and last how fast it was.
func printExplored(w io.Writer, f *exploreFlags, all []*explored, p paint) {
	several := slices.ContainsFunc(all, func(one *explored) bool { return one.Scenario != all[0].Scenario })
	g := grid{{
		left("strategy"), left("verdict"), right("executions"), right("operations"), right("outcomes"), right("unseen"), right("pairs"), right("sometimes"),
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
		switch word.paint = p.green; {
		case one.Unfinished:
			word = left("unfinished")
		case !one.Correct:
			word = left("wrong")
			word.paint = p.red
		}
		if one.Complete {
			complete = "complete"
		}
		row := []cell{
			left(one.Strategy), word, right(commas(one.Executions)), right(commas(one.Operations)), right(commas(one.Outcomes)),
			right(unseen(one.Unseen)), right(commas(one.Pairs)), one.sometimes(p), right(commas(one.Searched)), right(commas(one.Undecided)), right(fmt.Sprintf("%.1f", one.Seconds)), left(complete),
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
	fmt.Fprintf(w, "%s  %s, scheduler %s, seed %d%s\n", p.bold("Explored"), f.scenario, f.scheduler, f.seed, f.choices())
	g.print(w, p)
	for _, one := range all {
		for i, line := range one.Missed {
			if !one.Correct {
				break // what is wrong has ended it
			}
			if i == 0 {
				fmt.Fprintf(w, "%s under %s did not come to what the scenario is for, in %s:\n", one.Scenario, one.Strategy, plural(one.Executions, "execution"))
			}
			fmt.Fprintln(w, "  "+line)
		}
	}
	for _, line := range wrap("outcomes: different histories, by what was answered. unseen: how likely the next execution has another, "+
		"estimated by how many came once. pairs: of points that two threads came to at one object, one after the other. "+
		"sometimes: how much has come about of what the scenario says must.", 98) {
		fmt.Fprintln(w, p.dim(line))
	}
	fmt.Fprintf(w, "%s executions/s\n", commas(int(float64(executions)/max(took, 1e-9))))
}
