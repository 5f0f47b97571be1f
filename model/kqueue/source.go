package kqueue

import (
	"time"

	"github.com/kqlab/kqlab/model/machine"
)

// A Source is something that can be watched: the list of knotes that watch it,
// in a domain that guards the list, the source's halves of those knotes, and
// whatever state of its owner the filters look at (struct klist).
//
// An owner changes that state and tells of it like this:
//
//	src.Enter(td)
//	... change ...
//	src.Post(td, hint)
//	src.Exit(td)
type Source struct {
	k     *Kernel
	place *Place
	notes notes            // guarded by place
	wait  machine.WaitChan // a busy knote of this source is free, or a gone one done
	asked int32            // guarded by place: threads on wait

	// Owner is what a filter finds by its knote's source, where that is not of a file. It
	// is set before the source is known.
	Owner any
}

// NewSource makes a source, placed by the strategy.
func (k *Kernel) NewSource(td *machine.Thread) *Source {
	s := sources.New(td)
	s.Init(td, k)
	return s
}

var sources = machine.NewStock[Source](nil)

// Init is NewSource for a source that is part of its owner, so that what an
// event touches lies close together. s must be new.
func (s *Source) Init(td *machine.Thread, k *Kernel) {
	s.init(k, k.strategy.Source(td))
	s.place.watch(td)
}

// InitSibling makes s, which is new, another source in the domain of of: two
// lists, such as the readers and the writers of one pipe, over one state.
func (s *Source) InitSibling(of *Source) { s.init(of.k, of.place) }

func (s *Source) init(k *Kernel, p *Place) {
	s.k, s.place = k, p
	s.wait.Name = "knote of a source"
}

// CPU returns the CPU that the source's domain is bound to, or nil. See [Place.CPU].
func (s *Source) CPU() *machine.CPU { return s.place.CPU() }

// Enter brings td into the source's domain.
func (s *Source) Enter(td *machine.Thread) {
	td.Stats.Enters++
	s.place.Enter(td)
}

// Exit takes td out of the source's domain, then visits every watched queue
// that Post has posted to.
func (s *Source) Exit(td *machine.Thread) {
	s.place.Exit(td)
	if td.Debt != 0 {
		pay(td)
	}
}

// Shares reports whether s is in the same domain as o.
func (s *Source) Shares(o *Source) bool { return s.place == o.place }

// Sleep leaves the domain, waits on what td has interlocked and enters again,
// as Domain.Sleep. It must not be called between Post and Exit.
func (s *Source) Sleep(td *machine.Thread, until time.Duration) error {
	return s.place.Sleep(td, until)
}

// Notify posts the hint from outside the domain: Enter, Post, Exit. (KNOTE)
func (s *Source) Notify(td *machine.Thread, hint int64) {
	s.Enter(td)
	s.Post(td, hint)
	s.Exit(td)
}

// Post asks the filter of every knote on the list and delivers those that say
// yes. td is in the source's domain. It may block if a filter does, and waits
// for knotes that another thread is asking, except on a thread with NoSleep,
// which leaves word there. What it owes it pays before it waits, and before it
// asks a filter that may. (knote)
//
// The walk never restarts. DragonFly's does after a wait, and then bumps the
// count of knotes that it had passed once more (bug D19, found there in 2020).
// It keeps its place by a mark on the list, and every other walk skips marks.
func (s *Source) Post(td *machine.Thread, hint int64) {
	for kn := s.notes.first; kn != nil; kn = kn.snext {
		if kn.state&(gone|marked|busy) != 0 {
			if kn.state&busy == 0 || kn.state&gone != 0 {
				continue
			}
			if td.NoSleep {
				td.Sometimes("word-left")
				kn.again = append(kn.again, hint)
				continue
			}
			if kn = s.awaitPassing(td, kn); kn == nil {
				return
			}
		}
		// kn.event and s.deliver, written out: this is the hot path.
		var hit bool
		switch kn.kind {
		case called:
			hit = kn.ops.Event(td, kn, hint)
		case counted:
			kn.Pending += hint
			kn.Data = kn.Pending
			hit = kn.Data > 0
		case leveled:
			kn.Data = *kn.level
			hit = kn.Data >= kn.WantData
		case told:
			hit = kn.ops.Told(td, kn, hint)
		default:
			// The filter may block until somebody comes whom only the visit
			// that td owes will wake.
			if td.Debt != 0 && kn.ops.slow() && !td.NoSleep {
				if kn = s.awaitPassing(td, kn); kn == nil {
					return
				}
			}
			hit = kn.hear(td, hint)
		}
		if !hit || !kn.state.fire() {
			continue
		}
		if q := kn.q; q.place == s.place && q.watched.Load(td) == 0 {
			if q.asleep|q.claims == 0 && kn.link.enlist() {
				q.ready.append(kn)
				q.n++
			} else {
				Activate(td, kn)
			}
		} else {
			s.deliver(td, kn)
		}
	}
}

// Fire delivers kn as Post does when the filter says yes. A filter calls it, from its
// Event, for another knote of a source in the same domain that is to be told of the same
// news: one knote that stands for several conditions of a file, as an item of epoll
// does, has others that wait for those. What comes of it is what comes of a Post.
func (kn *Knote) Fire(td *machine.Thread) {
	if kn.state.fire() {
		kn.src.deliver(td, kn)
	}
}

// MoveFirst makes kn the first to be told of news of its source. Its filter's Attach
// calls it; others that ask for the same news were there before, and are told after it.
func (kn *Knote) MoveFirst() {
	if l := &kn.src.notes; l.first != kn {
		l.remove(kn)
		l.insertBefore(kn, l.first)
	}
}

// awaitPassing waits until kn is not busy and td owes nothing, keeping the walk's
// place by a mark before it, and returns the first knote from there on that may
// be asked. Marks and knotes that go are passed; nil is the end of the list.
func (s *Source) awaitPassing(td *machine.Thread, kn *Knote) *Knote {
	sc := scratchOf(td)
	mark := sc.mark()
	s.notes.insertBefore(mark, kn)
	for kn = mark.snext; kn != nil; kn = mark.snext {
		if kn.state&(marked|gone) != 0 {
			s.notes.remove(mark)
			s.notes.insertAfter(mark, kn)
		} else if kn.state&busy != 0 || td.Debt != 0 {
			s.await(td, kn)
		} else {
			break
		}
	}
	s.notes.remove(mark)
	sc.walks--
	return kn
}

// await sleeps once, until some busy knote of the source is free or a gone one
// is done. td trusts nothing afterwards but that kn has not been freed; and it
// may not have slept at all. What td owes is paid first: the owner of kn may
// wait for somebody whom only the visit will wake.
func (s *Source) await(td *machine.Thread, kn *Knote) {
	kn.waiters++
	if td.Debt != 0 {
		move(td, s.place, nil)
		pay(td)
		move(td, nil, s.place)
	} else {
		s.asked++
		td.Interlock(&s.wait)
		s.place.Sleep(td, machine.Forever)
		s.asked--
	}
	kn.waiters--
}

// wake wakes those in await.
func (s *Source) wake(td *machine.Thread) {
	if s.asked != 0 {
		td.Wakeup(&s.wait)
	}
}

// reach tells the CPU of a source that a queue on another looks at it, n times more.
func reach(kn *Knote, n int) {
	if c := kn.place.CPU(); c != nil && c != kn.q.place.CPU() {
		c.Foreign(n)
	}
}

// deliver brings a knote that has just been posted to its queue. In the same
// domain that is a call. If the queue is itself watched, td now owes it a
// visit; see pay.
func (s *Source) deliver(td *machine.Thread, kn *Knote) {
	q := kn.q
	if q.place == s.place {
		Activate(td, kn)
	} else {
		td.Stats.Remote++
		q.place.Deliver(td, kn)
	}
	if q.watched.Load(td) != 0 {
		owe(td, q)
	}
}

// notes is the list of a source's knotes, oldest first.
type notes struct{ first, last *Knote }

func (l *notes) append(kn *Knote) {
	kn.sprev, kn.snext = l.last, nil
	if l.last == nil {
		l.first = kn
	} else {
		l.last.snext = kn
	}
	l.last = kn
}

func (l *notes) insertBefore(kn, at *Knote) {
	kn.sprev, kn.snext = at.sprev, at
	if at.sprev == nil {
		l.first = kn
	} else {
		at.sprev.snext = kn
	}
	at.sprev = kn
}

func (l *notes) insertAfter(kn, at *Knote) {
	if at.snext == nil {
		l.append(kn)
		return
	}
	l.insertBefore(kn, at.snext)
}

func (l *notes) remove(kn *Knote) {
	if kn.sprev == nil {
		l.first = kn.snext
	} else {
		kn.sprev.snext = kn.snext
	}
	if kn.snext == nil {
		l.last = kn.sprev
	} else {
		kn.snext.sprev = kn.sprev
	}
	kn.sprev, kn.snext = nil, nil
}
