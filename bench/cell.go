package bench

import (
	"fmt"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A cell is the smallest thing that can be watched. Its filter counts notes,
// and reports how many came since the last retrieval, so a harvest shows
// whether any was lost or returned twice.
type cell struct {
	src kqueue.Source
	ops *kqueue.Filter
	n   int // guarded by src's domain: notified so often
}

// counting is the filter of cells. Its knotes are EV_CLEAR.
var counting = &kqueue.Filter{Name: "cell", Count: true, Clear: true}

// calledCounting is the same as a function, as the filters of most devices are.
var calledCounting = &kqueue.Filter{Name: "called cell", Event: count, Clear: true}

// unsafeCounting is that, not known to be MP-safe.
var unsafeCounting = &kqueue.Filter{Name: "unsafe cell", Event: count, Clear: true, Unsafe: true}

func count(_ *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	kn.Pending += hint
	kn.Data = kn.Pending
	return kn.Pending > 0
}

func (c *cell) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f != event.Read {
		return nil, nil, syscall.EINVAL
	}
	return &c.src, c.ops, nil
}

func (c *cell) Sources() []*kqueue.Source { return []*kqueue.Source{&c.src} }

func (c *cell) Release(*machine.Thread) {}

// notify changes the cell and tells of it.
func (c *cell) notify(td *machine.Thread) {
	c.src.Enter(td)
	c.n++
	c.src.Post(td, 1)
	c.src.Exit(td)
}

// cells is also the descriptor table that a queue over them uses: a slice, and
// nothing that would be measured with it.
type cells struct {
	all   []cell
	descs []*kqueue.Desc
}

func (cs *cells) Desc(_ *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if fd >= uint64(len(cs.descs)) {
		return nil, syscall.EBADF
	}
	return cs.descs[fd], nil
}

// cells makes n cells on the given CPU.
func (t *trial) cells(cpu, n int, ops *kqueue.Filter) *cells {
	td := t.m.Attach("maker", cpu)
	defer td.Detach()
	cs := &cells{all: make([]cell, n)}
	for i := range cs.all {
		cs.all[i].ops = ops
		cs.all[i].src.Init(td, t.k)
		cs.descs = append(cs.descs, &kqueue.Desc{File: &cs.all[i]})
	}
	return cs
}

// queue makes a queue on the given CPU that watches all of the cells.
func (t *trial) queue(cpu int, cs *cells) (*kqueue.Queue, error) {
	td := t.m.Attach("maker", cpu)
	defer td.Detach()
	q := t.k.NewQueue(td, cs)
	for i := range cs.descs {
		add := []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: event.Add | event.Clear}}
		if _, err := q.Kevent(td, add, nil, 0); err != nil {
			return nil, fmt.Errorf("EV_ADD of cell %d: %w", i, err)
		}
	}
	return q, nil
}

// notes adds up what events report.
func notes(events []event.Kevent) int {
	n := 0
	for i := range events {
		n += int(events[i].Data)
	}
	return n
}

// unbalanced is the error of a count that does not come out.
func unbalanced(what string, sent, got int) error {
	return fmt.Errorf("%s: %d events were sent and %d arrived", what, sent, got)
}
