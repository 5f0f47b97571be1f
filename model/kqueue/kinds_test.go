package kqueue_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// kinds are filters that the core asks without a call, the same ones that it
// must fence, and the functions that both stand for.
var kinds = map[string][3]*kqueue.Filter{
	"count": {
		{Count: true},
		{Count: true, Blocks: true},
		{Event: func(_ *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Pending += hint
			kn.Data = kn.Pending
			return kn.Pending > 0
		}},
	},
	"level": {
		{Attach: mark, Touch: remark, Level: cellLevel},
		{Attach: mark, Touch: remark, Level: cellLevel, Unsafe: true},
		{Attach: mark, Touch: remark, Event: func(_ *machine.Thread, kn *kqueue.Knote, _ int64) bool {
			kn.Data = kn.Hook.(*cell).n
			return kn.Data >= kn.WantData
		}},
	},
}

func cellLevel(kn *kqueue.Knote) *int64 { return &kn.Hook.(*cell).n }

func mark(_ *machine.Thread, kn *kqueue.Knote) error {
	kn.Hook = kn.File()
	kn.WantData = max(kn.WantData, 1)
	return nil
}

func remark(_ *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	kn.WantData = max(kev.Data, 1)
	return nil
}

// TestKinds: however a filter is asked, the same changes and notifications lead
// to the same events. A failure names its seed, which is part of the subtest:
// go test ./model/kqueue -run 'TestKinds/count/giant'
func TestKinds(t *testing.T) {
	for name, filters := range kinds {
		for _, s := range strategies.All {
			t.Run(name+"/"+s.Name, func(t *testing.T) {
				for seed := range uint64(200) {
					var histories [3][]event.Kevent
					for i, ops := range filters {
						histories[i] = history(t, s, ops, seed)
					}
					for i := range 2 {
						if !slices.Equal(histories[i], histories[2]) {
							t.Fatalf("seed %d: filter %d returns\n%v\nits function\n%v", seed, i, histories[i], histories[2])
						}
					}
					if len(histories[2]) == 0 {
						t.Fatalf("seed %d: no events", seed)
					}
				}
			})
		}
	}
}

// history does 100 things to a source whose queue is on its own CPU or on
// another, and returns what came out.
func history(t *testing.T, s strategies.Entry, ops *kqueue.Filter, seed uint64) (out []event.Kevent) {
	r := rand.New(rand.NewPCG(seed, 0))
	m := machine.Native(2)
	k := kqueue.New(m, s.New(m))
	td, other := m.Attach("notifier", 0), m.Attach("owner", int(seed%2))
	defer td.Detach()
	defer other.Detach()
	c := &cell{ops: ops}
	c.src.Init(td, k)
	q := k.NewQueue(other, files{{File: c}})
	keep := []event.Flags{0, event.Clear, event.Dispatch, event.OneShot, event.Clear | event.Dispatch}
	events := make([]event.Kevent, 4)
	for range 100 {
		var change []event.Kevent
		switch r.IntN(8) {
		case 0:
			change = []event.Kevent{{Filter: event.Read, Flags: event.Add | keep[r.IntN(len(keep))], Data: r.Int64N(3), Udata: r.Uint64N(9)}}
		case 1:
			one := []event.Flags{event.Enable, event.Disable, event.Delete}
			change = []event.Kevent{{Filter: event.Read, Flags: one[r.IntN(len(one))]}}
		case 2, 3, 4:
			c.src.Enter(td)
			c.n = r.Int64N(4)
			c.src.Post(td, r.Int64N(3))
			c.src.Exit(td)
			continue
		}
		n, err := q.Kevent(other, change, events, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, events[:n]...)
	}
	return out
}
