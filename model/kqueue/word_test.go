package kqueue_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

const errRefused = syscall.EPERM

// TestWordOfCallouts: callouts that find a knote busy leave their hints, and
// the filter hears each of them once, in order, when its owner is back. That
// must hold also when the owner is a change that the filter refuses.
//
//	owner                       callouts
//	filter blocks; knote busy
//	                            post 1, post 5: leave word
//	filter is asked for 1 and 5
func TestWordOfCallouts(t *testing.T) {
	for _, s := range strategies.All {
		for _, by := range []string{"notify", "refused change"} {
			t.Run(s.Name+"/"+by, func(t *testing.T) {
				m := machine.Native(2)
				k := kqueue.New(m, s.New(m))
				var inside, outside machine.WaitChan
				blocked := false // guarded by gate
				var gate machine.Mutex
				block := func(td *machine.Thread) {
					gate.Lock(td)
					blocked = true
					td.Wakeup(&inside)
					td.Interlock(&outside)
					gate.Unlock(td)
					td.Sleep(machine.Forever)
				}
				ops := &kqueue.Filter{
					Blocks: true,
					Attach: cellFilter.Attach,
					Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
						c := kn.Hook.(*cell)
						if hint == 99 {
							block(td)
						}
						c.heard = append(c.heard, hint)
						return false
					},
					Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
						block(td)
						return errRefused
					},
				}
				c := &cell{ops: ops}
				m.Go("owner", 0, func(td *machine.Thread) {
					c.src.Init(td, k)
					q := k.NewQueue(td, files{{File: c}})
					add := []event.Kevent{{Filter: event.Read, Flags: event.Add}}
					if _, err := q.Kevent(td, add, nil, 0); err != nil {
						t.Error(err)
					}
					m.Go("opener", 1, func(td *machine.Thread) {
						gate.Lock(td)
						for !blocked {
							td.Interlock(&inside)
							gate.Unlock(td)
							td.Sleep(machine.Forever)
							gate.Lock(td)
						}
						gate.Unlock(td)
						post := func(hint int64) *machine.Callout {
							return m.NewCallout("post", td.Home(), func(td *machine.Thread) { c.src.Notify(td, hint) })
						}
						for _, hint := range []int64{1, 5} {
							p := post(hint)
							td.Interlock(&p.Ended)
							p.Reset(td, td.Now())
							td.Sleep(machine.Forever)
						}
						td.Wakeup(&outside)
					})
					if by == "notify" {
						c.src.Notify(td, 99)
					} else if _, err := q.Kevent(td, add, nil, 0); err != errRefused {
						t.Errorf("the change answers %v, want %v", err, errRefused)
					}
				})
				if err := m.Run(); err != nil {
					t.Fatal(err)
				}
				want := []int64{0, 99, 1, 5}
				if by != "notify" {
					want = []int64{0, 0, 1, 5}
				}
				if !slices.Equal(c.heard, want) {
					t.Errorf("the filter hears hints %v, want %v", c.heard, want)
				}
			})
		}
	}
}
