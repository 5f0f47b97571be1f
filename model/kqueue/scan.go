package kqueue

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A pass is one walk down a queue's ready list, by a scan or by a pruning.
type pass struct {
	*frame
	q      *Queue
	sc     *scratch
	events []event.Kevent // to fill
	n      int            // filled
	peek   bool           // look only: fill and consume nothing
	met    bool           // came across another's claim
	pruned bool           // ... while a pruning was under way, whose it may be
}

// scan fills events from the ready list and returns how many. td is in the
// queue's domain before and after, but not always between. A mark at the tail
// bounds it: what arrives or comes back meanwhile is not seen once there is an
// event, so each is returned once at most. (kqueue_scan)
//
// A knote leaves the list only after its evaluation. It is claimed first and
// stays where it is, so that nobody finds an empty list while it is out
// (trap 1, NetBSD PR kern/50094):
//
//	scanner A                   poller B
//	pops kn, leaves the queue
//	                            list empty: returns 0   <- kn was ready
//	still ready: puts kn back
//
// The mark must not hide it either. Whoever has left the domain and found
// nothing moves its mark behind what has come to the tail meanwhile:
//
//	scanner A                   poller B
//	claims kn
//	                            puts its mark at the tail, meets the claim, waits
//	still ready: kn to the tail
//	                            nothing before the mark: returns 0   <- kn was ready
func (q *Queue) scan(td *machine.Thread, events []event.Kevent) int {
	kn, back, n := q.harvest(td, q.ready.first, events, 0)
	if kn == nil || n == len(events) {
		return n // most scans: they have not left the domain, and need no mark
	}
	sc := scratchOf(td)
	p := pass{frame: sc.push(), q: q, sc: sc, events: events, n: n}
	if back == nil {
		q.ready.append(&p.end)
	} else {
		q.ready.insertBefore(&p.end, back)
	}
	for p.walk(td); p.n < len(events); p.walk(td) {
		// With nothing found it looks again at what other scans have claimed,
		// when they have said what became of it: it may be ready still. With
		// something found it does not, since what they claim they take
		// (decision 7: a call never waits to fill up); except that a pruning
		// takes nothing, and gives it back where it was.
		again := p.met && (p.n == 0 || p.pruned)
		if !again && (p.n > 0 || p.end.qnext == nil) {
			break
		}
		// It holds no claim. They may have said so while this one was out at
		// its own claims' sources; then nobody is left to wake it, and it
		// looks at once.
		if again && q.out != 0 && (p.n == 0 || q.pruning != 0) {
			td.Stats.ClaimWaits++
			q.claims++
			td.Interlock(&q.settled)
			q.place.Sleep(td, machine.Forever)
			q.claims--
			if q.closed.Load(td) != 0 {
				break
			}
		}
		if p.n == 0 {
			q.ready.remove(&p.end)
			q.ready.append(&p.end)
		}
	}
	q.ready.remove(&p.end)
	sc.level--
	return p.n
}

// prune evaluates every knote on the list and consumes nothing: what is not
// ready, or is disabled, leaves the list. It is called in no domain, before a
// queue that watches this one asks how many events it has (decision 11).
func (q *Queue) prune(td *machine.Thread, sc *scratch) {
	td.Commit(event.Pruned)
	q.enter(td)
	p := pass{frame: sc.push(), q: q, sc: sc, peek: true}
	q.ready.append(&p.end)
	q.pruning++
	p.walk(td)
	q.pruning--
	q.ready.remove(&p.end)
	sc.level--
	q.place.Exit(td)
}

// walk goes down the list as far as the pass's mark, or until there is no room.
// What shares the queue's domain and cannot lose it, it evaluates on the spot.
// Of the rest it claims as many as fit into the frame, then visits their
// sources. Once something is claimed everything after it is claimed too, to
// keep the order.
func (p *pass) walk(td *machine.Thread) {
	p.met, p.pruned = false, false
	kn := p.q.ready.first
	for {
		kn = p.claim(td, kn)
		if p.claimed == 0 {
			return
		}
		p.q.ready.insertBefore(&p.cursor, kn)
		p.visit(td)
		p.settle(td)
		kn = p.cursor.qnext
		p.q.ready.remove(&p.cursor)
	}
}

// claim goes on from kn and returns the first knote, or mark, that it did not
// get to.
func (p *pass) claim(td *machine.Thread, kn *Knote) *Knote {
	if !p.peek {
		kn, _, p.n = p.q.harvest(td, kn, p.events, p.n)
	}
	for kn != &p.end {
		if !p.peek && p.n+p.claimed == len(p.events) || p.claimed == batch {
			break
		}
		next := kn.qnext
		switch {
		case kn.link&marker != 0:
			td.Stats.Markers++
		case kn.link&claimed != 0:
			p.met = true
			td.Sometimes("scan-meets-claim")
			p.pruned = p.pruned || p.q.pruning != 0
		case kn.kind != guarded && kn.place == p.q.place && p.claimed == 0:
			p.put(kn, p.ask(td, kn))
		default:
			kn.link |= claimed
			p.claims[p.claimed].kn = kn
			p.claimed++
			p.q.out++
		}
		kn = next
	}
	return kn
}

// harvest is claim for the common case: level-triggered and EV_CLEAR knotes of
// the queue's own domain. It does what p.ask and p.put would do, fills events
// from index n on, and stops at the first knote that needs more than that, or at
// the end of the list. It never leaves the domain, so it can cut what it has
// passed off the list in one piece, and put what goes back to the tail there in
// another, of which back is the first.
func (q *Queue) harvest(td *machine.Thread, kn *Knote, events []event.Kevent, n int) (next, back *Knote, _ int) {
	place := q.place
	var before *Knote
	if kn != nil {
		before = kn.qprev
	}
	var returned ready
	left := 0
	first := kn
	for kn != nil && n < len(events) && kn.link == hashed|listed && kn.kind > serial && kn.place == place &&
		kn.keep&^event.Clear == 0 && kn.state&(gone|disabled) == 0 {
		next := kn.qnext
		var hit bool
		switch kn.kind {
		case counted:
			kn.Data = kn.Pending
			hit = kn.Data > 0
		case leveled:
			kn.Data = *kn.level
			hit = kn.Data >= kn.WantData
		default:
			hit = kn.called(td, kn, 0)
		}
		if hit {
			fill(&events[n], kn)
			n++
			td.Commit(event.Took)
		}
		if kn.state.glance(hit, kn.keep) {
			returned.keep(kn)
		} else {
			kn.link &^= listed
			left++
		}
		kn = next
	}
	if kn != first {
		q.ready.cut(before, kn)
		q.ready.splice(&returned)
		q.n -= left
	}
	return kn, returned.first, n
}

// visit leaves the queue and evaluates what has been claimed, in the order of
// the list; sources in a row that share a place are one visit. It waits for
// busy knotes although it holds claims: who is busy never waits for a claim.
func (p *pass) visit(td *machine.Thread) {
	at := p.q.place
	for i := range p.claimed {
		c := &p.claims[i]
		if c.kn.ops.counts {
			move(td, at, nil)
			at = nil
			queueOf(c.kn.desc.File).prune(td, p.sc)
		}
		move(td, at, c.kn.place)
		at = c.kn.place
		for c.kn.state&busy != 0 {
			c.kn.src.await(td, c.kn)
		}
		c.v = p.ask(td, c.kn)
	}
	move(td, at, p.q.place)
}

// settle gives up all claims.
func (p *pass) settle(td *machine.Thread) {
	for i := range p.claimed {
		c := &p.claims[i]
		p.put(c.kn, c.v)
		c.kn = nil
	}
	p.q.out -= p.claimed
	p.claimed = 0
	if p.q.claims != 0 {
		td.Wakeup(&p.q.settled)
	}
}

// ask evaluates one knote, in its source's domain, and fills the next event if
// it is hit.
func (p *pass) ask(td *machine.Thread, kn *Knote) verdict {
	if !kn.state.take() {
		return off
	}
	hit := kn.event(td, 0)
	v := kn.state.look(hit, p.peek, kn.keep)
	if !hit || p.peek {
		return v
	}
	fill(&p.events[p.n], kn)
	p.n++
	if kn.ops.Next != nil && v == off && kn.ops.Next(td, kn) && kn.state.fire() {
		v = tail
	}
	td.Commit(event.Took)
	return v
}

// fill writes the event of a knote that is hit.
func fill(e *event.Kevent, kn *Knote) {
	e.Ident, e.Filter, e.Flags = kn.id, kn.filt, kn.keep|kn.Cond
	e.Fflags, e.Data, e.Udata = kn.Fflags|kn.Answer, kn.Data, kn.udata
	if kn.keep&event.Clear != 0 {
		kn.Fflags, kn.Data, kn.Pending = 0, 0, 0
	}
}

// put does in the queue's half what a verdict says.
func (p *pass) put(kn *Knote, v verdict) {
	q := p.q
	switch kn.link.settle(v) {
	case tail:
		q.ready.remove(kn)
		q.ready.append(kn)
	case over:
		p.sc.ends = append(p.sc.ends, kn)
		fallthrough
	case off:
		q.ready.remove(kn)
		q.n--
	}
}
