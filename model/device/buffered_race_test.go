package device_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// What becomes of what finds no room.
const (
	newest = iota + 1 // it is lost
	kept              // it stays with the hardware
	oldest            // the oldest goes
	all               // all go, and a marker comes
)

// facts are what the table of package device says, once more.
type facts struct {
	of      event.Device
	unit    int
	in, out int // units held
	full    int
	mark    [2]int64 // of what comes in, and of what goes out
	whole   bool     // a read takes whole units, and of less than one none
	one     bool     // a read takes of one unit at most
	rest    bool     // and what there is no room for stays
	network bool     // what is written is handed over at once
	gone    syscall.Errno
	lowat   bool
	flush   bool
}

var bufferedFacts = []facts{
	{of: event.Mouse, unit: 8, in: 128, full: newest, mark: [2]int64{1, 0}, flush: true},
	{of: event.PSM, unit: 4, in: 240, full: newest, mark: [2]int64{1, 0}},
	{of: event.Keyboard, unit: 1, in: 512, full: newest, mark: [2]int64{1, 0}, gone: syscall.ENXIO},
	{of: event.USB, unit: 64, in: 16, out: 16, full: kept, mark: [2]int64{1, 64}, one: true, rest: true, gone: syscall.ENXIO},
	{of: event.Record, unit: 1, in: 4096, full: newest, mark: [2]int64{512, 0}, gone: syscall.ENXIO, lowat: true, flush: true},
	{of: event.Play, unit: 1, out: 4096, mark: [2]int64{0, 512}, gone: syscall.ENXIO, lowat: true, flush: true},
	{of: event.Midi, unit: 1, in: 128, out: 128, full: newest, mark: [2]int64{1, 65}, gone: syscall.ENXIO},
	{of: event.Evdev, unit: 24, in: 64, full: all, mark: [2]int64{1, 0}, whole: true, gone: syscall.ENODEV},
	{of: event.Devctl, unit: 32, in: 64, full: oldest, mark: [2]int64{1, 0}, one: true},
	{of: event.Log, unit: 1, in: 1024, full: oldest, mark: [2]int64{1, 0}},
	{of: event.Tap, unit: 60, in: 50, full: newest, mark: [2]int64{1, 1}, one: true, network: true, gone: syscall.ENXIO},
	{of: event.Tun, unit: 40, in: 50, full: newest, mark: [2]int64{1, 1}, one: true, network: true, gone: syscall.ENXIO},
}

// A transfer is how a device is driven: by two interrupts and a reader, and by two
// writers and an interrupt that takes.
type transfer struct {
	facts
	rounds int
	seed   uint64
	safe   bool // all drivers are MP-safe

	input func(d *device.Buffered, td *machine.Thread, n int) (int, error)
	lies  int // interrupts and writers say that they have brought so many more
}

func (x *transfer) rng(i int) *rand.Rand { return rand.New(rand.NewPCG(x.seed, uint64(i))) }

// begin has threads drive a device. What it returns says what does not hold when they
// have ended.
func (x transfer) begin(m *machine.Machine, k *kqueue.Kernel) func() error {
	p := proc.New(k)
	bus := device.NewBus(k)
	bus.MPSafe = x.safe
	var d *device.Buffered
	var errs [7]error // of a thread each
	var took, wrote [3]int
	var read, markers, taken int
	spawn := func(i int, name string, f func(td *machine.Thread, rng *rand.Rand) error) {
		m.Go(name, i%2, func(td *machine.Thread) { errs[i] = f(td, x.rng(i)) })
	}
	m.Go("maker", 0, func(td *machine.Thread) {
		fd := -1
		if d, errs[6] = bus.Open(td, x.of); errs[6] == nil {
			fd, errs[6] = p.Open(td, d)
		}
		if errs[6] != nil {
			return
		}
		if x.in > 0 {
			var ended, over tally
			for i := range 2 {
				spawn(i, fmt.Sprint("interrupt ", i), func(td *machine.Thread, rng *rand.Rand) error {
					for range x.rounds {
						n := []int{1, 2, int(x.mark[0]), x.in - 1, x.in + 1, 1 + rng.IntN(2*x.in)}[rng.IntN(6)]
						n, err := x.input(d, td, n)
						if err != nil {
							return err
						}
						took[i] += n
					}
					ended.add(td)
					if i > 0 {
						return nil
					}
					ended.await(td, 2)
					over.add(td)
					n, err := x.input(d, td, int(x.mark[0])) // so that the reader looks
					took[i] += n
					return err
				})
			}
			spawn(2, "reader", func(td *machine.Thread, rng *rand.Rand) error {
				w := x.waiter(td, k, p, fd, event.Read)
				b := make([]byte, x.unit*x.in)
				for {
					for {
						n, err := d.Read(td, b[:x.unit+rng.IntN(len(b)-x.unit+1)])
						if err == syscall.EAGAIN {
							break
						} else if err != nil {
							return err
						}
						read += n
						for _, key := range b[:n] {
							if key == 0 {
								markers++
							}
						}
					}
					over.mu.Lock(td)
					end := over.n > 0
					over.mu.Unlock(td)
					if end {
						return nil
					}
					if err := w(x.mark[0]); err != nil {
						return err
					}
				}
			})
		}
		if x.out > 0 {
			var ended tally
			for i := range 2 {
				spawn(3+i, fmt.Sprint("writer ", i), func(td *machine.Thread, rng *rand.Rand) error {
					w := x.waiter(td, k, p, fd, event.Write)
					b := make([]byte, 2*x.unit*x.out)
					for range x.rounds {
						n, err := d.Write(td, b[:1+rng.IntN(len(b))])
						if wrote[i] += (n + x.unit - 1) / x.unit; err == syscall.EAGAIN {
							err = w(x.mark[1])
						}
						if err != nil {
							return err
						}
					}
					ended.add(td)
					return nil
				})
			}
			spawn(5, "taker", func(td *machine.Thread, rng *rand.Rand) error {
				nap := &machine.WaitChan{Name: "a pause of the hardware"}
				for {
					ended.mu.Lock(td)
					end := ended.n == 2
					ended.mu.Unlock(td)
					n, err := d.Output(td, 1+rng.IntN(x.out))
					if taken += n; err != nil || end && n == 0 {
						return err
					}
					if n == 0 {
						td.Interlock(nap)
						td.Sleep(td.Now() + 1000)
					}
				}
			})
		}
	})
	return func() error {
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		if err := d.Audit(nil); err != nil {
			return err
		}
		in, out := d.Counts()
		came, lost := in[0], in[2]
		brought, put := int64(took[0]+took[1]+x.lies), int64(wrote[0]+wrote[1]+x.lies)
		marks := came - brought // of an event device; those that were lost again, too
		switch {
		case read%x.unit != 0 || int64(read/x.unit) != in[1]:
			return fmt.Errorf("%d bytes were read, and the device says %d units", read, in[1])
		case x.full == newest && came != brought+lost,
			x.full == kept && (came != brought || lost != 0),
			x.full == oldest && came != brought,
			x.full == all && (marks < int64(markers/x.unit) || (marks > 0) != (lost > 0)):
			return fmt.Errorf("%d units were taken in, and the device says that %d came and %d are lost", brought, came, lost)
		case x.out > 0 && (out[0] != put || out[1] != int64(taken) || out[2] != 0):
			return fmt.Errorf("%d units were written and %d taken, and the device says %d, %d, and that %d are lost", put, taken, out[0], out[1], out[2])
		}
		return nil
	}
}

// waiter has a thread wait for a filter of the device, edge-triggered with every other
// seed, until there is as much as the mark.
func (x *transfer) waiter(td *machine.Thread, k *kqueue.Kernel, p *proc.Process, fd int, f event.Filter) func(mark int64) error {
	q := k.NewQueue(td, p)
	flags := event.Add
	if x.seed%2 == 0 {
		flags |= event.Clear
	}
	_, err := q.Kevent(td, []event.Kevent{{Ident: uint64(fd), Filter: f, Flags: flags}}, nil, 0)
	return func(mark int64) error {
		var e [1]event.Kevent
		if err == nil {
			_, err = q.Kevent(td, nil, e[:], kqueue.Forever)
		}
		if err == nil && e[0].Data < mark {
			return fmt.Errorf("%v is told although the mark is %d", e[0], mark)
		}
		return err
	}
}

// explored carries out a transfer on a virtual machine.
func (x transfer) explored(s strategies.Entry, by sched.Scheduler) error {
	m := machine.Virtual(2, by)
	defer m.Abandon()
	m.DrawPlacement()
	m.AllowSpurious(1)
	k := kqueue.New(m, s.New(m))
	holds := x.begin(m, k)
	if err := m.Run(); err != nil {
		return err
	}
	return holds()
}

// What comes into a device comes out of it or is counted as lost, and what is written
// goes out, whoever is in whose way: explored on a virtual machine.
func TestBufferedConserves(t *testing.T) {
	n := uint64(24)
	if testing.Short() {
		n = 6
	}
	for _, f := range bufferedFacts {
		t.Run(f.of.String(), func(t *testing.T) {
			for _, s := range strategies.All {
				for seed := range n {
					x := transfer{facts: f, rounds: 3, seed: seed, safe: seed%3 == 2, input: (*device.Buffered).Input}
					for _, by := range []sched.Scheduler{sched.NewRandom(seed), sched.NewPCT(3, seed)} {
						if err := x.explored(s, by); err != nil {
							t.Fatalf("%s, seed %d, %T: %v", s.Name, seed, by, err)
						}
					}
				}
			}
		})
	}
}

// The same on threads that run at once.
func TestBufferedConservesNatively(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for _, f := range bufferedFacts {
		t.Run(f.of.String(), func(t *testing.T) {
			random(t, 0)
			for _, s := range strategies.All {
				for _, safe := range []bool{false, true} {
					m := machine.Native(2)
					x := transfer{facts: f, rounds: rounds, seed: *seed, safe: safe, input: (*device.Buffered).Input}
					holds := x.begin(m, kqueue.New(m, s.New(m)))
					if err := errors.Join(m.Run(), holds()); err != nil {
						t.Fatalf("%s: %v", s.Name, err)
					}
				}
			}
		})
	}
}

// The controls: an interrupt that says it has brought what it has not, and a driver that
// tells nobody of what has come, are found out.
func TestBufferedFaultsAreFound(t *testing.T) {
	for _, f := range bufferedFacts {
		for _, s := range strategies.All {
			lying := transfer{facts: f, rounds: 2, seed: 1, lies: 1000, input: (*device.Buffered).Input}
			if err := lying.explored(s, sched.NewRandom(1)); err == nil {
				t.Errorf("%v, %s: units too many are not found", f.of, s.Name)
			}
			if f.in == 0 {
				continue
			}
			silent := transfer{facts: f, rounds: 2, seed: 1, input: (*device.Buffered).InputUntold}
			found := false
			for seed := uint64(0); seed < 500 && !found; seed++ {
				found = silent.explored(s, sched.NewPCT(3, seed)) != nil
			}
			if !found {
				t.Errorf("%v, %s: nobody is told of what comes, and that is not found", f.of, s.Name)
			}
		}
	}
}
