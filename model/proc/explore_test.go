package proc_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A ground is a kernel with its first process, on a native machine or a virtual one. What
// threads tell each other they tell under a lock of the machine.
type ground struct {
	m *machine.Machine
	k *kqueue.Kernel
	p *proc.Process // the first

	mu  machine.Mutex
	err error // guarded by mu: the first that a thread has noted
}

func newGround(m *machine.Machine, s strategies.Entry) *ground {
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	return &ground{m: m, k: k, p: proc.New(k)}
}

// fail notes what is wrong, with mu held.
func (g *ground) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, args...)
	}
}

// must notes an error of a call of a thread.
func (g *ground) must(td *machine.Thread, what string, err error) {
	if err != nil {
		g.mu.Lock(td)
		g.fail("%s: %s: %v", td.Name, what, err)
		g.mu.Unlock(td)
	}
}

// again says how to have the same draws.
func again(t *testing.T) {
	t.Helper()
	t.Logf("repeat with: go test ./model/proc -run '%s' -seed %d", t.Name(), *seed)
}

// A program is given a thread to set things up with, starts others, and returns what is to
// be asked when they have ended.
type program func(g *ground, td *machine.Thread) (check func() error)

var drawn = []string{"random", "pct:3"}

// explore makes n executions at most on virtual machines, under each strategy and
// scheduler, and returns what was wrong. A race build makes fewer, which each cost ten times
// as much.
func explore(t *testing.T, n int, schedulers []string, p program) (errs []error) {
	t.Helper()
	again(t)
	if raceEnabled {
		n = min(n/5, 300)
	}
	for _, s := range strategies.All {
		for _, name := range schedulers {
			sc, err := sched.New(name, *seed)
			if err != nil {
				t.Fatal(err)
			}
			i := 0
			for ; i < n && sc.Begin(); i++ {
				if err := execute(sc, s, p); err != nil {
					errs = append(errs, fmt.Errorf("%s, %s, execution %d: %w", s.Name, name, i, err))
				}
			}
			t.Logf("%s, %s: %d executions", s.Name, name, i)
		}
	}
	return errs
}

func execute(sc sched.Scheduler, s strategies.Entry, p program) (err error) {
	g := newGround(machine.Virtual(2, sc), s)
	defer g.m.Abandon()
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	td := g.m.Attach("setup", 0)
	check := p(g, td)
	td.Detach()
	if err := g.m.Run(); err != nil {
		return err
	}
	return errors.Join(g.err, check(), g.p.Audit(nil))
}

func nothing(t *testing.T, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		t.Errorf("%d executions went wrong; the first: %v", len(errs), errs[0])
	}
}
