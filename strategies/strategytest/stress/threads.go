package stress

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// produce notifies. Counts are raised before the notification, so that nobody
// can hear more than was rung.
func (w *world) produce(td *machine.Thread, me, ops int) {
	rng := rand.New(rand.NewPCG(w.o.Seed, 1000+uint64(me)))
	for op := 0; op < ops && !w.failed(); op++ {
		w.operations.Add(1)
		switch rng.IntN(12) {
		case 0, 1, 2, 3:
			b := &w.bells[rng.IntN(len(w.bells))]
			times := 1 + rng.Int64N(3)
			b.count.Add(times)
			b.it.ring(td, times)
		case 4, 5, 6:
			p := &w.pipes[rng.IntN(len(w.pipes))]
			var buf [8]byte
			p.count.Add(int64(len(buf)))
			n, err := p.it.Write(td, buf[:])
			if err != nil && err != syscall.EAGAIN {
				w.must("write", err)
			}
			p.count.Add(int64(n - len(buf)))
		case 7, 8:
			w.trigger(td, rng, me)
		case 9:
			w.arm(td, rng)
		case 10:
			s := &w.shutters[rng.IntN(len(w.shutters))]
			s.it.Set(td, int64(rng.IntN(2)))
		case 11:
			b := &w.bells[rng.IntN(len(w.bells))]
			b.it.interrupt.Reset(td, td.Now())
			b.it.hold(td, func() {
				for range rng.IntN(200) {
					td.Now() // takes a while, as a device's lock may be held for a while
				}
			})
		}
	}
}

// trigger triggers one of the user idents that belong to producer me.
func (w *world) trigger(td *machine.Thread, rng *rand.Rand, me int) {
	producers := len(w.users) / len(w.queues)
	i := rng.IntN(len(w.queues))*producers + me
	u := &w.users[i]
	u.last++
	kev := event.Kevent{Ident: uint64(i), Filter: event.User, Fflags: event.NoteTrigger, Data: u.last}
	_, err := w.p.Kevent(td, w.queues[u.queue], []event.Kevent{kev}, nil, 0)
	w.must(kev.String(), err)
}

// arm adds a timer that expires once, soon.
func (w *world) arm(td *machine.Thread, rng *rand.Rand) {
	udata, _ := w.ledger.begin(life0{what: "timer", kind: aTimer, once: true, due: true})
	kev := event.Kevent{
		Ident: timerIdent + udata, Filter: event.Timer, Flags: event.Add | event.OneShot,
		Fflags: event.NoteUSeconds, Data: rng.Int64N(300), Udata: udata,
	}
	_, err := w.p.Kevent(td, w.queues[rng.IntN(len(w.queues))], []event.Kevent{kev}, nil, 0)
	w.must(kev.String(), err)
}

// consume takes events until it is told to stop. Some calls have a timeout;
// later ones have none, so that a lost wakeup leaves the thread asleep.
func (w *world) consume(td *machine.Thread, me int) {
	rng := rand.New(rand.NewPCG(w.o.Seed, 2000+uint64(me)))
	kq := w.queues[me%len(w.queues)]
	if w.nested {
		kq = w.outer
	}
	events := make([]event.Kevent, 1+rng.IntN(6))
	timed := 50
	for !w.failed() {
		timeout := kqueue.Forever
		if timed > 0 && rng.IntN(3) == 0 {
			timed--
			timeout = time.Duration(rng.IntN(3)) * 20 * time.Microsecond
		}
		if w.take(td, kq, events, timeout) {
			return
		}
	}
}

// take is one call of kevent, and what follows from it. It reports whether it
// saw the order to stop.
func (w *world) take(td *machine.Thread, kq int, events []event.Kevent, timeout time.Duration) (stop bool) {
	begun := w.ledger.clock.Add(1)
	n, err := w.p.Kevent(td, kq, nil, events, timeout)
	if !w.must("kevent", err) {
		return true
	}
	if n == 0 && timeout == kqueue.Forever {
		w.fail(errnos, "kevent without a timeout returned no event and no error")
	}
	w.events.Add(int64(n))
	seen := map[uint64]bool{}
	for i := range n {
		e := &events[i]
		if seen[e.Udata] {
			w.fail(atMostOnce, "one call returned %v twice", e)
		}
		seen[e.Udata] = true
		l, property, detail := w.ledger.took(e.Udata, begun, e.Data)
		if l == nil {
			w.fail(property, "%s: %v", detail, e)
			return true
		}
		if w.act(td, l, e) {
			stop = true
		}
	}
	return stop
}

// act does what a program does with an event.
func (w *world) act(td *machine.Thread, l *life, e *event.Kevent) (stop bool) {
	switch l.kind {
	case aPipe:
		p := &w.pipes[l.at]
		var buf [64]byte
		for {
			n, err := p.r.Read(td, buf[:])
			if err == syscall.EAGAIN {
				break
			}
			if !w.must("read", err) {
				break
			}
			p.drained.Add(int64(n))
			if !l.clear {
				break
			}
		}
	case aUser:
		u := &w.users[l.at]
		if e.Data <= 0 || e.Data >= int64(len(u.seen)) {
			w.fail(conservation, "%v: a trigger that was never given", e)
		} else if u.seen[e.Data].Swap(true) {
			w.fail(atMostOnce, "%v: this trigger was delivered before", e)
		}
	case aTimer:
		if e.Data != 1 {
			w.fail(conservation, "%v: a timer that expires once", e)
		}
	case aQueue:
		// One that another has emptied meanwhile has nothing: no error.
		events := make([]event.Kevent, 3)
		return w.take(td, w.queues[l.at], events, 0)
	case theStop:
		return true
	}
	return false
}

// churn registers and ends, on descriptors of its own: dup's of the gates,
// which are always ready, so that what is due can be said.
func (w *world) churn(td *machine.Thread, me, ops int) {
	rng := rand.New(rand.NewPCG(w.o.Seed, 3000+uint64(me)))
	for op := 0; op < ops && !w.failed(); {
		g := &w.gates[rng.IntN(len(w.gates))]
		fd, err := w.p.Dup(td, g.fd)
		if !w.must("dup", err) {
			return
		}
		c := &churner{w: w, td: td, rng: rng, kq: w.queues[rng.IntN(len(w.queues))], fd: fd}
		switch rng.IntN(5) {
		case 0, 1:
			c.once(event.OneShot)
		case 2, 3:
			c.once(event.Dispatch)
		case 4:
			c.wholeQueue(w)
		}
		w.operations.Add(int64(c.ops))
		op += c.ops
	}
}

// A churner is one descriptor's life.
type churner struct {
	w   *world
	td  *machine.Thread
	rng *rand.Rand
	kq  int
	fd  int
	ops int

	udata uint64
	life  *life // of the registration in force, nil if there is none
}

// change applies one change to the descriptor. ENOENT is no error: a one-shot
// may have ended.
func (c *churner) change(flags event.Flags) (found bool) {
	c.ops++
	kev := event.Kevent{Ident: uint64(c.fd), Filter: event.Read, Flags: flags, Udata: c.udata}
	_, err := c.w.p.Kevent(c.td, c.kq, []event.Kevent{kev}, nil, 0)
	if errors.Is(err, syscall.ENOENT) && flags&event.Add == 0 {
		return false
	}
	return c.w.must(kev.String(), err)
}

// add begins a registration, or gives the one there is a new number; with
// EV_DISABLE it is ready but not due.
func (c *churner) add(flags event.Flags) {
	old := c.life
	if old != nil {
		old.due.Store(false) // it may or may not have been returned before this
	}
	c.udata, c.life = c.w.ledger.begin(life0{what: fmt.Sprintf("descriptor %d, %v", c.fd, flags), kind: aGate, once: true, due: flags&event.Disable == 0})
	if flags&event.Disable != 0 {
		c.w.ledger.end(c.life)
	}
	c.change(event.Add | flags)
	if old != nil {
		c.w.ledger.end(old) // from here on it is the new number that is returned
	}
}

// once has a registration that is returned once each time, by EV_ONESHOT or
// EV_DISPATCH, and ends it in one of the ways there are.
func (c *churner) once(flag event.Flags) {
	for range 1 + c.rng.IntN(4) {
		c.add(flag)
		switch c.rng.IntN(5) {
		case 0:
			c.change(event.Disable)
			c.w.ledger.end(c.life)
		case 1:
			c.add(flag | event.Disable)
		case 2:
			if c.change(event.Delete); c.life != nil {
				c.w.ledger.end(c.life)
				c.life = nil
			}
		}
	}
	switch {
	case c.rng.IntN(3) == 0 && c.life != nil && c.life.due.Load():
		return // stays open, and is due
	case c.rng.IntN(2) == 0:
		c.change(event.Delete)
	}
	c.close()
}

func (c *churner) close() {
	c.ops++
	var err error
	if c.rng.IntN(2) == 0 {
		err = c.w.p.Dup2(c.td, c.w.shutters[0].fd, c.fd) // a close, and another file in its place
	} else {
		err = c.w.p.Close(c.td, c.fd)
		c.fd = -1
	}
	c.w.must("close", err)
	if c.life != nil {
		c.w.ledger.end(c.life)
	}
	if c.fd >= 0 {
		c.w.must("close", c.w.p.Close(c.td, c.fd))
	}
}

// wholeQueue makes a queue that watches what the others watch, and the others,
// and closes it with all that is in it.
func (c *churner) wholeQueue(w *world) {
	kq, err := w.p.Kqueue(c.td)
	if !w.must("kqueue", err) {
		return
	}
	fds := []int{c.fd, w.bells[c.rng.IntN(len(w.bells))].fd, w.pipes[0].fd, w.queues[0]}
	for _, fd := range fds {
		kev := event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.Clear}
		_, err := w.p.Kevent(c.td, kq, []event.Kevent{kev}, nil, 0)
		w.must(kev.String(), err)
		c.ops++
	}
	if c.rng.IntN(2) == 0 {
		c.w.must("close", w.p.Close(c.td, c.fd))
		c.fd = -1
		c.ops++
	}
	events := make([]event.Kevent, 2)
	_, err = w.p.Kevent(c.td, kq, nil, events, 0)
	w.must("kevent", err)
	w.must("close", w.p.Close(c.td, kq))
	if c.fd >= 0 {
		c.w.must("close", c.w.p.Close(c.td, c.fd))
	}
	c.ops += 2
}
