package fuzz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kqlab/kqlab/fuzz/races"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// An Exploration carries scripts out on a virtual machine, in one execution after
// another, until something is wrong. New, Script and Scheduler must be set.
type Exploration struct {
	Options // of each execution; Scheduler is the exploration's own

	// Script returns script i, for 0, 1, 2, ...; each is carried out in Each
	// executions. If all are to count as executions of one script it returns the same
	// pointer each time.
	Script func(i int) *script.Script
	Each   int

	// Scheduler returns what schedules the executions of script i.
	Scheduler func(i int) sched.Scheduler

	Scripts int // how many scripts there are
	Most    int // executions in all, if it is not 0: the last script has what is left
	Workers int // how many are explored side by side; 1 if it is 0

	// Keep has for each outcome of script 0 the schedule kept with which it came
	// first.
	Keep bool

	// Progress, if not nil, is told after each script how far it is, and during a
	// long one now and then. The calls come one at a time, from the workers, and
	// hold them up.
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
	// them: what every call answered, and who is asleep at the end. So many of
	// them came Once; see [Explored.Unseen].
	Outcomes, Once int

	// Kept has the outcomes of script 0 by a number that is the same under all
	// strategies, if they are to be kept.
	Kept map[uint64]Kept

	// Pairs is how many different pairs of points were seen, and Covered, at the
	// end, which: in the first few hundred executions, and in some of the others.
	Pairs   int
	Covered []Pair

	// Sometimes has, at the end, what script 0 says of executions under the strategy.
	Sometimes []Reach

	Failure *Report // of the failing script with the lowest number; nil if there is none
	Index   int     // that number
}

// Explore carries the exploration out. However many workers there are, the script
// that is found to fail is the first that does, and what is counted is the same. It
// ends when all scripts are done, or with the context, which is no error.
func (e Exploration) Explore(ctx context.Context) Explored {
	w := &explorers{Exploration: e, fails: e.Scripts, waiting: map[int]*part{}}
	w.out.Complete, w.out.Index = true, -1
	if e.Scripts > 0 {
		w.first = e.Script(0)
		w.said = said(w.first, e.Strategy)
	}
	var g errgroup.Group
	for range max(1, e.Workers) {
		g.Go(func() error {
			at := newWorkplace(e.Options)
			defer at.lab.close()
			for {
				p, ok := w.begin(ctx)
				if !ok {
					return nil
				}
				w.explore(ctx, p, at)
				w.end(p)
			}
		})
	}
	g.Wait()
	if ctx.Err() != nil {
		w.out.Complete = false
	}
	w.out.Covered = w.covered.pairs(&w.names)
	w.out.Kept = w.same.kept()
	w.out.Sometimes = w.reaches()
	return w.out
}

type explorers struct {
	Exploration
	first *script.Script // number 0
	names classes
	said  uint32 // of script 0, see said

	mu      sync.Mutex
	next    int               // guarded by mu: number of the script to begin
	fails   int               // guarded by mu: lowest number of a script known to fail
	waiting map[int]*part     // guarded by mu: done, and not their turn yet
	free    []*part           // guarded by mu
	out     Explored          // guarded by mu: of the first scripts, all those before the one whose turn it is
	same    outcomes          // guarded by mu: of script 0, however often it came
	covered coverage          // guarded by mu
	order   machine.LockOrder // guarded by mu: of the same scripts as out
	had     uint32            // guarded by mu: of said, what has come about
}

// A part is what came of one script, as far as it is not in the sum yet. Sums are
// made in the order of the scripts, or the failure that ends all would come after
// more or fewer of them, by who was faster.
type part struct {
	i        int
	s        *script.Script
	one      Explored
	outcomes []uint64         // of each execution
	kept     map[uint64][]int // schedules of those that were not known when they came
	order    machine.LockOrder
	covered  coverage
	had      uint32
}

// A workplace is what a worker has to itself.
type workplace struct {
	lab      *lab
	recorded *sched.Recorded // the scheduler of the lab; around that of the part
}

func newWorkplace(o Options) workplace {
	recorded := &sched.Recorded{}
	o.Scheduler = recorded
	return workplace{newLab(o), recorded}
}

// enough is how many executions of a script, if it is its turn, are added to the sum
// before it ends.
const enough = 256

// begin takes the next script. When one has failed only those before it matter.
func (w *explorers) begin(ctx context.Context) (*part, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || w.next >= w.Scripts || w.next > w.fails {
		return nil, false
	}
	p := &part{}
	if n := len(w.free); n > 0 {
		p, w.free = w.free[n-1], w.free[:n-1]
	}
	p.i = w.next
	w.next++
	return p, true
}

// explore makes the executions of one script.
func (w *explorers) explore(ctx context.Context, p *part, at workplace) {
	s, one, recorded := w.Script(p.i), &p.one, at.recorded
	p.s = s
	inner := w.Scheduler(p.i)
	watched := newWatcher(inner, &w.names, &p.covered)
	at.lab.o.order = &p.order
	each := w.Each
	if w.Most > 0 {
		each = min(each, w.Most-p.i*w.Each)
	}
	want := w.wanted(s)
	for n := 0; n < each && ctx.Err() == nil; n++ {
		if recorded.Scheduler = inner; covers(p.i*w.Each + n) {
			recorded.Scheduler = watched
		}
		if !recorded.Begin() {
			search, ok := inner.(sched.Search)
			one.Complete = ok && search.Err() == nil
			break
		}
		r := at.lab.run(s)
		one.Executions++
		one.Operations += len(r.History)
		if want != 0 {
			have := happened(want, r, at.lab.reached())
			p.had |= have
			want &^= have
		}
		x := outcome(r.History)
		p.outcomes = append(p.outcomes, x)
		if w.Keep && s == w.first && p.kept[x] == nil && !w.known(x) {
			if p.kept == nil {
				p.kept = map[uint64][]int{}
			}
			p.kept[x] = append([]int{}, recorded.Schedule...)
		}
		if r.Linear != nil && r.Linear.Searched > 0 {
			one.Searched++
		}
		if r.Undecided != "" {
			one.Undecided++
		}
		if r.Finding != nil || sampled(p.i, n) {
			decisions := slices.Clone(recorded.Schedule)
			if f := repeat(s, w.Options, decisions, r); f != nil {
				other := *r
				r = &other
				r.History, r.Finding = detached(r.History), f
				r.schedule(&sched.Recorded{Schedule: decisions}, &w.Options)
			}
		}
		if r.Finding != nil {
			one.Failure, one.Index = r, p.i
			break
		}
		if len(p.outcomes) >= enough || one.Searched+one.Undecided > 0 { // a search may take a second
			w.so(p)
		}
	}
	if search, ok := inner.(sched.Search); ok && one.Failure == nil && search.Err() != nil {
		// What it came by before is not kept, so there is no schedule.
		one.Failure, one.Index = &Report{Script: s, Strategy: w.Strategy, Finding: &Finding{sameAgain, search.Err().Error()}}, p.i
	}
}

// wanted returns what a script says must come about and is not known to have.
func (w *explorers) wanted(s *script.Script) uint32 {
	if s != w.first {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said &^ w.had
}

// known reports whether an outcome has come in the scripts before the one whose turn
// it is.
func (w *explorers) known(outcome uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.same.seen[outcome] > 0
}

// so adds what is known of a script that has not ended, if it is its turn and its
// outcomes count together.
func (w *explorers) so(p *part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out.Scripts == p.i && p.s == w.first {
		w.add(p)
		w.tell()
	}
}

// end adds what came of a script, when it is its turn.
func (w *explorers) end(p *part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.one.Failure != nil {
		w.fails = min(w.fails, p.i)
	}
	w.waiting[p.i] = p
	for w.out.Failure == nil {
		p := w.waiting[w.out.Scripts]
		if p == nil {
			return
		}
		delete(w.waiting, p.i)
		w.ordered(p)
		w.out.Complete = w.out.Complete && p.one.Complete
		w.add(p)
		w.out.Scripts++
		w.free = append(w.free, p)
		w.tell()
	}
}

// ordered adds the order of locks of a script that has ended. Of a circle that only
// several scripts close there is no execution that shows it.
func (w *explorers) ordered(p *part) {
	w.order.Add(&p.order)
	p.order = machine.LockOrder{}
	if circle := w.order.Circle(); circle != "" && p.one.Failure == nil {
		p.one.Failure = &Report{Script: p.s, Strategy: w.Strategy, Finding: &Finding{oneOrder, circle}}
		w.fails = min(w.fails, p.i)
	}
}

// add adds a part to the sum, and empties it.
func (w *explorers) add(p *part) {
	o := &w.out
	o.Executions += p.one.Executions
	o.Operations += p.one.Operations
	w.had |= p.had
	o.Searched += p.one.Searched
	o.Undecided += p.one.Undecided
	if p.one.Failure != nil {
		o.Failure, o.Index = p.one.Failure, p.i
	}
	if p.s == w.first {
		for _, x := range p.outcomes {
			w.same.add(x)
		}
		for x, schedule := range p.kept {
			if w.same.schedules == nil {
				w.same.schedules = map[uint64][]int{}
			}
			if w.same.schedules[x] == nil {
				w.same.schedules[x] = schedule
			}
		}
		clear(p.kept)
		o.Outcomes, o.Once = len(w.same.seen), w.same.once
	} else {
		all, once := tally(p.outcomes)
		o.Outcomes += all
		o.Once += once
	}
	w.covered.merge(&p.covered)
	o.Pairs = w.covered.n
	p.one, p.outcomes, p.had = Explored{}, p.outcomes[:0], 0
}

func (w *explorers) tell() {
	if w.Progress != nil {
		w.Progress(w.out)
	}
}

// ErrMisfit says that a schedule is not of the script under this strategy, or not
// of this kernel: there was another number of possibilities.
var ErrMisfit = errors.New("the schedule does not fit")

// Replay carries a script out as its schedule says, under the strategy of the
// options. The error is [ErrMisfit], and says at which decision or turn; what was carried
// out all the same is in the report.
//
// In a race build what shows nothing is carried out some times more: of the accesses to
// a word the race detector keeps four, and which it forgets is chance.
func Replay(s *script.Script, o Options) (*Report, error) {
	r, err := replayOnce(s, o)
	for range races.Looks - 1 {
		if err != nil || r.Finding != nil || o.onlookers != nil {
			break
		}
		r, err = replayOnce(s, o)
	}
	return r, err
}

func replayOnce(s *script.Script, o Options) (*Report, error) {
	o.Choices = s.Schedule.Choices
	if turns := s.Schedule.Turns; turns != nil && s.Schedule.Decisions == nil {
		way, err := parseTurns(turns)
		if err != nil {
			return &Report{Script: s, Strategy: o.Strategy}, fmt.Errorf("%w: %w", ErrMisfit, err)
		}
		return take(s, way, o)
	}
	t := &replaying{Replay: sched.NewReplay(s.Schedule.Decisions)}
	recorded := &sched.Recorded{Scheduler: t}
	recorded.Begin()
	o.Scheduler, o.onlookers = recorded, append(slices.Clone(o.onlookers), t)
	r := Run(s, o)
	return r, misfit(t.Replay, s.Schedule, t.wrong)
}

// A replaying is a replay that knows where it has stopped fitting.
type replaying struct {
	*sched.Replay
	guide
	wrong place
}

// Begin implements [sched.Scheduler].
func (r *replaying) Begin() bool {
	r.guide.begin()
	return r.Replay.Begin()
}

// Next implements [sched.Scheduler].
func (r *replaying) Next(can []int, current int, v sched.View) int {
	r.arrive(v)
	fitted := r.Misfit() == 0
	i := r.Replay.Next(can, current, v)
	if fitted && r.Misfit() != 0 {
		r.wrong = r.here
	}
	r.leave(can[i], v)
	return i
}

// Forced implements [sched.Observer].
func (r *replaying) Forced(thread int, v sched.View) {
	r.arrive(v)
	r.leave(thread, v)
}

// Choose implements [sched.Scheduler].
func (r *replaying) Choose(n int) int {
	here, fitted := r.choose(), r.Misfit() == 0
	i := r.Replay.Choose(n)
	if fitted && r.Misfit() != 0 {
		r.wrong = here
	}
	return i
}
