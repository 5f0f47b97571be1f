package strategytest

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// nested are the tests of queues that watch queues, beyond decision 11.
func nested(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	t.Run("crossing", func(t *testing.T) { crossing(t, new, 2) })
	t.Run("round", func(t *testing.T) { crossing(t, new, 3) })
	t.Run("crossing-churn", func(t *testing.T) { crossingChurn(t, new) })
}

// crossing: n queues in a round are made to watch each other at once. All but
// one may; with a check that is not made under one lock all would (bug L5).
func crossing(t *testing.T, new func(*machine.Machine) kqueue.Strategy, n int) {
	l := newLab(t, new)
	for range rounds(300) {
		kqs := make([]int, n)
		answers := make([]error, n)
		for i := range kqs {
			l.do(i%2, func(td *machine.Thread) { kqs[i] = l.kqueue(td) })
		}
		for i := range kqs {
			l.spawn(nth("watcher", i), i%2, func(td *machine.Thread) {
				answers[i] = l.try(td, kqs[i], event.Read, kqs[(i+1)%n], event.Add)
			})
		}
		l.run()
		refused := 0
		for _, err := range answers {
			if err == syscall.ELOOP {
				refused++
			} else if err != nil {
				t.Fatalf("EV_ADD of a queue: %v, want ELOOP or none", err)
			}
		}
		if refused != 1 {
			t.Fatalf("%d queues in a round: %d of the watches were refused, want 1", n, refused)
		}
		if _, err := l.closeAll(); err != nil {
			t.Fatal(err)
		}
	}
}

// crossingChurn: two queues are made to watch each other, and not to, over and
// over, while both have events: nobody waits for ever, and an answer is right.
func crossingChurn(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	l := newLab(t, new)
	kqs := make([]int, 2)
	for i := range kqs {
		l.do(i, func(td *machine.Thread) {
			kqs[i] = l.kqueue(td)
			l.change(td, kqs[i], event.User, 1, event.Add|event.Clear)
		})
	}
	watched := 0
	for i := range kqs {
		l.spawn(nth("watcher", i), i, func(td *machine.Thread) {
			mine, other := kqs[i], kqs[1-i]
			trigger := []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}
			for range rounds(500) {
				switch err := l.try(td, mine, event.Read, other, event.Add); err {
				case nil:
					watched++ // the other cannot be here: it would watch too
					if _, err := l.p.Kevent(td, other, trigger, nil, 0); err != nil {
						t.Errorf("trigger: %v", err)
					}
					_, _ = l.take(td, mine, 0)
					watched--
					if watched != 0 {
						t.Error("two queues watch each other")
					}
					l.change(td, mine, event.Read, other, event.Delete)
				case syscall.ELOOP:
				default:
					t.Errorf("EV_ADD of a queue: %v, want ELOOP or none", err)
				}
			}
		})
	}
	l.run()
}
