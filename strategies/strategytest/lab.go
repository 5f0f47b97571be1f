package strategytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A lab is a machine of two CPUs with a kernel and a process, for tests with
// many threads. Its threads must not end the test (t.Fatal): they report, and
// return.
type lab struct {
	t *testing.T
	m *machine.Machine
	k *kqueue.Kernel
	p *proc.Process
}

func newLab(t *testing.T, new func(*machine.Machine) kqueue.Strategy) *lab {
	m := machine.Native(2)
	k := kqueue.New(m, new(m))
	device.Install(k)
	return &lab{t, m, k, proc.New(k)}
}

// do runs f as a thread on a CPU, alone, to its end.
func (l *lab) do(cpu int, f func(td *machine.Thread)) {
	l.t.Helper()
	l.m.Go("setup", cpu, f)
	l.run()
}

// spawn starts a thread.
func (l *lab) spawn(name string, cpu int, f func(td *machine.Thread)) {
	l.m.Go(name, cpu, f)
}

// run waits for all threads. If they sleep instead, somebody has not been
// woken: that is the end of the test.
func (l *lab) run() {
	l.t.Helper()
	if err := l.m.Run(); err != nil {
		l.t.Fatal(err)
	}
}

// open makes a descriptor.
func (l *lab) open(td *machine.Thread, f kqueue.File) int {
	fd, err := l.p.Open(td, f)
	if err != nil {
		l.t.Errorf("open: %v", err)
	}
	return fd
}

func (l *lab) kqueue(td *machine.Thread) int {
	fd, err := l.p.Kqueue(td)
	if err != nil {
		l.t.Errorf("kqueue: %v", err)
	}
	return fd
}

// change applies one change, which must succeed.
func (l *lab) change(td *machine.Thread, kq int, f event.Filter, ident int, flags event.Flags) {
	if err := l.try(td, kq, f, ident, flags); err != nil {
		l.t.Errorf("%s %v %d %v: %v", td.Name, f, ident, flags, err)
	}
}

// try applies one change.
func (l *lab) try(td *machine.Thread, kq int, f event.Filter, ident int, flags event.Flags) error {
	_, err := l.p.Kevent(td, kq, []event.Kevent{{Ident: uint64(ident), Filter: f, Flags: flags}}, nil, 0)
	return err
}

// take returns one event, and false if there is none.
func (l *lab) take(td *machine.Thread, kq int, timeout time.Duration) (event.Kevent, bool) {
	var events [1]event.Kevent
	n, err := l.p.Kevent(td, kq, nil, events[:], timeout)
	if err != nil {
		l.t.Errorf("%s: kevent: %v", td.Name, err)
	}
	return events[0], n == 1
}

// rounds is n with -short, else crowd times as many.
func rounds(n int) int {
	if testing.Short() {
		return n
	}
	return crowd * n
}

// each runs f for both CPUs, to place what it makes on either.
func each(f func(cpu int)) {
	for cpu := range 2 {
		f(cpu)
	}
}

func nth(what string, i int) string { return fmt.Sprint(what, " ", i) }
