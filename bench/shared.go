package bench

import (
	"sync/atomic"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// shared is one queue and two producers. The local one is at home on the
// queue's CPU and harvests too; the remote one is on the other CPU. Each goes
// round cells of its own and may be eight batches ahead. Beside the figure of
// both stands one for each, since a lock that favours its last holder starves
// the remote producer behind a healthy average.
var shared = &Workload{
	Name:   "shared",
	Doc:    "two producers, one queue; an event is one delivery, whoever sent it",
	shapes: []shape{{params: map[string]any{"batch": 64}, core: true, most: fragile, run: sharing}},
}

func sharing(t *trial) error {
	const batch, ring = 64, 8 * 64
	// One table for both, so that one queue can watch both: the first ring of
	// cells is local, the second remote.
	cs, remote := t.cells(0, ring, counting), t.cells(1, ring, counting)
	cs.descs = append(cs.descs, remote.descs...)
	q, err := t.queue(0, cs)
	if err != nil {
		return err
	}
	// What the two producers tell each other, each word written by one of them.
	var told struct {
		_       [64]byte
		arrived atomic.Int64 // by local: remote events that have arrived
		stop    atomic.Int64 // by local: the stretch that is over
		_       [64]byte
		sent    atomic.Int64 // by remote: events sent, when it has stopped
		stopped atomic.Int64 // by remote: the stretch it has stopped in
		_       [64]byte
	}
	events := make([]event.Kevent, batch)
	sent, got, gotRemote := 0, 0, 0 // local's own; got counts what it sent itself
	harvest := func(td *machine.Thread, v *vigil) error {
		k, err := q.Kevent(td, nil, events, 0)
		if err != nil {
			return err
		}
		if k == 0 {
			return v.wait(td)
		}
		v.found()
		before := gotRemote
		for i := range events[:k] {
			if events[i].Ident < ring {
				got += int(events[i].Data)
			} else {
				gotRemote += int(events[i].Data)
			}
		}
		if gotRemote != before {
			told.arrived.Store(int64(gotRemote))
		}
		return nil
	}
	stretch := int64(0)
	produceHere := func(td *machine.Thread, n int) (int, error) {
		stretch++
		v := vigil{t: t, what: "the local producer waits for events"}
		begin, all := got, got+gotRemote
		for got == begin || got+gotRemote-all < n {
			if sent+batch <= got+ring {
				at := sent % ring
				for i := at; i < at+batch; i++ {
					cs.all[i].notify(td)
				}
				sent += batch
			}
			if err := harvest(td, &v); err != nil {
				return 0, err
			}
		}
		told.stop.Store(stretch)
		for told.stopped.Load() < stretch || got < sent || gotRemote < int(told.sent.Load()) {
			if err := harvest(td, &v); err != nil {
				return 0, err
			}
		}
		if got != sent {
			return 0, unbalanced("local producer", sent, got)
		}
		if all := int(told.sent.Load()); gotRemote != all {
			return 0, unbalanced("remote producer", all, gotRemote)
		}
		return got - begin, nil
	}
	sentThere, stretchThere := 0, int64(0)
	produceThere := func(td *machine.Thread, _ int) (int, error) {
		stretchThere++
		v := vigil{t: t, what: "the remote producer waits for its events to be harvested"}
		begin := sentThere
		for sentThere == begin || told.stop.Load() < stretchThere {
			if sentThere+batch > int(told.arrived.Load())+ring {
				if err := v.wait(td); err != nil {
					return 0, err
				}
				continue
			}
			v.found()
			at := sentThere % ring
			for i := at; i < at+batch; i++ {
				remote.all[i].notify(td)
			}
			sentThere += batch
		}
		told.sent.Store(int64(sentThere))
		told.stopped.Store(stretchThere)
		return sentThere - begin, nil
	}
	return t.race(
		worker{cpu: 0, part: "local", move: produceHere},
		worker{cpu: 1, part: "remote", move: produceThere})
}
