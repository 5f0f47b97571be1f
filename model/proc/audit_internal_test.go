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

// Each way in which the table of processes may be wrong is found. There are two children of
// the first, of which the second has ended, and a grandchild.
func TestAuditProcesses(t *testing.T) {
	for _, tt := range []struct {
		want string // how it begins; empty if nothing is wrong
		do   func(first, child, ended, grandchild *Process, td *machine.Thread)
	}{
		{"", func(_, _, _, _ *Process, _ *machine.Thread) {}},
		{"I12: number 0 of process 2 stands for a descriptor that is closed", func(_, child, _, _ *Process, td *machine.Thread) { child.slots[0].desc.Close(td) }},
		{"I12: the file of number 0 has 3 descriptors, and counts 4", func(first, _, _, _ *Process, td *machine.Thread) { first.slots[0].file.refs.Add(td, 1) }},
		{"I12: number 5 of process 3 is open, and the process has ended", func(first, _, ended, _ *Process, td *machine.Thread) {
			ended.grow(5)
			ended.slots[5] = first.slots[0].again(td)
		}},
		{"I3: 4 processes descend from the first, and 5 are found by their number", func(first, _, _, _ *Process, _ *machine.Thread) {
			first.table.procs[9] = &Process{}
		}},
		{"I3: process 4 is not found by its number", func(first, _, _, grandchild *Process, _ *machine.Thread) {
			first.table.procs[4] = &Process{}
		}},
		{"I3: process 4 is on the list of process 2, which is not its parent", func(first, _, _, grandchild *Process, _ *machine.Thread) {
			grandchild.parent = first
		}},
		{"I3: process 3 is on the wrong list of its parent", func(first, _, ended, _ *Process, _ *machine.Thread) {
			first.zombies.remove(ended)
			first.children.append(ended)
		}},
		{"I3: process 2 is on the wrong list of its parent", func(_, child, _, _ *Process, _ *machine.Thread) { child.life = reaped }},
		{"I9: process 2 has begun to end, and has not", func(_, child, _, _ *Process, _ *machine.Thread) { child.dying = true }},
		{"I3: process 3 has ended, and has children", func(_, child, ended, grandchild *Process, _ *machine.Thread) {
			child.children.remove(grandchild)
			ended.children.append(grandchild)
			grandchild.parent = ended
		}},
		{"I9: process 4 is being forked", func(_, _, _, grandchild *Process, _ *machine.Thread) {
			grandchild.followers = make([]follower, 1)
		}},
		{"I3: what watches process 2 was not told what has become of it", func(_, child, _, _ *Process, td *machine.Thread) {
			child.watch(td).ended = true
		}},
		{"I3: what watches process 3 was not told what has become of it", func(_, _, ended, _ *Process, td *machine.Thread) {
			ended.watch(td).ended = false
		}},
		{"I3: what watches process 4 was not told what has become of it", func(_, _, _, grandchild *Process, td *machine.Thread) {
			grandchild.watch(td).born = false
		}},
	} {
		m := machine.Native(1)
		m.Go("all", 0, func(td *machine.Thread) {
			k := kqueue.New(m, alone{})
			p := New(k)
			p.Open(td, plain{})
			child, _ := p.Fork(td)
			ended, _ := p.Fork(td)
			grandchild, _ := child.Fork(td)
			ended.Exit(td, 0)
			tt.do(p, child, ended, grandchild, td)
			err := child.Audit(td) // whoever is asked
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
	}
}
