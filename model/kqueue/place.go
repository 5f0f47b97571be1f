package kqueue

import (
	"fmt"
	"time"

	"github.com/kqlab/kqlab/model/machine"
)

// An OverlapError says that two threads are in one domain. On a virtual machine it
// is what a thread panics with; a native one does not notice.
type OverlapError struct {
	Thread, Does string // who came, and what it does
	In           string // who was there
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("%s %s a domain that %s is in", e.Thread, e.Does, e.In)
}

// A watched domain is one on a virtual machine: that two threads are in it at
// once is an [OverlapError]. Without it a domain that excludes nobody would
// go unnoticed there, since a thread is left only at points, and between two of
// them are no halves that anybody could find torn. A native machine does without:
// one more call at each entry would be felt.
type watched struct {
	Domain
	in *machine.Thread // who is in the domain, and may touch what it guards
}

// watch has the domain of a place watched, if td is of a virtual machine. It is
// called for each object that is placed, by whoever makes it, under no lock that all
// the objects of a place would share; so the race detector must not look.
//
//go:norace
func (p *Place) watch(td *machine.Thread) {
	if _, ok := p.Domain.(*watched); !ok && td.Virtual() {
		p.Domain = &watched{Domain: p.Domain}
	}
}

// Enter implements Domain.
func (w *watched) Enter(td *machine.Thread) {
	w.Domain.Enter(td)
	w.begin(td, "enters")
	td.Visit(w)
}

// Exit implements Domain.
func (w *watched) Exit(td *machine.Thread) {
	w.end(td, nil)
	w.Domain.Exit(td)
}

// Sleep implements Domain.
func (w *watched) Sleep(td *machine.Thread, until time.Duration) error {
	w.end(td, nil)
	err := w.Domain.Sleep(td, until)
	w.begin(td, "has slept in")
	td.Visit(w)
	return err
}

// begin notes that td is in the domain, and returns who was. The race detector must
// not look: what it says of a domain that orders nobody is to name the kernel's own
// fields, and this one would come before them all.
//
//go:norace
func (w *watched) begin(td *machine.Thread, does string) (was *machine.Thread) {
	td.Touch(w, machine.Writes)
	if w.in != nil && w.in != td {
		panic(&OverlapError{td.Name, does, w.in.Name})
	}
	was, w.in = w.in, td
	return was
}

// end notes that only who was in the domain before is there.
//
//go:norace
func (w *watched) end(td, was *machine.Thread) {
	td.Touch(w, machine.Writes)
	w.in = was
}

// activate is Activate on a virtual machine. Whoever does it is in the domain,
// but has not come by Enter if it works off mail.
func (w *watched) activate(td *machine.Thread, kn *Knote) {
	was := w.begin(td, "activates a knote in")
	td.Visit(w)
	activate(td, kn)
	w.end(td, was)
}

// lend lets others in while td runs a filter of kn that may lose the domain, and
// returns what ends that. Whoever comes in must leave kn alone: its filter is called
// by one thread at a time, and by none once it has been detached (I4).
func (kn *Knote) lend(td *machine.Thread) (back func()) {
	w, ok := kn.place.Domain.(*watched)
	if !ok {
		return func() {}
	}
	if kn.asker != nil {
		panic(fmt.Sprintf("kqueue: I4: %s calls the filter of %v, and %s is in it", td.Name, kn, kn.asker.Name))
	}
	if kn.state&done != 0 {
		panic(fmt.Sprintf("kqueue: I4: %s calls the filter of %v, which has been detached", td.Name, kn))
	}
	kn.asker = td
	w.end(td, nil)
	return func() {
		w.begin(td, "comes back from a filter to")
		kn.asker = nil
	}
}
