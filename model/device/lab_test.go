package device_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

// random returns the generator of thread i, and says how to have it again.
func random(t *testing.T, i int) *rand.Rand {
	if i == 0 {
		t.Logf("repeat with: go test ./model/device -run %s -seed %d", t.Name(), *seed)
	}
	return rand.New(rand.NewPCG(*seed, uint64(i)))
}

// A lab is a process with one kqueue on a machine of two CPUs, and a thread to
// use it with.
type lab struct {
	*testing.T
	m  *machine.Machine
	k  *kqueue.Kernel
	p  *proc.Process
	q  *kqueue.Queue
	td *machine.Thread
}

func newLab(t *testing.T, s strategies.Entry) *lab { return newLabWith(t, s, device.Install) }

func newLabWith(t *testing.T, s strategies.Entry, install func(*kqueue.Kernel)) *lab {
	m := machine.Native(2)
	k := kqueue.New(m, s.New(m))
	install(k)
	td := m.Attach("test", 0)
	p := proc.New(k)
	return &lab{t, m, k, p, k.NewQueue(td, p), td}
}

func (l *lab) end() {
	l.q.Close(l.td)
	l.td.Detach()
}

// each runs f under every strategy.
func each(t *testing.T, f func(l *lab)) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			l := newLab(t, s)
			defer l.end()
			f(l)
		})
	}
}

func (l *lab) open(f kqueue.File) uint64 {
	l.Helper()
	fd, err := l.p.Open(l.td, f)
	if err != nil {
		l.Fatalf("Open: %v", err)
	}
	return uint64(fd)
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// change applies one change and expects its answer.
func (l *lab) change(kev event.Kevent, want error) {
	l.Helper()
	if _, err := l.q.Kevent(l.td, []event.Kevent{kev}, nil, 0); err != want {
		l.Fatalf("%v: error %v, want %v", kev, err, want)
	}
}

// expect takes the events that there are and compares them.
func (l *lab) expect(want ...event.Kevent) {
	l.Helper()
	events := make([]event.Kevent, len(want)+1)
	n, err := l.q.Kevent(l.td, nil, events, 0)
	if err != nil {
		l.Fatalf("Kevent: %v", err)
	}
	if !slices.Equal(events[:n], want) {
		l.Fatalf("events %v, want %v", events[:n], want)
	}
}

// await takes one event, waiting for it as long as it takes.
func (l *lab) await(td *machine.Thread) event.Kevent {
	l.Helper()
	var e [1]event.Kevent
	if n, err := l.q.Kevent(td, nil, e[:], kqueue.Forever); n != 1 || err != nil {
		l.Errorf("Kevent: %d, %v", n, err)
	}
	return e[0]
}

// run waits for the threads of the machine, and fails if they wait for each
// other. The test's own thread, which sleeps nowhere, is none of it meanwhile.
func (l *lab) run() {
	l.Helper()
	l.td.Detach()
	err := l.m.Run()
	l.td = l.m.Attach("test", 0)
	l.must(err)
}

// A tally counts what threads have done, for another to wait for.
type tally struct {
	mu machine.Mutex
	n  int // guarded by mu
	wc machine.WaitChan
}

func (c *tally) add(td *machine.Thread) {
	c.mu.Lock(td)
	c.n++
	td.Wakeup(&c.wc)
	c.mu.Unlock(td)
}

func (c *tally) await(td *machine.Thread, n int) {
	c.mu.Lock(td)
	for c.n < n {
		td.Interlock(&c.wc)
		c.mu.Unlock(td)
		td.Sleep(machine.Forever)
		c.mu.Lock(td)
	}
	c.mu.Unlock(td)
}

// allocations returns how often f allocates, as the least of three measurements at
// most: what goroutines of earlier tests allocate, and the runtime, is counted too,
// but not in each.
func allocations(runs int, f func()) (least float64) {
	for i := range 3 {
		n := testing.AllocsPerRun(runs, f)
		if i == 0 || n < least {
			least = n
		}
		if least == 0 {
			break
		}
	}
	return least
}

// fromStock fails the test, under a strategy, if an execution on a machine that is used
// again allocates anything, or goes wrong. begin returns what is executed on a kernel, and
// what makes new again what it has made there.
func fromStock(t *testing.T, runs int, begin func(k *kqueue.Kernel) (all func(td *machine.Thread) error, reset func())) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			m := machine.Virtual(2, sched.NewRandom(1))
			defer m.Abandon()
			strategy := s.New(m)
			k := kqueue.New(m, strategy)
			all, reset := begin(k)
			var err error
			run := func(td *machine.Thread) { err = all(td) }
			n := allocations(runs, func() {
				m.Go("all", 0, run)
				if e := m.Run(); e != nil || err != nil {
					t.Fatal(e, err)
				}
				if !m.Reset() {
					t.Fatal("the machine cannot be used again")
				}
				strategy.(kqueue.Resetter).Reset()
				k.Reset()
				reset()
			})
			if n != 0 {
				t.Errorf("%v allocations an execution", n)
			}
		})
	}
}
