package machine_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

type table []*kqueue.Desc

func (f table) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if fd >= uint64(len(f)) {
		return nil, syscall.EBADF
	}
	return f[fd], nil
}

// A drama is a small use of a whole kernel: two consumers on one queue that
// watches two pipes, a producer for each on different CPUs, and a thread that
// adds and deletes a third knote while a timer of its own goes off.
type drama struct {
	k       *kqueue.Kernel
	q       *kqueue.Queue
	r, w    [2]*device.PipeEnd
	read    [2]int
	ticks   int
	lines   []string
	trouble error
}

const bytesEach = 3

func newDrama(m *machine.Machine, s kqueue.Strategy) *drama {
	d := &drama{k: kqueue.New(m, s)}
	device.Install(d.k)
	var files table
	for i := range d.r {
		td := m.Attach("maker", i)
		d.r[i], d.w[i] = device.NewPipe(td, d.k)
		files = append(files, &kqueue.Desc{File: d.r[i]})
		td.Detach()
	}
	td := m.Attach("maker", 0)
	d.q = d.k.NewQueue(td, files)
	for fd := range files {
		d.kevent(td, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add})
	}
	td.Detach()
	for i := range 2 {
		m.Go(fmt.Sprint("consumer", i), i, d.consume)
		m.Go(fmt.Sprint("producer", i), i, func(td *machine.Thread) {
			for range bytesEach {
				if n, err := d.w[i].Write(td, []byte{1}); n != 1 || err != nil {
					d.fail("Write returns %d, %v", n, err)
				}
			}
			d.w[i].Release(td)
		})
	}
	m.Go("churner", 1, func(td *machine.Thread) {
		own := d.k.NewQueue(td, nil)
		for range 2 {
			d.kevent(td, event.Kevent{Ident: 7, Filter: event.User, Flags: event.Add})
			d.kevent(td, event.Kevent{Ident: 7, Filter: event.User, Flags: event.Delete})
			ev := make([]event.Kevent, 1)
			timer := event.Kevent{Ident: 1, Filter: event.Timer, Flags: event.Add | event.OneShot, Data: 1}
			n, err := own.Kevent(td, []event.Kevent{timer}, ev, kqueue.Forever)
			if n != 1 || err != nil {
				d.fail("waiting for a timer returns %d, %v", n, err)
			}
			d.ticks++
		}
		if err := own.Close(td); err != nil {
			d.fail("Close returns %v", err)
		}
	})
	return d
}

func (d *drama) fail(format string, args ...any) {
	if d.trouble == nil {
		d.trouble = fmt.Errorf(format, args...)
	}
}

func (d *drama) kevent(td *machine.Thread, change event.Kevent) {
	if _, err := d.q.Kevent(td, []event.Kevent{change}, nil, 0); err != nil {
		d.fail("%v: %v", change, err)
	}
}

func (d *drama) consume(td *machine.Thread) {
	var ended [2]bool
	for ended != [2]bool{true, true} {
		ev := make([]event.Kevent, 1)
		n, err := d.q.Kevent(td, nil, ev, kqueue.Forever)
		if n != 1 || err != nil {
			d.fail("Kevent without a timeout returns %d, %v", n, err)
			return
		}
		fd := ev[0].Ident
		got, err := d.r[fd].Read(td, make([]byte, 1))
		switch {
		case err == nil && got == 0:
			ended[fd] = true
		case err != nil && err != syscall.EAGAIN:
			d.fail("Read returns %v", err)
		}
		d.note(fd, got, fmt.Sprint(td.Name, " ", ev[0], " read ", got))
	}
}

// note is the test's own book, which no lock of the machine guards.
//
//go:norace
func (d *drama) note(fd uint64, got int, line string) {
	d.read[fd] += got
	d.lines = append(d.lines, line)
}

// outcome plays the drama under a seed: what was observed, and the points.
func outcome(seed uint64, e strategies.Entry) (lines, trace string, err error) {
	m := machine.NewVirtual(2, seed)
	defer m.Abandon()
	d := newDrama(m, e.New(m))
	err = m.Run()
	if err == nil {
		err = d.trouble
	}
	if err == nil && (d.read != [2]int{bytesEach, bytesEach} || d.ticks != 2) {
		err = fmt.Errorf("read %v bytes and met %d timers, want %d each and 2", d.read, d.ticks, bytesEach)
	}
	return strings.Join(d.lines, "\n"), strings.Join(m.Trace(), "\n"), err
}

// TestKqueueOnVirtual: the kqueue core and its strategies run, as they are, on
// a back end that is not the native one. The same seed gives the same events
// in the same order; other seeds give others; none gives a deadlock.
func TestKqueueOnVirtual(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 40
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			outcomes := map[string]bool{}
			for seed := range seeds {
				lines, trace, err := outcome(seed, e)
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, lines)
				}
				outcomes[lines] = true
				if seed%8 != 0 {
					continue
				}
				again, trace2, err := outcome(seed, e)
				if err != nil || again != lines || trace2 != trace {
					t.Fatalf("seed %d gave another run the second time (%v):\n%s\n\nfirst it was\n%s", seed, err, again, lines)
				}
			}
			if len(outcomes) < int(seeds)/4 {
				t.Errorf("%d seeds gave %d outcomes: nothing is explored", seeds, len(outcomes))
			}
		})
	}
}

// boxed is a strategy of two places, sources and queues, each a mutex and a
// box. With second it looks into the box again after it has let the mutex go;
// without, it has the bug that the virtual machine is there to find.
type boxed struct {
	sources, queues kqueue.Place
}

type boxDomain struct {
	mu     machine.Mutex
	box    machine.Inbox
	second bool
}

func newBoxed(second bool) strategies.Entry {
	return strategies.Entry{Name: "boxed", New: func(*machine.Machine) kqueue.Strategy {
		return &boxed{kqueue.Place{Domain: &boxDomain{second: second}}, kqueue.Place{Domain: &boxDomain{second: second}}}
	}}
}

func (b *boxed) Source(*machine.Thread) *kqueue.Place { return &b.sources }
func (b *boxed) Queue(*machine.Thread) *kqueue.Place  { return &b.queues }

func (d *boxDomain) Enter(td *machine.Thread) {
	d.mu.Lock(td)
	d.box.Drain(td)
}

func (d *boxDomain) Exit(td *machine.Thread) {
	d.box.Drain(td)
	d.mu.Unlock(td)
	if d.second {
		d.look(td)
	}
}

func (d *boxDomain) look(td *machine.Thread) {
	for !d.box.Empty(td) && d.mu.TryLock(td) {
		d.box.Drain(td)
		d.mu.Unlock(td)
	}
}

func (d *boxDomain) Sleep(td *machine.Thread, until time.Duration) error {
	d.Exit(td)
	err := td.Sleep(until)
	d.Enter(td)
	return err
}

func (d *boxDomain) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	d.box.Push(td, kn.Mail())
	d.look(td)
}

// TestKqueueControl: a strategy without the second look is found out, and with
// it is not.
func TestKqueueControl(t *testing.T) {
	for seed := range uint64(200) {
		if lines, _, err := outcome(seed, newBoxed(true)); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, lines)
		}
	}
	for seed := range uint64(4000) {
		if _, _, err := outcome(seed, newBoxed(false)); err != nil {
			t.Logf("as it should, seed %d finds: %v", seed, err)
			return
		}
	}
	t.Error("4000 seeds find nothing wrong with a strategy that does not look again")
}
