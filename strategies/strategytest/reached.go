package strategytest

import (
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// reached fails if the tests before it, which have counted into stats, did not
// come to the places that they are for: a suite that never delivers between
// domains says nothing about delivery. What a strategy can reach follows from
// its shape: from where it places what each CPU makes, and from whether its
// domains hold a CPU.
func reached(t *testing.T, new func(*machine.Machine) kqueue.Strategy, stats *machine.Stats) {
	shape := shapeOf(new)
	for _, c := range []struct {
		what     string
		n        uint64
		possible bool
	}{
		{"deliveries between domains", stats.Remote, shape.places > 1},
		{"migrations", stats.Migrations, shape.places > 1 && shape.cpus},
		{"rearms", stats.Rearms, true},
		{"waits for a claim", stats.ClaimWaits, true},
		{"markers of others skipped", stats.Markers, true},
	} {
		switch {
		case c.possible && c.n == 0:
			t.Errorf("%s: none", c.what)
		case !c.possible && c.n != 0:
			t.Errorf("%s: %d, although the strategy has %+v", c.what, c.n, shape)
		}
		t.Logf("%-26s %d", c.what, c.n)
	}
	if shape.places > 1 {
		t.Run("dead-on-arrival", func(t *testing.T) { deadOnArrival(t, new) })
	}
}

// A shape is what can be seen of a strategy from outside.
type shape struct {
	places int  // different ones, for sources and queues of two CPUs
	cpus   bool // who is in a domain holds a CPU
}

func shapeOf(new func(*machine.Machine) kqueue.Strategy) (sh shape) {
	m := machine.Native(2)
	all := places(m, new(m))
	sh.places = len(all)
	m.Go("visitor", 0, func(td *machine.Thread) {
		all[0].Enter(td)
		sh.cpus = td.On() != nil
		all[0].Exit(td)
	})
	m.Run()
	return sh
}

// deadOnArrival has a knote deleted while it is under way, and then arrive:
// it is dropped. Under the contract this cannot happen, since whoever deletes
// it enters the queue's domain after the delivery and so finds it delivered;
// the test breaks the contract, by a domain in front of the strategy's own that
// keeps deliveries back.
func deadOnArrival(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	var late *lateStrategy
	l := newLab(t, func(m *machine.Machine) kqueue.Strategy {
		late = &lateStrategy{Strategy: new(m), places: map[*kqueue.Place]*kqueue.Place{}}
		return late
	})
	var f *tally
	var fd int
	l.do(0, func(td *machine.Thread) {
		f = newTally(td, l.k, false)
		fd = l.open(td, f)
	})
	l.do(1, func(td *machine.Thread) {
		kq := l.kqueue(td)
		l.change(td, kq, event.Read, fd, event.Add)
		f.ring(td)
		if late.held == nil {
			t.Error("nothing was delivered between domains")
			return
		}
		l.change(td, kq, event.Read, fd, event.Delete)
		l.change(td, kq, event.Read, fd, event.Add) // another life, in another knote
		late.at.Enter(td)
		kqueue.Activate(td, late.held)
		late.at.Exit(td)
		if td.Stats.Dead != 1 {
			t.Errorf("dead on arrival: %d, want 1", td.Stats.Dead)
		}
		if e, ok := l.take(td, kq, 0); ok {
			t.Errorf("%v was returned, for a ring that came before it was added", e)
		}
	})
}

// A lateStrategy keeps the last delivery back.
type lateStrategy struct {
	kqueue.Strategy
	places map[*kqueue.Place]*kqueue.Place
	held   *kqueue.Knote
	at     *kqueue.Place
}

func (s *lateStrategy) Source(td *machine.Thread) *kqueue.Place {
	return s.front(s.Strategy.Source(td))
}
func (s *lateStrategy) Queue(td *machine.Thread) *kqueue.Place { return s.front(s.Strategy.Queue(td)) }

func (s *lateStrategy) front(p *kqueue.Place) *kqueue.Place {
	if s.places[p] == nil {
		s.places[p] = &kqueue.Place{Domain: &lateDomain{s: s, own: p}}
	}
	return s.places[p]
}

type lateDomain struct {
	s   *lateStrategy
	own *kqueue.Place
}

func (d *lateDomain) Enter(td *machine.Thread) { d.own.Enter(td) }
func (d *lateDomain) Exit(td *machine.Thread)  { d.own.Exit(td) }
func (d *lateDomain) Sleep(td *machine.Thread, until time.Duration) error {
	return d.own.Sleep(td, until)
}
func (d *lateDomain) Deliver(td *machine.Thread, kn *kqueue.Knote) { d.s.held, d.s.at = kn, d.own }
