package kqueue

import (
	"fmt"
	"time"

	"github.com/kqlab/kqlab/model/machine"
)

// A Place is one domain. Every source and every queue points to one; two
// objects share a domain if and only if the pointers are equal.
//
// On a virtual machine it watches over its domain: that two threads are in it at
// once is a panic that names them. Without that a domain which excludes nobody
// would go unnoticed there, since a thread is left only at points, and between
// two of them are no halves that anybody could find torn.
type Place struct {
	Domain
	in *machine.Thread // of a virtual machine: who is in the domain, and may touch what it guards
}

// Enter brings td into the domain, see [Domain].
func (p *Place) Enter(td *machine.Thread) {
	p.Domain.Enter(td)
	if td.Virtual() {
		p.begin(td, "enters")
		td.Visit(p)
	}
}

// Exit takes td out of the domain, see [Domain].
func (p *Place) Exit(td *machine.Thread) {
	if td.Virtual() {
		p.in = nil
	}
	p.Domain.Exit(td)
}

// Sleep leaves the domain and enters it again, see [Domain].
func (p *Place) Sleep(td *machine.Thread, until time.Duration) error {
	if !td.Virtual() {
		return p.Domain.Sleep(td, until)
	}
	p.in = nil
	err := p.Domain.Sleep(td, until)
	p.begin(td, "has slept in")
	td.Visit(p)
	return err
}

// begin notes that td is in the domain.
func (p *Place) begin(td *machine.Thread, does string) {
	if p.in != nil && p.in != td {
		panic(fmt.Sprintf("kqueue: %s %s a domain that %s is in", td.Name, does, p.in.Name))
	}
	p.in = td
}

// activate is Activate on a virtual machine. Whoever does it is in the domain,
// but has not come by Enter if it works off mail.
func (p *Place) activate(td *machine.Thread, kn *Knote) {
	was := p.in
	p.begin(td, "activates a knote in")
	td.Visit(p)
	activate(td, kn)
	p.in = was
}

// lend lets others in while td runs a filter that may lose the domain, and
// returns what ends that.
func (p *Place) lend(td *machine.Thread) (back func()) {
	if !td.Virtual() {
		return func() {}
	}
	p.in = nil
	return func() { p.begin(td, "comes back from a filter to") }
}
