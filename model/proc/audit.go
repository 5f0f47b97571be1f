package proc

import (
	"fmt"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the tables of all processes, p's and those that it has forked and so on,
// then at the kernel, as [kqueue.Kernel.Audit]
// does and under its conditions: no thread is in another call than Kevent, where it
// sleeps. In the tables a file has as many descriptors as it counts, each one life of
// its own that is not over, and no number is free below the one from which the lowest
// is searched for (I12). What has ended has no descriptor, and is in the table of processes
// as long as its parent has not waited for it. A file that has something to look at is
// asked for it; what each has says its Audit. It allocates nothing on a virtual machine if
// all holds.
func (p *Process) Audit(td *machine.Thread) error {
	t := p.table
	if td != nil {
		t.mu.Lock(td)
		t.mu.Unlock(td)
	}
	a := audit{td: td}
	n := 0
	t.first.each(func(p *Process) {
		n++
		a.descriptors(p)
		a.kin(p)
	})
	if n != len(t.procs) {
		a.wrong("I3: %d processes descend from the first, and %d are found by their number", n, len(t.procs))
	}
	for _, f := range [...]func(p *Process, fd int, s *slot){a.find, a.count, a.ask} {
		t.first.each(func(p *Process) {
			for fd := range p.slots {
				if s := &p.slots[fd]; s.file != nil && a.err == nil {
					f(p, fd, s)
				}
			}
		})
	}
	if a.err != nil {
		return a.err
	}
	return p.k.Audit(td, p, a.queues...)
}

// each calls f for p and for all that descend from it.
func (p *Process) each(f func(p *Process)) {
	f(p)
	for _, l := range [...]*Process{p.children.first, p.zombies.first} {
		for c := l; c != nil; c = c.junior {
			c.each(f)
		}
	}
}

// An audit is one under way.
type audit struct {
	td     *machine.Thread
	queues []*kqueue.Queue // of a native machine
	err    error
}

// wrong notes what is wrong first.
func (a *audit) wrong(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// descriptors looks at the table of one process.
func (a *audit) descriptors(p *Process) {
	if a.td != nil {
		p.mu.Lock(a.td)
		p.mu.Unlock(a.td)
	}
	for fd := range p.slots {
		switch s := &p.slots[fd]; {
		case (s.desc == nil) != (s.file == nil):
			a.wrong("I12: number %d%s has a descriptor, or a file, and not both", fd, p.whose())
		case s.desc == nil && fd < p.free:
			a.wrong("I12: number %d%s is free, and the lowest that is free is searched for from %d on", fd, p.whose(), p.free)
		case s.desc == nil:
		case s.desc.File != s.file.File:
			a.wrong("I12: the descriptor of number %d%s is of another file", fd, p.whose())
		case s.desc.Closed():
			a.wrong("I12: number %d%s stands for a descriptor that is closed", fd, p.whose())
		case p.life != alive:
			a.wrong("I12: number %d%s is open, and the process has ended", fd, p.whose())
		}
	}
}

// whose says which process is spoken of, unless it is the first.
func (p *Process) whose() string {
	if p.pid == Init {
		return ""
	}
	return fmt.Sprintf(" of process %d", p.pid)
}

// kin looks at where a process is among the others.
func (a *audit) kin(p *Process) {
	t := p.table
	for i, l := range [...]*Process{p.children.first, p.zombies.first} {
		for c := l; c != nil; c = c.junior {
			switch {
			case t.procs[c.pid] != c:
				a.wrong("I3: process %d is not found by its number", c.pid)
			case c.parent != p:
				a.wrong("I3: process %d is on the list of process %d, which is not its parent", c.pid, p.pid)
			case c.life == reaped || (c.life == zombie) != (i == 1):
				a.wrong("I3: process %d is on the wrong list of its parent", c.pid)
			case c.dying && c.life == alive:
				a.wrong("I9: process %d has begun to end, and has not", c.pid)
			}
		}
	}
	switch {
	case p.life != alive && (p.children.first != nil || p.zombies.first != nil):
		a.wrong("I3: process %d has ended, and has children", p.pid)
	case len(p.followers) != 0:
		a.wrong("I9: process %d is being forked", p.pid)
	case p.w != nil && (!p.w.born || p.w.ended != (p.life == zombie)):
		a.wrong("I3: what watches process %d was not told what has become of it", p.pid)
	}
}

// find, count and ask are each called for all descriptors, one after the other.

func (a *audit) find(p *Process, fd int, s *slot) {
	s.file.found = 0
	if a.td == nil || a.td.Virtual() {
		return
	}
	switch f := s.file.File.(type) {
	case *kqueue.Queue:
		a.queues = append(a.queues, f)
	case kqueue.Nested:
		a.queues = append(a.queues, f.Inner())
	}
}

func (a *audit) count(p *Process, fd int, s *slot) { s.file.found++ }

func (a *audit) ask(p *Process, fd int, s *slot) {
	if s.file.found != s.file.refs.Look() {
		a.wrong("I12: the file of number %d%s has %d descriptors, and counts %d", fd, p.whose(), s.file.found, s.file.refs.Look())
		return
	}
	if f, ok := s.file.File.(audited); ok {
		if err := f.Audit(a.td); err != nil {
			a.wrong("the file of number %d%s: %w", fd, p.whose(), err)
		}
	}
}

// An audited is a file that can say what is wrong with it. What it looks at it visits
// the domain of first; td is nil on a virtual machine where nothing is to run any more.
type audited interface {
	Audit(td *machine.Thread) error
}

// Life implements [kqueue.Table].
//
//go:norace
func (p *Process) Life(fd uint64) *kqueue.Desc {
	if fd >= uint64(len(p.slots)) {
		return nil
	}
	return p.slots[fd].desc
}

// Empty says what is left in any process when all descriptors have been closed, or nil.
func (p *Process) Empty() (err error) {
	p.table.first.each(func(p *Process) {
		for fd := range p.slots {
			if p.slots[fd].desc != nil && err == nil {
				err = fmt.Errorf("I12: number %d%s is open, and all have been closed", fd, p.whose())
			}
		}
	})
	return err
}
