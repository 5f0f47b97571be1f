package kqueue

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A Knote is a queue's interest in one condition of one source. It has two
// halves, and nothing in it is atomic. The source's half is the whole state
// machine of the registration, and every step that a user can see is taken
// there; the queue's half only says where the knote is linked. Each half is
// touched inside its own domain only.
type Knote struct {
	// Immutable from before the knote is hashed until it is freed.
	place *Place // of src
	ops   *Filter
	q     *Queue
	id    uint64

	// The source's half: guarded by place. The hot part of it shares a line
	// with the above.

	udata uint64
	snext *Knote // src.notes
	// Data is what the filter reports.
	Data  int64
	keep  event.Flags  // OneShot, Clear, Dispatch: as first added; OneShot also since Last
	filt  event.Filter // immutable
	kind  kind         // immutable: how the filter is asked
	state sourceHalf
	// Cond is the conditions that the filter reports: EOF, NoData, HUP.
	Cond event.Flags

	// Fflags is what the filter reports.
	Fflags event.Fflags
	// Want is the fflags that the user asks for, WantData the data: a
	// low-water mark, a period.
	Want     event.Fflags
	WantData int64
	// Answer is added to the fflags that are returned: what a filter that stands for
	// another one's has to say besides. Whoever returns those as they are leaves it 0.
	Answer event.Fflags
	left   uint32 // uses ended: see used
	// Pending is what the filter has counted. EV_CLEAR zeroes it, and Data and
	// Fflags, on retrieval.
	Pending int64
	// Hook is the filter's own.
	Hook any

	sprev   *Knote  // src.notes
	level   *int64  // of a filter with Level
	desc    *Desc   // immutable: the life of a descriptor number that it is tied to, or nil
	src     *Source // immutable
	waiters int32   // threads that wait for busy to pass or for done
	again   []int64 // hints of callouts that came while it was busy

	asker *machine.Thread // of a virtual machine: who is in a filter that may lose the domain

	// What asks, of a knote that is called: Event of ops. Those of a joint are its own,
	// which a harvest of thousands would have to fetch from memory.
	called func(td *machine.Thread, kn *Knote, hint int64) bool

	// The queue's half: guarded by q.place. It begins a line, the fourth and last, since
	// the halves are written by different CPUs.

	qprev *Knote // q.ready
	qnext *Knote // q.ready
	link  queueHalf
	used  uint32 // uses begun, each a lookup that leaves the queue; see clean
	hnext *Knote // q.hash
	mail  machine.Mail
}

// Queue returns the queue that kn belongs to.
func (kn *Knote) Queue() *Queue { return kn.q }

// Ident returns what the user calls the thing watched.
func (kn *Knote) Ident() uint64 { return kn.id }

// Filter returns the filter that the knote was added with.
func (kn *Knote) Filter() event.Filter { return kn.filt }

// Source returns the source that the knote watches.
func (kn *Knote) Source() *Source { return kn.src }

// File returns the file of the descriptor that the knote was added with, or
// nil if its filter is not one of descriptors. (kn_fp)
func (kn *Knote) File() File {
	if kn.desc == nil {
		return nil
	}
	return kn.desc.File
}

// Keep returns which of OneShot, Clear and Dispatch the knote was added with.
func (kn *Knote) Keep() event.Flags { return kn.keep }

// Udata returns what the user has given the knote to hand back.
func (kn *Knote) Udata() uint64 { return kn.udata }

// Last makes the next event that is retrieved the knote's last, as EV_ONESHOT does. Its
// filter calls it when there will be no more.
func (kn *Knote) Last() { kn.keep |= event.OneShot }

// Hold keeps what kn points to from becoming another knote, although it may end, until
// Drop. Both are called in the source's domain, which may be left between them.
func (kn *Knote) Hold() { kn.waiters++ }

// Drop ends a Hold, and reports whether the registration has not ended.
func (kn *Knote) Drop() bool {
	kn.waiters--
	return kn.state&gone == 0
}

// Called makes f the Event of the knote's filter, which must be no other knote's. Only
// that filter's own functions call it, in the source's domain.
func (kn *Knote) Called(f func(td *machine.Thread, kn *Knote, hint int64) bool) {
	kn.ops.Event, kn.called = f, f
}

// Mail returns the knote's own message, to post it to an inbox that belongs to
// its queue's domain. Received there, it activates the knote.
func (kn *Knote) Mail() *machine.Mail { return &kn.mail }

// Receive activates the knote where its mail has arrived.
func (kn *Knote) Receive(td *machine.Thread) { Activate(td, kn) }

// A sourceHalf is the state of a registration.
//
//	bit       set by                                cleared by
//	busy      who runs a filter that may block;     the same
//	          the maker, before the knote is found
//	hooked    the maker, when attach has succeeded  -
//	fired     a filter call that says yes           an evaluation that says no; EV_CLEAR
//	posted    who delivers it                       the evaluation, by the scan that claimed it
//	disabled  EV_DISABLE; EV_DISPATCH's retrieval   EV_ENABLE, EV_ADD
//	gone      who ends it: the commitment           -
//	done      who cleaned it, last of all           -
//
// The life of a knote that fires, from the left:
//
//	           fire              take
//	idle ------------> posted ---------> idle      (not ready; EV_CLEAR; disabled)
//	                     ^          |
//	                     +----------+              (level: still posted)
//	any, not busy --- end ---> gone --- cleaned ---> done
type sourceHalf uint8

const (
	busy sourceHalf = 1 << iota
	hooked
	fired
	posted
	disabled
	gone
	done
	// marked is on a walker's place in a source's list, no knote at all.
	marked
)

// fire notes that the condition holds. It reports whether the caller must
// deliver the knote: it is then posted, and nobody else will.
func (s *sourceHalf) fire() (deliver bool) {
	if *s&(gone|marked) != 0 {
		return false
	}
	*s |= fired
	if *s&(posted|disabled) != 0 {
		return false
	}
	*s |= posted
	return true
}

// enable undoes disable; a condition that was noted meanwhile is delivered.
func (s *sourceHalf) enable() (deliver bool) {
	*s &^= disabled
	return *s&fired != 0 && s.fire()
}

// disable keeps the knote from being returned. It stays fired (decision 3).
func (s *sourceHalf) disable() { *s |= disabled }

// end commits the end of the registration, and reports whether it was the
// caller who did: the one who must clean.
func (s *sourceHalf) end() bool {
	if *s&gone != 0 {
		return false
	}
	*s |= gone
	return true
}

// A verdict is what an evaluation says about the knote's place in its queue.
type verdict uint8

const (
	off  verdict = iota // leave the list
	tail                // level-triggered: return to the tail
	stay                // only looked at, and ready: stay where it is
	over                // a one-shot whose end the evaluation committed: off, then clean
)

// take is an evaluation by a scan. Until look it is no longer posted: whoever
// finds the condition true from here on delivers anew. It reports whether the
// filter should be asked.
func (s *sourceHalf) take() bool {
	*s &^= posted
	return *s&(gone|disabled) == 0
}

// look ends an evaluation that found the condition to be hit or not; flags are
// the knote's own. With peek nothing is consumed.
func (s *sourceHalf) look(hit, peek bool, flags event.Flags) verdict {
	switch {
	case !hit:
		*s &^= fired
		return off
	case peek:
		*s |= fired | posted
		return stay
	case flags&event.OneShot != 0:
		*s |= gone
		return over
	}
	*s |= fired
	if flags&event.Clear != 0 {
		*s &^= fired
	}
	if flags&event.Dispatch != 0 {
		*s |= disabled
	}
	if flags&(event.Clear|event.Dispatch) != 0 {
		return off
	}
	*s |= posted
	return tail
}

// glance is take and look in one, for a knote neither gone nor disabled, with
// no flag but EV_CLEAR, whose domain is not left in between. It reports whether
// the verdict is tail; else it is off.
func (s *sourceHalf) glance(hit bool, flags event.Flags) bool {
	if hit && flags == 0 {
		*s |= fired | posted
		return true
	}
	*s &^= fired | posted
	return false
}

// A queueHalf says where the knote is linked.
//
//	bit      set by                              cleared by
//	hashed   the maker                           die
//	listed   arrive                              settle, die
//	claimed  a scan that goes to the source      settle
//	rearm    arrive, on a claimed knote          settle
//	dying    die                                 -
type queueHalf uint8

const (
	hashed queueHalf = 1 << iota
	listed
	claimed
	rearm
	dying
	// marker is on a scan's place in the ready list, no knote at all.
	marker
)

// An arrival is what becomes of a knote that has been delivered.
type arrival uint8

const (
	drop   arrival = iota // it is dying
	insert                // append it to the list
	noted                 // it is claimed; settling will see to it
)

func (l *queueHalf) arrive() arrival {
	switch {
	case *l&dying != 0:
		return drop
	case *l&claimed != 0:
		*l |= rearm
		return noted
	default:
		*l |= listed
		return insert
	}
}

// enlist is arrive for a knote at rest, neither claimed nor dying; false, and
// nothing done, for any other.
func (l *queueHalf) enlist() bool {
	if *l != hashed {
		return false
	}
	*l = hashed | listed
	return true
}

// settle ends a claim, and returns where the knote goes. A delivery that came
// while it was claimed brings it to the tail whatever the verdict: the
// evaluation that the verdict is from was before it (trap 4).
func (l *queueHalf) settle(v verdict) verdict {
	again := *l&rearm != 0
	*l &^= claimed | rearm
	switch {
	case *l&dying != 0:
		return stay // unlinked already
	case again && v != over:
		return tail
	case v == off || v == over:
		*l &^= listed
	}
	return v
}

// die ends the queue's half. It reports whether the knote was on the list.
func (l *queueHalf) die() (wasListed bool) {
	wasListed = *l&listed != 0
	*l = *l&claimed | dying
	return wasListed
}
