package kqueue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// one is the strategy of one token.
type one struct {
	mp *machine.Token
	p  *Place
}

func newOne(m *machine.Machine) *one {
	o := &one{mp: m.MPLock()}
	o.p = &Place{o}
	return o
}

func (o *one) Source(*machine.Thread) *Place                       { return o.p }
func (o *one) Queue(*machine.Thread) *Place                        { return o.p }
func (o *one) Enter(td *machine.Thread)                            { td.Get(o.mp) }
func (o *one) Exit(td *machine.Thread)                             { td.Put(o.mp) }
func (o *one) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (o *one) Deliver(td *machine.Thread, kn *Knote)               { Activate(td, kn) }

// A level can be read while it is over 0.
type level struct {
	src Source
	n   int64
}

var levelFilter = &Filter{
	Attach: func(td *machine.Thread, kn *Knote) error { return nil },
	Event:  func(td *machine.Thread, kn *Knote, hint int64) bool { return kn.File().(*level).n > 0 },
}

func (l *level) Source(event.Filter) (*Source, *Filter, error) { return &l.src, levelFilter, nil }
func (l *level) Sources() []*Source                            { return []*Source{&l.src} }
func (l *level) Release(*machine.Thread)                       {}

type table []*Desc

func (t table) Desc(td *machine.Thread, fd uint64) (*Desc, error) { return t[fd], nil }

func (t table) Life(fd uint64) *Desc { return t[fd] }

// A world is at rest: two queues with two knotes each, of two levels, one of which is
// ready and on both lists; a third queue that watches the first; a fourth on
// which a thread sleeps; and a fifth that is closed.
type world struct {
	m      *machine.Machine
	k      *Kernel
	t      table
	queues [5]*Queue
}

func newWorld(t *testing.T, m *machine.Machine) *world {
	w := &world{m: m, k: New(m, newOne(m))}
	m.Go("maker", 0, func(td *machine.Thread) {
		idle, ready := &level{}, &level{n: 1}
		idle.src.Init(td, w.k)
		ready.src.Init(td, w.k)
		w.t = table{{File: idle}, {File: ready}, nil}
		for i := range w.queues {
			w.queues[i] = w.k.NewQueue(td, w.t)
		}
		w.t[2] = &Desc{File: w.queues[0]}
		for i, fds := range [][]uint64{{0, 1}, {0, 1}, {2}} {
			for _, fd := range fds {
				change := []event.Kevent{{Ident: fd, Filter: event.Read, Flags: event.Add}}
				if _, err := w.queues[i].Kevent(td, change, nil, 0); err != nil {
					t.Error(err)
				}
			}
		}
		w.queues[4].Close(td)
	})
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	m.Go("sleeper", 0, func(td *machine.Thread) { w.queues[3].Kevent(td, nil, make([]event.Kevent, 1), Forever) })
	if err := m.Run(); err == nil {
		t.Fatal("the sleeper does not sleep")
	}
	return w
}

// audit has a thread look, and returns what it says.
func (w *world) audit(t *testing.T) (err error) {
	done := false
	w.m.Go("auditor", 0, func(td *machine.Thread) {
		err = w.k.Audit(td, w.t, w.queues[:]...)
		done = true
	})
	if w.m.Run(); !done {
		t.Fatal("the audit did not end")
	}
	return err
}

func (w *world) end(t *testing.T) {
	w.m.Go("closer", 0, func(td *machine.Thread) {
		for _, q := range w.queues {
			q.Close(td)
		}
	})
	if err := w.m.Run(); err != nil {
		t.Error(err)
	}
}

// knote is the one of queue 0 for the level that is ready; idle the other.
func (w *world) knote() *Knote { return w.queues[0].table.find(1, event.Read, w.t[1]) }
func (w *world) idle() *Knote  { return w.queues[0].table.find(0, event.Read, w.t[0]) }

// Nothing is wrong with what is right, whoever looks, and to say so costs no memory.
func TestAudit(t *testing.T) {
	w := newWorld(t, machine.Native(1))
	if err := w.audit(t); err != nil {
		t.Errorf("a native machine: %v", err)
	}
	w.end(t)
	if err := w.audit(t); err != nil {
		t.Errorf("a native machine at the end: %v", err)
	}

	v := newWorld(t, virtually())
	defer v.m.Abandon()
	if err := v.audit(t); err != nil {
		t.Errorf("a virtual machine: %v", err)
	}
	numbers := Table(v.t)
	if n := testing.AllocsPerRun(100, func() {
		if err := v.k.Audit(nil, numbers); err != nil {
			t.Errorf("a virtual machine, by nobody: %v", err)
		}
	}); n != 0 {
		t.Errorf("%v allocations in an audit", n)
	}
	v.end(t)
	if err := v.k.Audit(nil, numbers); err != nil {
		t.Errorf("a virtual machine at the end: %v", err)
	}
}

func virtually() *machine.Machine {
	s := sched.NewRandom(1)
	s.Begin()
	return machine.Virtual(1, s)
}

// Each invariant that Audit looks at is broken here, in each way that it knows, and
// it says which it is.
func TestAuditFinds(t *testing.T) {
	for _, tt := range []struct {
		want string // how it begins
		do   func(w *world)
	}{
		{"I1: knote READ 1 is on the list of queue 0 twice", func(w *world) {
			kn := w.knote()
			kn.qnext = kn
		}},
		{"I1: knote READ 0 is on the list of queue 0 twice, or the list is torn", func(w *world) {
			w.queues[0].ready.append(w.idle())
			w.idle().qprev = nil
		}},
		{"I1: knote READ 0 is on the list of queue 0, and does not say so", func(w *world) { w.queues[0].ready.append(w.idle()) }},
		{"I1: queue 0 has -1 knotes more on its list than say", func(w *world) {
			w.idle().link |= listed
			w.idle().state |= posted
		}},
		{"I1: the list of queue 0 ends at another knote", func(w *world) { w.queues[0].ready.last = w.idle() }},
		{"I1: knote READ 1 is on the list of queue 0, and was not posted", func(w *world) { w.knote().state &^= posted }},
		{"I1: knote READ 0 of queue 0 was posted, and is neither", func(w *world) { w.idle().state |= posted }},
		{"I2: queue 0 has 1 knotes on its list, and counts 2", func(w *world) { w.queues[0].n++ }},
		{"I3: knote READ 1 is on the list of queue 0, and not in its table", func(w *world) { w.queues[0].table.remove(w.knote()) }},
		{"I3: knote READ 1 is on the list of queue 1, and not in its table", func(w *world) {
			w.queues[1].ready = w.queues[0].ready
		}},
		{"I3: a knote in the table of queue 0 has been freed", func(w *world) { new(scratch).free(w.idle()) }},
		{"I3: knote READ 0 is in the table of queue 0, and has ended", func(w *world) { w.idle().state.end() }},
		{"I3: knote READ 0 is in the table of queue 0, and has ended", func(w *world) { w.idle().link.die() }},
		{"I3: knote READ 0 is not where its source is", func(w *world) { w.idle().place = &Place{} }},
		{"I3: knote READ 0 of queue 0 is not once on the list of its source", func(w *world) { w.idle().src.notes.remove(w.idle()) }},
		{"I3: knote READ 0 of queue 1 is not once on the list of its source", func(w *world) { w.idle().src.notes.append(w.idle()) }},
		{"I3: beside knote READ 0 on the list of its source is a knote that has ended", func(w *world) {
			w.idle().src.notes.append(&Knote{src: w.idle().src, state: done})
		}},
		{"I3: queue 0 is watched 1 times by another, which knows of 0", func(w *world) { delete(w.queues[2].watches, w.queues[0]) }},
		{"I3: queue 2 watches another 1 times, which knows of 0", func(w *world) {
			delete(w.queues[0].watchers, w.queues[2])
			w.queues[0].watched = machine.Uint32{}
		}},
		{"I3: queue 0 is watched 1 times, and counts 0", func(w *world) { w.queues[0].watched = machine.Uint32{} }},
		{"I3: queue 1 has 0 knotes that watch queues, and 1 watches", func(w *world) {
			w.queues[1].watches = map[*Queue]int{w.queues[3]: 1}
			w.queues[3].watchers = map[*Queue]int{w.queues[1]: 1}
		}},
		{"I4: knote READ 0 of queue 0 is being asked", func(w *world) { w.idle().state |= busy }},
		{"I4: knote READ 0 of queue 0 is being asked, or waited for by 1", func(w *world) { w.idle().waiters++ }},
		{"I4: knote READ 0 of queue 0 is being asked, or waited for by 0, or has word of 1", func(w *world) { w.idle().again = []int64{7} }},
		{"I4: knote READ 0 of queue 0 has never been attached", func(w *world) { w.idle().state &^= hooked }},
		{"I5: queue 3 counts 2 sleepers, and has 1", func(w *world) { w.queues[3].asleep++ }},
		{"I5: 1 threads sleep on queue 3, which has 1 knotes on its list", func(w *world) { w.queues[3].n++ }},
		{"I5: 1 threads sleep on queue 3, to which knote READ 5 was posted", func(w *world) {
			w.queues[3].table.insert(&Knote{filt: event.Read, id: 5, state: posted})
		}},
		{"I8: knote READ 0 is in the table of queue 0 twice", func(w *world) {
			again := *w.idle()
			w.queues[0].table.insert(&again)
		}},
		{"I8: queue 0 has 2 knotes in its table, and counts 3", func(w *world) { w.queues[0].table.n++ }},
		{"I9: a mark of a scan is on the list of queue 0", func(w *world) { w.queues[0].ready.append(&Knote{link: marker}) }},
		{"I9: a mark of a walk is on the list of what knote READ 0 watches", func(w *world) {
			w.idle().src.notes.append(&Knote{state: marked})
		}},
		{"I9: 1 threads wait for a claim on queue 0", func(w *world) { w.queues[0].claims++ }},
		{"I9: 1 claims on queue 0 have not been settled", func(w *world) { w.queues[0].out++ }},
		{"I9: 1 prunings of queue 0 have not ended", func(w *world) { w.queues[0].pruning++ }},
		{"I9: 1 threads wait for a knote that watches queue 0", func(w *world) { w.queues[0].src.asked++ }},
		{"I9: knote READ 0 of queue 0 is claimed", func(w *world) { w.idle().link |= claimed }},
		{"I9: knote READ 0 of queue 0 is in use by 1 calls", func(w *world) { w.idle().used++ }},
		{"I11: queue 0 watches itself, over others", func(w *world) {
			w.queues[0].watches = map[*Queue]int{w.queues[2]: 1}
			w.queues[2].watchers = map[*Queue]int{w.queues[0]: 1}
		}},
		{"I11: queue 0 is in a chain of 11 queues, of at most 10", func(w *world) { // below a circle
			for _, e := range [][2]int{{2, 3}, {3, 2}} {
				outer, inner := w.queues[e[0]], w.queues[e[1]]
				if outer.watches == nil {
					outer.watches = map[*Queue]int{}
				}
				if inner.watchers == nil {
					inner.watchers = map[*Queue]int{}
				}
				outer.watches[inner]++
				inner.watchers[outer]++
			}
		}},
		{"I11: queue 0 is in a chain of 11 queues, of at most 10", func(w *world) {
			above := w.queues[2]
			for range depth - 1 {
				q := &Queue{watches: map[*Queue]int{above: 1}}
				above.watchers = map[*Queue]int{q: 1}
				above.watched = machine.Uint32{}
				above = q
			}
			w.m.Go("counter", 0, func(td *machine.Thread) { w.queues[2].watched.Store(td, 1) })
			w.m.Run()
		}},
		{"I12: knote READ 0 of queue 0 is of a descriptor that is closed", func(w *world) {
			w.m.Go("closer", 0, func(td *machine.Thread) { w.t[0].closed.Store(td, 1) })
			w.m.Run()
		}},
		{"I12: knote READ 0 of queue 0 is of a descriptor that the number does not", func(w *world) { w.t[0] = &Desc{File: w.t[0].File} }},
		{"I17: queue 4 is closed, and has 1 knotes", func(w *world) { w.queues[4].table.insert(&Knote{filt: event.Read}) }},
		{"I17: queue 3 is closed, and 1 threads sleep on it", func(w *world) {
			w.m.Go("closer", 0, func(td *machine.Thread) { w.queues[3].closed.Store(td, 1) })
			w.m.Run()
		}},
	} {
		w := newWorld(t, virtually())
		tt.do(w)
		if err := w.audit(t); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
		w.m.Abandon()
	}
}

// Two threads in one filter, and one in that of a knote that has been detached, are
// found where they come in (I4).
func TestOneAsker(t *testing.T) {
	for want, before := range map[string]func(td *machine.Thread, kn *Knote){
		"kqueue: I4: second calls the filter of knote READ 0, and first is in it":      func(td *machine.Thread, kn *Knote) { kn.lend(td) },
		"kqueue: I4: second calls the filter of knote READ 0, which has been detached": func(td *machine.Thread, kn *Knote) { kn.state |= done },
		"<nil>": func(td *machine.Thread, kn *Knote) { kn.lend(td)() },
	} {
		w := newWorld(t, virtually())
		var got any
		w.m.Go("first", 0, func(td *machine.Thread) { before(td, w.idle()) })
		w.m.Run()
		w.m.Go("second", 0, func(td *machine.Thread) {
			defer func() { got = recover() }()
			w.idle().lend(td)()
		})
		w.m.Run()
		if fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
		w.m.Abandon()
	}
}
