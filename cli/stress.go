package cli

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/stress"
)

// The properties that the stress test checks, as the tables name them.
const properties = "conservation, at most once, nothing after the end, no lost wakeup"

// grace is how long the last round of a child may go on after its time.
const grace = 5 * time.Second

func (a *app) stressVerb() *cobra.Command {
	var budget time.Duration
	var seed uint64
	var rounds int
	var format string
	cmd := &cobra.Command{
		Use:   "stress [STRATEGY...]",
		Short: "try strategies under concurrent load, each in a process of its own",
		Long: `Stress runs threads that register, post, harvest and close at random under each
strategy (all, if none is named) and checks:
` + properties + `.

The interleaving is the machine's own and not in the seed, so a finding may take
several rounds to show again.

Each strategy runs in a process of its own with a deadline, so one that hangs or
crashes is caught too, and named. Round r uses seed + r. In a binary built with
-race (go run -race; needs cgo and gcc) a data race is caught as well.

Exit status: 0 no finding; 1 a strategy is wrong; 2 bad usage; 130 interrupted.`,
		Example: a.examples(
			"stress                          all strategies, 2 s each",
			"stress --budget 1m pcpu         one strategy, longer",
			"stress --seed 7 --rounds 1 pcpu one round"),
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(cmd, format, formatTable, formatJSON); err != nil {
			return err
		}
		if err := checkBudget(cmd, budget); err != nil {
			return err
		}
		if rounds < 0 || rounds > 1e6 {
			return usage(cmd.CommandPath(), "--rounds %d: want 0 (as many as the budget allows) to 1000000", rounds)
		}
		if len(args) == 0 {
			args = nil
		}
		entries, err := a.find(cmd.CommandPath(), args)
		if err != nil {
			return err
		}
		bar := newBar(a.stderr)
		defer bar.clear()
		var verdicts []*verdict
		for i, e := range entries {
			bar.span(float64(i)/float64(len(entries)), float64(i+1)/float64(len(entries)), budget, "stress "+e.Name)
			v, err := a.try(cmd.Context(), e,
				order{Work: workStress, Strategy: e.Name, Seed: seed, Budget: budget, Rounds: rounds})
			if err != nil {
				return err
			}
			verdicts = append(verdicts, v)
			if v.Unfinished {
				break
			}
		}
		bar.clear()
		if format == formatJSON {
			enc := json.NewEncoder(a.stdout)
			for _, v := range verdicts {
				if err := enc.Encode(v); err != nil {
					return err
				}
			}
		} else {
			printVerdicts(a.stdout, verdicts, newPaint(a.stdout))
		}
		return judge(verdicts)
	}
	f := cmd.Flags()
	f.DurationVar(&budget, "budget", 2*time.Second, "time for each strategy")
	f.IntVar(&rounds, "rounds", 0, "rounds for each strategy; 0 is as many as the budget allows")
	f.Uint64Var(&seed, "seed", 1, "seed of the first round")
	f.StringVar(&format, "format", formatTable, "table or json")
	return cmd
}

func checkBudget(cmd *cobra.Command, budget time.Duration) error {
	if budget < 10*time.Millisecond || budget > 24*time.Hour {
		return usage(cmd.CommandPath(), "--budget %v: want 10ms to 24h", budget)
	}
	return nil
}

// rehearse runs rounds until the end or the first finding.
func rehearse(w io.Writer, e strategies.Entry, o *order) error {
	enc := json.NewEncoder(w)
	end := time.Now().Add(o.Budget)
	var p progress
	for p.Rounds < o.Rounds || o.Rounds == 0 {
		p.Seed = o.Seed + uint64(p.Rounds)
		rep, err := stress.Run(stress.Options{New: e.New, Strategy: e.Name, Seed: p.Seed})
		p.Operations += uint64(rep.Operations)
		p.Events += uint64(rep.Events)
		p.Rounds++
		var f *stress.Finding
		switch {
		case errors.As(err, &f):
			p.Finding = f.Property + " violated: " + f.Detail
		case err != nil:
			p.Finding = err.Error()
		}
		if eerr := enc.Encode(p); eerr != nil {
			return eerr
		}
		if err != nil {
			os.Exit(exitWrong) // threads of the round may still run
		}
		if o.Rounds == 0 && !time.Now().Before(end) {
			break
		}
	}
	return nil
}
