package bench

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// churn is a registration and its end, over and over, in a queue that watches
// other things too: a server whose connections are short. Its rival is
// EPOLL_CTL_ADD and EPOLL_CTL_DEL.
var churn = &Workload{
	Name:   "churn",
	Doc:    "registrations come and go; an event is an EV_ADD and an EV_DELETE, a kevent each",
	shapes: []shape{{params: map[string]any{"others": 64}, core: true, run: churning}},
	rivals: []shape{{params: map[string]any{"op": "epoll_ctl"}, core: true, run: epollCtl, fits: func() error {
		return roomForFiles(2, "an eventfd and its epoll")
	}}},
}

func churning(t *trial) error {
	cs := t.cells(0, 65, counting)
	q, err := t.queue(0, cs)
	if err != nil {
		return err
	}
	const id = 64
	add := []event.Kevent{{Ident: id, Filter: event.Read, Flags: event.Add | event.Clear}}
	del := []event.Kevent{{Ident: id, Filter: event.Read, Flags: event.Delete}}
	events := make([]event.Kevent, 8)
	cell := &cs.all[id]
	return t.race(worker{move: func(td *machine.Thread, n int) (int, error) {
		for range n {
			if _, err := q.Kevent(td, del, nil, 0); err != nil {
				return 0, err
			}
			if _, err := q.Kevent(td, add, nil, 0); err != nil {
				return 0, err
			}
		}
		// What was registered last is there, once.
		cell.notify(td)
		k, err := q.Kevent(td, nil, events, 0)
		if got := notes(events[:k]); err == nil && (k != 1 || got != 1) {
			err = unbalanced("after churn", 1, got)
		}
		return n, err
	}})
}
