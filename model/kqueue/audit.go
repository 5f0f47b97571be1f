package kqueue

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the structures of the kernel when all threads have ended or are
// asleep in Kevent, and says what does not hold, by the name of the invariant; nil if
// all does. It allocates nothing then, and looks at each knote a few times.
//
// It sees the given queues and, on a virtual machine, all that were made, the closed
// ones too. td is in no domain and, on a native machine, visits each place before it
// looks; nil is for a virtual machine on which no thread is to run any more, and then
// deliveries may be under way. Now is what is asked of queues that were made without a
// Table; if it is nil no queue's descriptors are looked at.
//
// The invariants have the numbers by which the known bugs of kqueues are sorted.
// Not all are of structures, and are looked at elsewhere:
//
//	I1   posted is under way or on the list, once             Audit
//	I2   a queue's count is that of its list                  Audit
//	I3   nothing leads to a knote that has ended              Audit; a panic: what is freed leads nowhere
//	I4   one thread asks a knote, none when it is detached    Audit; a panic on a virtual machine: see lend
//	I5   nobody sleeps on a queue that has something          Audit; fuzz asks each queue that has sleepers
//	I6   one delivery for one activation                      the specification; fuzz.Check
//	I7   nothing comes after its end                          the specification; fuzz.Check
//	I8   one knote for a queue, an ident and a filter         Audit
//	I9   every call ends and leaves no mark, claim or use     Audit; deadlock and livelock are the machine's
//	I10  nothing counted is lost or counted twice             the specification; fuzz.Check
//	I11  no deadlock, no circle in the order of locks         the machine; of queues that watch queues: Audit
//	I12  a knote's descriptor is the one in its slot          Audit; proc counts the descriptors of a file; a panic:
//	                                                          what is released is Bare
//	I13  no callout runs for what has been detached           a panic in the device; fuzz counts them at the end
//	I14  a poll returns what is ready throughout              the specification
//	I15  the results of a poll are its own                    package poll holds them against a poll that keeps nothing
//	I16  nothing is torn, or older than the call              OverlapError; the race detector; the specification
//	I17  who sleeps on a queue that is closed is woken        Audit; fuzz looks at what they answer
//
// Each has a control, which must be found: TestAuditFinds breaks all that Audit looks
// at; the others are mutants, strategies of package broken, and tests.
//
//	I1   lost-rearm, the strategy deliver-dropped-when-busy
//	I2   TestAuditFinds
//	I3   attach-before-look, new-knote-not-busy, tracking-knote-not-held
//	I4   new-knote-not-busy, TestOneAsker
//	I5   wakeup-before-publish, one-flag-many-sleepers
//	I6   two-ends, slow-change-seen-twice
//	I7   the bad histories stale-after-delete, those after close and disable
//	I8   TestAuditFinds
//	I9   cleaner-told-early, news-while-claimed
//	I10  hint-folded, walk-restarts
//	I11  graph-not-locked, TestLockOrder of fuzz
//	I12  closed-not-looked-at, list-after-attach, last-two-descriptors
//	I13  callout-not-drained
//	I14  limbo, no-claim-wait, pruned-while-out
//	I15  TestReplaced of poll
//	I16  TestRaceReplays of fuzz
//	I17  close-taken-for-nothing, tracked-in-a-closed-queue, TestWrongStrategies of fuzz
func (k *Kernel) Audit(td *machine.Thread, now Table, queues ...*Queue) error {
	a := audit{td: td, now: now}
	if td != nil && td.Virtual() {
		queues = nil
	}
	// All queues are looked at before one is visited: a visit may wake others.
	for _, whole := range [...]bool{false, true} {
		a.nth = 0
		for q := k.made; q != nil; q = q.next {
			a.look(q, whole)
		}
		for _, q := range queues {
			a.look(q, whole)
		}
	}
	return a.err
}

// A Table says, of a machine at rest, what descriptor numbers stand for.
type Table interface {
	// Life returns the life that number fd has now, nil if it has none.
	Life(fd uint64) *Desc
}

// note keeps a queue of a virtual machine for Audit. One of a native machine would
// never be given back.
//
//go:norace
func (k *Kernel) note(td *machine.Thread, q *Queue) {
	if !td.Virtual() {
		return
	}
	if k.last == nil {
		k.made = q
	} else {
		k.last.next = q
	}
	k.last = q
}

// An audit is one under way.
type audit struct {
	td  *machine.Thread
	now Table
	nth int // of the queue that is being looked at
	err error
}

func (a *audit) look(q *Queue, whole bool) {
	if a.err == nil && whole {
		a.queue(q)
	} else if a.err == nil {
		a.rest(q)
	}
	a.nth++
}

// wrong notes what is wrong first.
func (a *audit) wrong(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// visit puts td after all that was done in a place, deliveries included.
func (a *audit) visit(p *Place) {
	if a.td != nil {
		p.Enter(a.td)
		p.Exit(a.td)
	}
}

// come puts td after all that was done in the places of a queue and its knotes, where
// that is not known.
func (a *audit) come(q *Queue) {
	if a.td == nil || a.td.Virtual() {
		return
	}
	a.visit(q.place)
	for _, kn := range q.table.buckets {
		for ; kn != nil; kn = kn.hnext {
			a.visit(kn.place)
		}
	}
}

// queue looks at one queue and all its knotes. A posted knote that is not on the
// list may lie in a mailbox, and must not after a visit.
func (a *audit) queue(q *Queue) {
	for _, kn := range q.table.buckets {
		for ; kn != nil; kn = kn.hnext {
			if kn.state&posted != 0 && kn.link&listed == 0 {
				a.visit(q.place)
			}
		}
	}
	unlisted := a.list(q) // knotes in the table that are not on the list, less those that say so
	n, watches := 0, 0
	for _, kn := range q.table.buckets {
		for ; kn != nil && a.err == nil; kn = kn.hnext {
			n++
			if kn.link&listed != 0 {
				unlisted--
			}
			a.knote(q, kn)
			if kn.ops.counts {
				watches++
			}
		}
	}
	if n != q.table.n {
		a.wrong("I8: queue %d has %d knotes in its table, and counts %d", a.nth, n, q.table.n)
	}
	if unlisted != 0 {
		a.wrong("I1: queue %d has %d knotes more on its list than say that they are there", a.nth, unlisted)
	}
	for _, kn := range q.table.buckets {
		for ; kn != nil && a.err == nil; kn = kn.hnext {
			a.neighbours(kn)
		}
	}
	a.graph(q, watches)
}

// rest looks at who is in a call on a queue, and at what is only there while
// somebody is.
func (a *audit) rest(q *Queue) {
	a.come(q)
	asleep := q.waiters.Waiting()
	switch closed := q.closed.Look() != 0; {
	case q.asleep != asleep:
		a.wrong("I5: queue %d counts %d sleepers, and has %d", a.nth, q.asleep, asleep)
	case closed && asleep != 0:
		a.wrong("I17: queue %d is closed, and %d threads sleep on it", a.nth, asleep)
	case closed && q.table.n != 0:
		a.wrong("I17: queue %d is closed, and has %d knotes", a.nth, q.table.n)
	case asleep != 0 && q.n != 0: // a sleeper who finds the list empty has taken off what was no event
		a.wrong("I5: %d threads sleep on queue %d, which has %d knotes on its list", asleep, a.nth, q.n)
	case q.claims != 0 || q.settled.Waiting() != 0:
		a.wrong("I9: %d threads wait for a claim on queue %d", max(q.claims, q.settled.Waiting()), a.nth)
	case q.out != 0:
		a.wrong("I9: %d claims on queue %d have not been settled", q.out, a.nth)
	case q.pruning != 0:
		a.wrong("I9: %d prunings of queue %d have not ended", q.pruning, a.nth)
	case q.src.asked != 0:
		a.wrong("I9: %d threads wait for a knote that watches queue %d", q.src.asked, a.nth)
	}
	for _, kn := range q.table.buckets {
		for ; kn != nil && asleep != 0; kn = kn.hnext {
			if kn.state&posted != 0 {
				a.wrong("I5: %d threads sleep on queue %d, to which %v was posted", asleep, a.nth, kn)
			}
		}
	}
}

// list looks at a queue's list, and returns how many knotes are on it. That each
// points back to the one before is enough for none to be on it twice.
func (a *audit) list(q *Queue) (n int) {
	var before *Knote
	for kn := q.ready.first; kn != nil && a.err == nil; kn = kn.qnext {
		switch {
		case kn.qprev != before:
			a.wrong("I1: %v is on the list of queue %d twice, or the list is torn there", kn, a.nth)
		case kn.link&marker != 0:
			a.wrong("I9: a mark of a scan is on the list of queue %d", a.nth)
		case kn.link&hashed == 0 || kn.q != q || q.table.find(kn.id, kn.filt, kn.desc) != kn:
			a.wrong("I3: %v is on the list of queue %d, and not in its table", kn, a.nth)
		case kn.link&listed == 0:
			a.wrong("I1: %v is on the list of queue %d, and does not say so", kn, a.nth)
		}
		before = kn
		n++
	}
	switch {
	case q.ready.last != before:
		a.wrong("I1: the list of queue %d ends at another knote than its last", a.nth)
	case n != q.n:
		a.wrong("I2: queue %d has %d knotes on its list, and counts %d", a.nth, n, q.n)
	}
	return n
}

// knote looks at one knote that is in the table of q.
func (a *audit) knote(q *Queue, kn *Knote) {
	state, link := kn.state, kn.link
	switch {
	case kn.q != q || kn.src == nil:
		a.wrong("I3: a knote in the table of queue %d has been freed", a.nth)
	case state&(gone|done) != 0 || link&(dying|hashed) != hashed:
		a.wrong("I3: %v is in the table of queue %d, and has ended", kn, a.nth)
	case q.table.find(kn.id, kn.filt, kn.desc) != kn:
		a.wrong("I8: %v is in the table of queue %d twice", kn, a.nth)
	case kn.place != kn.src.place:
		a.wrong("I3: %v is not where its source is", kn)
	case state&busy != 0 || kn.waiters != 0 || len(kn.again) != 0:
		a.wrong("I4: %v of queue %d is being asked, or waited for by %d, or has word of %d callouts", kn, a.nth, kn.waiters, len(kn.again))
	case link&(claimed|rearm) != 0:
		a.wrong("I9: %v of queue %d is claimed", kn, a.nth)
	case kn.used != kn.left:
		a.wrong("I9: %v of queue %d is in use by %d calls", kn, a.nth, int32(kn.used-kn.left))
	case state&hooked == 0:
		a.wrong("I4: %v of queue %d has never been attached", kn, a.nth)
	case link&listed != 0 && state&posted == 0:
		a.wrong("I1: %v is on the list of queue %d, and was not posted", kn, a.nth)
	case link&listed == 0 && state&posted != 0 && a.td != nil:
		a.wrong("I1: %v of queue %d was posted, and is neither on the list nor under way", kn, a.nth)
	case kn.desc != nil && kn.desc.Closed():
		a.wrong("I12: %v of queue %d is of a descriptor that is closed", kn, a.nth)
	case kn.desc != nil && !q.items && a.now != nil && a.table(q).Life(kn.id) != kn.desc:
		a.wrong("I12: %v of queue %d is of a descriptor that the number does not stand for", kn, a.nth)
	}
}

// table returns what the idents of q speak of: the table that it was made with, if that
// can be asked, for each process has one of its own.
func (a *audit) table(q *Queue) Table {
	if t, ok := q.files.(Table); ok {
		return t
	}
	return a.now
}

// neighbours looks at the list of a knote's source, next to the knote. A knote
// between two that are each in a table is so too; that is seen from there.
func (a *audit) neighbours(kn *Knote) {
	before, after := kn.src.notes.first, kn.src.notes.last
	if kn.sprev != nil {
		before = kn.sprev.snext
	}
	if kn.snext != nil {
		after = kn.snext.sprev
	}
	if before != kn || after != kn {
		a.wrong("I3: %v of queue %d is not once on the list of its source", kn, a.nth)
		return
	}
	for _, other := range [...]*Knote{kn.sprev, kn.snext} {
		switch {
		case other == nil:
		case other.state&marked != 0:
			a.wrong("I9: a mark of a walk is on the list of what %v watches", kn)
		case other.src != kn.src || other.state&(gone|done) != 0:
			a.wrong("I3: beside %v on the list of its source is a knote that has ended", kn)
		}
	}
}

// graph looks at the watches of a queue, of which it has so many knotes.
func (a *audit) graph(q *Queue, knotes int) {
	watches, watchers := 0, 0
	for inner, n := range q.watches {
		watches += n
		if inner.watchers[q] != n {
			a.wrong("I3: queue %d watches another %d times, which knows of %d", a.nth, n, inner.watchers[q])
		}
		if leads(inner, q, depth) {
			a.wrong("I11: queue %d watches itself, over others", a.nth)
			return
		}
	}
	for outer, n := range q.watchers {
		watchers += n
		if outer.watches[q] != n {
			a.wrong("I3: queue %d is watched %d times by another, which knows of %d", a.nth, n, outer.watches[q])
		}
	}
	if watches != knotes {
		a.wrong("I3: queue %d has %d knotes that watch queues, and %d watches", a.nth, knotes, watches)
	}
	if counted := q.watched.Look(); int(counted) != watchers {
		a.wrong("I3: queue %d is watched %d times, and counts %d", a.nth, watchers, counted)
	}
	n := chain(q, func(q *Queue) map[*Queue]int { return q.watchers }, depth) +
		chain(q, func(q *Queue) map[*Queue]int { return q.watches }, depth) - 1
	if n > depth {
		a.wrong("I11: queue %d is in a chain of %d queues, of at most %d", a.nth, n, depth)
	}
}

// leads is reaches within so many steps: where the graph is wrong there may be a circle
// on the way, without an end.
func leads(q, to *Queue, most int) bool {
	if q == to {
		return true
	}
	for w := range q.watches {
		if most > 0 && leads(w, to, most-1) {
			return true
		}
	}
	return false
}

// chain returns the length of the longest chain that goes on from q, in queues, and of one
// that is longer than most+1, a circle say, that.
func chain(q *Queue, next func(*Queue) map[*Queue]int, most int) int {
	n := 0
	for w := range next(q) {
		if most > 0 {
			n = max(n, chain(w, next, most-1))
		}
	}
	return n + 1
}

// Bare panics if a filter is attached to the source. When a file is released none is
// to the sources of which only its own descriptors speak; its Release may say so, in
// the domain. What has found one of those descriptors before it was closed may put a
// knote on the list yet, which is never attached.
func (s *Source) Bare() {
	for kn := s.notes.first; kn != nil; kn = kn.snext {
		if kn.state&hooked != 0 {
			panic(fmt.Sprintf("kqueue: I12: a file is released, and %v is attached to it", kn))
		}
	}
}

// Closed reports whether the life is over, or about to be, of a machine at rest.
func (d *Desc) Closed() bool { return d.closed.Look() != 0 }

// String names a knote as a change does.
func (kn *Knote) String() string { return fmt.Sprintf("knote %v %d", kn.filt, kn.id) }
