package fuzz

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kqlab/kqlab/fuzz/script"
)

// DefaultRounds is how often a campaign runs each script if nothing is said. To
// draw a script takes a fifth of the time of a run and its check, or more where
// checks are quick. So each is run several times, which is no waste: every round
// has an interleaving of its own.
const DefaultRounds = 20

// DefaultWorkers is how many scripts a campaign runs side by side if nothing is
// said: four for each CPU, since who waits leaves it to others. Then the threads
// of one script are seldom on both CPUs at once; but perturbed ones meet all the
// same, see rates.
func DefaultWorkers() int { return 4 * runtime.GOMAXPROCS(0) }

// rates are the perturbations that the rounds of a script take in turn. Some
// faults show when threads run on undisturbed, side by side; more show when they
// are held up in the midst of things, and some only if that is often, or seldom.
// To hold them up costs half as much time again, so every other round is not.
var rates = [...]int{0, 8, 0, 64}

// A Campaign runs drawn scripts under one strategy until something is wrong.
// New must be set.
type Campaign struct {
	// Options are those of each run. If Perturb is 0 the rounds of a script are
	// perturbed more, less and not at all, in turn; if it is negative, none is.
	Options

	// Seed draws the scripts: script i of a campaign is [Drawn](Seed, i),
	// however many workers there are. The interleavings are the machine's.
	Seed uint64

	Workers int // how many scripts run side by side; DefaultWorkers if it is 0
	Rounds  int // how often each script runs; DefaultRounds if it is 0
	Scripts int // how many scripts there are; without end if it is 0

	// Folder is where what is found is saved, see [Report.Save]; nowhere if it
	// is empty.
	Folder string

	// Shrink is how long to look for a smaller script when something is found.
	// The last run of the search may take its Deadline longer.
	Shrink time.Duration

	// Progress, if not nil, is told what is known so far: when a script begins,
	// and when something is found, before a smaller script is looked for. The
	// calls come one at a time, from the workers, and hold them up.
	Progress func(Outcome)
}

// An Outcome is what came of a campaign, or is known so far.
type Outcome struct {
	Tally
	Running []int // the scripts that run now, none in the end; who dies does so in one of these

	Failure *Report // the first report with a finding; nil if there is none
	Script  int     // which script it is of
	File    string  // where it is saved, if there is a folder

	Smaller     *Report // of a smaller script that is wrong in the same way, if one was found
	SmallerFile string
}

// A Tally counts what a campaign has done.
type Tally struct {
	Scripts    int // done; those that the end of the campaign cut short count
	Histories  int // runs, each of which has one history
	Operations int // of all histories, setup included
	Events     int // returned, in all histories, and looked at

	Checked   int // histories that were held against the specification
	Searched  int // of those, that neither the commit points nor a first guess explain
	Undecided int // histories that could not be decided, in part or at all
	Unchecked int // knotes that were not held against the specification
}

// Drawn returns script i of the campaigns with a seed: seed + i draws it, so
// that the campaign with that seed begins with this script.
func Drawn(seed uint64, i int) *script.Script {
	return Concurrent().Example(int(seed) + i)
}

// Run carries out the campaign until the context ends, all scripts are done, or
// something is found; the first two are no errors. Then each worker ends the run
// that it is in, so it may take a Deadline longer. What else the other workers
// find by then is left alone.
//
// A panic outside the threads of a script, such as in New, is a finding, as one
// in a thread is. The error is that what was found could not be saved.
func (c Campaign) Run(ctx context.Context) (*Outcome, error) {
	if c.Workers < 1 {
		c.Workers = DefaultWorkers()
	}
	if c.Rounds < 1 {
		c.Rounds = DefaultRounds
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := &work{Campaign: c, stop: stop}
	var g errgroup.Group
	for range c.Workers {
		g.Go(func() error { return w.scripts(ctx) })
	}
	err := g.Wait()
	if w.out.Failure != nil && c.Shrink > 0 {
		err = errors.Join(err, w.shrink())
	}
	return &w.out, err
}

// Work is a campaign being carried out.
type work struct {
	Campaign
	stop context.CancelFunc

	mu   sync.Mutex
	next int     // guarded by mu
	out  Outcome // guarded by mu
}

// scripts runs one script after another.
func (w *work) scripts(ctx context.Context) error {
	for ctx.Err() == nil {
		i, ok := w.begin()
		if !ok {
			return nil
		}
		s := Drawn(w.Seed, i)
		for round := range w.Rounds {
			o := w.Options
			o.Round = uint64(round)
			if o.Perturb == 0 {
				o.Perturb = rates[round%len(rates)]
			}
			r := safely(s, o)
			if err := w.count(i, r); err != nil || ctx.Err() != nil {
				w.end(i)
				return err
			}
		}
		w.end(i)
	}
	return nil
}

// begin takes the next script, if there is one.
func (w *work) begin() (i int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Scripts > 0 && w.next == w.Scripts {
		return 0, false
	}
	i = w.next
	w.next++
	w.out.Running = append(w.out.Running, i)
	w.tell()
	return i, true
}

func (w *work) end(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Scripts++
	w.out.Running = slices.DeleteFunc(w.out.Running, func(n int) bool { return n == i })
}

// count adds a run of script i, and keeps it if it is the first with a finding.
// That one is saved at once: the process may not live long.
func (w *work) count(i int, r *Report) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.add(r)
	if r.Finding == nil || w.out.Failure != nil {
		return nil
	}
	w.stop()
	w.out.Failure, w.out.Script = r, i
	if w.Folder != "" {
		w.out.File, err = r.Save(w.Folder)
	}
	w.tell()
	return err
}

// tell shows what is known so far.
func (w *work) tell() {
	if w.Progress == nil {
		return
	}
	out := w.out
	out.Running = slices.Clone(out.Running)
	w.Progress(out)
}

// shrink looks for a smaller script, and saves that too.
func (w *work) shrink() (err error) {
	o := w.Options
	o.Perturb = w.out.Failure.Perturb
	r := Shrink(w.out.Failure, o, shrinkTries, time.Now().Add(w.Shrink))
	if r == w.out.Failure {
		return nil
	}
	w.out.Smaller = r
	if w.Folder != "" {
		w.out.SmallerFile, err = r.Save(w.Folder)
	}
	return err
}

// shrinkTries is how often a smaller script is run before it is taken for right.
const shrinkTries = 50

// safely is Run, with a report of a panic in it.
func safely(s *script.Script, o Options) (r *Report) {
	defer func() {
		if e := recover(); e != nil {
			r = &Report{Script: s, Strategy: o.Strategy, Finding: &Finding{
				noPanic, fmt.Sprintf("outside the threads of the script: %v\n%s", e, debug.Stack()),
			}}
		}
	}()
	return Run(s, o)
}

// add counts a report.
func (t *Tally) add(r *Report) {
	t.Histories++
	t.Operations += len(r.History)
	for _, rec := range r.History {
		t.Events += len(rec.Result.Events)
	}
	t.Unchecked += len(r.Unchecked)
	if r.Undecided != "" {
		t.Undecided++
	}
	if r.Linear != nil {
		t.Checked++
		if r.Linear.Searched > 0 {
			t.Searched++
		}
	}
}
