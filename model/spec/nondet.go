package spec

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A Freedom is something that a specification leaves open only in some worlds.
type Freedom uint8

// The freedoms of a world; what is open in every world has no bit.
const (
	AnyOrder  Freedom = 1 << iota // see anyOrder
	AnyNumber                     // see anyNumber
	LateNews                      // see lateNews
)

// anyOrder: events come in any order. "Order is FIFO by arrival at the queue
// (across CPUs the order of arrival is a named freedom)": two sources that post
// at once on two CPUs arrive in either order, and what a projection leaves out
// of a history has its place in the order too. Without it the order is that of
// arrival, except for what anyInstant lets in.
func (s *State) anyOrder(q int32) bool { return s.free&AnyOrder != 0 || s.anyInstant(q) }

// anyInstant: a timer expires at any instant after it was started, so its place
// among the events is open. "The periodic interval is a lower bound": nothing
// promises that a timer is on time, and the specification has no clock.
func (s *State) anyInstant(q int32) bool {
	return slices.ContainsFunc(s.knotes, func(kn knote) bool { return s.ticks(&kn) && s.reaches(q, kn.queue) })
}

// ticks reports whether something may come to a knote that nobody does: the expiry of a
// timer, or that of a read timeout.
func (s *State) ticks(kn *knote) bool {
	return kn.filter == event.Timer || kn.file >= 0 && s.files[kn.file].timeout
}

// anyTimeout: a read timeout is over at any instant after it has begun, which was when
// somebody came to watch, or read last. "The length of time to wait before timing out on
// a read request": how late it is nobody promises. So what is in the store of file n may be
// told of; and if it is, the timeout is over. It returns whether that may be.
func (s *State) anyTimeout(n int32) bool {
	if !s.mayTimeOut(n) {
		return false
	}
	s.files[n].timedOut = true
	s.post(n, 0, 0)
	return true
}

// mayTimeOut reports whether the end of a read timeout would be news.
func (s *State) mayTimeOut(n int32) bool {
	return n >= 0 && s.files[n].timeout && !s.files[n].timedOut && s.files[n].stored > 0 && s.captured(n) == 0
}

// Overdue reports whether kqueue or epoll q has a knote that a read timeout should have
// told by now, if nothing moves any more: "any instant" is one that comes. With a timer that
// expires again and again there is no such time.
func (s *State) Overdue(q int32) bool {
	due := false
	for i := range s.knotes {
		switch kn := &s.knotes[i]; {
		case kn.filter == event.Timer && kn.more == manyTicks:
			return false
		case kn.queue == q && !kn.disabled && s.mayTimeOut(kn.file):
			due = due || kn.filter == event.Read || kn.filter == Item && kn.asks&in != 0
		}
	}
	return due
}

// timesOut is anyTimeout for knote i, of which p has been reported: without that it would
// have nothing to report.
func (s *State) timesOut(i int, p bool) {
	if kn := &s.knotes[i]; p && (kn.filter == event.Read || kn.filter == Item) {
		s.anyTimeout(kn.file)
	}
}

// anyInstantBelow: the timers of the kqueues that q watches may have expired by
// now or not, as anyInstant says; who looks from q sees only that there are
// events. It returns s and what it may be instead.
func (s State) anyInstantBelow(q int32) []State {
	return s.anyInstants(q, func(kn *knote) bool { return kn.queue != q })
}

// anyInstantIn is anyInstantBelow for who polls q itself, and sees of its own
// timers no more.
func (s State) anyInstantIn(q int32) []State {
	return s.anyInstants(q, func(*knote) bool { return true })
}

func (s State) anyInstants(q int32, of func(*knote) bool) []State {
	all := []State{s}
	for i := range s.knotes {
		kn := &s.knotes[i]
		timer := kn.filter == event.Timer && kn.pending == 0 && kn.more != noTick
		if !timer && !s.mayTimeOut(kn.file) || !of(kn) || !s.reaches(q, kn.queue) {
			continue
		}
		for _, x := range all {
			n := x.Clone()
			n.anyTicks(i, 1)
			n.anyTimeout(kn.file)
			all = append(all, n)
		}
	}
	return all
}

// anyTicks: before a timer is retrieved with data expirations it may have
// expired so often. "data contains the number of times the timeout has expired
// since the last call to kevent()": one that expires once cannot say two, and
// none takes back what it has counted.
func (s *State) anyTicks(i int, data int64) {
	kn := &s.knotes[i]
	switch {
	case kn.filter != event.Timer || data <= kn.pending:
		return
	case kn.more == oneTick && data == kn.pending+1:
		kn.more = noTick
	case kn.more != manyTicks:
		return
	}
	kn.pending = data
	s.fire(i)
	s.visit()
}

// anyNumber: a new descriptor has any number that is free. The manual pages of
// kqueue do not speak of it, and who looks at some descriptors of a process only
// does not know which numbers the others have; without it the number is the
// lowest that is free, as POSIX has it.
func (s *State) anyNumber(fd int) bool {
	if fd < 0 || s.at(fd) != nil {
		return false
	}
	return s.free&AnyNumber != 0 || fd == s.lowest()
}

// halfEnded: a change that has found a descriptor, and comes to a knote of it
// while another thread is closing it, may be refused or not. "close(fd) removes
// the knotes of that descriptor number before it returns": when, within the
// call, it does not say. A number that dup2 gives a new life has been open
// all the time, and yet answers EBADF then.
func (s *State) halfEnded(l Life) bool {
	return slices.ContainsFunc(s.slots, func(x slot) bool { return x.life == l.life && x.ending && !x.reaped })
}

// halfGone: an item goes with its file, at some instant in the close that ends
// the last descriptor of that. "All": the number is free before.
func (s *State) halfGone(file int32) bool {
	return !slices.ContainsFunc(s.slots, func(x slot) bool { return x.file == file && !x.ending })
}

// lateNews: who tells a knote of something may come when that has been
// retrieved already, and then EV_CLEAR returns it once more. So it is with a
// knote that watches a kqueue: it is told in a visit of its own, when the event
// is on the kqueue's list and can be counted. Who posts makes the visit before
// its call returns, so only calls that are under way are late.
//
//	set 2 5                     kevent 0, where READ 1, a kqueue, is due
//	puts READ 2 on 1's list
//	                            returns READ 1, 2 events
//	visits 1, tells READ 1:
//	2 events                    <- returned once more
//
// A timer below a kqueue tells whenever it likes.
func (s *State) lateNews(i int) bool {
	kn := &s.knotes[i]
	return kn.late || s.nested(i) && s.reachesTimer(kn.file)
}

// coalesced: what fires on a kqueue's list that is there already is no news to
// who watches the kqueue; but the list may have been looked through meanwhile by
// a call that returned nothing, and then it is. "May", since that call leaves
// no trace in what anybody is answered.
func (s *State) coalesced(q int32) {
	if s.free&LateNews == 0 {
		return
	}
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.file == q && s.nested(i) && !kn.late {
			kn.late = true
			s.coalesced(kn.queue)
		}
	}
}

// mayTick: knote i may be ready although nothing is known of it, because a
// timer expires at any instant.
func (s *State) mayTick(i int) bool {
	kn := &s.knotes[i]
	switch {
	case kn.filter == event.Timer:
		return kn.more != noTick
	case s.mayTimeOut(kn.file):
		return kn.filter == event.Read || kn.filter == Item && kn.asks&in != 0
	}
	return s.nested(i) && s.reachesTimer(kn.file)
}

func (s *State) reachesTimer(q int32) bool {
	return slices.ContainsFunc(s.knotes, func(kn knote) bool {
		return s.ticks(&kn) && !kn.disabled && s.reaches(q, kn.queue)
	})
}

// HalfClosed is ChangeOf for a call that had come to kqueue q before it was
// closed: until the close returns it may go on with what it is at, and only then
// "no knote of it survives"; or it is answered EBADF as all who come later. So
// it is with its retrievals.
//
//	kevent 0: READ 1 ADD        close 0
//	0 is open
//	                            0 is closed: who comes now is answered EBADF
//	adds READ 1
//	                            removes the knotes, READ 1 among them
func (s *State) HalfClosed(q int32, l Life, kev event.Kevent) syscall.Errno {
	return s.applied(q, l, kev)
}

// doneOrNot: of an operation that has not returned nobody knows whether it has
// taken effect. "What was applied stays applied."
func doneOrNot(before, after State) []State { return []State{before, after} }

// AnyCount: a kqueue that watches kqueue q may report that it has n events. "The
// number of events available" is counted by asking one knote after another, and
// while others are at work the count is of no one instant: what was ready all
// the time is in it, as sure says, and no more than there ever was, most. If
// nobody does anything meanwhile it is exact, but for timers.
func (s *State) AnyCount(q int32, n int64, sure []Ref, most int64, quiet bool) bool {
	if quiet {
		c := s.Census(q)
		return c.Least <= n && n <= c.Now
	}
	return n > 0 && int64(len(sure)) <= n && n <= most
}

// MayLoop: a change to kqueue q that would watch what l is may be refused with
// ELOOP, while another call is under way that has ended a watch: it takes it
// out of the graph before it returns, and "before" is all that is promised.
func (s *State) MayLoop(q int32, l Life) bool {
	return l.file >= 0 && s.collects(l.file)
}

// HalfTold: of what one step tells several knotes of a queue, a call that is under
// way may return some and leave the rest to the next. "A kevent() call is not atomic:
// each event that it returns is a step", and what a call must return is what was ready
// when it began. Who tells the knotes does so one after another, and between two of
// them the end of a scan may be marked. That is not their order, of which anyOrder is:
// they come in the same either way, but at two instants, while the device shows what
// both report at one.
//
//	close 2, a reset of 1       kevent 0 room=4
//	                            begins
//	tells READ 1
//	                            returns READ 1
//	tells EXCEPT 1
//
// It returns the knotes that a step of another has told, by what was due before it and
// is after. Without the freedom a call that returns one of them, and has room, returns
// all that are due when it takes its last.
func HalfTold(before, after []Due) (told []Ref) {
	for _, d := range after {
		if !slices.Contains(before, d) {
			told = append(told, d.Ref)
		}
	}
	return told
}

// EndedMeanwhile: an entry of a poll(2) or a select(2) whose number has ended while
// the call was under way may have missed all that there was; and a call that sleeps
// on it sleeps on. "If a file descriptor being monitored is closed in another thread,
// the result is unspecified"; of Linux the page goes on that the close "has no effect"
// on the call. That there is no such descriptor is said only if there was none.
func EndedMeanwhile(v event.PollEvents) bool { return v == 0 }

// AnyNews: an item that watches q, a kqueue or an epoll, may report that it has
// something: if it has, or at some instant since somebody looked may have had, see
// AnyCount.
func (s *State) AnyNews(q int32, most int64, quiet bool) bool {
	if quiet {
		return s.Census(q).Now > 0
	}
	return most > 0
}

// Collects reports whether l is a kqueue or an epoll.
func (s *State) Collects(l Life) bool { return s.collects(l.file) }

// MayExpire reports whether what is not ready of l, a kqueue or an epoll, may be
// because a timer expires at any instant: see mayTick; or that of any other file, since a
// read timeout is over at any.
func (s *State) MayExpire(l Life) bool {
	return s.collects(l.file) && s.reachesTimer(l.file) || s.mayTimeOut(l.file)
}

// MayTake: which of the threads of a process takes a signal that was sent to it is open, as
// long as it is one that does not block it: "the signal shall be delivered to exactly one of
// those threads within the process", and if all block it, it stays pending "until a thread
// ... unblocks delivery of the signal".
func MayTake(sig int, blocks event.Sigset) bool { return !(blocks &^ unblockable).Has(sig) }

// Expired is what op says of entry p when a timer there has expired.
func Expired(op event.Op, p event.PollFD) event.PollEvents {
	if op.Call == event.CallSelect {
		return Sets(in, p.Events)
	}
	return asked(in, p.Events)
}
