package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/bench"
	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A listed is one thing that a flag or an argument can name.
type listed struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// The kinds, as arguments of list.
var kinds = []string{"strategies", "workloads", "scenarios", "schedulers", "devices", "formats"}

func (a *app) listVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list [" + strings.Join(kinds, "|") + "]",
		Short: "what can be named: " + strings.Join(kinds, ", "),
		Long: `List prints every name that --strategies, --workloads, --scenario, --scheduler,
--format and the arguments of bench and stress take, with a line on each. Of devices
it says what each filter's data and EV_EOF mean, whether it is MP-safe (else it runs
under the mplock), and whether it may block.

Exit status: 0, or 2 on bad usage.`,
		Example: a.examples(
			"list",
			"list workloads",
			"list devices                     everything that can be watched",
			"list --format json strategies"),
		Args:      cobra.ArbitraryArgs,
		ValidArgs: kinds,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(cmd, format, formatTable, formatJSON); err != nil {
			return err
		}
		if len(args) == 0 {
			args = kinds
		}
		chosen, err := pick(cmd.CommandPath(), "kind", args, kinds, func(s string) string { return s })
		if err != nil {
			return err
		}
		p := newPaint(a.stdout)
		enc := json.NewEncoder(a.stdout)
		for i, kind := range chosen {
			if kind == kindDevices {
				if err := a.listDevices(format, i > 0, p); err != nil {
					return err
				}
				continue
			}
			var g grid
			all := a.list(kind)
			names := 0
			for _, l := range all {
				names = max(names, len("  "+l.Name+"  "))
			}
			for _, l := range all {
				if format == formatJSON {
					if err := enc.Encode(l); err != nil {
						return err
					}
					continue
				}
				name := left("  " + l.Name)
				name.paint = p.bold
				for _, line := range wrap(l.Doc, 100-names) {
					doc := left(line)
					doc.paint = func(s string) string { return s }
					g = append(g, []cell{name, doc})
					name = left("")
				}
			}
			if format == formatJSON {
				continue
			}
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			fmt.Fprintln(a.stdout, kind)
			g.print(a.stdout, p)
		}
		return nil
	}
	cmd.Flags().StringVar(&format, "format", formatTable, "table or json")
	return cmd
}

func (a *app) list(kind string) []listed {
	var all []listed
	add := func(name, doc string) { all = append(all, listed{kind, name, doc}) }
	switch kind {
	case "strategies":
		for _, e := range a.entries {
			add(e.Name, e.Doc)
		}
		add(control.Name, control.Doc)
	case "workloads":
		for _, w := range bench.Workloads() {
			add(w.Name, w.Doc)
		}
		add(goalsName, "not a workload: all those that the goals need, and how far each goal is reached")
	case "scenarios":
		for _, name := range fuzz.Scenarios() {
			s, err := fuzz.Scenario(name)
			if err != nil {
				panic("cli: " + err.Error()) // it is in the binary, and tests parse it
			}
			about, _, _ := strings.Cut(strings.Join(s.Doc, " "), " Look at:")
			add(name, about)
		}
		add(allKept, "not a scenario: each of these, one after another")
		add(smallKept, "not a scenario: each that has at most three threads of at most three operations")
		add(generated, "not a scenario: scripts drawn at random, as check draws them")
	case "schedulers":
		for _, name := range sched.Names() {
			add(name, sched.Doc(name))
		}
	case "formats":
		add(formatTable, "for people")
		add(formatJSON, "a record a line, for programs")
		add(formatBench, "the Go benchmark format, for benchstat")
	}
	return all
}
