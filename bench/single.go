package bench

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// single is one thread that notifies and harvests, with nobody in its way: the
// price of the structures and of locks that are free. The thread stays on its
// CPU unless it visits: then it is an ordinary goroutine, and takes the CPU
// for each call anew.
//
// The filter of its sources counts what was notified, and the core does that
// itself, without a call (kqueue.Filter.Count). With filter=function the same
// count is made by a function that the core calls, twice an event
// (kqueue.Filter.Event); the difference is what those calls take.
var single = &Workload{
	Name: "single",
	Doc:  "one thread notifies and harvests; an event is a notify and its share of a kevent",
	Notes: []string{
		"thread=visits: the thread is an ordinary goroutine, which takes the CPU anew for each call; elsewhere it stays there.",
		"filter=function: the core asks the filter by a call, twice an event; elsewhere the filter is one that counts, which the core does itself (Filter.Count).",
		"call: an event is that call alone.",
	},
	shapes: []shape{
		{params: map[string]any{"batch": 64}, core: true, run: singly(64, false)},
		{params: map[string]any{"batch": 8}, run: singly(8, false)},
		{params: map[string]any{"batch": 1}, core: true, run: singly(1, false)},
		{params: map[string]any{"batch": 64, "thread": "visits"}, core: true, run: singly(64, true)},
		{params: map[string]any{"batch": 8, "thread": "visits"}, run: singly(8, true)},
		{params: map[string]any{"batch": 1, "thread": "visits"}, run: singly(1, true)},
		{params: map[string]any{"batch": 64, "filter": "function"}, core: true, run: singlyBy(64, false, calledCounting)},
		{params: map[string]any{"call": "empty harvest"}, core: true, run: emptyHarvest},
		{params: map[string]any{"call": "coalesced notify"}, core: true, run: coalescedNotify},
	},
}

func singly(batch int, visits bool) func(t *trial) error { return singlyBy(batch, visits, counting) }

func singlyBy(batch int, visits bool, ops *kqueue.Filter) func(t *trial) error {
	return func(t *trial) error {
		w, err := t.loop(0, batch, ops)
		if err != nil {
			return err
		}
		w.visits = visits
		return t.race(w)
	}
}

// loop returns a worker that notifies batch cells of its own, then harvests
// them from a queue of its own, and so on, all on one CPU.
func (t *trial) loop(cpu, batch int, ops *kqueue.Filter) (worker, error) {
	cs := t.cells(cpu, batch, ops)
	q, err := t.queue(cpu, cs)
	events := make([]event.Kevent, batch)
	all := cs.all
	move := func(td *machine.Thread, n int) (int, error) {
		sent, got := 0, 0
		for sent < n {
			for i := range all {
				all[i].notify(td)
			}
			sent += batch
			k, err := q.Kevent(td, nil, events, 0)
			if err != nil {
				return got, err
			}
			got += notes(events[:k])
			if got != sent {
				return got, unbalanced("harvest", sent, got)
			}
		}
		return got, nil
	}
	return worker{cpu: cpu, move: move}, err
}

// emptyHarvest asks a queue that has nothing. The event is the call.
func emptyHarvest(t *trial) error {
	q, err := t.queue(0, t.cells(0, 64, counting))
	if err != nil {
		return err
	}
	events := make([]event.Kevent, 64)
	return t.race(worker{move: func(td *machine.Thread, n int) (int, error) {
		for range n {
			if k, err := q.Kevent(td, nil, events, 0); k != 0 || err != nil {
				return 0, unbalanced("empty harvest", 0, k)
			}
		}
		return n, nil
	}})
}

// coalescedNotify notifies a cell whose knote is on its queue's list already.
// The event is the notify; all of them arrive as one at the end.
func coalescedNotify(t *trial) error {
	cs := t.cells(0, 1, counting)
	q, err := t.queue(0, cs)
	if err != nil {
		return err
	}
	events := make([]event.Kevent, 2)
	return t.race(worker{move: func(td *machine.Thread, n int) (int, error) {
		for range n {
			cs.all[0].notify(td)
		}
		k, err := q.Kevent(td, nil, events, 0)
		if got := notes(events[:k]); err == nil && (k != 1 || got != n) {
			return 0, unbalanced("coalesced notify", n, got)
		}
		return n, err
	}})
}
