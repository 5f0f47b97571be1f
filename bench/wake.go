package bench

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// wake is two threads that wake each other out of kevent by turns, on one CPU
// of the machine or on two. Its rival is the same with two unbuffered channels.
var wake = &Workload{
	Name: "wake",
	Doc:  "two threads wake each other out of kevent by turns; an event is a wakeup, one way",
	shapes: []shape{
		{params: map[string]any{"cpus": 1}, core: true, run: waking(1)},
		{params: map[string]any{"cpus": 2}, run: waking(2)},
	},
	rivals: []shape{{params: map[string]any{"op": "channel"}, core: true, run: channel}},
}

func waking(cpus int) func(t *trial) error {
	return func(t *trial) error {
		var cs [2]*cells
		var qs [2]*kqueue.Queue
		for i := range qs {
			var err error
			cs[i] = t.cells(i%cpus, 1, counting)
			if qs[i], err = t.queue(i%cpus, cs[i]); err != nil {
				return err
			}
		}
		play := func(i int) func(td *machine.Thread, n int) (int, error) {
			events := make([]event.Kevent, 1)
			await := func(td *machine.Thread) error {
				k, err := qs[i].Kevent(td, nil, events, kqueue.Forever)
				if err == nil && (k != 1 || events[0].Data != 1) {
					err = fmt.Errorf("woken with %d events of %d notes, want 1 of 1", k, notes(events[:k]))
				}
				return err
			}
			return func(td *machine.Thread, n int) (int, error) {
				for range (n + 1) / 2 {
					if i == 1 {
						if err := await(td); err != nil {
							return 0, err
						}
					}
					cs[1-i].all[0].notify(td)
					if i == 0 {
						if err := await(td); err != nil {
							return 0, err
						}
					}
				}
				return (n + 1) / 2, nil
			}
		}
		return t.race(worker{cpu: 0, move: play(0)}, worker{cpu: 1 % cpus, move: play(1)})
	}
}
