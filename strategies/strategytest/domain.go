package strategytest

import (
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// contract tests what a strategy itself promises: see kqueue.Domain.
func contract(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	t.Run("enter-excludes", func(t *testing.T) { enterExcludes(t, new) })
	t.Run("sleep-leaves-and-returns", func(t *testing.T) { sleepLeaves(t, new) })
	t.Run("sleep-ends-in-time", func(t *testing.T) { sleepEnds(t, new) })
	t.Run("delivered-before-later-enter", func(t *testing.T) { deliveredBefore(t, new) })
	t.Run("delivered-to-sleepers", func(t *testing.T) { deliveredToSleepers(t, new) })
}

// places are the places of a source and a queue of each CPU, without
// repetitions.
func places(m *machine.Machine, s kqueue.Strategy) []*kqueue.Place {
	var all []*kqueue.Place
	seen := map[*kqueue.Place]bool{}
	for cpu := range m.NumCPU() {
		m.Go("founder", cpu, func(td *machine.Thread) {
			for _, p := range []*kqueue.Place{s.Source(td), s.Queue(td)} {
				if !seen[p] {
					seen[p] = true
					all = append(all, p)
				}
			}
		})
		m.Run()
	}
	return all
}

// A region is a place with what only its domain guards.
type region struct {
	*kqueue.Place
	n    int // guarded by the place
	wait machine.WaitChan
}

func regions(m *machine.Machine, s kqueue.Strategy) []*region {
	var rs []*region
	for _, p := range places(m, s) {
		r := &region{Place: p}
		r.wait.Name = "region"
		rs = append(rs, r)
	}
	return rs
}

// enterExcludes: threads on both CPUs count, in every place, without any other
// lock.
func enterExcludes(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	m := machine.Native(2)
	rs := regions(m, new(m))
	const threads = 4
	n := rounds(5000)
	for i := range threads {
		m.Go(nth("counter", i), i%2, func(td *machine.Thread) {
			for j := range n {
				r := rs[j%len(rs)]
				r.Enter(td)
				r.n++
				r.Exit(td)
			}
		})
	}
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, r := range rs {
		sum += r.n
	}
	if want := threads * n; sum != want {
		t.Errorf("%d steps were counted in %d places, want %d: Enter lets in more than one", sum, len(rs), want)
	}
}

// sleepLeaves: two threads take turns, each sleeping in the domain until the
// other has had its turn. One that slept with the domain would keep the other
// out; one that was let in without it would spoil the count.
func sleepLeaves(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	m := machine.Native(2)
	for _, r := range regions(m, new(m)) {
		n := rounds(2000)
		for turn := range 2 {
			m.Go(nth("turn", turn), turn, func(td *machine.Thread) {
				r.Enter(td)
				for r.n < 2*n {
					if r.n%2 != turn {
						td.Interlock(&r.wait)
						if err := r.Sleep(td, machine.Forever); err != nil {
							t.Errorf("Sleep: %v", err)
						}
						continue // trust nothing
					}
					r.n++
					td.Wakeup(&r.wait)
				}
				r.Exit(td)
			})
		}
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
	}
}

// sleepEnds: a sleep whose time is over says so, and td is inside again.
func sleepEnds(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	m := machine.Native(2)
	for _, r := range regions(m, new(m)) {
		const threads = 3
		n := rounds(15)
		for i := range threads {
			m.Go(nth("sleeper", i), i%2, func(td *machine.Thread) {
				for range n {
					r.Enter(td)
					td.Interlock(&r.wait)
					until := td.Now() + 100*time.Microsecond
					if err := r.Sleep(td, until); err != machine.ErrTimeout {
						t.Errorf("Sleep without a wakeup: %v, want ErrTimeout", err)
					}
					if td.Now() < until {
						t.Error("Sleep ended before its time")
					}
					r.n++
					r.Exit(td)
				}
			})
		}
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
		if r.n != threads*n {
			t.Errorf("%d of %d: who comes back from Sleep is not inside", r.n, threads*n)
		}
	}
}

// deliveredBefore: a thread rings, then says so to another by a word that no
// domain guards; the other enters the queue's domain later, and must find it.
// A third is in and out of that domain all the time.
func deliveredBefore(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		var f *tally
		var kq int
		var rung, heard machine.Uint32
		l.do(0, func(td *machine.Thread) { f = newTally(td, l.k, false) })
		l.do(cpu, func(td *machine.Thread) {
			kq = l.kqueue(td)
			l.change(td, kq, event.Read, l.open(td, f), event.Add)
		})
		n := uint32(rounds(150))
		l.spawn("ringer", 0, func(td *machine.Thread) {
			for i := uint32(1); i <= n; i++ {
				f.ring(td)
				rung.Store(td, i)
				for heard.Load(td) != i {
					l.pass(td)
				}
			}
		})
		l.spawn("poller", 1-cpu, func(td *machine.Thread) {
			for i := uint32(1); i <= n; i++ {
				for rung.Load(td) != i {
					l.pass(td)
				}
				if e, ok := l.take(td, kq, 0); !ok || e.Data != 1 {
					t.Errorf("ring %d had returned before this poll: %v, %v", i, e, ok)
				}
				heard.Store(td, i)
			}
		})
		l.spawn("visitor", cpu, func(td *machine.Thread) {
			for heard.Load(td) != n {
				_ = l.try(td, kq, event.User, 1, event.Delete) // ENOENT: a visit
			}
		})
		l.run()
	})
}

// pass lets others run: a spinning thread must leave its CPU to whoever wants
// it, which it does whenever it sleeps.
func (l *lab) pass(td *machine.Thread) {
	var never machine.WaitChan
	never.Name = "a moment"
	td.Interlock(&never)
	_ = td.Sleep(td.Now() + time.Microsecond)
}

// deliveredToSleepers: nobody visits the queue's domain but the thread that
// sleeps there. It must be woken each time.
func deliveredToSleepers(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		var f *tally
		var kq, answers int
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, false)
			answers = l.kqueue(td)
			l.change(td, answers, event.User, 1, event.Add|event.Clear)
		})
		l.do(cpu, func(td *machine.Thread) {
			kq = l.kqueue(td)
			l.change(td, kq, event.Read, l.open(td, f), event.Add)
		})
		n := rounds(2000)
		trigger := []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}
		l.spawn("ringer", 0, func(td *machine.Thread) {
			for range n {
				f.ring(td)
				l.take(td, answers, kqueue.Forever)
			}
		})
		l.spawn("sleeper", 1, func(td *machine.Thread) {
			for range n {
				if e, ok := l.take(td, kq, kqueue.Forever); !ok || e.Data != 1 {
					t.Errorf("%v, %v, want one ring", e, ok)
				}
				if _, err := l.p.Kevent(td, answers, trigger, nil, 0); err != nil {
					t.Errorf("trigger: %v", err)
				}
			}
		})
		l.run()
	})
}
