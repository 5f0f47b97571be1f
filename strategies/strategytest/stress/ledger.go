package stress

import (
	"fmt"
	"sync/atomic"
)

// A ledger keeps account of registrations: each has a number of its own, which
// is its udata, so that an event says which it belongs to.
type ledger struct {
	clock atomic.Int64 // ticks at each beginning and each end that matters
	next  atomic.Int64
	lives []life
}

// A kind is what a registration watches.
type kind uint8

const (
	aBell  kind = iota + 1 // counts; EV_CLEAR
	aGate                  // is ready as long as it is open
	aPipe                  // bytes
	aUser                  // triggers
	aTimer                 // one tick
	aQueue                 // another queue
	theStop
)

// A life is one registration.
type life struct {
	what  string
	kind  kind
	at    int          // which bell, pipe, user ident or queue
	clear bool         // EV_CLEAR
	once  bool         // one event at most
	due   atomic.Bool  // one event at least, when all is quiet
	ended atomic.Int64 // when its end had returned; 0 if it has not
	taken atomic.Int64 // events
	heard atomic.Int64 // the sum of their data
}

// begin numbers a new registration. The ledger has room for as many as there
// are operations.
func (g *ledger) begin(l life0) (uint64, *life) {
	n := g.next.Add(1)
	p := &g.lives[n]
	p.what, p.kind, p.at, p.clear, p.once = l.what, l.kind, l.at, l.clear, l.once
	p.due.Store(l.due)
	return uint64(n), p
}

// A life0 is a registration as it begins.
type life0 struct {
	what  string
	kind  kind
	at    int
	clear bool
	once  bool
	due   bool
}

// end notes that the end of a registration has returned to whoever asked.
func (g *ledger) end(l *life) {
	l.due.Store(false)
	l.ended.CompareAndSwap(0, g.clock.Add(1))
}

// took notes an event that a call begun at the given tick has returned.
func (g *ledger) took(udata uint64, begun, data int64) (*life, string, string) {
	if udata == 0 || int64(udata) > g.next.Load() {
		return nil, conservation, fmt.Sprintf("an event with udata %d, which was never given", udata)
	}
	l := &g.lives[udata]
	if e := l.ended.Load(); e != 0 && e < begun {
		return nil, afterTheEnd, fmt.Sprintf("registration %d (%s) ended at tick %d and was returned by a call that began at %d", udata, l.what, e, begun)
	}
	l.heard.Add(data)
	if n := l.taken.Add(1); l.once && n > 1 {
		return nil, atMostOnce, fmt.Sprintf("registration %d (%s) was returned %d times", udata, l.what, n)
	}
	return l, "", ""
}
