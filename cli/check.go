package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

const (
	// faultShare is the part of the budget that goes to the planted faults: a
	// verdict is worth what the campaign has shown that it catches. Most are
	// caught in a moment, and what they leave goes to the strategies.
	faultShare = 0.5
	// shrinkTime is how long a smaller script is looked for under a strategy
	// that is wrong.
	shrinkTime = 5 * time.Second
	// controlsName is where the planted faults' files go, in a report folder.
	controlsName = "controls"
)

func (a *app) checkVerb() *cobra.Command {
	var f checkFlags
	out := "report-" + time.Now().Format("20060102-150405")
	cmd := &cobra.Command{
		Use:   "check",
		Short: "hold strategies against the specification, with scripts drawn at random",
		Long: `Check draws concurrent scripts, runs each of them several times under each strategy,
and holds every history against the specification of a kqueue: is there an order
of the operations in which all their answers are right?

Beside the strategies it tries planted faults, strategies that are wrong in one
way each, and says which the same campaign caught. One that it did not catch is
named, and is no error: natively some faults show only in a window of nanoseconds.
The fault "none", which locks nothing, must be caught.

Script i is drawn from seed + i. The interleaving is the machine's own, so a script
may have to run many times to fail again. Each strategy runs in a process of its
own with a deadline, so one that hangs or crashes is caught too. In a binary built
with -race (go run -race; needs cgo and gcc) a data race is caught as well.

What is found goes to a folder, made when there is something to put in it: the
script with its history, a smaller one that is wrong in the same way, a picture
of each history that the specification forbids, and verdicts.jsonl. The verb run
runs a script again, and shows it as lanes.

Exit status: 0 no finding; 1 a strategy is wrong, or "none" was not caught; 2 bad
usage; 130 interrupted.`,
		Example: a.examples(
			"check                                 all strategies, half a minute",
			"check --budget 1h --strategies pcpu   one strategy, longer",
			"check --seed 1000000 --out found      other scripts; what is found, the faults' too",
			"check --format json                   verdicts, for programs"),
		Args: noArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON); err != nil {
			return err
		}
		if err := checkBudget(cmd, f.budget); err != nil {
			return err
		}
		if f.workers < 0 || f.workers > 1000 {
			return usage(verb, "--workers %d: want 0 (four for each CPU) to 1000", f.workers)
		}
		entries, err := a.find(verb, given(cmd, "strategies", f.strategies))
		if err != nil {
			return err
		}
		if f.out == "" {
			return usage(verb, "--out is empty: want the name of a folder")
		}
		rep, err := a.openReport(cmd, f.out)
		if err != nil {
			return err
		}
		defer rep.abandon()
		f.keep = cmd.Flags().Changed("out")

		faults, right, err := a.check(cmd.Context(), &f, entries)
		if err != nil {
			return err
		}
		all := append(slices.Clone(right), faults...)
		wrong := judge(all)
		if f.format == formatJSON {
			if err := writeLines(a.stdout, all); err != nil {
				return err
			}
		} else {
			p := newPaint(a.stdout)
			printCampaigns(a.stdout, right, faults, p)
			fmt.Fprintln(a.stdout)
			printFaults(a.stdout, faults, p)
		}
		if f.keep || slices.ContainsFunc(right, func(v *verdict) bool { return v.Caught != "" }) {
			if err := rep.fill(newFilling(all)); err != nil {
				return err
			}
			say := a.stdout
			if f.format != formatTable {
				say = a.stderr
			}
			fmt.Fprintf(say, "\nreport: %s\n", f.out)
		}
		return wrong
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.DurationVar(&f.budget, "budget", 30*time.Second, "time for all of it; at least a quarter of a second goes to each strategy")
	fs.StringSliceVar(&f.strategies, "strategies", nil, "strategies to take, such as giant,pcpu; all if not given")
	fs.Uint64Var(&f.seed, "seed", 1, "draws the first script; each later one adds 1")
	fs.IntVar(&f.workers, "workers", 0, "scripts that run side by side; 0 is four for each CPU")
	fs.StringVar(&f.out, "out", out, "folder for what is found; if given, for what is found in the faults too")
	fs.Lookup("out").DefValue = "report-DATE-TIME"
	fs.StringVar(&f.format, "format", formatTable, "table or json")
	return cmd
}

// checkFlags are the flags of check.
type checkFlags struct {
	budget     time.Duration
	strategies []string
	seed       uint64
	workers    int
	out        string
	keep       bool // what is found in the planted faults
	format     string
}

// check tries the planted faults, and then the strategies in the time that is
// left. An interrupt leaves the rest untried.
func (a *app) check(ctx context.Context, f *checkFlags, entries []strategies.Entry) (faults, right []*verdict, err error) {
	bar := newBar(a.stderr)
	defer bar.clear()
	begin := time.Now()
	try := func(e strategies.Entry, o order, share time.Duration) (*verdict, error) {
		o.Work, o.Seed, o.Budget, o.Workers = workCampaign, f.seed, share, f.workers
		done := float64(time.Since(begin)) / float64(f.budget)
		bar.span(min(1, done), min(1, done+float64(share)/float64(f.budget)), share, "check "+e.Name)
		return a.try(ctx, e, o)
	}
	share := func(of float64, left int, least time.Duration) time.Duration {
		end := begin.Add(time.Duration(of * float64(f.budget)))
		return max(least, time.Until(end)/time.Duration(left)).Round(time.Millisecond)
	}
	// Those that are seldom caught have what the others leave.
	all := slices.Clone(broken.All)
	slices.SortStableFunc(all, func(a, b broken.Fault) int { return cmp.Compare(min(1, len(a.Seldom)), min(1, len(b.Seldom))) })
	for i, fault := range all {
		o := order{Strategy: plantedPrefix + fault.Name, Deadline: faultDeadline}
		if f.keep {
			o.Folder = filepath.Join(f.out, controlsName)
		}
		least := 10 * time.Millisecond
		if fault.Name == control.Name {
			least = controlLeast
		}
		v, err := try(fault.Entry, o, share(faultShare, len(all)-i, least))
		if err != nil {
			return nil, nil, err
		}
		v.Control, v.planted = true, true
		if faults = append(faults, v); v.Unfinished {
			return faults, right, nil
		}
	}
	for i, e := range entries {
		o := order{Strategy: e.Name, Deadline: runDeadline, Folder: f.out, Shrink: shrinkTime}
		v, err := try(e, o, share(1, len(entries)-i, checkLeast))
		if err != nil {
			return nil, nil, err
		}
		if right = append(right, v); v.Unfinished {
			break
		}
	}
	return faults, right, nil
}

// printFaults says of each planted fault how it was caught. What was not caught
// is said in full: it is what the verdicts on the strategies do not cover.
func printFaults(w io.Writer, faults []*verdict, p paint) {
	docs := map[string]string{}
	for _, f := range broken.All {
		docs[f.Name] = f.Doc
	}
	g := grid{{left("fault"), right("operations"), right("seconds"), left("caught by a")}}
	var missed []string
	for _, v := range faults {
		how := left(v.Caught)
		switch {
		case v.Unfinished:
			how = left("unfinished")
		case v.Correct:
			missed = append(missed, v.Strategy)
			how = left("not caught")
			how.paint = p.red
		case v.Caught == byFinding:
			property, _, _ := strings.Cut(v.Finding, " violated: ")
			how = left(v.Caught + ": " + property)
		}
		g = append(g, []cell{left(v.Strategy), right(commas(v.Operations)), right(seconds(v.Took)), how})
	}
	fmt.Fprintln(w, p.bold("Planted faults")+"  the same campaign, on strategies that are wrong in one way each")
	g.print(w, p)
	if missed == nil {
		return
	}
	fmt.Fprintln(w, "\nA strategy that is wrong like this may pass for correct above:")
	for _, name := range missed {
		for i, line := range wrap(name+": "+docs[name], 96) {
			fmt.Fprintln(w, strings.Repeat("  ", 1+min(i, 1))+line)
		}
	}
	for _, line := range wrap("That is no error: natively some faults show only in a window of nanoseconds, or in an order of the calls "+
		"that no answer tells. The conformance suite has a trap for each: "+
		"go test -v -run TestCaught ./strategies/strategytest/broken", 98) {
		fmt.Fprintln(w, p.dim(line))
	}
}
