package spec

import (
	"cmp"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	actions    = event.Add | event.Delete | event.Enable | event.Disable
	persistent = event.OneShot | event.Clear | event.Dispatch
	system     = event.EOF | event.NoData | event.HUP | event.Error // ignored: an event can be handed back as a change
)

// Enter begins a kevent(2) on descriptor fd: it returns the kqueue that it
// stands for, or EBADF. The call goes on with that kqueue, whatever becomes of
// the descriptor.
func (s *State) Enter(fd int) (q int32, errno syscall.Errno) {
	x := s.at(fd)
	if x == nil || s.files[x.file].kind != queue {
		return 0, syscall.EBADF
	}
	return x.file, 0
}

// Closed reports whether kqueue q, which Enter has returned, has been closed
// since: then the call answers EBADF.
func (s *State) Closed(q int32) bool { return s.files[q].gone }

// Change applies one change to kqueue q and returns its errno.
func (s *State) Change(q int32, kev event.Kevent) syscall.Errno {
	l, errno := s.Target(kev)
	if errno != 0 {
		return errno
	}
	return s.ChangeOf(q, l, kev)
}

// Target begins a change: it finds what the change speaks of, or says at once
// that it cannot be.
func (s *State) Target(kev event.Kevent) (l Life, errno syscall.Errno) {
	const both, either = event.Enable | event.Disable, event.Add | event.Delete
	if kev.Filter > event.Read || kev.Filter < event.FS || kev.Flags&^(actions|persistent|event.Receipt|system) != 0 ||
		kev.Flags&both == both || kev.Flags&either == either {
		return l, syscall.EINVAL
	}
	switch kev.Filter {
	case event.User, event.Timer, event.Proc, event.Signal, event.FS:
		return Life{file: -1}, 0
	case event.Read, event.Write, event.Except, event.Vnode, event.AIO:
	default:
		return l, syscall.EINVAL
	}
	if kev.Ident >= maxOpen {
		return l, syscall.EBADF
	}
	if l, errno = s.Find(int(kev.Ident)); errno != 0 {
		return l, errno
	}
	if !s.of(l.file).knows(kev.Filter) {
		return l, syscall.EINVAL
	}
	return l, 0
}

// ChangeOf goes on with a change to kqueue q, of what Target has found.
func (s *State) ChangeOf(q int32, l Life, kev event.Kevent) syscall.Errno {
	if l.file >= 0 && s.collects(l.file) && kev.Flags&event.Add != 0 &&
		(s.reaches(l.file, q) || s.above(q)+s.below(l.file) > depth) {
		return syscall.ELOOP
	}
	if s.Closed(q) {
		return syscall.EBADF
	}
	return s.applied(q, l, kev)
}

// applied makes a change that nothing stands in the way of but the knote.
func (s *State) applied(q int32, l Life, kev event.Kevent) syscall.Errno {
	i := s.index(Ref{q, l.life, kev.Filter, kev.Ident})
	switch {
	case i < 0 && kev.Flags&event.Add == 0:
		return syscall.ENOENT
	case i < 0 && s.ended(l):
		return syscall.EBADF
	case i < 0:
		return s.add(q, l, kev)
	case kev.Flags&event.Delete != 0:
		s.knotes = slices.Delete(s.knotes, i, i+1)
		return 0
	}
	return s.modify(i, kev)
}

// MayRefuse reports whether ChangeOf may answer EBADF, and change nothing,
// because another thread is ending the life.
func (s *State) MayRefuse(l Life) bool { return s.halfEnded(l) }

// add makes a knote, and asks its filter at once: "a condition that already
// holds is reported".
func (s *State) add(q int32, l Life, kev event.Kevent) syscall.Errno {
	kn := knote{queue: q, file: l.file, life: l.life, filter: kev.Filter, ident: kev.Ident, udata: kev.Udata,
		keep: kev.Flags & persistent, disabled: kev.Flags&event.Disable != 0}
	switch kev.Filter {
	case event.Timer, event.Proc, event.Signal, event.FS:
		kn.keep |= event.Clear
	}
	var errno syscall.Errno
	switch kev.Filter {
	case event.Proc:
		kn.notes = kev.Fflags
		errno = s.attach(&kn, l)
	case event.Signal:
		errno = signalKnote(kev)
	default:
		kn, errno = s.touch(kn, kev)
	}
	if errno != 0 {
		return errno
	}
	s.knotes = append(s.knotes, kn)
	s.tell(len(s.knotes) - 1)
	s.visit()
	return 0
}

// modify applies a change without EV_DELETE to a knote that exists: "fflags,
// data, udata replaced, and the filter runs; flags like EV_CLEAR stay; EV_ADD
// enables unless EV_DISABLE is given", and of EV_ENABLE and EV_DISABLE without
// EV_ADD that they "touch nothing else". The fflags of any change are commands
// to a user event.
func (s *State) modify(i int, kev event.Kevent) syscall.Errno {
	kn := &s.knotes[i]
	add := kev.Flags&event.Add != 0
	touch := add || kn.filter == event.User
	if touch {
		touched, errno := s.touch(*kn, kev)
		if errno != 0 {
			return errno
		}
		*kn = touched
	}
	if add {
		kn.udata = kev.Udata
	}
	switch {
	case kev.Flags&event.Disable != 0:
		kn.disabled = true
	case kev.Flags&(event.Enable|event.Add) != 0:
		kn.disabled = false
		if kn.fired {
			s.fire(i) // it was kept active
		}
	}
	if touch {
		s.tell(i)
	}
	s.visit()
	return 0
}

// tell asks a knote's filter and fires it if the condition holds.
func (s *State) tell(i int) {
	if s.holds(i) {
		s.fire(i)
	}
}

// holds is ask as one knows it without looking closer: of a kqueue whether there
// is anything on its list.
func (s *State) holds(i int) bool {
	if s.nested(i) {
		return s.wantsNested(i) && s.listed(s.knotes[i].file) > 0
	}
	hit, _ := s.ask(i)
	return hit
}

// wantsNested reports whether knote i, which watches a kqueue or an epoll, asks for
// what those tell of: that there are events. An item need not.
func (s *State) wantsNested(i int) bool {
	kn := &s.knotes[i]
	return kn.filter != Item || kn.asks&in != 0
}

// fire notes that something has happened to knote i: it goes to the tail of the
// ready list, unless it is there or disabled. Who watches the queue is told by
// visit.
func (s *State) fire(i int) {
	kn := &s.knotes[i]
	kn.fired = true
	if kn.place != 0 {
		s.coalesced(kn.queue)
	}
	if kn.disabled || kn.place != 0 {
		return
	}
	s.places++
	kn.place = s.places
	if !slices.Contains(s.owed, kn.queue) {
		s.owed = append(s.owed, kn.queue)
	}
}

// visit tells those who watch the queues that fire has put something on.
func (s *State) visit() {
	for len(s.owed) > 0 {
		q := s.owed[0]
		s.owed = append(s.owed[:0], s.owed[1:]...)
		for i := range s.knotes {
			if s.knotes[i].file == q {
				s.tell(i)
			}
		}
	}
}

// scan is the retrieval of kevent(2): it goes down the ready list, from what
// arrived first, as long as there is room. What is asked and says no leaves the
// list; level-triggered ones go back to the tail, and are not met again.
func (s *State) scan(q int32, room int) (events []event.Kevent) {
	list := s.list(q)
	for _, i := range list {
		if len(events) == room {
			break
		}
		if kev, hit := s.look(i); hit {
			events = append(events, kev)
			s.retrieved(i)
		}
	}
	s.sweep()
	return events
}

// list returns the indices of the knotes on the ready list of q, in order.
func (s *State) list(q int32) []int {
	var list []int
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.knotes[i].place != 0 {
			list = append(list, i)
		}
	}
	slices.SortFunc(list, func(a, b int) int { return cmp.Compare(s.knotes[a].place, s.knotes[b].place) })
	return list
}

// look asks a knote on the list; one that is disabled or says no leaves it.
func (s *State) look(i int) (kev event.Kevent, hit bool) {
	kn := &s.knotes[i]
	if !kn.disabled {
		hit, kev = s.ask(i)
		kn.fired = hit
	}
	if !hit {
		kn.place = 0
	}
	return kev, hit
}

// retrieved does to a knote what becomes of one that has been returned: a
// one-shot is deleted, EV_CLEAR resets it, EV_DISPATCH disables it, and one that
// is left with its level goes to the tail.
func (s *State) retrieved(i int) {
	kn := &s.knotes[i]
	again := false
	if kn.keep&event.Clear != 0 {
		kn.bits, kn.data, kn.pending, kn.fired = 0, 0, 0, false
		again = kn.ended && kn.keep&event.OneShot == 0
	}
	if kn.keep&event.Dispatch != 0 {
		kn.disabled = true
	}
	switch {
	case kn.keep&event.OneShot != 0:
		kn.queue = -1
	case kn.keep&persistent != 0:
		kn.place = 0
	default:
		s.places++
		kn.place = s.places
	}
	if again { // what it kept back
		kn.tellEnd()
		s.fire(i)
		s.visit()
	}
}

// sweep takes away the knotes that belong to no queue any more.
func (s *State) sweep() {
	for i := len(s.knotes) - 1; i >= 0; i-- {
		if s.knotes[i].queue < 0 {
			s.knotes = slices.Delete(s.knotes, i, i+1)
		}
	}
}

// listed returns how many knotes are on the list of q.
func (s *State) listed(q int32) int64 {
	n := int64(0)
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.knotes[i].place != 0 {
			n++
		}
	}
	return n
}

// Take returns the states in which kqueue q may be when it has just returned
// kev, none if it may not.
func (s State) Take(q int32, kev event.Kevent) (next []State) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue != q || kn.ident != kev.Ident || kn.filter != kev.Filter {
			continue
		}
		n := s.Clone()
		n.anyTicks(i, kev.Data)
		n.timesOut(i, kev.Data > 0)
		if n.knotes[i].place == 0 {
			continue
		}
		if e, hit := n.look(i); hit && e == kev {
			n.retrieved(i)
			n.sweep()
			next = append(next, n)
		}
	}
	return next
}

// Deliverable returns the events that kqueue q would return now, given room, in
// no order.
func (s State) Deliverable(q int32) (events []event.Kevent) {
	n := s.Clone()
	for i := range n.knotes {
		if n.knotes[i].queue == q && n.knotes[i].place != 0 {
			if kev, hit := n.look(i); hit {
				events = append(events, kev)
			}
		}
	}
	return events
}

// Enabled reports whether kqueue q has such a knote, and it is not disabled.
func (s *State) Enabled(q int32, ident uint64, filter event.Filter) bool {
	return slices.ContainsFunc(s.knotes, func(kn knote) bool {
		return kn.queue == q && kn.ident == ident && kn.filter == filter && !kn.disabled
	})
}
