package kqueue

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// queueFilter is EVFILT_READ on a kqueue. Its source is the inner queue's own,
// so it runs in that queue's domain. It has no mark and takes no fflags, EINVAL, where
// DragonFly's takes any for nothing. (filt_kqueue)
var queueFilter = &Filter{
	Name: "kqueue",
	Attach: func(td *machine.Thread, kn *Knote) error {
		if kn.Want != 0 {
			return errEINVAL
		}
		q := queueOf(kn.desc.File)
		kn.Hook = q
		if kn.sprev == nil && kn.snext == nil {
			q.told = q.news // while nobody watched nobody was to be told; kn is asked by who adds it
		}
		return nil
	},
	Touch: func(td *machine.Thread, kn *Knote, kev *event.Kevent) error {
		if kev.Fflags != 0 {
			return errEINVAL
		}
		kn.WantData = kev.Data
		return nil
	},
	Event: func(td *machine.Thread, kn *Knote, hint int64) bool {
		kn.Data = int64(kn.Hook.(*Queue).n)
		return kn.Data > 0
	},
	counts: true,
}

// A Nested is a [File] that is watched by what is in a queue of its own: an epoll.
// Its Source answers as that queue's.
type Nested interface {
	File
	// Inner returns the queue, always the same.
	Inner() *Queue
}

// queueOf returns the queue that is watched where queueFilter watches f.
func queueOf(f File) *Queue {
	if q, ok := f.(*Queue); ok {
		return q
	}
	return f.(Nested).Inner()
}

// Source makes a Queue a File: it can be read when it has events.
func (q *Queue) Source(f event.Filter) (*Source, *Filter, error) {
	if f != event.Read {
		return nil, nil, errEINVAL
	}
	return &q.src, queueFilter, nil
}

// Sources returns the one source of a queue.
func (q *Queue) Sources() []*Source { return q.srcs[:] }

// Release closes the queue when its last descriptor goes.
func (q *Queue) Release(td *machine.Thread) { q.Close(td) }

// tell tells those who watch q what has arrived since they were told last. td is
// in q's domain before and after, but not always between. (KNOTE, on kq_note)
func (q *Queue) tell(td *machine.Thread) {
	if news := q.news; news != q.told {
		q.src.Post(td, 0)
		q.told = max(q.told, news) // another may have told of more, while this one waited
	}
}

// visitBelow visits the queues that q watches, over any number of steps, the
// innermost first. td is in q's domain before and after, and in none between; it
// holds no claim. A call that is about to say that there is nothing makes these
// visits itself, since who owes them may not have come to it:
//
//	poster                      poller, on the outer queue
//	posts to the inner queue
//	                            on the inner queue: returns the event
//	                            nothing on the outer: returns 0   <- but there is
//	visits the inner queue
//
// Those who find something need not, and nor does a sleeper: it will be told.
func (q *Queue) visitBelow(td *machine.Thread) { q.visitDown(td, depth) }

func (q *Queue) visitDown(td *machine.Thread, most int) {
	sc := scratchOf(td)
	from := len(sc.below)
	sc.below = append(sc.below, q.inner...)
	to := len(sc.below)
	q.place.Exit(td)
	for i := from; i < to; i++ {
		in := sc.below[i]
		in.enter(td)
		if len(in.inner) > 0 && most > 0 { // the graph may be changed meanwhile
			in.visitDown(td, most-1)
		}
		in.tell(td)
		in.place.Exit(td)
		if td.Debt != 0 {
			pay(td)
		}
	}
	clear(sc.below[from:to])
	sc.below = sc.below[:from]
	q.enter(td)
}

// dismiss forgets that a knote of q watches inner. td is in q's domain.
func (q *Queue) dismiss(inner *Queue) {
	i := slices.Index(q.inner, inner)
	q.inner = slices.Delete(q.inner, i, i+1)
}

// watch adds the edge from outer to inner to the graph of queues, unless that
// closes a circle or makes a chain of more than depth queues: ELOOP. The graph
// has one lock, taken before any domain and kept across the whole of the
// registration; without it two crossing watches would both be allowed (L5).
// The inner queue counts its watchers from before the registrar enters it, and
// a poster reads the count after Deliver: one of the two sees the other.
func (q *Queue) watch(td *machine.Thread, inner *Queue) error {
	if inner.reaches(q) || q.above()+inner.below() > q.depth {
		return errELOOP
	}
	td.Visit(&q.k.nest) // the graph is no more than looked at, and must stay as it is
	if q.watches == nil {
		q.watches = map[*Queue]int{}
	}
	if inner.watchers == nil {
		inner.watchers = map[*Queue]int{}
	}
	q.watches[inner]++
	inner.watchers[q]++
	inner.watched.Add(td, 1)
	return nil
}

// unwatch takes an edge out of the graph. The caller is in no domain.
func unwatch(td *machine.Thread, e edge) {
	nest := &e.outer.k.nest
	nest.Lock(td)
	e.outer.forget(td, e.inner)
	nest.Unlock(td)
}

// forget is unwatch with nest held.
func (q *Queue) forget(td *machine.Thread, inner *Queue) {
	if q.watches[inner]--; q.watches[inner] == 0 {
		delete(q.watches, inner)
	}
	if inner.watchers[q]--; inner.watchers[q] == 0 {
		delete(inner.watchers, q)
	}
	inner.watched.Add(td, ^uint32(0))
}

// reaches reports whether q is to, or watches it over any number of steps.
func (q *Queue) reaches(to *Queue) bool {
	if q == to {
		return true
	}
	for w := range q.watches {
		if w.reaches(to) {
			return true
		}
	}
	return false
}

// below returns the length of the longest chain that starts at q, in queues.
func (q *Queue) below() int {
	n := 0
	for w := range q.watches {
		n = max(n, w.below())
	}
	return n + 1
}

// above returns the length of the longest chain that ends at q, in queues.
func (q *Queue) above() int {
	n := 0
	for w := range q.watchers {
		n = max(n, w.above())
	}
	return n + 1
}
