// Package cli is the command line of kqlab. A program of its own adds a
// strategy to every verb with
//
//	func main() { cli.Main(strategies.Entry{Name: "mine", Doc: "...", New: New}) }
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/strategies"
	"github.com/kqlab/kqlab/strategies/strategytest/broken"
)

// The exit statuses of every verb.
const (
	exitOK          = 0
	exitWrong       = 1   // a strategy is wrong, or the run could not be made
	exitUsage       = 2   // bad usage
	exitInterrupted = 130 // ended by a signal: 128 + SIGINT, as shells have it
)

// Main runs the command line of the process and exits with its status: 0 all
// right, 1 a strategy is wrong, 2 bad usage, 130 interrupted. The extra
// strategies stand beside those of [strategies.All] in every verb. It starts
// the program again, with the same extra strategies, to try each strategy in a
// process of its own, so it must be called before the program does anything
// else with its arguments.
func Main(extra ...strategies.Entry) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one kills, in case the end takes long.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, extra...))
}

// Run runs one command line without its program name, writes to the two given
// streams and returns the exit status, as Main does for the process.
func Run(args []string, stdout, stderr io.Writer, extra ...strategies.Entry) int {
	return run(context.Background(), args, stdout, stderr, extra...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer, extra ...strategies.Entry) int {
	out := &output{Writer: stdout}
	a := &app{
		name:    filepath.Base(os.Args[0]),
		program: program(),
		entries: append(append([]strategies.Entry{}, strategies.All...), extra...),
		stdout:  out,
		stderr:  stderr,
		args:    args,
	}
	err := a.vet(extra)
	if err == nil {
		root := a.root()
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		err = out.err
	}
	var bad *usageError
	var wrong *wrongError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted):
		fmt.Fprintf(stderr, "%s: %v\n", a.name, err)
		return exitInterrupted
	case errors.As(err, &bad):
		fmt.Fprintf(stderr, "%s: %v\n", a.name, err)
		if bad.verb != "" {
			fmt.Fprintf(stderr, "see: %s --help\n", bad.verb)
		}
		return exitUsage
	case errors.As(err, &wrong):
		wrong.print(stderr, newPaint(stderr))
		return exitWrong
	default:
		fmt.Fprintf(stderr, "%s: %v\n", a.name, err)
		return exitWrong
	}
}

// An app is one command line being run.
type app struct {
	name           string // of the binary
	program        string // how the user starts it
	entries        []strategies.Entry
	stdout, stderr io.Writer
	args           []string
}

var errInterrupted = errors.New("interrupted")

// program is what a user types to start this program. A binary that go run has
// built is gone afterwards, so there it is go run and the package's path.
func program() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(filepath.ToSlash(exe), "/go-build") {
		if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" && !strings.HasSuffix(info.Path, ".test") {
			if raceBuild() {
				return "go run -race " + info.Path
			}
			return "go run " + info.Path
		}
	}
	return filepath.Base(os.Args[0])
}

// vet refuses extra strategies whose names cannot stand in flags and tables.
func (a *app) vet(extra []strategies.Entry) error {
	seen := map[string]bool{control.Name: true}
	for _, e := range strategies.All {
		seen[e.Name] = true
	}
	for _, e := range extra {
		switch {
		case e.Name == "" || strings.ContainsFunc(e.Name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}):
			return usage("", "a strategy is named %q; want lower-case letters, digits, - and _", e.Name)
		case seen[e.Name]:
			return usage("", "two strategies are named %q; give yours another name", e.Name)
		case e.New == nil:
			return usage("", "strategy %q has no New", e.Name)
		}
		seen[e.Name] = true
	}
	return nil
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kqlab",
		Short: "compare locking strategies of one kqueue: which are right, and what each costs",
		Long: `kqlab runs one kqueue, modelled on that of DragonFly BSD, under interchangeable
locking strategies. It says which of them are right and what each costs.

Exit status of every verb: 0 all right; 1 a strategy is wrong, or a history not
ok; 2 bad usage; 130 interrupted by a signal (what was measured is written, marked partial).`,
		Example: a.examples(
			"compare                          all strategies, within a minute",
			"bench --strategies giant single  one workload under one strategy",
			"check --budget 5m                which are right? longer than compare tries",
			"stress --budget 1m pcpu          is pcpu right under load?",
			"explore --schedules 100000       interleavings one by one, and what fails replays",
			"outcomes                         can the strategies be told from each other?",
			"run SCRIPT --strategy pcpu       one script of concurrent operations, as lanes",
			"history FILE...                  does the specification allow what was recorded?",
			"audit                            which filters need no giant lock? (go run -race)",
			"list                             names of strategies and workloads"),
		// The name may have spaces: go run and a path.
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: a.program},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	verbs := func() []string {
		var names []string
		for _, c := range root.Commands() {
			if !c.Hidden && c.Name() != "help" {
				names = append(names, c.Name())
			}
		}
		return names
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknown(a.program, "verb", args[0], verbs())
	}
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [VERB]",
		Short: "what a verb does",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			for _, c := range root.Commands() {
				if c.Name() == args[0] && len(args) == 1 {
					return c.Help()
				}
			}
			return unknown(a.program, "verb", strings.Join(args, " "), verbs())
		},
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(a.compareVerb(), a.checkVerb(), a.benchVerb(), a.stressVerb(), a.exploreVerb(), a.outcomesVerb(), a.runVerb(), a.replayVerb(), a.historyVerb(), a.auditVerb(), a.listVerb(), a.childVerb())
	return root
}

// examples puts the name of the program before each line.
func (a *app) examples(lines ...string) string {
	for i, l := range lines {
		lines[i] = "  " + a.program + " " + l
	}
	return strings.Join(lines, "\n")
}

// find returns the strategies that the user has named, in that order, or, if
// none is named, all. The control may be named.
func (a *app) find(verb string, names []string) ([]strategies.Entry, error) {
	if names == nil {
		return a.entries, nil
	}
	all := append(append([]strategies.Entry{}, a.entries...), control)
	return pick(verb, "strategy", names, all, func(e strategies.Entry) string { return e.Name })
}

// A planted strategy may be one that is to be caught. Order is its name in an order.
type planted struct {
	strategies.Entry
	order string
}

// findPlanted is find, and knows the planted faults too. A strategy of the user's of
// the same name comes first.
func (a *app) findPlanted(verb string, names []string) ([]planted, error) {
	var all []planted
	for _, e := range a.entries {
		all = append(all, planted{e, e.Name})
	}
	if names == nil {
		return all, nil
	}
	for _, f := range broken.All {
		if !slices.ContainsFunc(all, func(p planted) bool { return p.Name == f.Name }) {
			all = append(all, planted{f.Entry, plantedPrefix + f.Name})
		}
	}
	return pick(verb, "strategy", names, all, func(p planted) string { return p.Name })
}
