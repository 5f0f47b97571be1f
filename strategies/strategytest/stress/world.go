package stress

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A world is the machine of a round, its objects and its account.
type world struct {
	o      Options
	m      *machine.Machine
	k      *kqueue.Kernel
	p      *proc.Process
	ledger ledger

	// What a round is made of, drawn from the seed.
	nested   bool // consumers sleep in outer, which watches the queues
	queues   []int
	outer    int
	bells    []watched[*bell]
	pipes    []pipe
	gates    []watched[*device.Probe] // always open
	shutters []watched[*device.Probe] // opened and shut
	users    []user

	operations atomic.Int64
	events     atomic.Int64
	finding    atomic.Pointer[Finding]
}

// A watched object is one that each queue watches from the beginning to the
// end; lives are these registrations, by queue.
type watched[T any] struct {
	it    T
	fd    int
	lives []*life
	count atomic.Int64 // rung, or written
}

type pipe struct {
	*watched[*device.PipeEnd]
	r       *device.PipeEnd
	drained atomic.Int64
}

// A user is an ident of EVFILT_USER in one queue, with one producer that
// triggers it; data counts the triggers, and seen says which were delivered.
type user struct {
	queue int
	seen  []atomic.Bool
	last  int64 // of the producer
}

const (
	stopIdent  = 1 << 40 // EVFILT_USER: consumers return when they see it
	timerIdent = 1 << 41 // and up: each EVFILT_TIMER has its own
	spreadOver = 2       // CPUs
)

func newWorld(o Options, rng *rand.Rand) *world {
	w := &world{o: o, m: machine.Native(spreadOver)}
	w.k = kqueue.New(w.m, o.New(w.m))
	device.Install(w.k)
	w.p = proc.New(w.k)
	w.ledger.lives = make([]life, o.Operations+200+32*o.Threads)
	w.nested = rng.IntN(3) == 0
	consumers, _, _ := w.crew()
	w.queues = make([]int, 1+rng.IntN(2))
	if !w.nested && len(w.queues) > consumers {
		w.queues = w.queues[:consumers] // each has somebody who waits there
	}
	w.bells = make([]watched[*bell], 2+rng.IntN(5))
	w.pipes = make([]pipe, 1+rng.IntN(3))
	w.gates = make([]watched[*device.Probe], 3)
	w.shutters = make([]watched[*device.Probe], 1+rng.IntN(2))
	return w
}

// fail notes the first finding.
func (w *world) fail(property, format string, args ...any) {
	if property == "" {
		return
	}
	w.finding.CompareAndSwap(nil, &Finding{property, fmt.Sprintf(format, args...), w.o.Strategy, w.o.Seed})
}

func (w *world) failed() bool { return w.finding.Load() != nil }

func (w *world) found() error {
	if f := w.finding.Load(); f != nil {
		return f
	}
	return nil
}

// must reports an error that a call may not have here.
func (w *world) must(what string, err error) bool {
	if err != nil {
		w.fail(errnos, "%s: %v", what, err)
	}
	return err == nil
}

// round builds the world, lets the threads run until nothing runs any more,
// audits, then has the consumers leave and closes everything.
func (w *world) round() error {
	consumers, producers, churners := w.crew()
	for cpu := range spreadOver {
		w.m.Go("maker", cpu, func(td *machine.Thread) { w.build(td, cpu, producers) })
		if err := w.m.Run(); err != nil {
			w.fail(noDeadlock, "while everything was set up: %v", err)
		}
		if w.failed() {
			return w.found()
		}
	}
	for i := range producers {
		w.m.Go(fmt.Sprint("producer ", i), i%spreadOver, func(td *machine.Thread) { w.produce(td, i, w.share(i, producers+churners)) })
	}
	for i := range churners {
		w.m.Go(fmt.Sprint("churner ", i), i%spreadOver, func(td *machine.Thread) { w.churn(td, i, w.share(producers+i, producers+churners)) })
	}
	for i := range consumers {
		w.m.Go(fmt.Sprint("consumer ", i), i%spreadOver, func(td *machine.Thread) { w.consume(td, i) })
	}
	w.quiet(w.m.Run())
	if w.failed() {
		return w.found()
	}
	w.audit()
	w.m.Go("closer", 0, w.stop)
	if err := w.m.Run(); err != nil {
		w.fail(lostWakeup, "consumers were told to leave, and: %v", err)
	}
	return w.found()
}

// crew divides the threads.
func (w *world) crew() (consumers, producers, churners int) {
	n := w.o.Threads
	consumers = max(1, n*2/5)
	churners = max(1, n/4)
	return consumers, n - consumers - churners, churners
}

// share is how many operations thread i of n makes.
func (w *world) share(i, n int) int {
	ops := w.o.Operations / n
	if i < w.o.Operations%n {
		ops++
	}
	return ops
}

// quiet looks at why Run returned before anybody was told to leave: all
// consumers must wait for events, and nobody for anything else.
func (w *world) quiet(err error) {
	var d *machine.DeadlockError
	if !errors.As(err, &d) {
		if !w.failed() {
			w.fail(lostWakeup, "a consumer left before it was told to")
		}
		return
	}
	for _, s := range d.Sleepers {
		if !strings.HasPrefix(s.Thread, "consumer") || s.On != "kevent" {
			w.fail(noDeadlock, "%v", d)
		}
	}
}

// build makes a CPU's share of the objects and, on the last CPU, has every
// queue watch all of them.
func (w *world) build(td *machine.Thread, cpu, producers int) {
	open := func(f kqueue.File) int {
		fd, err := w.p.Open(td, f)
		w.must("open", err)
		return fd
	}
	mine := func(i int) bool { return i%spreadOver == cpu }
	for i := range w.queues {
		if mine(i) {
			fd, err := w.p.Kqueue(td)
			w.must("kqueue", err)
			w.queues[i] = fd
		}
	}
	for i := range w.bells {
		if b := &w.bells[i]; mine(i) {
			b.it = newBell(td, w.k, character(i%3))
			b.it.interrupt = w.m.NewCallout("interrupt", td.Home(), func(td *machine.Thread) {
				b.count.Add(1)
				b.it.ring(td, 1)
			})
			b.fd = open(b.it)
		}
	}
	for i := range w.pipes {
		if mine(i) {
			r, end := device.NewPipe(td, w.k)
			w.pipes[i].watched = &watched[*device.PipeEnd]{it: end, fd: open(r)}
			w.pipes[i].r = r
			open(end)
		}
	}
	for i := range w.gates {
		if g := &w.gates[i]; mine(i) {
			g.it = device.NewProbe(td, w.k, device.ProbeConfig{Unsafe: i == 2})
			g.fd = open(g.it)
			g.it.Set(td, 1)
		}
	}
	for i := range w.shutters {
		if s := &w.shutters[i]; mine(i) {
			s.it = device.NewProbe(td, w.k, device.ProbeConfig{})
			s.fd = open(s.it)
		}
	}
	if cpu == spreadOver-1 && !w.failed() {
		w.watchAll(td, producers)
	}
}

// watchAll registers what is watched from the beginning to the end.
func (w *world) watchAll(td *machine.Thread, producers int) {
	add := func(kq int, kev event.Kevent, l life0) *life {
		udata, life := w.ledger.begin(l)
		kev.Flags |= event.Add
		kev.Udata = udata
		_, err := w.p.Kevent(td, kq, []event.Kevent{kev}, nil, 0)
		w.must(kev.String(), err)
		return life
	}
	fd := func(n int, flags event.Flags) event.Kevent {
		return event.Kevent{Ident: uint64(n), Filter: event.Read, Flags: flags}
	}
	for qi, kq := range w.queues {
		for i := range w.bells {
			b := &w.bells[i]
			b.lives = append(b.lives, add(kq, fd(b.fd, 0), life0{what: fmt.Sprint("bell ", i), kind: aBell, at: i}))
		}
		for i := range w.pipes {
			p := &w.pipes[i]
			clear := i%2 == 1
			flags := event.Flags(0)
			if clear {
				flags = event.Clear
			}
			p.lives = append(p.lives, add(kq, fd(p.fd, flags), life0{what: fmt.Sprint("pipe ", i), kind: aPipe, at: i, clear: clear}))
		}
		for i := range w.shutters {
			s := &w.shutters[i]
			s.lives = append(s.lives, add(kq, fd(s.fd, event.Clear), life0{what: fmt.Sprint("shutter ", i), kind: aGate, at: i, clear: true}))
		}
		for range producers {
			u := user{queue: qi, seen: make([]atomic.Bool, w.o.Operations+1)}
			w.users = append(w.users, u)
			i := len(w.users) - 1
			add(kq, event.Kevent{Ident: uint64(i), Filter: event.User, Flags: event.Clear}, life0{what: fmt.Sprint("user ", i), kind: aUser, at: i})
		}
	}
	stopAt := w.queues
	if w.nested {
		var err error
		w.outer, err = w.p.Kqueue(td)
		w.must("kqueue", err)
		for i, kq := range w.queues {
			add(w.outer, fd(kq, 0), life0{what: fmt.Sprint("queue ", i), kind: aQueue, at: i})
		}
		stopAt = []int{w.outer}
	}
	for _, kq := range stopAt {
		add(kq, event.Kevent{Ident: stopIdent, Filter: event.User}, life0{what: "stop", kind: theStop})
	}
}

// audit compares what was given with what was taken, when nobody runs and all
// consumers wait: whatever is missing now will never come.
func (w *world) audit() {
	for i := range w.bells {
		b := &w.bells[i]
		for q, l := range b.lives {
			w.balance(fmt.Sprintf("bell %d in queue %d", i, q), "rung", "heard", b.count.Load(), l.heard.Load())
		}
	}
	for i := range w.pipes {
		p := &w.pipes[i]
		w.balance(fmt.Sprintf("pipe %d", i), "written", "read", p.count.Load(), p.drained.Load())
	}
	for i := range w.users {
		if u := &w.users[i]; u.last != 0 && !u.seen[u.last].Load() {
			w.fail(lostWakeup, "user %d: the last trigger, number %d, was never delivered, and all consumers sleep", i, u.last)
		}
	}
	for n := int64(1); n <= w.ledger.next.Load(); n++ {
		if l := &w.ledger.lives[n]; l.due.Load() && l.taken.Load() == 0 {
			w.fail(lostWakeup, "registration %d (%s) was ready and was never returned, and all consumers sleep", n, l.what)
		}
	}
}

func (w *world) balance(what, gave, took string, given, taken int64) {
	switch {
	case taken < given:
		w.fail(lostWakeup, "%s: %s %d, %s %d, and all consumers sleep", what, gave, given, took, taken)
	case taken > given:
		w.fail(conservation, "%s: %s %d, %s %d", what, gave, given, took, taken)
	}
}

// stop has the consumers leave, and closes the queues, which wakes whoever is
// there still, and then all the rest.
func (w *world) stop(td *machine.Thread) {
	kqs := w.queues
	if w.nested {
		kqs = []int{w.outer}
	}
	for _, kq := range kqs {
		_, err := w.p.Kevent(td, kq, []event.Kevent{{Ident: stopIdent, Filter: event.User, Fflags: event.NoteTrigger}}, nil, 0)
		w.must("stop", err)
	}
}
