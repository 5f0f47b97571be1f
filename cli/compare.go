package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/strategies"
)

const (
	// compareBudget leaves room below a minute for the build that go run makes.
	compareBudget = 45 * time.Second
	// checkShare is the part of the budget that goes to the campaigns.
	checkShare = 0.2
	// exploreShare is the part that goes to explorations.
	exploreShare = 0.15
	// checkLeast is how long each strategy is tried at least: some hundreds of
	// histories, in which the control has every chance to be caught.
	checkLeast = 250 * time.Millisecond
	// controlLeast is how long the control is tried at least, if it is not caught
	// sooner. That takes a tenth of it where the machine has nothing else to do.
	controlLeast = 2 * time.Second
)

func (a *app) compareVerb() *cobra.Command {
	var f runFlags
	out := "report-" + time.Now().Format("20060102-150405")
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "say which strategies are right and what each costs, and write a report",
		Long: `Compare runs drawn scripts under each strategy and holds every history against the
specification, as check does, each strategy in a process of its own with a deadline.
Beside them it tries the control "none", which locks nothing and must be caught.
Those that it has not caught are explored, as the verb explore does: all kept scenarios,
by two schedulers that draw, and some of the small ones to their end at two preemptions;
and so are the planted faults, to see what that would catch.
Then it measures what those found right cost, and writes a folder:

  index.html      the report, with plots; one file, needs nothing else
  results.jsonl   the figures, a record a line
  bench.txt       the figures in the Go benchmark format, for benchstat
  verdicts.jsonl  the verdicts, a record a line
  NAME-*.kq       scripts that a wrong strategy failed, with their histories;
                  where the specification forbids one, a picture beside it

With --format json or bench standard output has these records and nothing else,
the same as in results.jsonl or bench.txt.

Exit status: 0 all right; 1 a strategy is wrong, or the control was not caught;
2 bad usage; 130 interrupted (what was measured is written, marked partial).`,
		Args: noArgs,
		Example: a.examples(
			"compare                                     everything, within a minute",
			"compare --budget 10m --out report-long      the same, with a smaller spread",
			"compare --strategies giant,pcpu             two strategies",
			"compare --workloads single,pipetest         two workloads",
			"compare --format json > results.jsonl       records, for programs"),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON, formatBench); err != nil {
			return err
		}
		if err := checkBudget(cmd, f.budget); err != nil {
			return err
		}
		entries, err := a.find(verb, f.strategyNames(cmd))
		if err != nil {
			return err
		}
		r := &result{app: a, seed: f.seed, began: time.Now(), workloads: bench.Workloads()}
		if names := given(cmd, "workloads", f.workloads); names != nil {
			if r.workloads, err = pickWorkloads(verb, names); err != nil {
				return err
			}
		}
		if f.out == "" {
			return usage(verb, "--out is empty: want the name of a folder")
		}
		rep, err := a.openReport(cmd, f.out)
		if err != nil {
			return err
		}
		defer rep.abandon()

		tried := entries
		planted := !slices.ContainsFunc(entries, func(e strategies.Entry) bool { return e.Name == control.Name })
		if planted {
			tried = append(slices.Clone(entries), control)
		}
		bar := newBar(a.stderr)
		defer bar.clear()
		each := max(checkLeast, time.Duration(checkShare*float64(f.budget)/float64(len(tried))))
		for i, e := range tried {
			n := float64(len(tried))
			bar.span(checkShare*float64(i)/n, checkShare*float64(i+1)/n, each, "check "+e.Name)
			o := order{Work: workCampaign, Strategy: e.Name, Seed: f.seed, Budget: each, Deadline: runDeadline}
			if e.Name == control.Name && planted {
				o.Deadline, o.Budget = faultDeadline, max(each, controlLeast)
			} else {
				o.Folder, o.Shrink = f.out, shrinkTime
			}
			v, err := a.try(cmd.Context(), e, o)
			if err != nil {
				return err
			}
			v.planted = planted && v.Control
			r.verdicts = append(r.verdicts, v)
			if v.Unfinished {
				break
			}
		}
		explored := time.Duration(exploreShare * float64(f.budget))
		if err := a.survey(cmd.Context(), r.verdicts, f.seed, explored, f.out, func(done float64, what string) {
			at := checkShare + exploreShare*done
			bar.span(at, at, 0, what)
		}); err != nil {
			return err
		}
		left := max(f.budget-time.Since(r.began), f.budget/2)
		r.measure(cmd.Context(), bar, checkShare+exploreShare, entries, left)
		r.goals = bench.Goals(r.records)
		bar.clear()

		// The goals stand in the report; here they would bury the answer.
		goals := r.goals
		r.goals = nil
		if err := r.print(f.format, true); err != nil {
			return err
		}
		r.goals = goals
		if err := rep.write(r); err != nil {
			return err
		}
		say := a.stdout
		if f.format != formatTable {
			say = a.stderr
		}
		fmt.Fprintf(say, "report: %s\n", rep.index())
		return r.outcome()
	}
	f.add(cmd, compareBudget, "time for all of it; at least a quarter of a second goes to try each strategy", out)
	cmd.Flags().StringSliceVar(&f.workloads, "workloads", nil, "workloads to measure, such as single,pipetest; all if not given")
	cmd.Flags().Lookup("out").DefValue = "report-DATE-TIME"
	return cmd
}
