package kqueue_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// TestDebtBeforeFilter: who has posted to a watched queue visits it before it
// asks a filter that may block, since whoever that waits for may sleep until
// the visit.
//
//	notifier                    sleeper
//	                            sleeps in outer, which watches first
//	posts to first
//	the filter blocks for second
//	until the sleeper has been awake
func TestDebtBeforeFilter(t *testing.T) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			m := machine.Native(2)
			k := kqueue.New(m, s.New(m))
			var first, second, outer *kqueue.Queue
			var awake machine.Uint32
			var told machine.WaitChan
			told.Name = "the sleeper"
			c := &cell{ops: &kqueue.Filter{
				Blocks: true,
				Attach: cellFilter.Attach,
				Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
					if hint == 1 && kn.Queue() == second {
						td.Interlock(&told)
						if awake.Load(td) == 0 {
							td.Sleep(machine.Forever)
						}
						td.Uninterlock()
					}
					return cellFilter.Event(td, kn, hint)
				},
			}}
			m.Go("maker", 0, func(td *machine.Thread) {
				c.src.Init(td, k)
				first, second = k.NewQueue(td, files{{File: c}}), k.NewQueue(td, files{{File: c}})
				outer = k.NewQueue(td, files{{File: first}})
				for _, q := range []*kqueue.Queue{first, second, outer} {
					if _, err := q.Kevent(td, []event.Kevent{{Filter: event.Read, Flags: event.Add}}, nil, 0); err != nil {
						t.Error(err)
					}
				}
			})
			if err := m.Run(); err != nil {
				t.Fatal(err)
			}
			m.Go("sleeper", 1, func(td *machine.Thread) {
				if n, err := outer.Kevent(td, nil, make([]event.Kevent, 1), kqueue.Forever); n != 1 || err != nil {
					t.Errorf("kevent on the outer queue: %d, %v", n, err)
				}
				awake.Store(td, 1)
				td.Wakeup(&told)
			})
			if err := m.Run(); err == nil {
				t.Fatal("the sleeper does not sleep")
			}
			m.Go("notifier", 0, func(td *machine.Thread) {
				c.src.Enter(td)
				c.n = 1
				c.src.Post(td, 1)
				c.src.Exit(td)
			})
			if err := m.Run(); err != nil {
				t.Error(err)
			}
		})
	}
}
