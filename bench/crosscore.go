package bench

import (
	"sync/atomic"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// crosscore is a producer on one CPU and a consumer on another: device and
// server. The producer goes round a ring of cells and may be eight batches
// ahead, so a cell is never notified while its last note is under way, and
// each event is a delivery of its own.
var crosscore = &Workload{
	Name:   "crosscore",
	Doc:    "a producer on CPU 0, a consumer on CPU 1; an event is one delivery from end to end",
	shapes: []shape{{params: map[string]any{"batch": 64}, core: true, most: fragile, run: crossing}},
	rivals: []shape{{params: map[string]any{"op": "line"}, core: true, most: fragile, run: line}},
}

// fragile bounds the events of a stretch in which two threads wait for each
// other by looking. If the system takes a processor away from one of them an
// event costs hundreds of times what it did at calibration.
const fragile = 20000

func crossing(t *trial) error {
	const batch, ring = 64, 8 * 64
	cs := t.cells(0, ring, counting)
	q, err := t.queue(1, cs)
	if err != nil {
		return err
	}
	var consumed struct {
		_ [64]byte
		n atomic.Int64 // written once a batch by the consumer
		_ [64]byte
	}
	sent, got := 0, 0 // each one thread's own
	produce := func(td *machine.Thread, n int) (int, error) {
		v := vigil{t: t, what: "the producer waits for the consumer"}
		for end := sent + roundUp(n, batch); sent < end; {
			for sent+batch > int(consumed.n.Load())+ring {
				if err := v.wait(td); err != nil {
					return 0, err
				}
			}
			v.found()
			at := sent % ring
			for i := at; i < at+batch; i++ {
				cs.all[i].notify(td)
			}
			sent += batch
		}
		return 0, nil
	}
	events := make([]event.Kevent, batch)
	consume := func(td *machine.Thread, n int) (int, error) {
		v := vigil{t: t, what: "the consumer waits for events"}
		begin := got
		for end := got + roundUp(n, batch); got < end; {
			k, err := q.Kevent(td, nil, events, 0)
			if err != nil {
				return 0, err
			}
			if k == 0 {
				if err := v.wait(td); err != nil {
					return 0, err
				}
				continue
			}
			v.found()
			if m := notes(events[:k]); m != k {
				return 0, unbalanced("deliveries to a cell that was read", k, m)
			}
			got += k
			consumed.n.Store(int64(got))
		}
		return got - begin, nil
	}
	return t.race(worker{cpu: 0, move: produce}, worker{cpu: 1, move: consume})
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
