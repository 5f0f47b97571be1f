package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

func (a *app) replayVerb() *cobra.Command {
	var points bool
	var page string
	cmd := &cobra.Command{
		Use:   "replay FILE|TOKEN",
		Short: "show one execution again, a column a thread",
		Long: `Replay carries a script out as the schedule in it says, on a virtual machine, under
the strategy that the schedule names: the same execution every time. Explore saves
such scripts. What happened is shown as lanes, a column a thread, time going down, in
steps from one point of the machine to the next: calls (┌) and returns (└), what took
effect (·), whom a thread wakes (»), and why another goes on (├). A thread is in a
domain where its bar is heavy (┃). With --points each point is shown.

With --html it writes a page, one file that loads nothing: the steps, the domains,
the two halves of each knote, and the sentence that is broken. Explore writes one
beside each script that it saves.

A token stands for an execution of a scenario that is kept, and is as short as a
line: strategy:scenario:schedule, where the schedule is "usual" or the turns, with
commas between, at which another thread goes on than usually would. A thread goes
on as long as it can, and after it the first by number. The turn
  1@2.3.unlock.kq-token.4
has thread 1 go on when thread 2, in its operation 3, has come by unlock kq_token
for the 4th time. No step has a number, so a token goes on to fit when something
else is changed.

Exit status: 0 nothing is wrong with it (any more); 1 the strategy is wrong; 2 bad
usage, a script or token that does not parse, or a schedule that does not fit, since
the kernel or the strategy is another one by now: then it is said where.`,
		Example: a.examples(
			"replay failures/none-0123456789abcdef.kq",
			"replay none:two-sleepers-one-event:3@2.1.interlock.kevent",
			"replay --html page.html giant:standard:usual"),
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if len(args) != 1 {
			return usage(verb, "replay takes one script or token, got %q", args)
		}
		x, err := a.execution(verb, args[0])
		if err != nil {
			return err
		}
		r, err := x.replay(fuzz.Options{New: x.entry.New, Strategy: x.entry.Name, Trace: &fuzz.Trace{}})
		if errors.Is(err, fuzz.ErrMisfit) {
			return usage("", "%s: %v", args[0], err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s under %s, replayed\n", x.name, x.entry.Name)
		printLanes(a.stdout, r, newPaint(a.stdout), points)
		again := fmt.Sprintf("%s replay %s", a.program, args[0])
		if page != "" {
			if err := writeExecution(page, r, x.name, again); err != nil {
				return fmt.Errorf("--html: the page cannot be written: %w", err)
			}
			fmt.Fprintln(a.stdout, "page:", page)
		}
		if r.Finding == nil {
			for _, l := range wrap("Its schedule fits. If a failure was replayed, it is gone: the fault is, or one of the places where a turn is taken is another by now.", laneColumns) {
				fmt.Fprintln(a.stdout, newPaint(a.stdout).dim(l))
			}
			return nil
		}
		return &wrongError{[]*verdict{{
			Strategy: x.entry.Name, Caught: byFinding, Finding: r.Finding.Error(), Again: again,
		}}}
	}
	cmd.Flags().StringVar(&page, "html", "", "file for a page that shows each step, domains and knotes; none is written without it")
	cmd.Flags().BoolVar(&points, "points", false, "show every point that a thread comes by, too")
	return cmd
}

// An execution is one that can be replayed.
type execution struct {
	name   string // of the script or scenario
	entry  strategies.Entry
	replay func(fuzz.Options) (*fuzz.Report, error)
}

// execution returns what a file or token stands for.
func (a *app) execution(verb, arg string) (x execution, err error) {
	if _, err := os.Stat(arg); err != nil && fuzz.LooksLikeToken(arg) {
		t, err := fuzz.ParseToken(arg)
		if err != nil {
			return x, usage(verb, "token: %v", err)
		}
		if x.entry, err = a.named(t.Strategy); err != nil {
			return x, usage(verb, "token: %v", err)
		}
		x.name, x.replay = t.Scenario, t.Replay
		return x, nil
	}
	if _, err := os.Stat(arg); errors.Is(err, os.ErrNotExist) && strings.Contains(arg, ":") {
		return x, usage(verb, "%s: there is no such file, and a token has three parts: strategy:scenario:schedule", arg)
	}
	s, err := readScript(verb, arg)
	if err != nil {
		return x, err
	}
	if s.Schedule == nil {
		return x, usage(verb, "%s has no schedule: want a script that ends with one, such as explore saves", arg)
	}
	if x.entry, err = a.named(s.Schedule.Strategy); err != nil {
		return x, usage(verb, "%s: %v", arg, err)
	}
	x.name = filepath.Base(arg)
	x.replay = func(o fuzz.Options) (*fuzz.Report, error) { return fuzz.Replay(s, o) }
	return x, nil
}

const (
	tokenMost = 5000             // executions in which a schedule is looked for that is short enough for a token
	tokenTime = 10 * time.Second // see reduceTime
)

// tokenOf returns the token of what was found, if it was in a scenario that is kept, or
// why it has none.
func tokenOf(ctx context.Context, r *fuzz.Report, scenario string, o fuzz.Options) (token, none string) {
	if !slices.Contains(fuzz.Scenarios(), scenario) {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	t, err := fuzz.ShortToken(ctx, r, scenario, o, tokenMost)
	if err != nil {
		return "", err.Error()
	}
	return t.String(), ""
}

// named returns the strategy of that name, be it one of the user's or a planted
// fault.
func (a *app) named(name string) (strategies.Entry, error) {
	for _, e := range append(append([]strategies.Entry{}, a.entries...), control) {
		if e.Name == name {
			return e, nil
		}
	}
	for _, f := range broken.All {
		if f.Name == name {
			return f.Entry, nil
		}
	}
	var names []string
	for _, e := range append(slices.Clone(a.entries), control) {
		names = append(names, e.Name)
	}
	for _, f := range broken.All {
		if f.Name != control.Name {
			names = append(names, f.Name)
		}
	}
	return strategies.Entry{}, fmt.Errorf("strategy %q of the schedule: want one of %s", name, strings.Join(names, ", "))
}
