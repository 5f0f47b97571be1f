package mutants_test

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/mutants"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

const (
	seeds = 25
	// mostNeeded is how many executions a fault may take to be found, in the median
	// over the seeds.
	mostNeeded = 100
)

// policies are the schedulers that a fault is looked for with. The first must find
// it; of the others it is told how they do.
var policies = []string{"pct:3", "random", "pos"}

// TestExplore is a child of TestCaught: executions of one scenario, or of one
// program, on a virtual machine, with as many seeds for each scheduler. It fails if
// one is wrong, and says how many it takes.
func TestExplore(t *testing.T) {
	e, _ := strategy(t)
	what := explored()
	if what == "" {
		t.Fatalf("%s: want STRATEGY,TRY,scenario/NAME, spurious/NAME or program/NAME", variable)
	}
	first, medians := "", []string{}
	for _, policy := range policies {
		var needed []int
		for seed := range uint64(seeds) {
			n, wrong := explore(t, what, e, policy, seed)
			needed = append(needed, n)
			if first == "" && wrong != nil {
				first = fmt.Sprintf("with %s, seed %d, in execution %d: %v", policy, seed, n, wrong)
			}
		}
		slices.Sort(needed)
		median := fmt.Sprint(needed[seeds/2])
		if needed[seeds/2] > mostNeeded {
			median = fmt.Sprint("over ", mostNeeded)
		}
		medians = append(medians, policy+" "+median)
	}
	fmt.Println("medians", strings.Join(medians, ", "))
	if first != "" {
		t.Fatal("found " + first)
	}
}

// explore makes executions until one is wrong, and says which; mostNeeded+1 if none is.
func explore(t *testing.T, what string, e strategies.Entry, policy string, seed uint64) (int, error) {
	s, err := sched.New(policy, seed)
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := strings.CutPrefix(what, mutants.Program); ok {
		i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
		if i < 0 {
			t.Fatalf("no program %q", name)
		}
		for n := 1; n <= mostNeeded; n++ {
			s.Begin()
			if err := programs[i].run(e, s); err != nil {
				return n, err
			}
		}
		return mostNeeded + 1, nil
	}
	var choices script.Choices
	name, spurious := strings.CutPrefix(what, mutants.Spurious)
	if spurious {
		choices.Spurious = 2
	}
	name = strings.TrimPrefix(name, mutants.Scenario)
	scenario, err := fuzz.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	x := fuzz.Exploration{
		Options: fuzz.Options{New: e.New, Strategy: e.Name, Choices: choices},
		Script:  func(int) *script.Script { return scenario }, Scripts: 1, Each: mostNeeded,
		Scheduler: func(int) sched.Scheduler { return s },
	}
	if got := x.Explore(t.Context()); got.Failure != nil {
		return got.Executions, fmt.Errorf("%w\n%s", got.Failure.Finding, got.Failure.Text())
	}
	return mostNeeded + 1, nil
}

// A program has on a virtual machine what no script can say: a filter that counts
// hints, callouts that post them, a gate.
type program struct {
	name string
	// make has threads do something, once the machine rests, and returns what is
	// wrong when it rests again.
	make func(w *world) (check func(td *machine.Thread) error)
}

// A world is a kernel on a virtual machine, and the first thing that went wrong.
type world struct {
	m     *machine.Machine
	k     *kqueue.Kernel
	wrong error
}

// run makes one execution.
func (p program) run(e strategies.Entry, s sched.Scheduler) error {
	m := machine.Virtual(2, s)
	defer m.Abandon()
	w := &world{m: m, k: kqueue.New(m, e.New(m))}
	device.Install(w.k)
	check := p.make(w)
	if err := m.Run(); err != nil {
		return errors.Join(w.wrong, err)
	}
	m.Quiesce()
	w.spawn("checker", 0, func(td *machine.Thread) error { return check(td) })
	return errors.Join(w.wrong, m.Run())
}

// spawn starts a thread; what it returns, or panics with, is wrong.
func (w *world) spawn(name string, cpu int, f func(td *machine.Thread) error) {
	w.m.Go(name, cpu, func(td *machine.Thread) {
		defer func() {
			if e := recover(); machine.Abandoned(e) {
				panic(e)
			} else if e != nil {
				w.fail(fmt.Errorf("%s: %v\n%s", name, e, debug.Stack()))
			}
		}()
		w.fail(f(td))
	})
}

// fail notes what is wrong. A thread with which nothing is must not look at what others
// have noted: the race detector sees them as if they ran in parallel.
func (w *world) fail(err error) {
	if err != nil && w.wrong == nil {
		w.wrong = err
	}
}

// setup has one thread do something while no other runs.
func (w *world) setup(f func(td *machine.Thread) error) {
	w.spawn("setup", 0, f)
	w.fail(w.m.Run())
}

// counter can be read when hints have come that nobody has taken; for Write it has a
// filter that does the same and blocks.
type counter struct{ src kqueue.Source }

func (c *counter) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f == event.Write {
		return &c.src, slowCount, nil
	}
	return &c.src, counts, nil
}
func (c *counter) Sources() []*kqueue.Source { return []*kqueue.Source{&c.src} }
func (c *counter) Release(*machine.Thread)   {}

var (
	counts    = &kqueue.Filter{Name: "count", Count: true, Clear: true}
	nap       machine.WaitChan
	slowCount = &kqueue.Filter{Name: "slow count", Blocks: true, Clear: true, Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		if !td.NoSleep {
			td.Interlock(&nap)
			td.Sleep(td.Now() + 5000)
		}
		kn.Pending += hint
		kn.Data = kn.Pending
		return kn.Data > 0
	}}
)

// descs are the descriptors of a program.
type descs []*kqueue.Desc

func (d descs) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) { return d[fd], nil }

func add(td *machine.Thread, q *kqueue.Queue, fd uint64, f event.Filter) error {
	_, err := q.Kevent(td, []event.Kevent{{Ident: fd, Filter: f, Flags: event.Add | event.Clear}}, nil, 0)
	return err
}

// take returns what the one event of a queue counts, 0 if there is none.
func take(td *machine.Thread, q *kqueue.Queue) (int64, error) {
	events := make([]event.Kevent, 1)
	n, err := q.Kevent(td, nil, events, 0)
	if n == 0 {
		return 0, err
	}
	return events[0].Data, err
}

var programs = []program{
	{"hints-of-callouts", func(w *world) func(*machine.Thread) error {
		var c counter
		var q *kqueue.Queue
		w.setup(func(td *machine.Thread) error {
			c.src.Init(td, w.k)
			q = w.k.NewQueue(td, descs{{File: &c}})
			return add(td, q, 0, event.Write)
		})
		taken := int64(0)
		const hints = 3
		for i := range hints {
			w.spawn(fmt.Sprint("poster ", i), i%2, func(td *machine.Thread) error {
				post := w.m.NewCallout("post", td.Home(), func(td *machine.Thread) { c.src.Notify(td, 1) })
				td.Interlock(&post.Ended)
				post.Reset(td, td.Now())
				return td.Sleep(machine.Forever)
			})
		}
		w.spawn("taker", 1, func(td *machine.Thread) (err error) {
			c.src.Notify(td, 1)
			taken, err = take(td, q)
			return err
		})
		return func(td *machine.Thread) error {
			rest, err := take(td, q)
			if err == nil && taken+rest != hints+1 {
				err = fmt.Errorf("I10: %d hints were posted, and %d counted", hints+1, taken+rest)
			}
			return err
		}
	}},
	{"hint-of-a-walk-that-waits", func(w *world) func(*machine.Thread) error {
		var c counter
		var first, second *kqueue.Queue
		w.setup(func(td *machine.Thread) error {
			c.src.Init(td, w.k)
			first, second = w.k.NewQueue(td, descs{{File: &c}}), w.k.NewQueue(td, descs{{File: &c}})
			return errors.Join(add(td, first, 0, event.Read), add(td, second, 0, event.Write))
		})
		for i := range 2 {
			w.spawn(fmt.Sprint("poster ", i), i, func(td *machine.Thread) error {
				c.src.Notify(td, 1)
				return nil
			})
		}
		return func(td *machine.Thread) error {
			for _, q := range []*kqueue.Queue{first, second} {
				if n, err := take(td, q); err != nil || n != 2 {
					return errors.Join(err, fmt.Errorf("I10: 2 hints were posted, and %d counted", n))
				}
			}
			return nil
		}
	}},
	{"news-behind-a-gate", func(w *world) func(*machine.Thread) error {
		var p *device.Probe
		var q *kqueue.Queue
		w.setup(func(td *machine.Thread) error {
			p = device.NewProbe(td, w.k, device.ProbeConfig{Gated: true})
			p.Set(td, 1)
			q = w.k.NewQueue(td, descs{{File: p}})
			user := event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | event.Clear}
			_, err := q.Kevent(td, []event.Kevent{user, {Filter: event.Read, Flags: event.Add}}, nil, 0)
			p.Hold(td, device.InEvent)
			return err
		})
		var back machine.Uint32
		returned := &machine.WaitChan{Name: "who has not come to the gate"}
		for i := range 2 {
			w.spawn(fmt.Sprint("taker ", i), i, func(td *machine.Thread) error {
				n, err := q.Kevent(td, nil, make([]event.Kevent, 1), kqueue.Forever)
				if err == nil && n != 1 {
					err = fmt.Errorf("%d events, want 1", n)
				}
				back.Add(td, 1)
				td.Wakeup(returned)
				return err
			})
		}
		w.spawn("opener", 1, func(td *machine.Thread) error {
			p.Waiting(td, device.InEvent, 1)
			if _, err := q.Kevent(td, []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}, nil, 0); err != nil {
				return err
			}
			for back.Load(td) == 0 {
				td.Interlock(returned)
				if back.Load(td) == 0 {
					td.Sleep(machine.Forever)
				}
				td.Uninterlock()
			}
			p.Let(td, device.InEvent)
			return nil
		})
		return func(*machine.Thread) error { return nil }
	}},
}
