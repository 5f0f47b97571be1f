package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/strategies"
)

func (a *app) outcomesVerb() *cobra.Command {
	f := exploreFlags{scheduler: "random"} // for the order; the comparison has its own
	cmd := &cobra.Command{
		Use:   "outcomes",
		Short: "can the users of a scenario tell the strategies from each other?",
		Long: `Outcomes explores scenarios under several strategies, as explore does, and compares
what was seen: an outcome is what every call answered, and who sleeps at the end. It
goes on until all strategies have shown the same and each outcome came more than
once, or --schedules executions are made of each. What one strategy lacks it is led
to: threads go on in the order of the execution that another had.

Why one has an outcome that another lacks is said for each:

  by a freedom   the specification allows it only by the freedom that is named, and
                 nobody must make use of that; see nondet.go of package spec
  ticks          it is alike but for how often a timer has expired (anyTicks)
  undecided      it is allowed to all, and who lacks it has outcomes left to be seen
  unexplained    it is allowed to all, and who lacks it seems to have shown all that
                 it can: a bug, or a sentence that the specification lacks

Exit status: 0 all is explained or undecided; 1 something is not, or a strategy is
wrong; 2 bad usage; 130 interrupted.`,
		Example: a.examples(
			"outcomes                                   all scenarios, all strategies",
			"outcomes --scenario pruned-against-scan    one, with an example of what differs",
			"outcomes --strategies giant,pcpu --schedules 1000000 --scenario standard"),
		Args: noArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		verb := cmd.CommandPath()
		if err := checkFormat(cmd, f.format, formatTable, formatJSON); err != nil {
			return err
		}
		switch {
		case f.schedules < 1 || f.schedules > 1e9:
			return usage(verb, "--schedules %d: want 1 to 1000000000", f.schedules)
		case f.workers < 1 || f.workers > 1000:
			return usage(verb, "--workers %d: want 1 to 1000", f.workers)
		}
		entries, err := a.find(verb, given(cmd, "strategies", f.strategies))
		if err != nil {
			return err
		}
		if len(entries) < 2 {
			return usage(verb, "--strategies %s: want two at least, to compare", strings.Join(f.strategies, ","))
		}
		subjects, err := f.subjects(verb)
		if err != nil {
			return err
		}
		if f.scenario == generated {
			return usage(verb, "--scenario %s: want a scenario, since each drawn script would need as many executions as one", generated)
		}
		return a.outcomes(cmd.Context(), &f, entries, subjects)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.strategies, "strategies", nil, "strategies to compare, such as giant,pcpu; all if not given")
	fs.StringVar(&f.scenario, "scenario", allKept, "a scenario, the file of a script, "+allKept+" or "+smallKept)
	fs.IntVar(&f.schedules, "schedules", 25_000, "executions to make of each scenario under each strategy at most")
	fs.IntVar(&f.workers, "workers", 1, "executions that are made side by side; what is found does not depend on it")
	fs.Uint64Var(&f.seed, "seed", 1, "of the schedulers")
	fs.StringVar(&f.out, "out", "failures", "folder for what is found wrong")
	fs.StringVar(&f.format, "format", formatTable, "table or json")
	return cmd
}

// A compared scenario is what was seen of it.
type compared struct {
	Scenario    string            `json:"scenario"`
	Sets        []comparedSet     `json:"sets"`
	Common      int               `json:"common"`          // outcomes that all have
	Led         int               `json:"led,omitempty"`   // some of them only by being led
	Ticks       int               `json:"ticks,omitempty"` // that differ in how often a timer has expired
	Differences []differenceGroup `json:"differences,omitempty"`
	Seconds     float64           `json:"seconds"`
}

type comparedSet struct {
	Strategy   string  `json:"strategy"`
	Executions int     `json:"executions"`
	Outcomes   int     `json:"outcomes"`
	Unseen     float64 `json:"unseen"`
}

// A differenceGroup is the differences of which the same is to be said.
type differenceGroup struct {
	Why      fuzz.Why                  `json:"why"`
	Needs    []linearizability.Freedom `json:"needs,omitempty"`
	Has      []string                  `json:"has"`
	Lacks    []string                  `json:"lacks"`
	Outcomes int                       `json:"outcomes"`
	Example  []string                  `json:"example"` // the one that came most often, without setup
}

// comparing carries an order out in this process.
func comparing(ctx context.Context, w io.Writer, entries []strategies.Entry, o *order) error {
	s, err := o.subject()
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	begin := time.Now()
	c := fuzz.Comparison{Script: s, Seed: o.Seed, Most: o.Schedules, Workers: o.Workers}
	for _, e := range entries {
		c.Strategies = append(c.Strategies, fuzz.Options{New: e.New, Strategy: e.Name})
	}
	c.Progress = func(known fuzz.Compared) { enc.Encode(newComparing(&known, begin)) } // who cannot write to its parent has none
	got := c.Compare(ctx)
	p := newComparing(got, begin)
	if f := got.Failure; f != nil {
		p.Wrong, p.Finding = f.Strategy, f.Finding.Error()
		i := slices.IndexFunc(c.Strategies, func(x fuzz.Options) bool { return x.Strategy == f.Strategy })
		p.save(f, f, c.Strategies[i], o.Folder)
	}
	if err := enc.Encode(p); err != nil {
		return err
	}
	if p.Finding != "" {
		os.Exit(exitWrong)
	}
	return nil
}

func newComparing(known *fuzz.Compared, begin time.Time) *progress {
	x := &compared{Common: known.Common, Led: known.Led, Ticks: known.Ticks, Seconds: time.Since(begin).Seconds()}
	p := &progress{Compared: x}
	for _, s := range known.Sets {
		x.Sets = append(x.Sets, comparedSet(s))
		p.Rounds += s.Executions
	}
	for _, d := range known.Differences {
		i := slices.IndexFunc(x.Differences, func(g differenceGroup) bool {
			return g.Why == d.Why && slices.Equal(g.Needs, d.Needs) && slices.Equal(g.Has, d.Has) && slices.Equal(g.Lacks, d.Lacks)
		})
		if i < 0 {
			i = len(x.Differences)
			g := differenceGroup{Why: d.Why, Needs: d.Needs, Has: d.Has, Lacks: d.Lacks}
			for _, rec := range d.History {
				if rec.Thread > 0 {
					rec.Steps = nil
					g.Example = append(g.Example, rec.String())
				}
			}
			x.Differences = append(x.Differences, g)
		}
		x.Differences[i].Outcomes++
	}
	return p
}

// outcomes has a process for each scenario, which may end or hang it.
func (a *app) outcomes(ctx context.Context, f *exploreFlags, entries []strategies.Entry, subjects []subject) error {
	bar := newBarOf(a.stderr, 16, 76)
	defer bar.clear()
	var all []*compared
	var wrong []*verdict
	unexplained := 0
	for i, s := range subjects {
		if ctx.Err() != nil {
			break
		}
		o := f.order("", s)
		o.Work = workOutcomes
		for _, e := range entries {
			o.Strategies = append(o.Strategies, e.Name)
		}
		o.Strategy = strings.Join(o.Strategies, ",")
		at := float64(i) / float64(len(subjects))
		bar.span(at, at, 0, s.name)
		v, err := a.tryTold(ctx, strategies.Entry{Name: o.Strategy}, o, func(p *progress) {
			if x := p.Compared; x != nil && len(x.Sets) > 0 {
				bar.span(at, at, 0, fmt.Sprintf("%s, %s executions of each, %s outcomes in common", s.name, commas(x.Sets[0].Executions), commas(x.Common)))
			}
		})
		if err != nil {
			return err
		}
		if v.Unfinished {
			break
		}
		if !v.Correct {
			v.Again = fmt.Sprintf("%s outcomes --strategies %s --scenario %s --seed %d --schedules %d", a.program, o.Strategy, o.Scenario, o.Seed, o.Schedules)
			if v.shown {
				v.Again = fmt.Sprintf("%s replay %s", a.program, v.Files[0])
			}
			wrong = append(wrong, v)
			continue
		}
		v.compared.Scenario = s.name
		all = append(all, v.compared)
		for _, d := range v.compared.Differences {
			if d.Why == fuzz.Unexplained {
				unexplained += d.Outcomes
			}
		}
	}
	bar.clear()
	if f.format == formatJSON {
		if err := writeLines(a.stdout, all); err != nil {
			return err
		}
	} else {
		printOutcomes(a.stdout, entries, all, newPaint(a.stdout))
	}
	switch {
	case wrong != nil:
		return &wrongError{wrong}
	case unexplained > 0:
		return errors.New(plural(unexplained, "outcome") + " that some strategies have and others lack, without a freedom of the specification that says why")
	case ctx.Err() != nil:
		return errInterrupted
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return commas(n) + " " + what + "s"
}

// printOutcomes prints how many outcomes each strategy has, what differs, and of what
// is not undecided an example.
func printOutcomes(w io.Writer, entries []strategies.Entry, all []*compared, p paint) {
	head := []cell{left("scenario"), right("executions")}
	for _, e := range entries {
		head = append(head, right(e.Name))
	}
	g := grid{append(head, right("in common"), right("by being led"), left("differences"))}
	for _, one := range all {
		row := []cell{left(one.Scenario), right(commas(one.Sets[0].Executions))}
		for _, s := range one.Sets {
			row = append(row, right(commas(s.Outcomes)))
		}
		words, paint := one.differences(), p.green
		if slices.ContainsFunc(one.Differences, func(d differenceGroup) bool { return d.Why == fuzz.Unexplained }) {
			paint = p.red
		}
		last := left(words)
		last.paint = paint
		g = append(g, append(row, right(commas(one.Common)), right(commas(one.Led)), last))
	}
	fmt.Fprintln(w, p.bold("Outcomes")+"  what every call answered, and who sleeps at the end")
	g.print(w, p)
	for _, one := range all {
		for _, d := range one.Differences {
			if d.Why == fuzz.Undecided {
				continue
			}
			fmt.Fprintf(w, "\n%s: %s, %s; not under %s\n", one.Scenario, strings.Join(d.Has, ", "), d.why(), strings.Join(d.Lacks, ", "))
			for _, line := range d.Example {
				fmt.Fprintln(w, "  "+line)
			}
		}
	}
}

// differences says what differs in a few words.
func (c *compared) differences() string {
	var words []string
	for _, d := range c.Differences {
		words = append(words, fmt.Sprintf("%s only %s, %s", commas(d.Outcomes), strings.Join(d.Has, " "), d.why()))
	}
	if c.Ticks > 0 {
		words = append(words, fmt.Sprintf("%s in ticks", commas(c.Ticks)))
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, "; ")
}

func (d *differenceGroup) why() string {
	if d.Why != fuzz.ByFreedom {
		return d.Why.String()
	}
	var names []string
	for _, f := range d.Needs {
		names = append(names, f.String())
	}
	return "by " + strings.Join(names, " and ")
}
