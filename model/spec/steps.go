package spec

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
)

// The methods of this file, with Find, Act, Target, ChangeOf, Unlink, Reap and
// Release, are the steps of operations, in place: for who knows in which order
// they were taken, and wants to know whether that can be. Those that say false
// have changed nothing that matters to any other.

// Reset makes s what New returns, and keeps its memory.
func (s *State) Reset(free Freedom) {
	*s = State{free: free, slots: s.slots[:0], files: s.files[:0], knotes: s.knotes[:0], queued: s.queued[:0], owed: s.owed[:0], procs: s.procs[:0], births: s.births[:0], vfs: s.vfs.bare()}
}

// Make is the first step of what makes a file, or two of which it is that of the
// first: fd is a descriptor for it from now on. It returns the life, false if the
// number cannot be, or nothing is made.
func (s *State) Make(op event.Op, fd int) (Life, bool) {
	if !s.anyNumber(fd) || s.makes(op) != 0 {
		return Life{}, false
	}
	n := int32(len(s.files))
	a, b := makers[op.Call](s, op)
	if op.Call.Makes() == 2 {
		a.peer, b.peer = n+1, n
		s.files = append(s.files, a, b)
	} else {
		s.files = append(s.files, a)
	}
	s.link(fd, n)
	return Life{life: s.lives, file: n}, true
}

// Open is a step before Make, of what makes one file: others find that it is made, or
// what stands in the way, before it has a descriptor. Opened is Make then.
func (s *State) Open(op event.Op) (w Work) {
	if errno := s.makes(op); errno != 0 {
		w.fails(errno)
		return w
	}
	a, _ := makers[op.Call](s, op)
	s.opens(&w, a)
	return w
}

// MakeOther is the second step of the making of two files: fd is a descriptor for
// the second, of which Make has returned the first.
func (s *State) MakeOther(l Life, fd int) bool {
	if !s.anyNumber(fd) {
		return false
	}
	s.link(fd, s.files[l.file].peer)
	return true
}

// Duplicate is dup as far as it is known to have made number to, false if that
// cannot be.
func (s *State) Duplicate(fd, to int) bool {
	x := s.at(fd)
	if x == nil || !s.anyNumber(to) {
		return false
	}
	s.link(to, x.file)
	return true
}

// Retrieve is [State.Take] in place: kqueue q returns kev. Late says that others
// may be about to tell of what kev reports: see lateNews. Of a knote that watches
// a kqueue the count is not looked at: see AnyCount.
func (s *State) Retrieve(q int32, kev event.Kevent, late bool) bool {
	for i := range s.knotes {
		kn := &s.knotes[i]
		if kn.queue != q || kn.ident != kev.Ident || kn.filter != kev.Filter || kn.disabled || kn.udata != kev.Udata {
			continue
		}
		if s.nested(i) {
			if kev != (event.Kevent{Ident: kn.ident, Filter: kn.filter, Flags: kn.keep, Data: kev.Data, Udata: kn.udata}) {
				continue
			}
		} else {
			s.anyTicks(i, kev.Data)
			s.timesOut(i, kev.Data > 0)
			if hit, e := s.ask(i); !hit || e != kev {
				continue
			}
		}
		if s.taken(i, late) {
			s.sweep()
			return true
		}
	}
	return false
}

// taken has knote i retrieved, if it may be now.
func (s *State) taken(i int, late bool) bool {
	kn := &s.knotes[i]
	if kn.place == 0 && !s.lateNews(i) || !s.anyOrder(kn.queue) && s.overtakes(i) {
		return false
	}
	kn.fired = true
	s.retrieved(i)
	kn.late = late && kn.keep&event.Clear != 0
	return true
}

// overtakes reports whether something is due that arrived before knote i.
func (s *State) overtakes(i int) bool {
	kn := &s.knotes[i]
	for j := range s.knotes {
		if o := &s.knotes[j]; o.queue == kn.queue && o.place != 0 && (kn.place == 0 || o.place < kn.place) && s.ready(j) {
			return true
		}
	}
	return false
}

// A Ref names a knote as long as there is one.
type Ref struct {
	queue  int32
	life   int32 // of an item the number of its file
	filter event.Filter
	ident  uint64
}

// ref returns the name of knote i.
func (s *State) ref(i int) Ref {
	kn := &s.knotes[i]
	r := Ref{kn.queue, kn.life, kn.filter, kn.ident}
	if kn.filter == Item {
		r.life = kn.file
	}
	return r
}

// Is reports whether r is a knote that e is an event of.
func (r Ref) Is(e event.Kevent) bool { return r.ident == e.Ident && r.filter == e.Filter }

// Ready appends to refs the knotes that kqueue q would return now, given room.
// With nested, those that watch a kqueue are among them.
func (s *State) Ready(refs []Ref, q int32, nested bool) []Ref {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && (nested || !s.nested(i)) && s.ready(i) {
			refs = append(refs, s.ref(i))
		}
	}
	return refs
}

// A Due is a knote that would be returned, and the event.
type Due struct {
	Ref   Ref
	Event event.Kevent
}

// Due appends to due what kqueue or epoll q would return now, given room, without
// those knotes that watch a kqueue: these are told in a visit of its own.
func (s *State) Due(due []Due, q int32) []Due {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && !s.nested(i) && s.ready(i) {
			_, e := s.ask(i)
			due = append(due, Due{s.ref(i), e})
		}
	}
	return due
}

// Watches reports whether the knote watches a kqueue.
func (s *State) Watches(r Ref) bool {
	i := s.index(r)
	return i >= 0 && s.nested(i)
}

// MayBeGone reports whether the knote may have been removed already, although
// the close that removes it has not returned; if so it is removed now.
func (s *State) MayBeGone(r Ref) bool {
	i := s.index(r)
	ending := i >= 0 && s.files[r.queue].gone
	if r.filter == Item {
		ending = ending || s.halfGone(r.life)
	} else {
		ending = ending || s.halfEnded(Life{life: r.life})
	}
	if i < 0 || !ending {
		return i < 0
	}
	s.knotes = slices.Delete(s.knotes, i, i+1)
	return true
}

// StillReady removes from refs those that are no longer ready.
func (s *State) StillReady(refs []Ref) []Ref {
	still := refs[:0]
	for _, r := range refs {
		if i := s.index(r); i >= 0 && s.ready(i) {
			still = append(still, r)
		}
	}
	return still
}

// index returns the index of the knote that r names, -1 if there is none.
func (s *State) index(r Ref) int {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == r.queue && kn.ident == r.ident && kn.filter == r.filter && s.ref(i) == r {
			return i
		}
	}
	return -1
}

// ready reports whether knote i would be returned now. It changes nothing.
func (s *State) ready(i int) bool {
	kn := &s.knotes[i]
	if kn.place == 0 || kn.disabled {
		return false
	}
	if !s.nested(i) {
		hit, _ := s.ask(i)
		return hit
	}
	for j := range s.knotes {
		if s.wantsNested(i) && s.knotes[j].queue == kn.file && s.ready(j) {
			return true
		}
	}
	return false
}

// Watched returns the kqueue that kev, an event of kqueue q, reports on; false if
// that is not what it does.
func (s *State) Watched(q int32, kev event.Kevent) (inner int32, ok bool) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && kn.ident == kev.Ident && kn.filter == kev.Filter {
			return kn.file, s.nested(i)
		}
	}
	return 0, false
}

// A Census is how many events a kqueue may have at an instant, as one that
// watches it reports.
type Census struct {
	Least int64 // those that are ready
	Now   int64 // and timers that may have expired
	Most  int64 // and those that are not disabled
}

// Census counts the events of kqueue q.
func (s *State) Census(q int32) (c Census) {
	for i := range s.knotes {
		kn := &s.knotes[i]
		if kn.queue != q || kn.disabled {
			continue
		}
		c.Most++
		if s.ready(i) {
			c.Least++
			c.Now++
		} else if s.mayTick(i) {
			c.Now++
		}
	}
	return c
}

// Names reports whether r is a knote that is known by ident and filter.
func (r Ref) Names(ident uint64, filter event.Filter) bool {
	return r.ident == ident && r.filter == filter
}
