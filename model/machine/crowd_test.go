package machine_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

var (
	crowdSeed  = flag.Uint64("crowdseed", 0, "the first seed of TestCrowd; by default it is drawn")
	crowdSeeds = flag.Int("crowdseeds", 200, "how many seeds TestCrowd plays under each strategy")
)

// A crowd is a small random program: threads that add, change and delete
// knotes, notify, take, nest queues and close, on files with filters of every
// kind, some of which block. The seed decides what they do and in what order.
type crowd struct {
	rng     *rand.Rand
	m       *machine.Machine
	k       *kqueue.Kernel
	p       *proc.Process
	files   []*sensor
	fds     []uint64
	kqs     []int
	udata   uint64
	closes  bool // descriptors are closed and opened
	always  bool // kqs[0] has something that is ready all the time
	trouble error
}

const alwaysIdent = 99 // of EVFILT_USER in kqs[0]

func (c *crowd) fail(format string, args ...any) {
	if c.trouble == nil {
		c.trouble = fmt.Errorf(format, args...)
	}
}

// A sensor is a file whose filter knows what may be called when.
type sensor struct {
	c      *crowd
	src    kqueue.Source
	ops    kqueue.Filter
	level  int64                  // guarded by src, but for filters under the mplock
	inside map[*kqueue.Knote]bool // attached knotes, and whether a call is going on
}

func newSensor(td *machine.Thread, c *crowd) *sensor {
	x := &sensor{c: c, inside: map[*kqueue.Knote]bool{}}
	x.src.Init(td, c.k)
	x.ops = kqueue.Filter{
		Blocks: c.rng.IntN(3) == 0,
		Unsafe: c.rng.IntN(3) == 0,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			if _, attached := x.inside[kn]; attached {
				c.fail("a knote is attached twice")
			}
			x.inside[kn] = false
			kn.WantData = max(kn.WantData, 1)
			return x.call(td, kn, "attach")
		},
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error { return x.call(td, kn, "touch") },
		Detach: func(td *machine.Thread, kn *kqueue.Knote) {
			x.call(td, kn, "detach")
			delete(x.inside, kn)
		},
	}
	if c.rng.IntN(3) == 0 {
		x.ops.Level = func(*kqueue.Knote) *int64 { return &x.level }
		return x
	}
	x.ops.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		x.call(td, kn, "event")
		kn.Data = x.level
		return kn.Data >= kn.WantData
	}
	return x
}

// call is any call of the filter: one at a time for a knote, while it is
// attached. It takes a while if the filter blocks.
func (x *sensor) call(td *machine.Thread, kn *kqueue.Knote, what string) error {
	if inside, attached := x.inside[kn]; inside || !attached {
		x.c.fail("%s of a knote: attached %v, another call going on %v", what, attached, inside)
	}
	x.inside[kn] = true
	if x.ops.Blocks && !td.NoSleep && x.c.rng.IntN(2) == 0 {
		pause(td, x.c.rng.IntN(20))
	}
	x.inside[kn] = false
	return nil
}

func pause(td *machine.Thread, microseconds int) {
	var wait machine.WaitChan
	wait.Name = "nobody"
	td.Interlock(&wait)
	td.Sleep(td.Now() + time.Duration(microseconds)*time.Microsecond)
}

func (x *sensor) Source(event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return &x.src, &x.ops, nil
}
func (x *sensor) Sources() []*kqueue.Source { return []*kqueue.Source{&x.src} }
func (x *sensor) Release(*machine.Thread) {
	if len(x.inside) != 0 {
		x.c.fail("released with %d knotes attached", len(x.inside))
	}
}

// kevent is a call with what every answer must keep to.
func (c *crowd) kevent(td *machine.Thread, kq int, changes []event.Kevent, room int, timeout time.Duration) ([]event.Kevent, error) {
	for i := range changes {
		c.udata++
		changes[i].Udata = c.udata
	}
	events := make([]event.Kevent, room)
	n, err := c.p.Kevent(td, kq, changes, events, timeout)
	events = events[:n]
	seen := map[string]bool{}
	for _, e := range events {
		life := fmt.Sprint(e.Ident, e.Filter, e.Udata)
		if seen[life] && e.Flags&event.Error == 0 {
			c.fail("one call returns %v twice", e)
		}
		seen[life] = true
	}
	if n == 0 && err == nil && room > 0 && (timeout == kqueue.Forever || c.always && kq == c.kqs[0]) {
		c.fail("kevent with timeout %v returns nothing, although something is ready", timeout)
	}
	return events, err
}

// act does one random thing. What it answers does not matter.
func (c *crowd) act(td *machine.Thread) {
	n := c.rng.IntN
	kq := c.kqs[n(len(c.kqs))]
	at := n(len(c.files))
	x := c.files[at]
	one := event.Kevent{Ident: c.fds[at], Filter: event.Read - event.Filter(n(2))}
	keep := []event.Flags{0, 0, event.Clear, event.OneShot, event.Dispatch}[n(5)]
	switch n(12) {
	case 0, 1, 2:
		one.Flags = event.Add | keep | []event.Flags{0, 0, 0, event.Disable}[n(4)]
	case 3:
		one.Flags = []event.Flags{event.Delete, event.Disable, event.Enable}[n(3)]
	case 4:
		one = event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add | keep, Fflags: event.NoteTrigger}
	case 5:
		one = event.Kevent{Ident: 1, Filter: event.Timer, Flags: event.Add | event.OneShot, Fflags: event.NoteUSeconds, Data: int64(n(60))}
	case 6:
		one = event.Kevent{Ident: uint64(c.kqs[n(len(c.kqs))]), Filter: event.Read, Flags: event.Add | keep}
	case 7, 8:
		x.src.Enter(td)
		x.level = int64(n(2))
		x.src.Post(td, 0)
		x.src.Exit(td)
		return
	case 9, 10:
		c.kevent(td, kq, nil, 1+n(4), time.Duration(n(2)*n(50))*time.Microsecond)
		return
	case 11:
		if c.closes && c.p.Close(td, int(c.fds[at])) == nil {
			y := newSensor(td, c)
			if fd, err := c.p.Open(td, y); err == nil {
				c.files[at], c.fds[at] = y, uint64(fd)
			}
		}
		return
	}
	c.kevent(td, kq, []event.Kevent{one}, n(2)*n(3), 0)
}

// wait takes what comes, and mostly deletes it, until the queue is closed.
func (c *crowd) wait(td *machine.Thread, kq, room int) {
	for range 60 {
		events, err := c.kevent(td, kq, nil, room, kqueue.Forever)
		if err != nil {
			return
		}
		for _, e := range events {
			if e.Ident != alwaysIdent && e.Flags&(event.OneShot|event.Clear) == 0 {
				c.kevent(td, kq, []event.Kevent{{Ident: e.Ident, Filter: e.Filter, Flags: event.Delete}}, 0, 0)
			}
		}
	}
}

// playCrowd plays one seed under one strategy.
func playCrowd(seed uint64, e strategies.Entry) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := machine.NewVirtual(2, seed)
	defer m.Abandon()
	c := &crowd{rng: rng, m: m, k: kqueue.New(m, e.New(m)), closes: rng.IntN(2) == 0, always: rng.IntN(2) == 0}
	device.Install(c.k)
	c.p = proc.New(c.k)
	for i := range 3 + rng.IntN(3) {
		m.Go("maker", rng.IntN(2), func(td *machine.Thread) {
			if i < 1+rng.IntN(3) {
				kq, _ := c.p.Kqueue(td)
				c.kqs = append(c.kqs, kq)
				return
			}
			x := newSensor(td, c)
			fd, _ := c.p.Open(td, x)
			c.files, c.fds = append(c.files, x), append(c.fds, uint64(fd))
		})
		if err := m.Run(); err != nil {
			return err
		}
	}
	if len(c.files) == 0 {
		return nil // nothing to watch
	}
	m.Go("maker", rng.IntN(2), func(td *machine.Thread) {
		if c.always {
			c.p.Kevent(td, c.kqs[0], []event.Kevent{{Ident: alwaysIdent, Filter: event.User, Flags: event.Add, Fflags: event.NoteTrigger}}, nil, 0)
		}
		for i := range 2 + rng.IntN(4) {
			acts := 2 + rng.IntN(8)
			m.Go(fmt.Sprint("actor ", i), i%2, func(td *machine.Thread) {
				for range acts {
					c.act(td)
				}
			})
		}
		for i := range rng.IntN(4) {
			kq, room := c.kqs[rng.IntN(len(c.kqs))], 1+rng.IntN(3)
			m.Go(fmt.Sprint("waiter of ", kq), i%2, func(td *machine.Thread) { c.wait(td, kq, room) })
		}
	})
	return c.audit(m.Run())
}

// audit looks at how it ended: only waiters may sleep, where nothing can be
// taken; and when all is closed they leave, and no knote is attached.
func (c *crowd) audit(end error) error {
	var asleep *machine.DeadlockError
	if end != nil && !errors.As(end, &asleep) {
		return end
	}
	var waited []int
	if asleep != nil {
		for _, s := range asleep.Sleepers {
			var kq int
			if _, err := fmt.Sscanf(s.Thread, "waiter of %d", &kq); err != nil || s.On != "kevent" {
				return asleep
			}
			waited = append(waited, kq)
		}
	}
	left := false
	c.m.Go("auditor", 0, func(td *machine.Thread) {
		for _, kq := range waited {
			if events, err := c.kevent(td, kq, nil, 4, 0); len(events) > 0 {
				c.fail("somebody sleeps on descriptor %d, which has %v, %v", kq, events, err)
			}
		}
		for fd := range uint64(64) {
			for _, kq := range c.kqs {
				f, _ := c.p.File(td, int(fd))
				if x, ok := f.(*sensor); ok && asleep == nil { // else a waiter would take it
					c.mustFind(td, kq, fd, x)
				}
			}
		}
		for fd := range 64 {
			if err := c.p.Close(td, fd); err != nil && err != syscall.EBADF {
				c.fail("close: %v", err)
			}
		}
		left = true
	})
	if err := c.m.Run(); err != nil || !left {
		return fmt.Errorf("when all was closed: %v", err)
	}
	return c.trouble
}

// mustFind has a knote added, which may have been there, of a file that is
// ready: a poll returns it then, unless a delivery of it was lost before.
func (c *crowd) mustFind(td *machine.Thread, kq int, fd uint64, x *sensor) {
	x.src.Enter(td)
	x.level = 1
	x.src.Exit(td)
	if _, err := c.kevent(td, kq, []event.Kevent{{Ident: fd, Filter: event.Read, Flags: event.Add}}, 0, 0); err != nil {
		c.fail("EV_ADD: %v", err)
	}
	events, err := c.kevent(td, kq, nil, 64, 0)
	for _, e := range events {
		if e.Ident == fd && e.Filter == event.Read {
			return
		}
	}
	c.fail("descriptor %d is ready and is not found: %v, %v", fd, events, err)
}

// books skips a test in a race build: the threads of a crowd share dice, tables and
// levels that no lock of the machine guards.
func books(t *testing.T) {
	if machine.RaceEnabled {
		t.Skip("its own books are races, and so hide the kernel's")
	}
}

// apart gives each object a boxDomain of its own.
type apart struct{}

func (a apart) Source(*machine.Thread) *kqueue.Place {
	return &kqueue.Place{Domain: &boxDomain{second: true}}
}
func (a apart) Queue(td *machine.Thread) *kqueue.Place { return a.Source(td) }

// TestCrowd: random programs, under every strategy and one that keeps its
// domains while a filter blocks, neither deadlock nor lose a wakeup; a poll
// finds what is ready all the time; filters are called as promised.
func TestCrowd(t *testing.T) {
	books(t)
	first := *crowdSeed
	if first == 0 {
		first = rand.Uint64()
	}
	for _, e := range append([]strategies.Entry{newBoxed(true), {Name: "apart", New: func(*machine.Machine) kqueue.Strategy { return apart{} }}}, strategies.All...) {
		t.Run(e.Name, func(t *testing.T) {
			n := *crowdSeeds
			if testing.Short() {
				n = min(n, 50)
			}
			for i := range n {
				seed := first + uint64(i)
				if err := playCrowd(seed, e); err != nil {
					t.Fatalf("%v\nagain: go test ./model/machine -run 'TestCrowd/%s' -crowdseed %d", err, e.Name, seed)
				}
			}
		})
	}
}

// forgetful is apart, but who meets somebody inside does not deliver.
type forgetful struct{}

type forgetfulDomain struct{ boxDomain }

func (d *forgetfulDomain) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	if d.mu.TryLock(td) {
		kqueue.Activate(td, kn)
		d.mu.Unlock(td)
	}
}

func (f forgetful) Source(*machine.Thread) *kqueue.Place {
	return &kqueue.Place{Domain: &forgetfulDomain{boxDomain{second: true}}}
}
func (f forgetful) Queue(td *machine.Thread) *kqueue.Place { return f.Source(td) }

// TestCrowdControl: a strategy that loses deliveries is found out.
func TestCrowdControl(t *testing.T) {
	books(t)
	e := strategies.Entry{Name: "forgetful", New: func(*machine.Machine) kqueue.Strategy { return forgetful{} }}
	for seed := range uint64(2000) {
		if err := playCrowd(seed, e); err != nil {
			t.Logf("as it should, seed %d finds: %v", seed, err)
			return
		}
	}
	t.Error("2000 seeds find nothing wrong with a strategy that loses deliveries")
}
