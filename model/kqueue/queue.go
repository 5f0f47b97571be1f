package kqueue

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A Queue is a kqueue: the knotes that it has, and the list of those that are
// ready. It is a [File] itself, and can be watched with [event.Read].
type Queue struct {
	// What a delivery touches comes first, on a line of its own.
	place   *Place
	ready   ready          // guarded by place
	n       int            // guarded by place: knotes on ready, marks not counted
	asleep  int            // guarded by place: threads in Kevent that wait
	watched machine.Uint32 // knotes that watch this queue
	closed  machine.Uint32 // written in place
	claims  int            // guarded by place: threads that wait for a claim to be settled
	out     int            // guarded by place: knotes that are claimed
	pruning int            // guarded by place: prunings under way
	news    uint64         // guarded by place: deliveries so far, not all of those while nobody watches
	told    uint64         // guarded by place: of them, those that all who watch know of

	waiters machine.WaitChan
	settled machine.WaitChan
	cleaned machine.WaitChan

	k      *Kernel
	files  Files
	wrap   Wrapper        // files, if it is one
	src    Source         // its own watchers; same place
	srcs   [1]*Source     // src
	table  hash           // guarded by place: its knotes by filter and ident
	dead   uint32         // guarded by place: knotes taken out of the table by a cleaner that left
	buried machine.Uint32 // of dead, those whose cleaner has finished

	inner    []*Queue       // guarded by place: what its knotes that watch queues watch
	watches  map[*Queue]int // guarded by k.nest: queues that this one watches, and how often
	watchers map[*Queue]int // guarded by k.nest: queues that watch this one
	depth    int            // immutable: of the longest chain of queues that this one may make
	items    bool           // immutable: made by NewItems

	next *Queue // of a virtual machine: the one made next
}

// NewQueue makes a kqueue, placed by the strategy. Descriptor numbers in its
// changes are those of files, which may be nil.
func (k *Kernel) NewQueue(td *machine.Thread, files Files) *Queue {
	q := queues.New(td)
	q.k, q.files, q.place, q.depth = k, files, k.strategy.Queue(td), depth
	q.wrap, _ = files.(Wrapper)
	q.place.watch(td)
	q.src.init(k, q.place)
	q.srcs[0] = &q.src
	q.src.wait.Name = "knote of a kqueue"
	q.waiters.Name = "kevent"
	q.settled.Name = "a claim in kevent"
	q.cleaned.Name = "a cleaner of a closed kqueue"
	k.note(td, q)
	return q
}

// NewItems makes the queue of an epoll, whose knotes are its items: EV_ADD of one
// that exists also replaces whether it has EV_CLEAR or EV_DISPATCH, as EPOLL_CTL_MOD
// does, and no chain of more than depth queues is made by watching with this one.
func (k *Kernel) NewItems(td *machine.Thread, files Files, depth int) *Queue {
	q := k.NewQueue(td, files)
	q.items, q.depth = true, depth
	return q
}

var queues = machine.NewStock(func(q *Queue) {
	clear(q.table.buckets)
	clear(q.watches)
	clear(q.watchers)
	*q = Queue{
		table:   hash{buckets: q.table.buckets[:0]},
		inner:   q.inner[:0],
		watches: q.watches, watchers: q.watchers,
	}
})

func (q *Queue) enter(td *machine.Thread) {
	td.Stats.Enters++
	q.place.Enter(td)
}

// move takes td from one place to another; nil is none. Between objects of the
// same place it is a comparison. Otherwise what td saw on one side may be gone
// on the other: look again after it.
func move(td *machine.Thread, from, to *Place) {
	if from == to {
		return
	}
	if from != nil {
		from.Exit(td)
	}
	if to != nil {
		td.Stats.Enters++
		to.Enter(td)
	}
}

// Activate puts a knote that has been delivered on its queue's list, and wakes
// the queue's sleepers. It is called in the queue's domain, by whoever is
// there: by the core itself, or by what a strategy's Deliver has led to. It
// enters nothing, waits for nothing and calls no filter. (KNOTE_ACTIVATE,
// knote_enqueue, kqueue_wakeup)
func Activate(td *machine.Thread, kn *Knote) {
	if td.Virtual() {
		kn.q.place.Domain.(*watched).activate(td, kn)
		return
	}
	activate(td, kn)
}

func activate(td *machine.Thread, kn *Knote) {
	switch kn.link.arrive() {
	case drop:
		td.Stats.Dead++
		td.Sometimes("news-of-dying")
	case noted:
		td.Stats.Rearms++
		td.Sometimes("news-of-claimed")
		kn.q.news++
	case insert:
		q := kn.q
		q.news++
		q.ready.append(kn)
		q.n++
		if q.asleep != 0 {
			td.Wakeup(&q.waiters)
		}
		if q.claims != 0 { // what they wait for may take long, and this is here
			td.Wakeup(&q.settled)
		}
	}
}

// Close closes the queue: its sleepers return EBADF, and so does every call
// from now on; when it returns no knote of it is left anywhere. Closing it
// again does nothing. It may block. (kqueue_close, which leaves sleepers
// asleep: decision 10.)
func (q *Queue) Close(td *machine.Thread) error {
	if q == nil {
		return errEBADF
	}
	q.enter(td)
	if q.closed.Load(td) != 0 {
		q.place.Exit(td)
		return errEBADF
	}
	q.closed.Store(td, 1)
	td.Commit(event.Released)
	td.Wakeup(&q.waiters)
	td.Wakeup(&q.settled)
	for kn := q.table.any(); kn != nil; kn = q.table.any() {
		kn.used++
		move(td, q.place, kn.src.place)
		if q.end(td, kn) {
			clean(td, kn, kn.place)
			q.enter(td)
		} else {
			move(td, kn.place, q.place)
		}
	}
	for q.dead != q.buried.Load(td) {
		td.Interlock(&q.cleaned)
		if q.dead != q.buried.Load(td) {
			q.place.Sleep(td, machine.Forever)
		}
		td.Uninterlock()
	}
	q.place.Exit(td)
	finish(td)
	return nil
}

// end commits the end of a knote found in the table, in its source's domain.
// If another has, it waits until that one has cleaned it, and returns false.
func (q *Queue) end(td *machine.Thread, kn *Knote) bool {
	for kn.state&busy != 0 {
		kn.src.await(td, kn)
	}
	ended := kn.state.end()
	if !ended {
		td.Sometimes("end-comes-second")
	}
	for !ended && kn.state&done == 0 {
		kn.src.await(td, kn)
	}
	kn.left++
	return ended
}

// clean removes a knote whose end the caller has committed, and nobody else
// will. td comes from the given place, or from none, and is in none on return.
// First the queue's half goes, so that nothing
// finds or lists it; then the filter and the source's list; then done is told
// to all who wait. (knote_detach_and_drop)
func clean(td *machine.Thread, kn *Knote, from *Place) {
	q, s := kn.q, kn.src
	move(td, from, q.place)
	wasListed := kn.link.die()
	claimed := kn.link&claimed != 0
	if wasListed {
		q.ready.remove(kn)
		q.n--
	}
	q.table.remove(kn)
	if kn.ops.counts {
		q.dismiss(queueOf(kn.desc.File))
	}
	used := kn.used
	apart := s.place != q.place || kn.kind == guarded
	if apart {
		q.dead++
	}
	move(td, q.place, s.place)
	kn.detach(td)
	if s.place != q.place {
		reach(kn, -1)
	}
	s.notes.remove(kn)
	kn.state |= done
	// Nobody else knows it: no lookup, claim or wait is in progress, and no
	// delivery under way. A posted knote that is not on the list is in some
	// mailbox still.
	quiet := used == kn.left && !claimed && kn.waiters == 0 && (wasListed || kn.state&posted == 0)
	s.wake(td)
	s.place.Exit(td)
	if apart {
		q.buried.Add(td, 1)
		if q.closed.Load(td) != 0 {
			td.Wakeup(&q.cleaned)
		}
	}
	sc := scratchOf(td)
	if kn.ops.counts {
		sc.edges = append(sc.edges, edge{q, queueOf(kn.desc.File)})
	}
	if quiet {
		sc.free(kn)
	}
}

// ready is the list of a queue's ready knotes and scans' marks, oldest first.
type ready struct{ first, last *Knote }

func (l *ready) append(kn *Knote) {
	kn.qprev, kn.qnext = l.last, nil
	if l.last == nil {
		l.first = kn
	} else {
		l.last.qnext = kn
	}
	l.last = kn
}

func (l *ready) insertBefore(kn, at *Knote) {
	kn.qprev, kn.qnext = at.qprev, at
	if at.qprev == nil {
		l.first = kn
	} else {
		at.qprev.qnext = kn
	}
	at.qprev = kn
}

func (l *ready) remove(kn *Knote) {
	if kn.qprev == nil {
		l.first = kn.qnext
	} else {
		kn.qprev.qnext = kn.qnext
	}
	if kn.qnext == nil {
		l.last = kn.qprev
	} else {
		kn.qnext.qprev = kn.qprev
	}
}

// cut takes everything between before, or the head, and at, or the end, off
// the list.
func (l *ready) cut(before, at *Knote) {
	if at == nil {
		l.last = before
	} else {
		at.qprev = before
	}
	if before == nil {
		l.first = at
	} else {
		before.qnext = at
	}
}

// keep is append for what is being taken over from another list in its order: a
// knote that follows the last one there already is linked to it.
func (l *ready) keep(kn *Knote) {
	if l.last == nil {
		l.first = kn
	} else if l.last.qnext != kn {
		kn.qprev = l.last
		l.last.qnext = kn
	}
	l.last = kn
}

// splice appends all of o, whose ends may have links still that they had elsewhere.
func (l *ready) splice(o *ready) {
	switch {
	case o.first == nil:
		return
	case l.last == nil:
		l.first = o.first
	default:
		l.last.qnext = o.first
	}
	o.first.qprev, o.last.qnext = l.last, nil
	l.last = o.last
}

// hash is a queue's table of knotes, chained through them. A map would cost a
// registration more than all the rest of it.
type hash struct {
	buckets []*Knote // a power of two
	n       int
}

func (h *hash) bucket(id uint64, f event.Filter) **Knote {
	x := (id ^ uint64(uint16(f))<<48) * 0x9e3779b97f4a7c15
	return &h.buckets[x>>32&uint64(len(h.buckets)-1)]
}

func (h *hash) find(id uint64, f event.Filter, d *Desc) *Knote {
	if h.n == 0 {
		return nil
	}
	for kn := *h.bucket(id, f); kn != nil; kn = kn.hnext {
		if kn.id == id && kn.filt == f && kn.desc == d {
			return kn
		}
	}
	return nil
}

func (h *hash) insert(kn *Knote) {
	if h.n >= len(h.buckets) {
		old := h.buckets
		if n := max(8, 2*len(old)); len(old) == 0 && n <= cap(old) {
			h.buckets = old[:n] // of a queue that was
		} else {
			h.buckets = make([]*Knote, n)
		}
		for _, kn := range old {
			for kn != nil {
				next := kn.hnext
				b := h.bucket(kn.id, kn.filt)
				kn.hnext, *b = *b, kn
				kn = next
			}
		}
	}
	b := h.bucket(kn.id, kn.filt)
	kn.hnext, *b = *b, kn
	h.n++
}

func (h *hash) remove(kn *Knote) {
	b := h.bucket(kn.id, kn.filt)
	for *b != kn {
		b = &(*b).hnext
	}
	*b, kn.hnext = kn.hnext, nil
	h.n--
}

// any returns some knote, nil if there is none.
func (h *hash) any() *Knote {
	if h.n == 0 {
		return nil
	}
	for _, kn := range h.buckets {
		if kn != nil {
			return kn
		}
	}
	panic("kqueue: a table that counts knotes it does not have")
}
