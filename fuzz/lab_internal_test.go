package fuzz

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/strategies"
)

// An execution is what can be seen of one.
type execution struct {
	Schedule []int
	Finding  string
	History  string
}

// made makes an execution in a lab.
func made(l *lab, recorded *sched.Recorded, s *script.Script, by sched.Scheduler) execution {
	recorded.Scheduler = by
	recorded.Begin()
	r := l.run(s)
	x := execution{append([]int(nil), recorded.Schedule...), "", r.History.String()}
	if r.Finding != nil {
		x.Finding = r.Finding.Property
	}
	return x
}

func newBench(o Options) (*lab, *sched.Recorded) {
	recorded := &sched.Recorded{}
	o.Scheduler = recorded
	return newLab(o), recorded
}

// A lab that has been used makes the executions that a new one makes: every
// scenario, and drawn scripts, one after another, by schedulers that look at more
// than who may go on.
func TestLabIsAsNew(t *testing.T) {
	scripts := append([]*script.Script(nil), everyScenario(t)...)
	for i := range 40 {
		scripts = append(scripts, Drawn(7, i))
	}
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			o := Options{New: e.New, Strategy: e.Name}
			used, recorded := newBench(o)
			defer used.close()
			kept := 0
			for round := range rounds {
				for i, s := range scripts {
					for _, name := range []string{"random", "pct:3", "pos", "urw"} {
						seed := uint64(round*len(scripts) + i)
						kept += same(t, o, used, recorded, s, name, seed)
						if t.Failed() {
							return
						}
					}
				}
			}
			if all := rounds * len(scripts) * 4; kept < all-1 {
				t.Errorf("the machine was kept %d times of %d: these executions all end by themselves", kept, all)
			}
		})
	}
}

// same makes an execution in a used lab and in a new one, and returns 1 if the used
// one went on with its machine.
func same(t *testing.T, o Options, used *lab, recorded *sched.Recorded, s *script.Script, name string, seed uint64) (kept int) {
	t.Helper()
	scheduler := func() sched.Scheduler {
		by, err := sched.New(name, seed)
		if err != nil {
			t.Fatal(err)
		}
		return by
	}
	fresh, other := newBench(o)
	defer fresh.close()
	before := used.r
	want, got := made(fresh, other, s, scheduler()), made(used, recorded, s, scheduler())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, seed %d: in a lab that has been used it is another execution (-new +used):\n%s\n%v", name, seed, diff, s)
	}
	if before != nil && used.r == before {
		kept = 1
	}
	return kept
}

func everyScenario(t *testing.T) (all []*script.Script) {
	for _, name := range Scenarios() {
		s, err := Scenario(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// A bad strategy does something wrong once a thread has slept in its domain.
type bad struct {
	mp     *machine.Token
	places [2]kqueue.Place
	what   string
	slept  bool
	resets bool // Reset does what it should
}

func newBad(what string, resets bool) Options {
	return Options{Strategy: what, New: func(m *machine.Machine) kqueue.Strategy {
		b := &bad{mp: m.MPLock(), what: what, resets: resets}
		b.places[0].Domain, b.places[1].Domain = b, b
		return b
	}}
}

func (b *bad) Source(*machine.Thread) *kqueue.Place { return &b.places[0] }
func (b *bad) Queue(*machine.Thread) *kqueue.Place  { return &b.places[1] }
func (b *bad) Enter(td *machine.Thread)             { td.Get(b.mp) }
func (b *bad) Exit(td *machine.Thread)              { td.Put(b.mp) }

func (b *bad) Reset() { b.slept = b.slept && !b.resets }

func (b *bad) Sleep(td *machine.Thread, until time.Duration) error {
	b.slept = true
	switch b.what {
	case "panics":
		panic("broken")
	case "sleeps":
		td.Interlock(&machine.WaitChan{Name: "elsewhere"})
	}
	return td.Sleep(until)
}

func (b *bad) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	if b.slept && b.what == "loses" {
		return
	}
	kqueue.Activate(td, kn)
}

const two = `
setup
  kqueue
  probe
  kevent 0: READ 1 ADD|CLEAR
thread
  kevent 0 room=1 wait=forever
thread cpu=1
  set 1 5`

// After an execution that does not end well nothing is kept; what comes then is as
// in a new lab.
func TestLabAfterFailure(t *testing.T) {
	s, err := script.Parse("two.kq", two)
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{"panics": noPanic, "sleeps": noDeadlock, "loses": noLostWake} {
		t.Run(what, func(t *testing.T) {
			o := newBad(what, true)
			used, recorded := newBench(o)
			defer used.close()
			found := 0
			for seed := range uint64(60) {
				fresh, other := newBench(o)
				w, x := made(fresh, other, s, sched.NewRandom(seed)), made(used, recorded, s, sched.NewRandom(seed))
				fresh.close()
				if diff := cmp.Diff(w, x); diff != "" {
					t.Fatalf("seed %d (-new +used): %s", seed, diff)
				}
				switch {
				case x.Finding == "":
					continue
				case x.Finding != want:
					t.Fatalf("seed %d: found %q, want %q", seed, x.Finding, want)
				case used.r != nil:
					t.Fatalf("seed %d: the machine is kept after a finding", seed)
				}
				found++
			}
			if found < 5 || found > 55 {
				t.Errorf("%d of 60 executions fail, want some that do and some that do not", found)
			}
		})
	}
}

// A strategy that forgets to reset something is seen to: it is the control of what
// compares a used lab with a new one.
func TestLabForgets(t *testing.T) {
	s, err := script.Parse("two.kq", two)
	if err != nil {
		t.Fatal(err)
	}
	o := newBad("loses", false)
	used, recorded := newBench(o)
	defer used.close()
	seed := uint64(0)
	for made(used, recorded, s, sched.NewRandom(seed)); used.r == nil; seed++ {
		made(used, recorded, s, sched.NewRandom(seed+1))
	}
	used.r.strategy.(*bad).slept = true // as an execution in which somebody sleeps leaves it
	fresh, other := newBench(o)
	defer fresh.close()
	if w, x := made(fresh, other, s, sched.NewRandom(seed)), made(used, recorded, s, sched.NewRandom(seed)); cmp.Diff(w, x) == "" {
		t.Error("the execution is as in a new lab, though the strategy is not")
	}
}
