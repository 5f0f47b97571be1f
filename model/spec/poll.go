package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// How poll(2) is judged. A call is, for each of its entries, one look at the
// file, at some instant between call and return: revents is what held then,
// and 0 too says that nothing of what was asked held then. No two entries need
// be looked at at once, and an entry that names a descriptor that another names
// is looked at by itself. From this follows what a caller counts on: a condition
// that held during the whole call is reported, one that held at no instant of it
// is not. Besides:
//
//   - A call that waits returns nothing only when its time is over, and one
//     that waits for as long as it takes never does.
//   - It sleeps on only while nothing is to be reported: when nothing runs any
//     more, no entry of a sleeper may hold.
//   - A number that is not open is POLLNVAL, which is reported at once. A
//     negative one is passed over.
//   - A call changes nothing that anybody else can see, so nobody needs to know
//     in which order two of them came.
//
// What a number stands for may end while it is polled; see Ended.
//
// select(2) is the same with three conditions, each a set of those of poll(2):
// see ReadSet, WriteSet and ExceptSet. The three of one descriptor are one look.
// If a descriptor is not open the whole call answers EBADF.

// The conditions by which select(2) says that a descriptor is ready, as Linux
// has them in fs/select.c. POSIX says of them that a read, or a write, would not
// block, which an error and a hang-up see to as well.
const (
	ReadSet   = event.PollIn | event.PollRdNorm | event.PollRdBand | event.PollHup | event.PollErr
	WriteSet  = event.PollOut | event.PollWrNorm | event.PollWrBand | event.PollErr
	ExceptSet = event.PollPri
)

const (
	always  = event.PollErr | event.PollHup // told whether asked for or not
	in, out = event.PollIn | event.PollRdNorm, event.PollOut | event.PollWrNorm
)

// mask returns all conditions that hold of a file. It changes nothing.
func (s *State) mask(n int32) event.PollEvents { return s.of(n).mask(s, n) }

// asked returns what of a mask is told to who has asked for events.
func asked(mask, events event.PollEvents) event.PollEvents { return mask & (events | always) }

// Sets returns those of the sets in want, each PollIn, PollOut or PollPri, that a
// descriptor with the conditions m is in.
func Sets(m, want event.PollEvents) (sets event.PollEvents) {
	for _, x := range [...]struct{ set, of event.PollEvents }{{event.PollIn, ReadSet}, {event.PollOut, WriteSet}, {event.PollPri, ExceptSet}} {
		if m&x.of != 0 {
			sets |= want & x.set
		}
	}
	return sets
}

// Counts reports whether a poll(2) or select(2) looks at entry p of it at all.
func Counts(op event.Op, p event.PollFD) bool {
	return p.FD >= 0 && (op.Call == event.CallPoll || int64(p.FD) < op.N)
}

// LookFor is what op, a poll(2) or a select(2), says of entry p if it looks now.
// PollNval is that there is no such descriptor, also to a select(2).
func (s *State) LookFor(op event.Op, p event.PollFD) event.PollEvents {
	if !Counts(op, p) {
		return 0
	}
	x := s.at(int(p.FD))
	if x == nil {
		return event.PollNval
	}
	return s.told(op, p, x.file)
}

// LookAt is LookFor for who has found before what the number stands for, and goes
// on with that; false if there is nothing left to look at.
func (s *State) LookAt(l Life, op event.Op, p event.PollFD) (event.PollEvents, bool) {
	if s.files[l.file].gone {
		return 0, false
	}
	return s.told(op, p, l.file), true
}

// told is what op says of entry p, which stands for a file.
func (s *State) told(op event.Op, p event.PollFD, file int32) event.PollEvents {
	m := s.mask(file)
	if op.Call == event.CallSelect {
		return Sets(m, p.Events)
	}
	return asked(m, p.Events)
}

// looks is Apply for poll(2) and select(2), with all entries looked at at once.
func (s *State) looks(op event.Op) (r event.Result) {
	if op.Call == event.CallSelect && op.N < 0 {
		return event.Result{Errno: syscall.EINVAL}
	}
	for _, p := range op.FDs {
		m := s.LookFor(op, p)
		if m == event.PollNval && op.Call == event.CallSelect {
			return event.Result{Errno: syscall.EBADF}
		}
		if m != 0 {
			r.Polled = append(r.Polled, event.Polled{ID: uint64(p.FD), Events: m})
		}
	}
	if len(r.Polled) == 0 && s.interrupts(op) {
		s.interrupted(op)
		return event.Result{Errno: syscall.EINTR}
	}
	r.Pending = len(r.Polled) == 0 && op.Wait == event.Forever
	return r
}

// looked is Step for them. Of the kqueues and epolls that are looked at timers
// may have expired, and of other files read timeouts.
func (s State) looked(op event.Op, r event.Result) (next []State) {
	all := []State{s}
	for _, p := range op.FDs {
		x := s.at(int(p.FD))
		if x == nil || !Counts(op, p) {
			continue
		}
		var more []State
		for _, n := range all {
			if s.collects(x.file) {
				more = append(more, n.anyInstantIn(x.file)...)
				continue
			}
			more = append(more, n)
			if m := n.Clone(); m.anyTimeout(x.file) {
				more = append(more, m)
			}
		}
		all = more
	}
	for _, n := range all {
		if n.looks(op).Equal(r) {
			next = append(next, n)
		}
	}
	return next
}
