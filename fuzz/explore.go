package fuzz

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// An Exploration carries scripts out on a virtual machine, in one execution after
// another, until something is wrong. New, Script and Scheduler must be set.
type Exploration struct {
	Options // of each execution; Scheduler is the exploration's own

	// Script returns script i, for 0, 1, 2, ...; each is carried out in Each
	// executions.
	Script func(i int) *script.Script
	Each   int

	// Scheduler returns what schedules the executions of script i.
	Scheduler func(i int) sched.Scheduler

	Scripts int // how many scripts there are
	Most    int // executions in all, if it is not 0: the last script has what is left
	Workers int // how many are explored side by side; 1 if it is 0

	// Progress, if not nil, is told now and then how far it is. The calls come
	// one at a time, from the workers, and hold them up.
	Progress func(Explored)
}

// Explored is what came of an exploration, or is known so far.
type Explored struct {
	Scripts    int // done
	Executions int
	Operations int
	Searched   int  // histories that neither their commit points nor a first guess explain
	Undecided  int  // histories that could not be decided
	Complete   bool // of every script all executions have been made that its scheduler knows

	// Outcomes are the different histories, as the users of each script see
	// them: what every call answered, and who is asleep at the end.
	Outcomes int

	// Err is not nil if a search came by something else in an execution that
	// it made alike: something decides that no scheduler sees.
	Err error

	Failure *Report // of the failing script with the lowest number; nil if there is none
	Index   int     // that number
}

// Explore carries the exploration out. However many workers there are, the script
// that is found to fail is the first that does. It ends when all scripts are done,
// or with the context, which is no error.
func (e Exploration) Explore(ctx context.Context) Explored {
	w := &explorers{Exploration: e}
	w.out.Complete, w.out.Index = true, -1
	var g errgroup.Group
	for range max(1, e.Workers) {
		g.Go(func() error {
			for {
				i, ok := w.begin(ctx)
				if !ok {
					return nil
				}
				w.end(i, w.explore(ctx, i))
			}
		})
	}
	g.Wait()
	if ctx.Err() != nil {
		w.out.Complete = false
	}
	return w.out
}

type explorers struct {
	Exploration
	mu   sync.Mutex
	next int      // guarded by mu
	out  Explored // guarded by mu
}

// begin takes the next script. When one has failed only those before it matter.
func (w *explorers) begin(ctx context.Context) (i int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || w.next == w.Scripts || w.out.Failure != nil && w.next > w.out.Index {
		return 0, false
	}
	w.next++
	return w.next - 1, true
}

// explore makes the executions of one script.
func (w *explorers) explore(ctx context.Context, i int) (one Explored) {
	s, o := w.Script(i), w.Options
	recorded := &sched.Recorded{Scheduler: w.Scheduler(i)}
	o.Scheduler = recorded
	outcomes := map[uint64]bool{}
	each := w.Each
	if w.Most > 0 {
		each = min(each, w.Most-i*w.Each)
	}
	for one.Executions < each && ctx.Err() == nil {
		if !recorded.Begin() {
			search, ok := recorded.Scheduler.(sched.Search)
			if ok {
				one.Err = search.Err()
			}
			one.Complete = ok && one.Err == nil
			break
		}
		r := Run(s, o)
		one.Executions++
		one.Operations += len(r.History)
		outcomes[outcome(r.History)] = true
		if r.Linear != nil && r.Linear.Searched > 0 {
			one.Searched++
		}
		if r.Undecided != "" {
			one.Undecided++
		}
		if r.Finding != nil {
			one.Failure, one.Index = r, i
			break
		}
	}
	one.Outcomes = len(outcomes)
	return one
}

// end adds what came of script i.
func (w *explorers) end(i int, one Explored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := &w.out
	o.Scripts++
	o.Executions += one.Executions
	o.Operations += one.Operations
	o.Searched += one.Searched
	o.Undecided += one.Undecided
	o.Outcomes += one.Outcomes
	o.Complete = o.Complete && one.Complete
	if o.Err == nil {
		o.Err = one.Err
	}
	if one.Failure != nil && (o.Failure == nil || i < o.Index) {
		o.Failure, o.Index = one.Failure, i
	}
	if w.Progress != nil {
		w.Progress(*o)
	}
}

// outcome is a number for what the users of a script see of an execution.
func outcome(h linearizability.History) uint64 {
	sum := uint64(0)
	var order [script.MaxThreads + 1]int
	for _, rec := range h {
		// The calls of one thread are in order; how those of several lie to each
		// other in time nobody is answered.
		f := fnv.New64a()
		f.Write([]byte{byte(rec.Thread), byte(order[rec.Thread]), byte(order[rec.Thread] >> 8)})
		f.Write([]byte(rec.Result.String()))
		order[rec.Thread]++
		sum += f.Sum64()
	}
	return sum
}

// ErrMisfit says that a schedule is not of the script under this strategy, or not
// of this kernel: there was another number of possibilities.
var ErrMisfit = errors.New("the schedule does not fit")

// Replay carries a script out as its schedule says, under the strategy of the
// options. The error is [ErrMisfit]; what was carried out all the same is in the
// report.
func Replay(s *script.Script, o Options) (*Report, error) {
	replay := sched.NewReplay(s.Schedule.Decisions)
	recorded := &sched.Recorded{Scheduler: replay}
	recorded.Begin()
	o.Scheduler = recorded
	r := Run(s, o)
	if replay.Misfit() != 0 || replay.Left() != 0 {
		return r, ErrMisfit
	}
	return r, nil
}
