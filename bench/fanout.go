package bench

import (
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// fanout is one source that many queues watch, as a listening socket is by its
// workers. Only the notifying is timed: the clock stops while the queues are
// emptied. There are as many sources as make reading the clock cheap against
// what is timed.
var fanout = &Workload{
	Name: "fanout",
	Doc:  "a source watched by many queues; an event is one note of a notify, the harvest is not timed",
	shapes: []shape{
		{params: map[string]any{"queues": 64}, core: true, run: fanning(64)},
		{params: map[string]any{"queues": 8}, run: fanning(8)},
		{params: map[string]any{"queues": 1}, run: fanning(1)},
	},
}

func fanning(queues int) func(t *trial) error {
	const each = 1024 // notes between two looks at the clock
	return func(t *trial) error {
		cs := t.cells(0, each/queues, counting)
		var qs []*kqueue.Queue
		for range queues {
			q, err := t.queue(0, cs)
			if err != nil {
				return err
			}
			qs = append(qs, q)
		}
		events := make([]event.Kevent, len(cs.all))
		var took time.Duration
		move := func(td *machine.Thread, n int) (int, error) {
			sent, got := 0, 0
			took = 0
			for sent < n {
				begin := time.Now()
				for i := range cs.all {
					cs.all[i].notify(td)
				}
				took += time.Since(begin)
				sent += each
				for _, q := range qs {
					k, err := q.Kevent(td, nil, events, 0)
					if err != nil {
						return got, err
					}
					got += notes(events[:k])
				}
				if got != sent {
					return got, unbalanced("fan-out", sent, got)
				}
			}
			return got, nil
		}
		return t.race(worker{move: move, took: &took})
	}
}
