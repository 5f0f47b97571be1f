package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/strategies"
)

func (a *app) runVerb() *cobra.Command {
	var strategy, out string
	var seed uint64
	var rounds, perturb int
	var shrink time.Duration
	cmd := &cobra.Command{
		Use:   "run SCRIPT",
		Short: "run one concurrent script and show what happened, a column a thread",
		Long: `Run carries out a script of concurrent operations under one strategy, checks what
happened against the specification and shows it as lanes: a column a thread, time
going down. Go's documentation of package fuzz/script describes the format.

Each round has an interleaving of its own, which is not in the seed. Rounds end
with the first finding; that round is shown, or else the last. What is found is
saved too, as a script with its history in comments; with --shrink a smaller
script that is wrong in the same way is looked for, and shown instead.

With --perturb N each thread is held up at one in N of the points where it takes
a lock, sleeps, wakes and so on, since threads that pass each other within
nanoseconds meet in few of all the ways in which they could.

The script runs in this process, which a strategy that corrupts memory may crash.

Exit status: 0 no finding; 1 the strategy is wrong; 2 bad usage, or a script that
does not parse; 130 interrupted.`,
		Example: a.examples(
			"run two.kq --strategy pcpu                 once",
			"run two.kq --strategy pcpu --rounds 10000  until something is wrong",
			"run two.kq --strategy pcpu --rounds 10000 --perturb 8",
			"run failures/x.kq --strategy none --rounds 10000 --shrink 10s"),
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if len(args) != 1 {
			return usage(verb, "run takes one script, got %q", args)
		}
		if rounds < 1 || rounds > 1e9 {
			return usage(verb, "--rounds %d: want 1 to 1000000000", rounds)
		}
		if strategy == "" {
			return usage(verb, "no strategy named: run needs --strategy, one of those that list prints")
		}
		if shrink < 0 || shrink > 24*time.Hour {
			return usage(verb, "--shrink %v: want 0s to 24h", shrink)
		}
		if perturb < 0 || perturb > 1e6 {
			return usage(verb, "--perturb %d: want 0 to 1000000", perturb)
		}
		found, err := a.find(verb, []string{strategy})
		if err != nil {
			return err
		}
		s, err := readScript(verb, args[0])
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("seed") {
			s.Seed = seed
		}
		o := fuzz.Options{New: found[0].New, Strategy: strategy, Perturb: perturb}
		var r *fuzz.Report
		var wrong error
		round := 0
		for round < rounds && (r == nil || r.Finding == nil) && cmd.Context().Err() == nil {
			o.Round, o.Clock = uint64(round), linearizability.Elapsed()
			r = fuzz.Run(s, o)
			round++
		}
		if r == nil {
			return errInterrupted
		}
		if r.Finding != nil {
			wrong = a.wrongRun(r, found[0], out)
			if shrink > 0 {
				r = fuzz.Shrink(r, o, shrinkTries, time.Now().Add(shrink))
				wrong = a.wrongRun(r, found[0], out)
			}
		}
		fmt.Fprintf(a.stdout, "%s under %s, seed %d, round %s of %s\n", filepath.Base(args[0]), strategy, s.Seed, commas(round), commas(rounds))
		printLanes(a.stdout, r, newPaint(a.stdout), false)
		if wrong != nil {
			return wrong
		}
		if round < rounds {
			return errInterrupted
		}
		return nil
	}
	f := cmd.Flags()
	f.StringVar(&strategy, "strategy", "", "strategy to run it under")
	f.Uint64Var(&seed, "seed", 0, "in place of the script's own: draws how long finite waits are")
	f.IntVar(&rounds, "rounds", 1, "how often to run it, until something is wrong")
	f.IntVar(&perturb, "perturb", 0, "hold threads up at one in so many points, drawn from the seed; 0 at none")
	f.DurationVar(&shrink, "shrink", 0, "how long to look for a smaller script, if something is wrong")
	f.StringVar(&out, "out", "failures", "folder for what is found")
	return cmd
}

// shrinkTries is how often a smaller script is run before it is taken for right.
const shrinkTries = 50

// wrongRun saves a report with a finding, and says so.
func (a *app) wrongRun(r *fuzz.Report, e strategies.Entry, folder string) error {
	v := &verdict{Strategy: e.Name, Caught: byFinding, Finding: r.Finding.Error(), tallies: tallies{Rounds: 1}, Seed: r.Script.Seed}
	name, err := r.Save(folder)
	if err != nil {
		return errors.Join(&wrongError{[]*verdict{v}}, fmt.Errorf("--out: the script cannot be saved: %w", err))
	}
	v.Again = fuzz.Again(a.program, name, e.Name, r.Perturb)
	return &wrongError{[]*verdict{v}}
}

func readScript(verb, name string) (*script.Script, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(verb, "%v", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 2<<20)) // Parse refuses less
	if err != nil {
		return nil, usage(verb, "%v", err)
	}
	s, err := script.Parse(name, string(text))
	if err != nil {
		return nil, usage("", "%v", err)
	}
	return s, nil
}

// printLanes shows a report: what the script is for, its setup, its threads
// side by side, and what is to be said of it.
func printLanes(w io.Writer, r *fuzz.Report, p paint, points bool) {
	for _, line := range r.Script.Doc {
		for _, l := range wrap(line, laneColumns-2) {
			fmt.Fprintln(w, p.dim("  "+l))
		}
	}
	fmt.Fprintln(w)
	d := newLanes(r, p)
	if r.Trace != nil {
		d.moments = nil
		d.trace(r.Trace, r.History, points)
	}
	for _, rec := range r.History {
		if rec.Thread == 0 {
			for i, l := range wrapHard(rec.Op.String()+" → "+answer(rec.Op, rec.Result), laneColumns-9) {
				head := "  setup  "
				if d.wroteSetup || i > 0 {
					head = "         "
				}
				d.wroteSetup = true
				fmt.Fprintln(w, p.dim(head)+l)
			}
		}
	}
	d.print(w)
	fmt.Fprintln(w)
	switch {
	case r.Finding != nil:
		first, _, _ := strings.Cut(r.Finding.Error(), "\n")
		for _, l := range wrap(first, laneColumns) {
			fmt.Fprintln(w, p.red(l))
		}
	case r.Undecided != "":
		for _, l := range wrap("no finding, but not held against the specification: "+r.Undecided, laneColumns) {
			fmt.Fprintln(w, l)
		}
	default:
		fmt.Fprintf(w, "%s in %s operations\n", p.green("no finding"), commas(len(r.History)))
	}
	if len(r.Unchecked) > 0 {
		for _, l := range wrap("not held against the specification: "+strings.Join(r.Unchecked, ", "), laneColumns) {
			fmt.Fprintln(w, l)
		}
	}
}
