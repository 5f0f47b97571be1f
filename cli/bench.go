package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/strategies"
)

// goalsName is the argument of bench that prints the goals.
const goalsName = "goals"

// checkFirst is how long bench tries a strategy before it measures it.
const checkFirst = 300 * time.Millisecond

func (a *app) benchVerb() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "bench WORKLOAD... | goals",
		Short: "measure what strategies cost on some workloads",
		Long: `Bench measures strategies on the workloads named. All strategies and references
take turns in rounds; printed are the median of the rounds and the spread.

The argument goals runs what the project's goals are stated on and prints for
each how far it is reached.

Each strategy is tried for a moment first, in a process of its own, since
figures of a wrong one mean nothing; what is found wrong is not measured.

Exit status: 0 all right; 1 a strategy is wrong; 2 bad usage; 130 interrupted
(what was measured is written, marked partial).`,
		Args: cobra.ArbitraryArgs,
		Example: a.examples(
			"bench single                             one workload, all strategies",
			"bench --format json single pipetest      records, for programs",
			"bench --strategies giant,pcpu disjoint   two strategies",
			"bench --format bench single > new.txt    for benchstat",
			"bench goals                              how far the goals are reached"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON, formatBench); err != nil {
			return err
		}
		if f.budget != 0 {
			if err := checkBudget(cmd, f.budget); err != nil {
				return err
			}
		}
		goals := false
		var names []string
		for _, n := range args {
			if n == goalsName {
				goals = true
			} else {
				names = append(names, n)
			}
		}
		all := bench.Workloads()
		var workloads []*bench.Workload
		switch {
		case len(args) == 0:
			return usage(verb, "no workload named\nvalid: %s", strings.Join(append(workloadNames(all), goalsName), ", "))
		case goals && names == nil:
			workloads = all
		default:
			var err error
			if workloads, err = pickWorkloads(verb, names, goalsName); err != nil {
				return err
			}
		}
		entries, err := a.find(verb, f.strategyNames(cmd))
		if err != nil {
			return err
		}
		rep, err := a.openReport(cmd, f.out)
		if err != nil {
			return err
		}
		defer rep.abandon()
		r := &result{app: a, seed: f.seed, began: time.Now(), workloads: workloads}
		bar := newBar(a.stderr)
		defer bar.clear()

		ctx := cmd.Context()
		for _, e := range entries {
			bar.span(0, 0.05, checkFirst, "stress "+e.Name)
			v, err := a.try(ctx, e, order{Work: workStress, Strategy: e.Name, Seed: f.seed, Budget: checkFirst})
			if err != nil {
				return err
			}
			r.verdicts = append(r.verdicts, v)
			if v.Unfinished {
				break
			}
		}
		r.measure(ctx, bar, 0.05, entries, f.budget)
		bar.clear()
		if goals {
			r.goals = bench.Goals(r.records)
		}
		if err := r.print(f.format, judge(r.verdicts) != nil); err != nil {
			return err
		}
		if err := rep.write(r); err != nil {
			return err
		}
		return r.outcome()
	}
	f.add(cmd, 0, "time for all of it; 0 is some seconds for each workload", "")
	return cmd
}

// runFlags are the flags of the verbs that measure.
type runFlags struct {
	budget     time.Duration
	strategies []string
	workloads  []string
	out        string
	seed       uint64
	format     string
}

func (f *runFlags) add(cmd *cobra.Command, budget time.Duration, budgetText, out string) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.DurationVar(&f.budget, "budget", budget, budgetText)
	fs.StringSliceVar(&f.strategies, "strategies", nil, "strategies to take, such as giant,pcpu; all if not given")
	if out == "" {
		fs.StringVar(&f.out, "out", "", "folder to write a report to; none if not given")
	} else {
		fs.StringVar(&f.out, "out", out, "folder to write the report to")
	}
	fs.Uint64Var(&f.seed, "seed", 1, "draws the scripts or the stress, and the order of the rounds")
	fs.StringVar(&f.format, "format", formatTable, "table, json or bench: what is printed")
}

// strategyNames tells the flag that was not given from the one given empty.
func (f *runFlags) strategyNames(cmd *cobra.Command) []string {
	return given(cmd, "strategies", f.strategies)
}

func given(cmd *cobra.Command, flag string, names []string) []string {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	if names == nil {
		return []string{}
	}
	return names
}

func workloadNames(all []*bench.Workload) []string {
	var names []string
	for _, w := range all {
		names = append(names, w.Name)
	}
	return names
}

// pickWorkloads finds workloads by name; the extra words are valid too where
// it is used, and named in its message.
func pickWorkloads(verb string, names []string, extra ...string) ([]*bench.Workload, error) {
	all := bench.Workloads()
	found, err := pick(verb, "workload", names, all, func(w *bench.Workload) string { return w.Name })
	var bad *usageError
	if errors.As(err, &bad) {
		for _, n := range extra {
			bad.text += ", " + n
		}
	}
	return found, err
}

// A result is what compare or bench has found out.
type result struct {
	app       *app
	seed      uint64
	began     time.Time
	workloads []*bench.Workload
	verdicts  []*verdict
	records   []bench.Record
	goals     []bench.Goal
	notes     []string // what was left out, and why
	partial   bool
	failed    *measureError // why measuring ended early, if not by an interrupt
}

// measure runs the workloads on those strategies of entries that no verdict
// speaks against. The bar goes from the given fraction to its end.
func (r *result) measure(ctx context.Context, b *bar, from float64, entries []strategies.Entry, budget time.Duration) {
	var right []strategies.Entry
	for _, e := range entries {
		for _, v := range r.verdicts {
			if v.Strategy == e.Name && v.Correct && !v.Control {
				right = append(right, e)
			}
		}
	}
	switch {
	case ctx.Err() != nil:
		r.partial = true
		return
	case len(right) == 0:
		r.notes = append(r.notes, "nothing measured: no strategy is right")
		return
	}
	recs, err := bench.Run(ctx, bench.Options{
		Strategies: right,
		Workloads:  r.workloads,
		Budget:     budget.Round(time.Millisecond),
		Seed:       r.seed,
		Progress: func(done, total int, what string) {
			f := func(n int) float64 { return from + (1-from)*float64(n)/float64(max(1, total)) }
			b.span(f(done), f(min(done+1, total)), 0, what)
		},
		Note: func(s string) { r.notes = append(r.notes, s) },
	})
	r.records = recs
	switch {
	case ctx.Err() != nil:
		r.partial = true
	case err != nil:
		r.failed = newMeasureError(r.app.program, r.seed, err)
		r.notes = append(r.notes, r.failed.text)
	}
}

// A measureError is a strategy that passed the test and failed while it
// was measured: exit status 1.
type measureError struct {
	text  string
	again string // the command that shows it again; empty if no strategy is to blame
}

func newMeasureError(program string, seed uint64, err error) *measureError {
	e := &measureError{text: "measuring " + strings.TrimPrefix(err.Error(), "bench: ")}
	var f *bench.Failure
	if errors.As(err, &f) && f.Strategy != "" {
		e.again = fmt.Sprintf("%s bench --seed %d --strategies %s %s", program, seed, f.Strategy, f.Workload)
	}
	return e
}

func (e *measureError) Error() string {
	if e.again == "" {
		return e.text
	}
	return e.text + "\n  again: " + e.again
}

// outcome is the exit status as an error.
func (r *result) outcome() error {
	if err := judge(r.verdicts); err != nil {
		return err
	}
	if r.partial {
		return errInterrupted
	}
	if r.failed != nil {
		return r.failed
	}
	return nil
}

// print writes the result in the given format to standard output. What is
// neither a record nor, in a table, a verdict goes to standard error.
func (r *result) print(format string, verdicts bool) error {
	a := r.app
	switch format {
	case formatJSON:
		return bench.WriteJSON(a.stdout, r.records)
	case formatBench:
		return bench.WriteBench(a.stdout, r.records)
	}
	p := newPaint(a.stdout)
	if verdicts {
		printVerdicts(a.stdout, r.verdicts, p)
		fmt.Fprintln(a.stdout)
	}
	if len(r.records) > 0 {
		fmt.Fprintln(a.stdout, p.bold("Cost")+"  medians of interleaved rounds")
		bench.Table(a.stdout, r.records, bool(p))
	}
	if len(r.goals) > 0 {
		fmt.Fprintln(a.stdout)
		printGoals(a.stdout, r.goals, p)
	}
	for _, n := range r.notes {
		for i, line := range wrap("note: "+n, 98) {
			if i > 0 {
				line = "  " + line
			}
			fmt.Fprintln(a.stdout, p.dim(line))
		}
	}
	if verdicts && len(r.records) > 0 { // the verdicts have scrolled away
		fmt.Fprintln(a.stdout)
		for _, line := range r.summary() {
			for _, l := range wrap(line, 100) {
				fmt.Fprintln(a.stdout, l)
			}
		}
	}
	if r.partial && len(r.records) == 0 {
		fmt.Fprintln(a.stdout, p.red("partial: interrupted before anything was measured"))
	}
	return nil
}

func printGoals(w io.Writer, goals []bench.Goal, p paint) {
	g := grid{{right("goal"), left("strategy"), right("ratio"), left("wanted"), left(""), left("what is compared")}}
	for _, l := range goals {
		op, mark := "<=", left("reached")
		if l.AtLeast {
			op = ">="
		}
		mark.paint = p.green
		if !l.Reached {
			mark = left("missed")
			mark.paint = p.red
		}
		name := l.Strategy
		if name == "" {
			name = "all"
		}
		text := wrap(l.Text, 56)
		g = append(g, []cell{
			right(fmt.Sprint(l.Number)), left(name), right(fmt.Sprintf("%.2f", l.Ratio)),
			left(fmt.Sprintf("%s %.2f", op, l.Bound)), mark, left(text[0]),
		})
		for _, more := range text[1:] {
			g = append(g, []cell{left(""), left(""), left(""), left(""), left(""), left("  " + more)})
		}
	}
	fmt.Fprintln(w, p.bold("Goals"))
	g.print(w, p)
}
