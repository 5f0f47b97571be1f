package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// A Workload is a job to measure strategies by, with a few parameter sets.
type Workload struct {
	Name string // lower case, no spaces
	Doc  string // one line; says what an event is

	Notes []string // what parameters mean whose names do not say it, a sentence each

	shapes []shape
	rivals []shape // references that this workload is compared with
}

// A shape is one parameter set of a workload.
type shape struct {
	params map[string]any
	core   bool // measured also when time is short
	most   int  // events in a stretch; 0 is no limit
	least  int  // events in a stretch, and before it; 0 is leastEvents
	run    func(t *trial) error
	// fits says why this process cannot run the shape, if so.
	fits func() error
}

// fewest is how many events a stretch has at least.
func (s *shape) fewest() int {
	if s.least > 0 {
		return s.least
	}
	return leastEvents
}

// Options say what Run measures.
type Options struct {
	Strategies []strategies.Entry
	Workloads  []*Workload
	Budget     time.Duration // for all of it; 0 is a default for each workload
	Seed       uint64        // of the order within rounds

	Progress func(done, total int, what string) // called before each measurement; may be nil
	Note     func(string)                       // told what was left out, and why; may be nil
}

const (
	// defaultBudget is the time for one workload. It leaves room for a slow
	// machine: a workload is to end within 40 s.
	defaultBudget = 20 * time.Second
	// scant is the budget for one shape of one strategy below which the
	// shapes that are not core are left out.
	scant = 100 * time.Millisecond

	mostRounds   = 11
	goodRounds   = 9 // the fewest whose median's interval survives an outlier on either side
	leastRounds  = 3
	shortSlice   = time.Millisecond
	longSlice    = 40 * time.Millisecond // a longer stretch says no more
	leastEvents  = 32
	progressFull = 1000 // Progress counts thousandths of the run
)

// Workloads returns all workloads, in the order in which they are printed.
func Workloads() []*Workload {
	return []*Workload{single, disjoint, crosscore, shared, fanout, churn, wake, blockingfilter, pipetest, hostpipe, polls, selects, epolls}
}

// An item is one thing that each round measures once.
type item struct {
	workload string
	shape    *shape
	entry    *strategies.Entry // nil for a reference
	control  bool              // the second measurement of a strategy, for a/a

	cost   time.Duration // for one event
	setup  time.Duration // for one trial, outside of its timed stretch
	rounds [][]figure
}

func (it *item) String() string {
	name := it.workload
	if it.entry != nil {
		name += " " + it.entry.Name
	}
	return strings.TrimSpace(name + " " + paramText(it.shape.params))
}

// Run measures. When ctx is done it returns what it has, marked Partial, and
// the error of ctx. A strategy that loses an event or returns it twice, panics
// or hangs ends the run too: the error is a [*Failure], which names the
// strategy and the workload, and what was measured before comes with it, marked Partial. Threads of such
// a strategy may be left behind. What the Go runtime cannot survive, such as
// a stack without end, ends the process.
func Run(ctx context.Context, o Options) ([]Record, error) {
	if len(o.Strategies) == 0 {
		return nil, errors.New("bench: no strategies")
	}
	if len(o.Workloads) == 0 {
		return nil, errors.New("bench: no workloads")
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Budget <= 0 {
		o.Budget = defaultBudget * time.Duration(len(o.Workloads))
	}
	r := &runner{ctx: ctx, o: o, start: time.Now(), random: rand.New(rand.NewPCG(o.Seed, 0))}
	r.plan()
	err := r.calibrate()
	if err == nil {
		err = r.measure()
	}
	r.pool.close()
	return r.records(err != nil), err
}

type runner struct {
	ctx    context.Context
	o      Options
	start  time.Time
	random *rand.Rand
	items  []*item
	pool   pipePool
}

// plan lists the items.
func (r *runner) plan() {
	shapes := 0
	for _, w := range r.o.Workloads {
		shapes += len(w.shapes)
	}
	each := r.o.Budget / time.Duration(shapes*(len(r.o.Strategies)+1))
	reduced := each < scant
	control := max(0, slices.IndexFunc(r.o.Strategies, func(e strategies.Entry) bool { return e.Name == "giant" }))

	rivals := map[string]bool{}
	refer := func(s *shape) {
		if key := paramText(s.params); !rivals[key] {
			rivals[key] = true
			r.items = append(r.items, &item{workload: "reference", shape: s})
		}
	}
	for i := range references {
		s := &references[i]
		if s.fits != nil {
			if err := s.fits(); err != nil {
				r.o.Note(fmt.Sprintf("reference %s is left out: %v", paramText(s.params), err))
				continue
			}
		}
		refer(s)
	}
	for _, w := range r.o.Workloads {
		left := 0
		var unfit omissions
		keep := func(s *shape) bool {
			if s.fits != nil {
				if err := s.fits(); err != nil {
					unfit.add(s, err)
					return false
				}
			}
			if reduced && !s.core {
				left++
				return false
			}
			return true
		}
		for i := range w.shapes {
			s := &w.shapes[i]
			if !keep(s) {
				continue
			}
			for j := range r.o.Strategies {
				r.items = append(r.items, &item{workload: w.Name, shape: s, entry: &r.o.Strategies[j]})
				if j == control {
					r.items = append(r.items, &item{workload: w.Name, shape: s, entry: &r.o.Strategies[j], control: true})
				}
			}
		}
		for i := range w.rivals {
			if s := &w.rivals[i]; keep(s) {
				refer(s)
			}
		}
		for _, o := range unfit {
			r.o.Note(w.Name + ": " + o.String())
		}
		if left > 0 {
			r.o.Note(fmt.Sprintf("%s: %s left out, since the budget of %v is short", w.Name, setsAre(left), r.o.Budget))
		}
	}
}

// An omission is the shapes of a workload that do not fit for one reason.
type omission struct {
	reason string
	of     []string // strategies, or the operations of references
	n      int
}

type omissions []*omission

func (all *omissions) add(s *shape, why error) {
	i := slices.IndexFunc(*all, func(o *omission) bool { return o.reason == why.Error() })
	if i < 0 {
		i = len(*all)
		*all = append(*all, &omission{reason: why.Error()})
	}
	o := (*all)[i]
	o.n++
	of := "strategies"
	if op, ok := s.params["op"]; ok {
		of = fmt.Sprint(op)
	}
	if !slices.Contains(o.of, of) {
		o.of = append(o.of, of)
	}
}

func (o *omission) String() string {
	return fmt.Sprintf("%s left out (%s): %s", setsAre(o.n), strings.Join(o.of, ", "), o.reason)
}

func setsAre(n int) string {
	if n == 1 {
		return "1 parameter set is"
	}
	return fmt.Sprintf("%d parameter sets are", n)
}

// trial measures an item once, for n events, on a goroutine of its own: a
// strategy that passes every test may still hang or panic here, and what the
// rounds before have measured must outlive that. A trial that does not end is
// left behind with what it holds.
func (r *runner) trial(it *item, n int) (*trial, error) {
	t := &trial{ctx: r.ctx, n: n, least: it.shape.fewest(), m: machine.Native(ncpu), pool: &r.pool, broken: make(chan error, ncpu+1)}
	ended := make(chan error, 1)
	go func() {
		ended <- guard(func() error {
			if it.entry != nil {
				t.k = kqueue.New(t.m, it.entry.New(t.m))
			}
			return it.shape.run(t)
		})
	}()
	err := r.await(t, ended)
	switch {
	case err == nil:
		return t, nil
	case r.ctx.Err() != nil:
		return nil, r.ctx.Err()
	}
	failure := &Failure{Workload: it.workload, err: fmt.Errorf("bench: %v, %d events, seed %d: %w", it, n, r.o.Seed, err)}
	if it.entry != nil {
		failure.Strategy = it.entry.Name
	}
	return nil, failure
}

// A Failure is a trial that went wrong, the error of [Run] that is not its
// context's.
type Failure struct {
	Workload, Strategy string // no strategy if a reference failed
	err                error
}

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// await waits for a trial to end, for a thread of it to panic, or for longer
// than any trial takes. Threads that look for progress give up after stalled,
// with a message that says more, so they come first.
func (r *runner) await(t *trial, ended <-chan error) error {
	limit := time.NewTimer(3 * stalled)
	defer limit.Stop()
	interrupted := r.ctx.Done()
	for {
		select {
		case err := <-ended:
			select {
			case first := <-t.broken: // the end of the others is its consequence
				return first
			default:
				return err
			}
		case err := <-t.broken:
			r.pool.left = true
			return err
		case <-interrupted:
			interrupted = nil
			limit.Reset(stalled / 2)
		case <-limit.C:
			r.pool.left = true
			return errHung
		}
	}
}

var errHung = errors.New("the trial does not end")

// guard calls f and turns a panic into an error that says where it was.
func guard(f func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err = &panicError{fmt.Sprint(v), culprit()}
	}()
	return f()
}

// A panicError is a panic in a trial.
type panicError struct{ value, where string }

func (e *panicError) Error() string { return "panic: " + e.value + e.where }

// culprit names the function that panicked, for guard's deferred function: it
// is the first, after the panic itself, that is not the runtime's.
func culprit() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && f.Function != "" && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf(", in %s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// calibrate finds out what an event of each item costs, and its setup.
func (r *runner) calibrate() error {
	for i, it := range r.items {
		r.o.Progress(i*progressFull/10/len(r.items), progressFull, it.String()+": calibrating")
		enough := min(time.Millisecond, r.o.Budget/20/time.Duration(len(r.items)))
		for n := it.shape.fewest(); ; n *= 8 {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			begin := time.Now()
			t, err := r.trial(it, n)
			if err != nil {
				return err
			}
			it.cost = max(t.took/time.Duration(n), 1)
			it.setup = time.Since(begin) - t.took
			if t.took >= enough || time.Since(begin) >= 8*enough {
				break
			}
		}
	}
	return nil
}

// measure runs the rounds.
func (r *runner) measure() error {
	rounds, slice := r.share()
	order := make([]int, len(r.items))
	for i := range order {
		order[i] = i
	}
	const first = progressFull / 10
	done, total := 0, rounds*len(r.items)
	begin := time.Now()
	for round := range rounds {
		if spent := time.Since(begin); round >= leastRounds && time.Since(r.start)+spent/time.Duration(round) > r.o.Budget*11/10 {
			r.o.Note(fmt.Sprintf("%d rounds instead of %d: the machine is slower than at calibration", round, rounds))
			break
		}
		r.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			it := r.items[i]
			r.o.Progress(first+done*(progressFull-first)/total, progressFull, it.String())
			done++
			if err := r.ctx.Err(); err != nil {
				return err
			}
			n := max(it.shape.fewest(), int(slice/it.cost))
			if most := it.shape.most; most > 0 {
				n = min(n, most)
			}
			t, err := r.trial(it, n)
			if err != nil {
				return err
			}
			it.rounds = append(it.rounds, t.figures)
		}
	}
	r.o.Progress(progressFull, progressFull, "")
	return nil
}

// share divides what is left of the budget into rounds and slices: mostRounds
// if the slices are long enough then, goodRounds if they are short, and fewer
// only where they would be shorter still.
func (r *runner) share() (rounds int, slice time.Duration) {
	left := r.o.Budget - time.Since(r.start)
	var setup time.Duration
	for _, it := range r.items {
		setup += it.setup + it.cost*64
	}
	for rounds = mostRounds; rounds > leastRounds; rounds-- {
		slice = (left/time.Duration(rounds) - setup) / time.Duration(len(r.items))
		if slice >= 4*shortSlice || rounds <= goodRounds && slice >= shortSlice {
			break
		}
	}
	// The warm-up before each stretch takes up to an eighth of it.
	return rounds, min(max(slice*8/9, 0), longSlice)
}
