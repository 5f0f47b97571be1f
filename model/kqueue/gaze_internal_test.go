package kqueue

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A gaze sees every knote as it is, from its making until it has been seen done, and who
// is in which domain.
func TestGaze(t *testing.T) {
	w := newWorld(t, machine.Virtual(1, sched.NewRandom(1)))
	g := w.k.NewGaze()
	s := g.Look()
	if len(s.Knotes) != 5 || len(s.Inside) != 1 || s.Inside[0] != "" || len(g.Queues()) != 5 {
		t.Fatalf("%+v, %d queues", s, len(g.Queues()))
	}
	of := func(s Sight, kn *Knote) *KnoteSight {
		for i := range s.Knotes {
			if k := &s.Knotes[i]; k.Queue == kn.q && k.Ident == kn.id {
				return k
			}
		}
		return nil
	}
	kn, idle := w.knote(), w.idle()
	ready := of(s, kn)
	if ready.Source != "hooked fired posted" || ready.Link != "hashed listed" || ready.Filter != event.Read || g.Domain(ready.Queue) != 0 || ready.SourceDomain != 0 {
		t.Errorf("ready is %+v", *ready)
	}
	if k := of(s, idle); k.Source != "hooked" || k.Link != "hashed" || k.N == ready.N {
		t.Errorf("idle is %+v", *k)
	}
	place := kn.q.place.Domain.(*watched)
	place.in = &machine.Thread{Name: "somebody"}
	kn.link |= claimed | rearm
	kn.state |= busy | disabled
	s = g.Look()
	if k := of(s, kn); k.Source != "busy hooked fired posted disabled" || k.Link != "hashed listed claimed rearm" || k.N != ready.N || s.Inside[0] != "somebody" {
		t.Errorf("changed it is %+v, in the domain is %q", *k, s.Inside[0])
	}
	place.in = nil
	kn.link &^= claimed | rearm
	kn.state &^= busy | disabled
	for _, c := range []struct {
		word *machine.Uint32
		says string
		of   *Queue
	}{
		{&w.queues[1].closed, "closed", w.queues[1]}, {&w.queues[0].watched, "watched", w.queues[0]}, {&w.queues[2].buried, "buried", w.queues[2]},
		{&w.t[1].closed, "closed descriptor", nil}, {new(machine.Uint32), "", nil},
	} {
		if says, q := g.Word(c.word); says != c.says || q != c.of {
			t.Errorf("a word is %q of %p, want %q of %p", says, q, c.says, c.of)
		}
	}

	// Its end is seen once; a knote in the same memory is another.
	n := of(s, idle).N
	w.m.Go("changer", 0, func(td *machine.Thread) {
		change := func(flags event.Flags) {
			if _, err := w.queues[0].Kevent(td, []event.Kevent{{Ident: 0, Filter: event.Read, Flags: flags}}, nil, 0); err != nil {
				t.Error(err)
			}
		}
		change(event.Delete)
		idle.state |= done // it has been freed: as if somebody looked a moment before
		idle.q = w.queues[0]
		if k := of(g.Look(), idle); k == nil || k.N != n || k.Source != "hooked gone done" || k.Link != "dying" {
			t.Errorf("deleted it is %+v", k)
		}
		idle.q = nil
		if k := of(g.Look(), &Knote{q: w.queues[0]}); k != nil {
			t.Errorf("when it has been seen done it is %+v", *k)
		}
		change(event.Add)
		if k := of(g.Look(), w.idle()); k == nil || k.N == n || k.Source != "hooked" {
			t.Errorf("made anew it is %+v", k)
		}
	})
	w.m.Run()
	w.m.Abandon()
}
