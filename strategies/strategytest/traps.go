package strategytest

import (
	"math/rand/v2"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// The traps are interleavings that have broken real kernels, or earlier drafts
// of this one. Where a filter that blocks can force one, it is a transcript in
// testdata/traps; a function here forces nothing, but has many threads run into
// it many times.
var traps = []trap{
	{"limbo", true, limbo},
	{"waiters-word", false, waitersWord},
	{"left-for-another", true, leftForAnother},
	{"lost-rearm", true, lostRearm},
	{"two-ends", true, twoEnds},
	{"late-disable", true, lateDisable},
	{"detach-never-attached", true, detachNeverAttached},
	{"debt-asleep", true, debtAsleep},
	{"second-look", false, secondLook},
	{"attach-before-list", true, attachBeforeList},
	{"settled-while-out", true, nil},
	{"pruned-while-out", true, nil},
	{"claimed-behind-front", true, nil},
	{"news-while-claimed", true, nil},
}

type trap struct {
	name   string
	forced bool // there is a transcript
	crowd  func(t *testing.T, new func(*machine.Machine) kqueue.Strategy)
}

// limbo: two threads poll, and always find what is always there, although each
// takes it and puts it back all the time, and a third looks at it through an
// outer queue, from which the inner one is never empty.
func limbo(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		var kq, outer int
		l.do(cpu, func(td *machine.Thread) {
			kq, outer = l.kqueue(td), l.kqueue(td)
		})
		l.do(0, func(td *machine.Thread) {
			probe := device.NewProbe(td, l.k, device.ProbeConfig{})
			probe.Set(td, 1)
			l.change(td, kq, event.Read, l.open(td, probe), event.Add)
			l.change(td, outer, event.Read, kq, event.Add)
		})
		poll := func(q int) func(td *machine.Thread) {
			return func(td *machine.Thread) {
				for i := range rounds(2000) {
					if e, ok := l.take(td, q, 0); !ok || e.Data != 1 {
						t.Errorf("%s, poll %d: %v, %v, want the one event with data 1", td.Name, i, e, ok)
						return
					}
				}
			}
		}
		l.spawn("poller", 0, poll(kq))
		l.spawn("other poller", 1, poll(kq))
		l.spawn("poller of the outer queue", 1, poll(outer))
		l.run()
	})
}

// waitersWord: those who wait for a knote make nobody ask its filter again. So
// the filter is not asked more often than there was a reason to.
func waitersWord(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	l := newLab(t, new)
	var f *tally
	var fd int
	kqs := make([]int, 2)
	l.do(0, func(td *machine.Thread) {
		f = newTally(td, l.k, true)
		fd = l.open(td, f)
		for i := range kqs {
			kqs[i] = l.kqueue(td)
		}
	})
	n := rounds(1000)
	const threads = 4
	for i := range threads {
		l.spawn(nth("thread", i), i%2, func(td *machine.Thread) {
			for range n {
				l.change(td, kqs[i%2], event.Read, fd, event.Add) // asks once
				f.ring(td)                                        // asks each knote
				l.take(td, kqs[i%2], 0)                           // asks once, if it is listed
			}
		})
	}
	l.run()
	if most := int64(threads * n * (1 + len(kqs) + 1)); f.calls.Load() > most {
		t.Errorf("the filter was asked %d times, want %d at most: somebody who waits has it asked again", f.calls.Load(), most)
	}
}

// leftForAnother: each thread has a queue of its own on one source, rings, and
// must find its own ring in its own poll. (Seam: completeness.)
func leftForAnother(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for _, blocks := range []bool{false, true} {
		l := newLab(t, new)
		var f *tally
		var fd int
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, blocks)
			fd = l.open(td, f)
		})
		for i := range 4 {
			l.spawn(nth("thread", i), i%2, func(td *machine.Thread) {
				kq := l.kqueue(td)
				l.change(td, kq, event.Read, fd, event.Add)
				for n := range rounds(1000) {
					f.ring(td)
					if e, ok := l.take(td, kq, 0); !ok || e.Data < 1 {
						t.Errorf("%s, ring %d: its own poll after it: %v, %v", td.Name, n, e, ok)
						return
					}
				}
			})
		}
		l.run()
	}
}

// lostRearm: rings during the evaluation are heard, all of them and once.
func lostRearm(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) { conserve(t, new, cpu, 2, 2) })
}

// conserve has so many threads ring, and as many that sleep for it, and counts.
// The takers leave when all has been heard; one that is left asleep before has
// lost a wakeup.
func conserve(t *testing.T, new func(*machine.Machine) kqueue.Strategy, cpu, ringers, takers int) {
	l := newLab(t, new)
	var f *tally
	var kq int
	l.do(0, func(td *machine.Thread) { f = newTally(td, l.k, false) })
	l.do(cpu, func(td *machine.Thread) {
		kq = l.kqueue(td)
		l.change(td, kq, event.Read, l.open(td, f), event.Add)
		l.change(td, kq, event.User, 1, event.Add)
	})
	n := rounds(2000)
	all := int64(n * ringers)
	heard := make([]int64, takers)
	var total machine.Uint32
	for i := range ringers {
		l.spawn(nth("ringer", i), i%2, func(td *machine.Thread) {
			for range n {
				f.ring(td)
			}
		})
	}
	for i := range takers {
		l.spawn(nth("taker", i), (i+1)%2, func(td *machine.Thread) {
			for {
				e, ok := l.take(td, kq, kqueue.Forever)
				if !ok || e.Filter == event.User {
					return
				}
				heard[i] += e.Data
				if total.Add(td, uint32(e.Data)) == uint32(all) {
					// The last one tells the others, level-triggered.
					_, err := l.p.Kevent(td, kq, []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}, nil, 0)
					if err != nil {
						t.Errorf("trigger: %v", err)
					}
				}
			}
		})
	}
	l.run()
	sum := int64(0)
	for _, h := range heard {
		sum += h
	}
	if sum != all {
		t.Errorf("heard %d, rung %d", sum, all)
	}
}

// twoEnds: a one-shot is added again and again, by its number, while others
// take it and delete it. Each number is taken once at most.
func twoEnds(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		var kq, fd int
		l.do(cpu, func(td *machine.Thread) { kq = l.kqueue(td) })
		l.do(0, func(td *machine.Thread) {
			probe := device.NewProbe(td, l.k, device.ProbeConfig{Unsafe: true})
			probe.Set(td, 1)
			fd = l.open(td, probe)
		})
		n := rounds(1500)
		taken := make([]machine.Uint32, n+1)
		var left machine.Uint32
		l.do(0, func(td *machine.Thread) { left.Store(td, 1) })
		l.spawn("adder", 0, func(td *machine.Thread) {
			for i := 1; i <= n; i++ {
				kev := event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.OneShot, Udata: uint64(i)}
				if _, err := l.p.Kevent(td, kq, []event.Kevent{kev}, nil, 0); err != nil {
					t.Errorf("%v: %v", kev, err)
				}
				if i%7 == 0 {
					_ = l.try(td, kq, event.Read, fd, event.Delete) // ENOENT if it has been taken
				}
			}
			left.Store(td, 0)
		})
		take := func(td *machine.Thread) bool {
			e, ok := l.take(td, kq, 0)
			if ok && taken[e.Udata].Add(td, 1) > 1 {
				t.Errorf("%v was returned twice", e)
			}
			return ok
		}
		for i := range 2 {
			l.spawn(nth("taker", i), i, func(td *machine.Thread) {
				for left.Load(td) != 0 {
					take(td)
				}
			})
		}
		l.run()
		l.do(0, func(td *machine.Thread) {
			for take(td) {
			}
			if last := taken[n].Load(td); last != 1 && n%7 != 0 {
				t.Errorf("the last registration was returned %d times, want once", last)
			}
		})
	})
}

// lateDisable: EV_DISPATCH disables and EV_ADD enables; whichever order the two
// take, after an EV_ADD that had no rival the knote is enabled.
func lateDisable(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		var kq, fd int
		l.do(cpu, func(td *machine.Thread) { kq = l.kqueue(td) })
		l.do(0, func(td *machine.Thread) {
			probe := device.NewProbe(td, l.k, device.ProbeConfig{})
			probe.Set(td, 1)
			fd = l.open(td, probe)
		})
		n := rounds(2000)
		taken := make([]machine.Uint32, n+1)
		// The two go in step: the taker sleeps for each number, so one that
		// was disabled by the retrieval of the number before is never taken.
		l.spawn("adder", 0, func(td *machine.Thread) {
			for i := 1; i <= n; i++ {
				kev := event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.Dispatch, Udata: uint64(i)}
				if _, err := l.p.Kevent(td, kq, []event.Kevent{kev}, nil, 0); err != nil {
					t.Errorf("%v: %v", kev, err)
				}
			}
		})
		l.spawn("taker", 1, func(td *machine.Thread) {
			for {
				e, ok := l.take(td, kq, kqueue.Forever)
				if !ok {
					return
				}
				if taken[e.Udata].Add(td, 1) > 1 {
					t.Errorf("%v was returned twice", e)
				}
				if e.Udata == uint64(n) {
					return
				}
			}
		})
		l.run()
	})
}

// detachNeverAttached: registrations race with the close of their descriptor.
// Whoever was attached is detached, once.
func detachNeverAttached(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	for _, blocks := range []bool{false, true} {
		l := newLab(t, new)
		var f *tally
		var fd, kq int
		l.do(0, func(td *machine.Thread) {
			f = newTally(td, l.k, blocks)
			fd = l.open(td, f)
		})
		l.do(1, func(td *machine.Thread) { kq = l.kqueue(td) })
		const number = 50
		n := rounds(1000)
		l.spawn("closer", 0, func(td *machine.Thread) {
			for range n {
				if err := l.p.Dup2(td, fd, number); err != nil {
					t.Errorf("dup2: %v", err)
				}
				if err := l.p.Close(td, number); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
		l.spawn("adder", 1, func(td *machine.Thread) {
			for range n {
				l.documented(td, l.try(td, kq, event.Read, number, event.Add))
			}
		})
		l.spawn("deleter", 0, func(td *machine.Thread) {
			for range n {
				l.documented(td, l.try(td, kq, event.Read, number, event.Delete))
			}
		})
		l.spawn("ringer", 1, func(td *machine.Thread) {
			for range n {
				f.ring(td)
				l.take(td, kq, 0)
			}
		})
		l.run()
		if _, err := l.closeAll(); err != nil {
			t.Error(err)
		}
		if msg := f.wrong(); msg != "" {
			t.Errorf("%s: attached %d, detached %d", msg, f.attached.Load(), f.detached.Load())
		}
	}
}

// debtAsleep: a thread sleeps on a queue that watches a queue that watches a
// queue with the source; another rings once, and waits to be answered. The
// objects lie on both CPUs, and a third thread passes by at the inner queue.
func debtAsleep(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	l := newLab(t, new)
	var f *tally
	var inner, middle, outer, answers int
	l.do(0, func(td *machine.Thread) {
		f = newTally(td, l.k, false)
		middle, answers = l.kqueue(td), l.kqueue(td)
		l.change(td, answers, event.User, 1, event.Add|event.Clear)
	})
	l.do(1, func(td *machine.Thread) {
		inner, outer = l.kqueue(td), l.kqueue(td)
		l.change(td, inner, event.Read, l.open(td, f), event.Add)
		l.change(td, middle, event.Read, inner, event.Add)
		l.change(td, outer, event.Read, middle, event.Add)
	})
	n := rounds(1500)
	trigger := []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}
	l.spawn("ringer", 0, func(td *machine.Thread) {
		for range n {
			f.ring(td)
			l.take(td, answers, kqueue.Forever)
		}
	})
	l.spawn("sleeper", 1, func(td *machine.Thread) {
		for heard := 0; heard < n; {
			l.take(td, outer, kqueue.Forever)
			if e, ok := l.take(td, inner, 0); ok {
				heard += int(e.Data)
				if _, err := l.p.Kevent(td, answers, trigger, nil, 0); err != nil {
					t.Errorf("trigger: %v", err)
				}
			}
		}
	})
	l.spawn("passer-by", 1, func(td *machine.Thread) {
		for range n {
			l.take(td, middle, 0)
		}
	})
	l.run()
}

// secondLook: a thread goes to sleep while another posts, again and again, with
// nobody else to come by. The poster hardly sleeps between, so that the two meet;
// how soon it posts is drawn.
func secondLook(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) { conserve(t, new, cpu, 3, 3) })
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
		const n = 1000
		l.spawn("poster", 0, func(td *machine.Thread) {
			rng := rand.New(rand.NewPCG(1, 0))
			for range n {
				ok := false
				for i := 0; i < 10000 && !ok; i++ {
					_, ok = l.take(td, answers, 0)
				}
				if !ok {
					l.take(td, answers, kqueue.Forever) // if the sleeper is lost, all sleep now
				}
				for range rng.IntN(30) {
					td.Now()
				}
				f.ring(td)
			}
		})
		trigger := []event.Kevent{{Ident: 1, Filter: event.User, Fflags: event.NoteTrigger}}
		l.spawn("sleeper", 1, func(td *machine.Thread) {
			for range n {
				if _, err := l.p.Kevent(td, answers, trigger, nil, 0); err != nil {
					t.Errorf("trigger: %v", err)
				}
				l.take(td, kq, kqueue.Forever)
			}
		})
		l.run()
	})
}

// attachBeforeList: a descriptor that is closed between the moment a change
// resolves it and the moment its knote is made. No luck is needed: the table
// closes it itself.
func attachBeforeList(t *testing.T, new func(*machine.Machine) kqueue.Strategy) {
	each(func(cpu int) {
		l := newLab(t, new)
		l.do(cpu, func(td *machine.Thread) {
			f := newTally(td, l.k, false)
			files := &closing{}
			q := l.k.NewQueue(td, files)
			inner := l.k.NewQueue(td, nil)
			for _, file := range []kqueue.File{f, inner} {
				files.file = file
				_, err := q.Kevent(td, []event.Kevent{{Ident: 1, Filter: event.Read, Flags: event.Add}}, nil, 0)
				if err != errEBADF {
					t.Errorf("EV_ADD on a descriptor that has been closed since it was found: %v, want EBADF", err)
				}
			}
			f.ring(td)
			if n, err := q.Kevent(td, nil, make([]event.Kevent, 1), 0); n != 0 || err != nil {
				t.Errorf("kevent: %d, %v, want nothing", n, err)
			}
			q.Close(td)
			if f.attached.Load() != 0 || f.detached.Load() != 0 {
				t.Errorf("attached %d, detached %d, want neither", f.attached.Load(), f.detached.Load())
			}
		})
	})
}

// closing is a table of one descriptor, which is closed as soon as it is found.
type closing struct{ file kqueue.File }

func (c *closing) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	d := &kqueue.Desc{File: c.file}
	d.Close(td)
	return d, nil
}
