package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// ncpu is the CPUs of the machine that a trial runs on. Two are enough for
// every question asked here, and the most that a small computer can give.
const ncpu = 2

// stalled is how long a trial may make no progress before it is an error. Tests
// shorten it.
var stalled = 10 * time.Second

// A trial is one measurement: of one strategy, or one reference, at one
// parameter set, on a machine of its own.
type trial struct {
	ctx   context.Context
	n     int // events to move in the timed stretch, about
	least int // before it
	m     *machine.Machine
	k     *kqueue.Kernel // nil for a reference

	broken chan error // gets the panics of threads, which are not on the trial's goroutine

	pool *pipePool

	part  string // figures have this parameter besides those of the shape
	value any

	took    time.Duration // of the timed stretches
	figures []figure
}

// A figure is one value that a trial has measured.
type figure struct {
	part   string // key of a parameter that only this figure has, or ""
	value  any    // of that parameter
	metric string
	unit   string
	x      float64
}

func (t *trial) figure(metric, unit string, x float64) {
	t.figures = append(t.figures, figure{t.part, t.value, metric, unit, x})
}

// A worker is one thread of a trial.
type worker struct {
	cpu    int
	visits bool           // an ordinary goroutine, which holds a CPU during a call only
	took   *time.Duration // the time it has measured itself, instead of all of move
	part   string         // its own figure has the parameter producer, with this value; none if empty
	// move moves about n events, leaves none under way, and returns how many
	// it has seen arrive.
	move func(td *machine.Thread, n int) (int, error)
}

// warm is how many events go before the stretch.
func (t *trial) warm() int { return min(max(t.n/8, t.least), 4096) }

// A lap is what one worker did in the timed stretch.
type lap struct {
	events int
	took   time.Duration
	stats  machine.Stats
}

// race runs the workers, first for a short stretch that warms caches and makes
// what threads make once, then, from a common start, for the timed one.
func (t *trial) race(workers ...worker) error {
	g := &gate{n: len(workers)}
	laps := make([]lap, len(workers))
	errs := make([]error, len(workers))
	var before, after runtime.MemStats
	var start time.Time
	var done atomic.Int32

	run := func(td *machine.Thread, i int) error {
		w := &workers[i]
		if _, err := w.move(td, t.warm()); err != nil {
			return err
		}
		err := g.pass(td, func() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			start = time.Now()
		})
		if err != nil {
			return err
		}
		was := td.Stats
		n, err := w.move(td, t.n)
		laps[i] = lap{n, time.Since(start), td.Stats}
		laps[i].sub(&was)
		if w.took != nil {
			laps[i].took = *w.took
		}
		if int(done.Add(1)) == len(workers) {
			runtime.ReadMemStats(&after)
		}
		return err
	}
	if len(workers) == 1 && workers[0].visits {
		td := t.m.Attach("visitor", workers[0].cpu)
		errs[0] = run(td, 0)
		td.Detach()
	} else {
		for i := range workers {
			t.m.Go(fmt.Sprintf("worker %d", i), workers[i].cpu, func(td *machine.Thread) {
				errs[i] = guard(func() error { return run(td, i) })
				if errs[i] == nil {
					return
				}
				// Others may wait for ever for what it held.
				if p := (*panicError)(nil); errors.As(errs[i], &p) {
					t.broken <- p
				}
				g.shut(errs[i])
			})
		}
		if err := t.m.Run(); err != nil {
			if err2 := g.why(); err2 != nil {
				return err2 // the others sleep because this one has left
			}
			return err
		}
	}
	if err := g.why(); err != nil {
		return err
	}
	if errs[0] != nil {
		return errs[0]
	}
	return t.report(workers, laps, after.Mallocs-before.Mallocs)
}

func (l *lap) sub(was *machine.Stats) {
	l.stats.Enters -= was.Enters
	l.stats.Contended -= was.Contended
	l.stats.Migrations -= was.Migrations
	l.stats.IPIs -= was.IPIs
	l.stats.Wakeups -= was.Wakeups
	l.stats.Wasted -= was.Wasted
}

// report turns laps into figures.
func (t *trial) report(workers []worker, laps []lap, mallocs uint64) error {
	var sum lap
	for i := range laps {
		sum.events += laps[i].events
		sum.took = max(sum.took, laps[i].took)
		sum.stats.Add(&laps[i].stats)
	}
	if sum.events < t.n {
		return unbalanced("all threads together", t.n, sum.events)
	}
	t.took += sum.took
	per := func(x uint64) float64 { return float64(x) / float64(sum.events) }
	t.figure("ns/event", "ns", float64(sum.took)/float64(sum.events))
	for i, w := range workers {
		if w.part != "" {
			t.figures = append(t.figures, figure{"producer", w.part, "ns/event", "ns", float64(laps[i].took) / float64(laps[i].events)})
		}
	}
	s := &sum.stats
	t.figure("entries/event", "1", per(s.Enters))
	t.figure("contended/event", "1", per(s.Contended))
	t.figure("migrations/event", "1", per(s.Migrations))
	t.figure("ipis/event", "1", per(s.IPIs))
	t.figure("wakeups/event", "1", per(s.Wakeups))
	t.figure("wasted/event", "1", per(s.Wasted))
	t.figure("allocs/event", "1", per(mallocs))
	return nil
}

// A gate lets workers through once all have come.
type gate struct {
	n    int
	came atomic.Int32
	open atomic.Bool

	mu  sync.Mutex
	err error // guarded by mu: why it will never open
}

// pass waits for all workers. The last to come runs f, then opens the gate.
// Others wait without their CPU, which one that has yet to come may need.
func (g *gate) pass(td *machine.Thread, f func()) error {
	if int(g.came.Add(1)) == g.n {
		f()
		g.open.Store(true)
		return nil
	}
	for !g.open.Load() {
		if err := g.why(); err != nil {
			return err
		}
		td.Leave()
		runtime.Gosched()
	}
	return nil
}

func (g *gate) shut(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
}

func (g *gate) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// A vigil is kept by a thread that looks for something again and again.
type vigil struct {
	t     *trial
	what  string
	looks int
	since time.Time
}

// wait is called after each look that was in vain. A thread of machine.Go may
// hold the CPU that the awaited one needs, so it offers it.
func (v *vigil) wait(td *machine.Thread) error {
	td.Leave()
	v.looks++
	if v.looks&63 == 0 {
		runtime.Gosched()
	}
	if v.looks&4095 != 0 {
		return nil
	}
	if err := v.t.ctx.Err(); err != nil {
		return err
	}
	if v.since.IsZero() {
		v.since = time.Now()
	} else if time.Since(v.since) > stalled {
		return fmt.Errorf("no progress for %v: %s", stalled, v.what)
	}
	return nil
}

// found is called after a look that was not.
func (v *vigil) found() {
	if v.looks != 0 {
		v.looks, v.since = 0, time.Time{}
	}
}

// last returns the figure of that metric that was added last.
func (t *trial) last(metric string) float64 {
	for i := len(t.figures) - 1; ; i-- {
		if t.figures[i].metric == metric {
			return t.figures[i].x
		}
	}
}
