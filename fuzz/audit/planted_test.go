package audit_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz/audit"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A counter is a device that counts, as package device describes one, to be made wrong.
type counter struct {
	src, beside kqueue.Source
	srcs        [1]*kqueue.Source
	ops         *kqueue.Filter
	n           int64

	first, second machine.Mutex
	never         machine.WaitChan
}

func (c *counter) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f != event.Read {
		return nil, nil, syscall.EINVAL
	}
	return &c.src, c.ops, nil
}
func (c *counter) Sources() []*kqueue.Source  { return c.srcs[:] }
func (c *counter) Release(td *machine.Thread) {}

// add counts, and tells of it.
func (c *counter) add(td *machine.Thread) error {
	c.src.Enter(td)
	c.n++
	c.src.Post(td, 0)
	c.src.Exit(td)
	return nil
}

// counted returns a filter that says what a counter has; each time it is asked it does
// something besides.
func counted(besides func(td *machine.Thread, c *counter)) *kqueue.Filter {
	return &kqueue.Filter{
		Name:   "counter",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error { kn.Hook = kn.File(); return nil },
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			c := kn.Hook.(*counter)
			besides(td, c)
			kn.Data = c.n
			return kn.Data > 0
		},
	}
}

// counters is a device of counters with a filter, and what can be done to one, which is
// to add if it is nil.
func counters(name string, ops *kqueue.Filter, do func(td *machine.Thread, c *counter) error) catalog.Device {
	return catalog.Device{
		Name: name, Like: "nothing", Filters: []catalog.Filter{{Filter: event.Read, Data: "the count", EOF: catalog.Never}},
		New: func(td *machine.Thread, w *catalog.World) catalog.Unit {
			c := &counter{ops: ops}
			c.src.Init(td, w.Kernel)
			c.beside.InitSibling(&c.src)
			c.first.Name, c.second.Name, c.never.Name = "first", "second", "what never comes"
			c.srcs[0] = &c.src
			if do == nil {
				do = func(td *machine.Thread, c *counter) error { return c.add(td) }
			}
			return catalog.Unit{File: c, Acts: []catalog.Act{{Name: "add", Do: func(td *machine.Thread) error { return do(td, c) }}}}
		},
	}
}

func nothing(*machine.Thread, *counter) {}

// plants are devices that are wrong in one way each, which is seen in any build.
var plants = []struct {
	device catalog.Device
	says   []string // any of these, and one the first
}{
	{counters("posts-before-it-changes", counted(nothing), func(td *machine.Thread, c *counter) error {
		c.src.Enter(td)
		c.src.Post(td, 0)
		c.n++
		c.src.Exit(td)
		return nil
	}), []string{audit.NoLoss}},
	{counters("posts-too-late", counted(nothing), func(td *machine.Thread, c *counter) error {
		c.src.Enter(td)
		if c.n == 0 { // what it told of before is as good, it thinks
			c.src.Post(td, 0)
		}
		c.n++
		c.src.Exit(td)
		return nil
	}), []string{audit.NoLoss}},
	{counters("blocks", counted(func(td *machine.Thread, c *counter) {
		c.first.Lock(td)
		c.first.Unlock(td)
	}), func(td *machine.Thread, c *counter) error {
		c.first.Lock(td)
		c.first.Unlock(td)
		return c.add(td)
	}), []string{audit.OneInside, audit.NoBlock}},
	{counters("takes-the-mplock-itself", counted(func(td *machine.Thread, _ *counter) {
		td.Get(td.Machine().MPLock())
		td.Put(td.Machine().MPLock())
	}), nil), []string{audit.NoBlock}},
	{counters("sleeps", counted(func(td *machine.Thread, c *counter) {
		td.Interlock(&c.never)
		td.Sleep(td.Now() + time.Microsecond)
	}), nil), []string{audit.NoBlock, audit.OneInside}},
	{counters("keeps-the-mplock", counted(func(td *machine.Thread, _ *counter) { td.Get(td.Machine().MPLock()) }), nil), []string{audit.NoLock}},
	{counters("keeps-a-mutex", blocks(counted(func(td *machine.Thread, c *counter) { c.first.TryLock(td) })), nil), []string{audit.NoLock}},
	{counters("an-act-keeps-the-mplock", counted(nothing), func(td *machine.Thread, c *counter) error {
		td.Get(td.Machine().MPLock())
		return c.add(td)
	}), []string{audit.NoLock}},
	{counters("enters-a-domain", counted(func(td *machine.Thread, c *counter) { c.src.Enter(td); c.src.Exit(td) }), nil), []string{audit.NoNotify}},
	{counters("notifies", counted(func(td *machine.Thread, c *counter) { c.beside.Notify(td, 0) }), nil), []string{audit.NoNotify}},
	{counters("posts-from-a-filter", counted(func(td *machine.Thread, c *counter) {
		if c.n > 0 && c.n < 10 {
			c.n++
			c.src.Post(td, 0)
		}
	}), nil), []string{audit.NoNotify, audit.NoDeadlock}},
	{counters("sleeps-for-ever", counted(nothing), func(td *machine.Thread, c *counter) error {
		td.Interlock(&c.never)
		return td.Sleep(machine.Forever)
	}), []string{audit.NoDeadlock}},
	{counters("two-orders-of-locks", blocks(counted(func(td *machine.Thread, c *counter) { both(td, &c.first, &c.second) })), func(td *machine.Thread, c *counter) error {
		both(td, &c.second, &c.first)
		return c.add(td)
	}), []string{audit.OneOrder}},
	{counters("panics", counted(func(td *machine.Thread, c *counter) {
		if c.n == 1 {
			panic("one")
		}
	}), nil), []string{audit.NoPanic}},
}

func blocks(f *kqueue.Filter) *kqueue.Filter {
	f.Blocks = true
	return f
}

func both(td *machine.Thread, a, b *machine.Mutex) {
	a.Lock(td)
	b.Lock(td)
	b.Unlock(td)
	a.Unlock(td)
}

// A counter that is not made wrong has nothing.
func TestRight(t *testing.T) {
	verdicts, err := audit.Audit{Devices: []catalog.Device{counters("counter", counted(nothing), nil)}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Finding != nil || !v.Complete || v.Wrong() {
			t.Errorf("%v: %v", v.Function, v.Finding)
		}
	}
}

// Each plant is caught by the property that it breaks, and its replay shows that again.
func TestPlanted(t *testing.T) {
	for _, p := range plants {
		t.Run(p.device.Name, func(t *testing.T) {
			devices := []catalog.Device{p.device}
			verdicts, err := audit.Audit{Devices: devices}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			caught := false
			for _, v := range verdicts {
				if v.Finding == nil {
					continue
				}
				if !slices.Contains(p.says, v.Finding.Property) || v.Replay == nil || !v.Wrong() {
					t.Errorf("%v: %v, want %q broken", v.Function, v.Finding, p.says)
					continue
				}
				caught = caught || v.Finding.Property == p.says[0]
				if f, err := v.Replay.Run(devices); err != nil || f == nil || f.Property != v.Finding.Property {
					t.Errorf("%v: the replay %v: %v, %v", v.Function, v.Replay, f, err)
				}
			}
			if !caught {
				t.Error("not caught")
			}
		})
	}
}
