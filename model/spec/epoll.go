package spec

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// How epoll(7) is judged. An item is a knote: what it watches is a file, its
// condition is that any of what it asks for, an error or a hang-up holds, and
// the event that it gives has all that holds at the instant of its retrieval,
// and no more. EPOLLET is EV_CLEAR: it is returned once for each time that the
// file has told of something. EPOLLONESHOT is EV_DISPATCH, and EPOLL_CTL_MOD its
// EV_ENABLE. So all that kevent(2) promises of knotes holds of items: a call
// with room left returns what was ready before it began and nobody else took,
// one that waits is not left asleep, an activation goes to one caller.
//
// What is different is whose an item is. A knote is that of a descriptor, and
// goes with it; an item is that of a file, though the number that it was added
// by is a part of its name: "closing a file descriptor causes it to be removed
// from all epoll interest lists only if there are no other descriptors for the
// same open file description". So it may outlive its number, and then nobody can
// name it, and a number that is used again may be added beside it.

// Item stands for the filter of knotes that are items. No change of kevent(2) may
// have it.
const Item event.Filter = 1

// chained is how many epolls and kqueues there may be in a chain that an epoll makes
// longer. "Measured on Linux 6.18:
// five chained epolls work, the sixth ADD is ELOOP".
const chained = 5

// exclusiveMay is all that an item with EPOLLEXCLUSIVE may ask for.
const exclusiveMay = event.PollIn | event.PollOut | event.PollErr | event.PollHup | event.EpollExclusive | event.EpollWakeup | event.EpollET

// EnterEpoll begins an epoll_wait(2) on descriptor fd with room for so many
// events, and returns the epoll that it stands for. Errors: EBADF; EINVAL
// if there is no room, or if it is no epoll.
func (s *State) EnterEpoll(fd, room int) (q int32, errno syscall.Errno) {
	l, errno := s.Find(fd)
	if errno == 0 && (room <= 0 || s.files[l.file].kind != epoll) {
		errno = syscall.EINVAL
	}
	return l.file, errno
}

// Control applies an epoll_ctl(2) that has found the epoll as ep, and what number
// op.To stands for as l.
func (s *State) Control(ep, l Life, op event.Op) syscall.Errno {
	q := ep.file
	exclusive := op.Ctl != event.EpollDel && op.Events&event.EpollExclusive != 0
	add := op.Ctl == event.EpollAdd
	switch {
	case !s.watchable(l.file):
		return syscall.EPERM
	case s.files[q].kind != epoll || q == l.file:
		return syscall.EINVAL
	case s.files[q].gone && add:
		return syscall.EBADF
	case s.files[q].gone:
		return syscall.ENOENT // no item of it survives
	case exclusive && (!add || s.files[l.file].kind == epoll || op.Events&^exclusiveMay != 0):
		return syscall.EINVAL
	case add && s.collects(l.file) && s.tooLong(q, l.file):
		return syscall.ELOOP
	}
	i := slices.IndexFunc(s.knotes, func(kn knote) bool {
		return kn.queue == q && kn.filter == Item && kn.file == l.file && kn.ident == uint64(op.To)
	})
	switch {
	case add && i >= 0:
		return syscall.EEXIST
	case add:
		kn := knote{queue: q, file: l.file, filter: Item, ident: uint64(op.To)}
		if s.files[l.file].kind == writeEnd {
			kn.mark = pipeBuf
		}
		s.knotes = append(s.knotes, kn)
		i = len(s.knotes) - 1
	case i < 0:
		return syscall.ENOENT
	case op.Ctl == event.EpollDel:
		s.knotes = slices.Delete(s.knotes, i, i+1)
		return 0
	case s.knotes[i].asks&event.EpollExclusive != 0:
		return syscall.EINVAL
	}
	s.knotes[i].want(op.Events, op.Udata)
	s.tell(i)
	s.visit()
	return 0
}

// watchable reports whether an epoll can watch a file at all. "EPERM: the target file fd
// does not support epoll."
func (s *State) watchable(n int32) bool {
	b := s.of(n)
	if s.files[n].kind.named() {
		return false
	}
	return b.knows(event.Read) || b.knows(event.Write) || b.knows(event.Except)
}

// want makes an item ask for events, whatever it was: it is enabled, and what it
// has told counts no more.
func (kn *knote) want(events event.PollEvents, udata uint64) {
	kn.asks, kn.udata, kn.disabled, kn.keep = events, udata, false, 0
	if events&event.EpollET != 0 {
		kn.keep |= event.Clear
	}
	if events&event.EpollOneShot != 0 {
		kn.keep |= event.Dispatch
	}
}

// MayBeLate reports whether Control may answer EBADF of what it has found, and
// change nothing, because the number has ended since: who ends it may have let
// the file go.
func (s *State) MayBeLate(l Life) bool {
	return !slices.ContainsFunc(s.slots, func(x slot) bool { return x.life == l.life && !x.ending })
}

// NamesItem reports whether op, which has found what it speaks of, speaks of an item.
func (s *State) NamesItem(r Ref, ep, l Life, op event.Op) bool {
	return r == Ref{queue: ep.file, life: l.file, filter: Item, ident: uint64(op.To)}
}

// tooLong reports whether epoll q may not watch file n, which is a kqueue or an
// epoll: it would watch itself, or the chain would be too long.
func (s *State) tooLong(q, n int32) bool {
	if s.reaches(n, q) {
		return true
	}
	return s.above(q)+s.below(n) > chained
}

// item is ask for an item.
func (s *State) item(i int) (bool, event.Kevent) {
	kn := &s.knotes[i]
	if s.collects(kn.file) {
		s.prune(kn.file)
	}
	m := asked(s.mask(kn.file), kn.asks)
	return m != 0, event.Kevent{Ident: kn.ident, Filter: Item, Fflags: event.Fflags(m), Udata: kn.udata}
}

// An Event is what epoll_wait(2) returns of an item: its udata, and what holds.
func polledOf(kev event.Kevent) event.Polled {
	return event.Polled{ID: kev.Udata, Events: event.PollEvents(kev.Fflags)}
}

// TakeItem returns the states in which epoll q may be when it has just returned
// p, none if it may not. Nobody is told which item it was but by its udata.
func (s State) TakeItem(q int32, p event.Polled) (next []State) {
	for i := range s.knotes {
		if n := s.Clone(); n.takeItem(i, q, p) {
			next = append(next, n)
		}
	}
	return next
}

// RetrieveItem is TakeItem in place, and returns which item it was. Late is as in
// Retrieve. Of an item that watches a kqueue or an epoll it does not look whether
// that has something: see AnyNews.
func (s *State) RetrieveItem(q int32, p event.Polled, late bool) (Ref, bool) {
	for i := range s.knotes {
		kn := &s.knotes[i]
		if kn.queue != q || kn.filter != Item || kn.udata != p.ID || kn.disabled {
			continue
		}
		if s.nested(i) {
			if p.Events == 0 || p.Events != asked(in, kn.asks) {
				continue
			}
		} else {
			s.timesOut(i, p.Events&in != 0)
			if hit, e := s.ask(i); !hit || polledOf(e) != p {
				continue
			}
		}
		if s.taken(i, late) {
			return s.ref(i), true
		}
	}
	return Ref{}, false
}

// WatchedItem returns the kqueue or epoll that p, an event of epoll q, reports on;
// false if that is not what it does.
func (s *State) WatchedItem(q int32, p event.Polled) (inner int32, ok bool) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && kn.filter == Item && kn.udata == p.ID {
			return kn.file, s.nested(i)
		}
	}
	return 0, false
}

// control is Apply for epoll_ctl(2).
func (s *State) control(op event.Op) syscall.Errno {
	ep, errno := s.Find(op.FD)
	if errno != 0 {
		return errno
	}
	l, errno := s.Find(op.To)
	if errno != 0 {
		return errno
	}
	return s.Control(ep, l, op)
}

// epollWait is Apply for epoll_wait(2).
func (s *State) epollWait(op event.Op) (r event.Result) {
	q, errno := s.EnterEpoll(op.FD, op.Room)
	if errno != 0 {
		return event.Result{Errno: errno}
	}
	for _, kev := range s.scan(q, op.Room) {
		r.Polled = append(r.Polled, polledOf(kev))
	}
	if len(r.Polled) == 0 && s.interrupts(op) {
		s.interrupted(op)
		return event.Result{Errno: syscall.EINTR}
	}
	r.Pending = len(r.Polled) == 0 && op.Wait == event.Forever
	return r
}

// epollWaited is Step for it.
func (s State) epollWaited(op event.Op, r event.Result) []State {
	q, errno := s.EnterEpoll(op.FD, op.Room)
	if errno != 0 {
		if r.Equal(event.Result{Errno: errno}) {
			return []State{s}
		}
		return nil
	}
	if !r.Equal(event.Result{Polled: r.Polled, Pending: r.Pending}) || len(r.Polled) > op.Room ||
		r.Pending && len(r.Polled) > 0 || len(r.Polled) == 0 && r.Pending != (op.Wait == event.Forever) {
		return nil
	}
	if !s.anyOrder(q) {
		if n := s.Clone(); n.epollWait(op).Equal(r) {
			return []State{n}
		}
		return nil
	}
	// Level-triggered items are still there when they have been taken, and may not
	// be taken again.
	type path struct {
		State
		taken []Ref
	}
	var now []path
	for _, n := range s.anyInstantBelow(q) {
		now = append(now, path{n, nil})
	}
	for _, p := range r.Polled {
		var next []path
		for _, x := range now {
			for i := range x.knotes {
				ref := x.ref(i)
				if n := x.Clone(); !slices.Contains(x.taken, ref) && n.takeItem(i, q, p) {
					next = append(next, path{n, append(slices.Clone(x.taken), ref)})
				}
			}
		}
		now = next
	}
	var done []State
	for _, x := range now {
		// If there was room left, whatever else can be delivered should have been.
		if len(r.Polled) < op.Room && slices.ContainsFunc(x.Ready(nil, q, true), func(ref Ref) bool { return !slices.Contains(x.taken, ref) }) {
			continue
		}
		done = append(done, x.State)
	}
	return done
}

// takeItem has knote i retrieved, if it is an item of epoll q that p is an event of.
func (s *State) takeItem(i int, q int32, p event.Polled) bool {
	kn := &s.knotes[i]
	if kn.queue != q || kn.filter != Item || kn.udata != p.ID {
		return false
	}
	if s.timesOut(i, p.Events&in != 0); kn.place == 0 {
		return false
	}
	e, hit := s.look(i)
	if !hit || polledOf(e) != p {
		return false
	}
	s.retrieved(i)
	return true
}

// HasItem reports whether epoll q has an item that was added as number fd, enabled
// ones only if so asked.
func (s *State) HasItem(q int32, fd int, enabled bool) bool {
	return slices.ContainsFunc(s.knotes, func(kn knote) bool {
		return kn.queue == q && kn.filter == Item && kn.ident == uint64(fd) && !(enabled && kn.disabled)
	})
}
