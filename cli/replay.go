package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

func (a *app) replayVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "show one execution again, a column a thread",
		Long: `Replay carries a script out as the schedule in it says, on a virtual machine, under
the strategy that the schedule names: the same execution every time. Explore saves
such scripts. What happened is shown as lanes, a column a thread, time going down,
counted in what could be seen to happen.

Exit status: 0 nothing is wrong with it (any more); 1 the strategy is wrong; 2 bad
usage, a script that does not parse or has no schedule, or a schedule that does
not fit, since the kernel or the strategy is another one by now.`,
		Example: a.examples("replay failures/none-0123456789abcdef.kq"),
		Args:    cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		verb := cmd.CommandPath()
		if len(args) != 1 {
			return usage(verb, "replay takes one script, got %q", args)
		}
		s, err := readScript(verb, args[0])
		if err != nil {
			return err
		}
		if s.Schedule == nil {
			return usage(verb, "%s has no schedule: want a script that ends with one, such as explore saves", args[0])
		}
		e, err := a.named(s.Schedule.Strategy)
		if err != nil {
			return usage(verb, "%s: %v", args[0], err)
		}
		r, err := fuzz.Replay(s, fuzz.Options{New: e.New, Strategy: e.Name})
		if errors.Is(err, fuzz.ErrMisfit) {
			return usage("", "%s: %v", args[0], err)
		}
		fmt.Fprintf(a.stdout, "%s under %s, replayed\n", filepath.Base(args[0]), e.Name)
		printLanes(a.stdout, r, newPaint(a.stdout))
		if r.Finding == nil {
			return nil
		}
		return &wrongError{[]*verdict{{
			Strategy: e.Name, Caught: byFinding, Finding: r.Finding.Error(), Again: fmt.Sprintf("%s replay %s", a.program, args[0]),
		}}}
	}
	return cmd
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
	return strategies.Entry{}, fmt.Errorf("strategy %q of the schedule: there is none of that name here", name)
}
