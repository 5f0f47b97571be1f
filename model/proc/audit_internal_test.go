package proc

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// alone is a strategy for a machine with one thread.
type alone struct{}

func (alone) Source(*machine.Thread) *kqueue.Place                { return &kqueue.Place{Domain: alone{}} }
func (alone) Queue(*machine.Thread) *kqueue.Place                 { return &kqueue.Place{Domain: alone{}} }
func (alone) Enter(*machine.Thread)                               {}
func (alone) Exit(*machine.Thread)                                {}
func (alone) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (alone) Deliver(td *machine.Thread, kn *kqueue.Knote)        { kqueue.Activate(td, kn) }

// A plain file has nothing that could be watched.
type plain struct{}

func (plain) Source(event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return nil, nil, syscall.EINVAL
}
func (plain) Sources() []*kqueue.Source { return nil }
func (plain) Release(*machine.Thread)   {}

// Each way in which a table may be wrong is found, and what is right is not.
func TestAudit(t *testing.T) {
	for _, tt := range []struct {
		want string // how it begins; empty if nothing is wrong
		do   func(p *Process, td *machine.Thread)
	}{
		{"", func(*Process, *machine.Thread) {}},
		{"I12: number 1 has a descriptor, or a file, and not both", func(p *Process, td *machine.Thread) { p.slots[1].file = nil }},
		{"I12: number 2 is free, and the lowest that is free is searched for from 5 on", func(p *Process, td *machine.Thread) { p.free = 5 }},
		{"I12: the descriptor of number 0 is of another file", func(p *Process, td *machine.Thread) {
			p.slots[0].desc = &kqueue.Desc{File: p.slots[1].file.File}
		}},
		{"I12: number 0 stands for a descriptor that is closed", func(p *Process, td *machine.Thread) { p.slots[0].desc.Close(td) }},
		{"I12: the file of number 0 has 2 descriptors, and counts 3", func(p *Process, td *machine.Thread) { p.slots[0].file.refs.Add(td, 1) }},
		{"I12: the file of number 1 has 1 descriptors, and counts 0", func(p *Process, td *machine.Thread) { p.slots[1].file.refs.Add(td, ^uint32(0)) }},
	} {
		m := machine.Native(1)
		m.Go("all", 0, func(td *machine.Thread) {
			k := kqueue.New(m, alone{})
			p := New(k)
			p.Open(td, plain{})
			p.Kqueue(td)
			p.Dup(td, 1)
			p.Dup2(td, 0, 3)
			p.Close(td, 2)
			tt.do(p, td)
			err := p.Audit(td)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err := p.Empty(); err == nil {
				t.Error("it is taken for empty")
			}
			if tt.want != "" {
				return
			}
			for fd := range p.slots {
				p.Close(td, fd)
			}
			if err := p.Empty(); err != nil {
				t.Error(err)
			}
		})
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
	}
}
