package kqueue

import (
	"slices"
	"strings"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A Gaze looks at a kernel on a virtual machine between two steps, when no thread runs,
// for a picture of the execution: at the halves of each knote, and at who is in which
// domain. It is the only one that may see both halves at once. The kernel does nothing
// for it.
type Gaze struct {
	k      *Kernel
	places []*Place
	known  []known
	lives  int
}

// A known is a knote in one of its lives: from its making until it is cleaned.
type known struct {
	kn   *Knote
	n    int
	seen bool
}

// NewGaze returns one that has seen nothing yet.
func (k *Kernel) NewGaze() *Gaze { return &Gaze{k: k} }

// A Sight is what a [Gaze] sees.
type Sight struct {
	Knotes []KnoteSight // those that live, or have ended in the last step, by number
	Inside []string     // of each domain the name of the thread that is in it; "" if none is
}

// A KnoteSight is a knote as it stands between two steps. Domains have numbers, from 0 in
// the order in which they were seen.
type KnoteSight struct {
	N            int // of the knote: each life has another, from 0
	Queue        *Queue
	Filter       event.Filter
	Ident        uint64
	SourceDomain int    // that of the queue is told by [Gaze.Domain]
	Source, Link string // the bits that are set in each half, by name
}

// Queues returns the queues that there were, closed ones too, in the order in which they
// were made.
//
//go:norace
func (g *Gaze) Queues() (all []*Queue) {
	for q := g.k.made; q != nil; q = q.next {
		all = append(all, q)
	}
	return all
}

// Look looks. On a machine that is not virtual there is nothing to be seen.
//
//go:norace
func (g *Gaze) Look() (s Sight) {
	for i := range g.known {
		g.known[i].seen = false
	}
	for q := g.k.made; q != nil; q = q.next {
		g.domain(q.place)
		for _, kn := range q.table.buckets {
			for ; kn != nil; kn = kn.hnext {
				g.find(kn).seen = true
			}
		}
	}
	rest := g.known[:0]
	for _, k := range g.known {
		if !k.seen && k.kn.q == nil {
			continue // it has been freed since
		}
		s.Knotes = append(s.Knotes, g.sight(k))
		if k.kn.state&done == 0 {
			rest = append(rest, k)
		}
	}
	g.known = rest
	for _, p := range g.places {
		in := ""
		if w, ok := p.Domain.(*watched); ok && w.in != nil {
			in = w.in.Name
		}
		s.Inside = append(s.Inside, in)
	}
	return s
}

// Word returns what an atomic word of the kernel says, and of which queue; "" if it is
// another's. The words have no names of their own.
//
//go:norace
func (g *Gaze) Word(w *machine.Uint32) (says string, of *Queue) {
	for q := g.k.made; q != nil; q = q.next {
		switch w {
		case &q.closed:
			return "closed", q
		case &q.watched:
			return "watched", q
		case &q.buried:
			return "buried", q
		}
	}
	for _, k := range g.known {
		if d := k.kn.desc; d != nil && w == &d.closed {
			return "closed descriptor", nil
		}
	}
	return "", nil
}

// Domain returns the number of a queue's domain.
//
//go:norace
func (g *Gaze) Domain(q *Queue) int { return g.domain(q.place) }

//go:norace
func (g *Gaze) domain(p *Place) int {
	i := slices.Index(g.places, p)
	if i < 0 {
		i = len(g.places)
		g.places = append(g.places, p)
	}
	return i
}

//go:norace
func (g *Gaze) find(kn *Knote) *known {
	for i := range g.known {
		if g.known[i].kn == kn {
			return &g.known[i]
		}
	}
	g.known = append(g.known, known{kn: kn, n: g.lives})
	g.lives++
	return &g.known[len(g.known)-1]
}

//go:norace
func (g *Gaze) sight(k known) KnoteSight {
	kn := k.kn
	return KnoteSight{
		N: k.n, Queue: kn.q, Filter: kn.filt, Ident: kn.id, SourceDomain: g.domain(kn.place),
		Source: kn.state.String(), Link: kn.link.String(),
	}
}

// String returns the names of the bits that are set.
func (s sourceHalf) String() string {
	return bits(uint8(s), "busy", "hooked", "fired", "posted", "disabled", "gone", "done", "mark")
}

// String returns the names of the bits that are set.
func (l queueHalf) String() string {
	return bits(uint8(l), "hashed", "listed", "claimed", "rearm", "dying", "mark")
}

func bits(set uint8, names ...string) string {
	var on []string
	for i, name := range names {
		if set>>i&1 != 0 {
			on = append(on, name)
		}
	}
	return strings.Join(on, " ")
}
