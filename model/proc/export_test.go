package proc

import "github.com/kqlab/kqlab/model/machine"

// SetLimit makes the table smaller than MaxOpen, before it is used.
func (p *Process) SetLimit(n int) { p.limit = n }

// CloseReleasingFirst is Close as it must not be: the file is released while
// knotes of it are left.
func (p *Process) CloseReleasingFirst(td *machine.Thread, fd int) {
	s := p.slots[fd]
	p.slots[fd] = slot{}
	s.file.Release(td)
	s.desc.Close(td)
}

// CloseForgettingKnotes is Close as dup2 had it in bug D11.
func (p *Process) CloseForgettingKnotes(td *machine.Thread, fd int) { p.slots[fd] = slot{} }
