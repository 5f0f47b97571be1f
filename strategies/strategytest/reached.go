package strategytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// reached fails if the tests before it did not come to the places that they are
// for: a suite that never delivers between domains says nothing about delivery.
// What can be reached follows from the strategy's shape, and not from its name.
func reached(t *testing.T, new func(*machine.Machine) kqueue.Strategy, sh shape, stats machine.Stats) {
	gaps := sh.places > 1 || !sh.kept // somebody can come by while a scan is out
	for _, c := range []struct {
		what     string
		n        uint64
		possible bool
	}{
		{"deliveries between domains", stats.Remote, sh.places > 1},
		{"migrations", stats.Migrations, sh.places > 1 && sh.cpus},
		{"rearms", stats.Rearms, gaps},
		{"waits for a claim", stats.ClaimWaits, gaps},
		{"markers of others skipped", stats.Markers, gaps},
	} {
		switch {
		case c.possible && c.n == 0:
			t.Errorf("%s: none", c.what)
		case !c.possible && c.n != 0:
			t.Errorf("%s: %d, although the strategy has %v", c.what, c.n, sh)
		}
		t.Logf("%-26s %d", c.what, c.n)
	}
	if sh.places > 1 {
		t.Run("dead-on-arrival", func(t *testing.T) { deadOnArrival(t, new) })
	}
}

// A shape is what can be seen of a strategy from outside.
type shape struct {
	places int  // different ones, for a source and a queue of each of two CPUs
	cpus   bool // who is in a domain holds a CPU
	kept   bool // who blocks in a domain keeps others out
}

func (sh shape) String() string {
	s := fmt.Sprintf("%d places for 4 objects", sh.places)
	if sh.cpus {
		s += ", which are CPUs"
	}
	if sh.kept {
		s += ", kept while a filter blocks"
	}
	return s
}

// shapeOf looks. Whether a domain is kept shows when one thread sleeps there
// for a while and another comes: if it gets in it wakes the first.
func shapeOf(new func(*machine.Machine) kqueue.Strategy) (sh shape) {
	m := machine.Native(2)
	all := places(m, new(m))
	sh.places = len(all)
	at := all[0]
	var wait machine.WaitChan
	wait.Name = "a visitor"
	m.Go("resident", 0, func(td *machine.Thread) {
		at.Enter(td)
		sh.cpus = td.On() != nil
		td.Interlock(&wait)
		m.Go("visitor", 1, func(td *machine.Thread) {
			at.Enter(td)
			td.Wakeup(&wait)
			at.Exit(td)
		})
		sh.kept = td.Sleep(td.Now()+500*time.Millisecond) != nil
		at.Exit(td)
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
