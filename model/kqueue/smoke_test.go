package kqueue_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
	"github.com/kqlab/kqlab/strategies/globaltoken"
	"github.com/kqlab/kqlab/strategies/pcpu"
)

type cell struct {
	src *kqueue.Source
	n   int64
	f   *kqueue.Filter
}

func (c *cell) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if c.f == nil {
		c.f = &kqueue.Filter{Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Data = c.n
			return c.n > 0
		}}
	}
	return c.src, c.f, nil
}
func (c *cell) Sources() []*kqueue.Source { return []*kqueue.Source{c.src} }
func (c *cell) Release(*machine.Thread)   {}

type files []*kqueue.Desc

func (f files) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) { return f[fd], nil }

func BenchmarkSmoke(b *testing.B) {
	for name, s := range map[string]func(*machine.Machine) kqueue.Strategy{"giant": giant.New, "globaltoken": globaltoken.New, "pcpu": pcpu.New} {
		for _, stay := range []bool{true, false} {
			b.Run(name, func(b *testing.B) {
				m := machine.Native(2)
				body := func(td *machine.Thread) {
					k := kqueue.New(m, s(m))
					var fs files
					var cs []*cell
					for range 64 {
						c := &cell{src: k.NewSource(td)}
						cs = append(cs, c)
						fs = append(fs, &kqueue.Desc{File: c})
					}
					q := k.NewQueue(td, fs)
					for i := range 64 {
						if _, err := q.Kevent(td, []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: event.Add | event.Clear}}, nil, 0); err != nil {
							b.Error(err)
						}
					}
					ev := make([]event.Kevent, 64)
					b.ReportAllocs()
					b.ResetTimer()
					for i := 0; i < b.N; i += 64 {
						for _, c := range cs {
							c.src.Enter(td)
							c.n = 1
							c.src.Post(td, 0)
							c.src.Exit(td)
						}
						n, err := q.Kevent(td, nil, ev, 0)
						if n != 64 || err != nil {
							b.Error(n, err)
							return
						}
					}
				}
				if stay {
					m.Go("x", 0, body)
					m.Run()
				} else {
					td := m.Attach("x", 0)
					body(td)
					td.Detach()
				}
			})
		}
	}
}
