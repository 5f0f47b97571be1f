package kqueue_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// A cell is the least that can be watched: ready while n is not 0.
type cell struct {
	src   kqueue.Source
	ops   *kqueue.Filter
	n     int64   // guarded by src
	heard []int64 // guarded by src: hints, if ops keeps them
}

func (c *cell) Source(event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return &c.src, c.ops, nil
}
func (c *cell) Sources() []*kqueue.Source { return []*kqueue.Source{&c.src} }
func (c *cell) Release(*machine.Thread)   {}

var cellFilter = &kqueue.Filter{
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		kn.Hook = kn.File()
		return nil
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		kn.Data = kn.Hook.(*cell).n
		return kn.Data > 0
	},
}

type files []*kqueue.Desc

func (f files) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) { return f[fd], nil }

// BenchmarkSingle is one thread that notifies 64 sources and harvests them; an
// operation is one event.
func BenchmarkSingle(b *testing.B) {
	const batch = 64
	for _, s := range strategies.All {
		b.Run(s.Name, func(b *testing.B) {
			m := machine.Native(2)
			m.Go("single", 0, func(td *machine.Thread) {
				k := kqueue.New(m, s.New(m))
				cells := make([]cell, batch)
				fs := make(files, batch)
				for i := range cells {
					cells[i].ops = cellFilter
					cells[i].src.Init(td, k)
					fs[i] = &kqueue.Desc{File: &cells[i]}
				}
				q := k.NewQueue(td, fs)
				for i := range fs {
					add := []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: event.Add | event.Clear}}
					if _, err := q.Kevent(td, add, nil, 0); err != nil {
						b.Error(err)
					}
				}
				events := make([]event.Kevent, batch)
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += batch {
					for j := range cells {
						c := &cells[j]
						c.src.Enter(td)
						c.n++
						c.src.Post(td, 0)
						c.src.Exit(td)
					}
					if n, err := q.Kevent(td, nil, events, 0); n != batch || err != nil {
						b.Errorf("Kevent returns %d, %v; want %d events", n, err, batch)
						return
					}
				}
			})
			if err := m.Run(); err != nil {
				b.Error(err)
			}
		})
	}
}
