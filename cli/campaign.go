package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/strategies"
)

// The properties that a campaign checks, as the tables name them.
const specified = "drawn scripts, each history held against the specification"

const (
	// runDeadline is how long one run of a script may take, which is a thousand
	// times what it takes, before it counts as a hang.
	runDeadline = 10 * time.Second
	// faultDeadline is that of a planted fault, which is to be caught: a hundred
	// times will do.
	faultDeadline = time.Second
)

// campaign carries out an order in this process.
func campaign(ctx context.Context, w io.Writer, e strategies.Entry, o *order) error {
	ctx, cancel := context.WithTimeout(ctx, o.Budget)
	defer cancel()
	// There is little in memory that lives longer than a run, and much that
	// does not.
	debug.SetGCPercent(400)
	enc := json.NewEncoder(w)
	c := fuzz.Campaign{
		Options: fuzz.Options{New: e.New, Strategy: e.Name, Deadline: o.Deadline},
		Seed:    o.Seed, Workers: o.workers(), Folder: o.Folder, Shrink: o.Shrink,
		// Who cannot write to its parent has none, and ends: see watchParent.
		Progress: func(out fuzz.Outcome) { enc.Encode(newProgress(&out)) },
	}
	out, err := c.Run(ctx)
	p := newProgress(out)
	p.Files = nil
	for _, of := range []struct {
		name   string
		report *fuzz.Report
	}{{out.SmallerFile, out.Smaller}, {out.File, out.Failure}} {
		if of.name == "" {
			continue
		}
		p.Files = append(p.Files, of.name)
		picture, derr := drawn(of.name, of.report)
		if picture != "" {
			p.Files = append(p.Files, picture)
		}
		err = errors.Join(err, derr)
	}
	if err := errors.Join(err, enc.Encode(p)); err != nil {
		return err
	}
	if out.Failure != nil {
		os.Exit(exitWrong) // threads of the run may still run
	}
	return nil
}

// newProgress says what is known of a campaign so far.
func newProgress(out *fuzz.Outcome) *progress {
	p := &progress{Running: out.Running, tallies: tallies{
		Rounds: out.Histories, Operations: uint64(out.Operations), Events: uint64(out.Events), Scripts: out.Scripts,
		Checked: out.Checked, Searched: out.Searched, Undecided: out.Undecided, Unchecked: out.Unchecked,
	}}
	if out.Failure != nil {
		p.Finding, p.Perturb = out.Failure.Finding.Error(), out.Failure.Perturb
	}
	if out.File != "" {
		p.Files = append(p.Files, out.File)
	}
	return p
}

// drawn draws a finding of the specification beside the script that it is of,
// and returns the picture's name; of other findings there is no picture.
func drawn(script string, r *fuzz.Report) (name string, err error) {
	if r.Linear == nil {
		return "", nil
	}
	name = strings.TrimSuffix(script, filepath.Ext(script)) + ".html"
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	drew, err := r.Linear.Draw(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if !drew || err != nil {
		os.Remove(name)
		return "", err
	}
	return name, nil
}

// keep names the files of a campaign that was caught, and the command that shows
// it again. A child that died could not save the scripts that it was at; but they
// are drawn from the seed.
func (a *app) keep(v *verdict, end *ending) error {
	if v.Caught != byFinding && v.order.Folder != "" {
		for _, i := range end.Running {
			r := &fuzz.Report{Script: fuzz.Drawn(v.order.Seed, i), Strategy: v.Strategy, Finding: &fuzz.Finding{
				Property: "an end of the process by itself",
				Detail:   fmt.Sprintf("%s; this is one of the %d scripts that ran then: %s", v.Caught, len(end.Running), v.Finding),
			}}
			name, err := r.Save(v.order.Folder)
			if err != nil {
				return err
			}
			v.Files = append(v.Files, name)
		}
	}
	switch {
	case strings.HasPrefix(v.order.Strategy, plantedPrefix) && v.Strategy != control.Name:
		// No verb takes its name.
	case len(v.Files) > 0 && (v.Caught == byFinding || len(end.Running) == 1):
		v.Again = fuzz.Again(a.program, v.Files[0], v.Strategy, end.Perturb)
	default:
		// Scripts begin in turn, so those before the first that ran are done.
		first := v.order.Seed
		if len(end.Running) > 0 {
			first += uint64(slices.Min(end.Running))
		}
		v.Again = fmt.Sprintf("%s check --seed %d --budget %v --strategies %s",
			a.program, first, max(10*time.Second, 2*v.order.Budget.Round(time.Second)), v.Strategy)
	}
	return nil
}

// workers is how many scripts a campaign runs side by side.
func (o *order) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return fuzz.DefaultWorkers()
}

// speed is how many operations a second were run and checked on each CPU.
func (v *verdict) speed() string {
	if !v.Correct || v.Took <= 0 {
		return "–"
	}
	return commas(int(float64(v.Operations) / v.Took.Seconds() / float64(runtime.GOMAXPROCS(0))))
}

// searched is how many of the histories that were checked needed a search.
func (v *verdict) searched() string {
	if v.Checked == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(v.Searched)/float64(v.Checked))
}

// printCampaigns prints what campaigns say of strategies. They are as good as the
// verdicts on the controls, which may be the same list.
func printCampaigns(w io.Writer, verdicts, controls []*verdict, p paint) {
	g := grid{{
		left("strategy"), left("verdict"), right("histories"), right("operations"), right("events"), right("op/s"),
		right("searched"), right("undecided"), left("why to believe it"),
	}}
	unchecked, scripts := 0, 0
	for _, v := range verdicts {
		unchecked += v.Unchecked
		scripts = max(scripts, v.Scripts)
		g = append(g, []cell{
			left(v.Strategy), v.cell(p), right(commas(v.Rounds)), right(commas(v.Operations)), right(commas(v.Events)), right(v.speed()),
			right(v.searched()), right(commas(v.Undecided)), left(v.why(controls)),
		})
	}
	fmt.Fprintln(w, p.bold("Correctness")+"  "+specified)
	g.print(w, p)
	for _, line := range wrap(fmt.Sprintf("histories: of up to %s scripts, each run up to %d times. op/s: run and checked, on each CPU. "+
		"searched: histories that the kernel's commit points do not explain, and a search does. "+
		"undecided: histories not held against the specification; nor were %s knotes that watch a queue, in histories that were searched.",
		commas(scripts), fuzz.DefaultRounds, commas(unchecked)), 98) {
		fmt.Fprintln(w, p.dim(line))
	}
}
