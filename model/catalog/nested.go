package catalog

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// nested are queues that are watched.
var nested = []Device{
	{
		Name: "kqueue", Like: "kqueue(2), filt_kqueue",
		Filters: []Filter{{Filter: event.Read, Data: "events that it would return", EOF: Never}},
		New: func(td *machine.Thread, w *World) Unit {
			q := w.Kernel.NewQueue(td, w.Process)
			change := func(name string, f event.Flags, ff event.Fflags) Act {
				return Act{name, func(td *machine.Thread) error {
					_, err := q.Kevent(td, []event.Kevent{{Ident: 1, Filter: event.User, Flags: f, Fflags: ff}}, nil, 0)
					return err
				}}
			}
			trigger := change("an event of it", event.Add, event.NoteTrigger)
			return Unit{File: q, Acts: []Act{
				trigger,
				trigger.then(does("take it", func(td *machine.Thread) {
					var events [1]event.Kevent
					q.Kevent(td, nil, events[:], 0)
				})),
				trigger.then(change("delete that", event.Delete, 0)),
			}}
		},
	},
}
