package proc

import (
	"fmt"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the process's table, then at the kernel, as [kqueue.Kernel.Audit]
// does and under its conditions: no thread is in another call than Kevent, where it
// sleeps. In the table a file has as many descriptors as it counts, each one life of
// its own that is not over, and no number is free below the one from which the lowest
// is searched for (I12). A file that has something to look at is asked for it; what
// each has says its Audit. It allocates nothing on a virtual machine if all holds.
func (p *Process) Audit(td *machine.Thread) error {
	if td != nil {
		p.mu.Lock(td)
		p.mu.Unlock(td)
	}
	var queues []*kqueue.Queue
	for fd := range p.slots {
		switch s := &p.slots[fd]; {
		case (s.desc == nil) != (s.file == nil):
			return fmt.Errorf("I12: number %d has a descriptor, or a file, and not both", fd)
		case s.desc == nil && fd < p.free:
			return fmt.Errorf("I12: number %d is free, and the lowest that is free is searched for from %d on", fd, p.free)
		case s.desc == nil:
			continue
		case s.desc.File != s.file.File:
			return fmt.Errorf("I12: the descriptor of number %d is of another file", fd)
		case s.desc.Closed():
			return fmt.Errorf("I12: number %d stands for a descriptor that is closed", fd)
		default:
			s.file.found = 0
			if td == nil || td.Virtual() {
				continue
			}
			switch f := s.file.File.(type) {
			case *kqueue.Queue:
				queues = append(queues, f)
			case kqueue.Nested:
				queues = append(queues, f.Inner())
			}
		}
	}
	for fd := range p.slots {
		if s := &p.slots[fd]; s.file != nil {
			s.file.found++
		}
	}
	for fd := range p.slots {
		if s := &p.slots[fd]; s.file != nil && s.file.found != s.file.refs.Look() {
			return fmt.Errorf("I12: the file of number %d has %d descriptors, and counts %d", fd, s.file.found, s.file.refs.Look())
		}
	}
	for fd := range p.slots {
		s := &p.slots[fd]
		if s.file == nil {
			continue
		}
		if f, ok := s.file.File.(audited); ok {
			if err := f.Audit(td); err != nil {
				return fmt.Errorf("the file of number %d: %w", fd, err)
			}
		}
	}
	return p.k.Audit(td, p, queues...)
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

// Empty says what is left when all descriptors have been closed, or nil.
func (p *Process) Empty() error {
	for fd := range p.slots {
		if p.slots[fd].desc != nil {
			return fmt.Errorf("I12: number %d is open, and all have been closed", fd)
		}
	}
	return nil
}
