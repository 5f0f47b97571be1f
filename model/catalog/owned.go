package catalog

import (
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// owned are what belongs to one knote, of which the ident is only a name: what is done
// to it are changes to that.
var owned = []Device{
	{
		Name: "timer", Like: "EVFILT_TIMER, kern_event.c",
		Filters: []Filter{{
			Filter: event.Timer, Data: "expirations since it was last returned", EOF: Never,
			Fflags: event.NoteUSeconds, WantData: period,
		}},
		New: func(td *machine.Thread, w *World) Unit {
			id, empty := w.Next(), w.Kernel.NewQueue(td, nil)
			return Unit{Ident: id, Acts: []Act{
				changes("start it anew", w, event.Kevent{Ident: id, Filter: event.Timer, Fflags: event.NoteUSeconds, Data: 2 * period}),
				does("a period passes", func(td *machine.Thread) {
					var events [1]event.Kevent
					empty.Kevent(td, nil, events[:], (period+1)*time.Microsecond)
				}),
			}}
		},
	},
	{
		Name: "user", Like: "EVFILT_USER, kern_event.c",
		Filters: []Filter{{Filter: event.User, Data: "what the last change gave", EOF: Never}},
		New: func(td *machine.Thread, w *World) Unit {
			id := w.Next()
			return Unit{Ident: id, Acts: []Act{
				changes("trigger", w, event.Kevent{Ident: id, Filter: event.User, Fflags: event.NoteTrigger}),
				changes("set bits", w, event.Kevent{Ident: id, Filter: event.User, Fflags: event.NoteFFOr | 1}),
			}}
		},
	},
}

// period is that of a timer, in microseconds.
const period = 100

// changes is to apply a change to the queue that watches, which adds the knote if it is
// not there.
func changes(name string, w *World, kev event.Kevent) Act {
	kev.Flags |= event.Add
	return Act{name, func(td *machine.Thread) error {
		_, err := w.Queue.Kevent(td, []event.Kevent{kev}, nil, 0)
		return err
	}}
}
