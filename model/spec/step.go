package spec

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// Apply performs op in place and returns what it answers: the first of the
// answers that are allowed, where there is a choice. A kevent(2) that would wait
// for ever answers that it is pending, with its changes applied; no timer
// expires but one that has expired when it is added.
func (s *State) Apply(op event.Op) event.Result {
	switch op.Call {
	case event.CallDup:
		x := s.at(op.FD)
		if x == nil {
			return event.Result{Errno: syscall.EBADF}
		}
		fd := s.lowest()
		s.link(fd, x.file)
		return event.Result{N: int64(fd)}
	case event.CallDup2, event.CallClose:
		life, errno := s.Unlink(op)
		s.Reap(life)
		s.Release(life)
		return event.Result{Errno: errno}
	case event.CallKevent:
		return s.poll(op)
	case event.CallPoll, event.CallSelect:
		return s.looks(op)
	case event.CallEpollCtl:
		return event.Result{Errno: s.control(op)}
	case event.CallEpollWait:
		return s.epollWait(op)
	case event.CallSigaction:
		return event.Result{Errno: s.Sigaction(op)}
	case event.CallSigmask:
		return event.Result{Errno: s.Sigmask(op)}
	}
	switch shapes[op.Call] {
	case making:
		if errno := s.makes(op); errno != 0 {
			return event.Result{Errno: errno}
		}
		fd := s.lowest()
		l, _ := s.Make(op, fd)
		r := event.Result{N: int64(fd)}
		if op.Call.Makes() == 2 {
			r.N2 = int64(s.lowest())
			s.MakeOther(l, int(r.N2))
		}
		return r
	case acting, opening:
		w := s.BeginOp(&op)
		for !w.Done() {
			s.Act(&w, &op)
		}
		if w.Opens() {
			w.N = int64(s.lowest())
			s.Opened(&w, int(w.N))
		}
		return event.Result{N: w.N, Errno: w.Errno}
	case processing:
		d := Start(op, s.has.blocked)
		for !d.Done() {
			s.Go(&d, &op)
		}
		return event.Result{N: d.N, N2: d.N2, Errno: d.Errno}
	}
	return event.Result{Errno: syscall.ENOSYS}
}

// A shape is what steps an operation has.
type shape uint8

const (
	unknown    shape = iota
	making           // it makes a file of nothing, or two
	acting           // it does something to a file that it finds
	opening          // it does, and makes another file by that, or takes one
	processing       // it does something to a process
)

// shapes has those of the calls that are not said one by one. What is not in it is
// ENOSYS.
var shapes = [256]shape{
	event.CallKqueue: making,
	event.CallEpoll:  making,
	event.CallProbe:  making,
	event.CallPipe:   making,
	event.CallSet:    acting,
	event.CallRead:   acting,
	event.CallWrite:  acting,

	event.CallFifo:    making,
	event.CallReopen:  opening,
	event.CallPty:     making,
	event.CallTermios: acting,

	event.CallFork: processing,
	event.CallExec: processing,
	event.CallExit: processing,
	event.CallWait: processing,
	event.CallKill: processing,

	event.CallSocketpair: making,
	event.CallSocket:     making,
	event.CallListen:     acting,
	event.CallConnect:    acting,
	event.CallAccept:     opening,
	event.CallSend:       acting,
	event.CallRecv:       acting,
	event.CallShutdown:   acting,
	event.CallSockErr:    acting,

	event.CallDevice:  making,
	event.CallInput:   acting,
	event.CallOutput:  acting,
	event.CallUnplug:  acting,
	event.CallControl: acting,

	event.CallDisk:      making,
	event.CallAIO:       opening,
	event.CallComplete:  acting,
	event.CallAIOCancel: acting,
	event.CallAIOError:  acting,
	event.CallAIOReturn: acting,

	event.CallCreat:    opening,
	event.CallOpen:     opening,
	event.CallMkdir:    acting,
	event.CallRmdir:    acting,
	event.CallUnlink:   acting,
	event.CallRename:   acting,
	event.CallLink:     acting,
	event.CallChmod:    acting,
	event.CallRevoke:   acting,
	event.CallTruncate: acting,
	event.CallSeek:     acting,
	event.CallMount:    acting,
	event.CallUnmount:  acting,
}

// Step returns every state in which the world may be after op has answered r in
// state s, none if r is no answer that it may give. They share nothing with s.
// A result that is pending is that of an operation that has taken effect
// or not; but of a kevent(2) that has room, that it has found nothing.
func (s State) Step(op event.Op, r event.Result) []State {
	n := s.Clone()
	switch {
	case (shapes[op.Call] == making || shapes[op.Call] == opening || op.Call == event.CallDup) && r.Errno == 0 && !r.Pending:
		return n.made(op, r)
	case op.Call == event.CallKevent && (r.Pending || n.knows(op.FD)):
		return n.polled(op, r)
	case op.Call == event.CallPoll || op.Call == event.CallSelect:
		return n.looked(op, r)
	case op.Call == event.CallEpollWait:
		return n.epollWaited(op, r)
	}
	got := n.Apply(op)
	switch {
	case r.Pending:
		return doneOrNot(s.Clone(), n)
	case got.Equal(r):
		return []State{n}
	}
	return nil
}

func (s *State) knows(fd int) bool {
	_, errno := s.Enter(fd)
	return errno == 0
}

// made is Step for what makes descriptors, of which r has the numbers.
func (s State) made(op event.Op, r event.Result) []State {
	fd, other := int(r.N), int(r.N2)
	if int64(fd) != r.N || int64(other) != r.N2 || len(r.Events) > 0 || len(r.Polled) > 0 || op.Call.Makes() < 2 && other != 0 {
		return nil
	}
	if op.Call == event.CallDup {
		if !s.Duplicate(op.FD, fd) {
			return nil
		}
		return []State{s}
	}
	if shapes[op.Call] == opening {
		w := s.BeginOp(&op)
		for !w.Done() {
			s.Act(&w, &op)
		}
		if !w.Opens() || !s.Opened(&w, fd) {
			return nil
		}
		return []State{s}
	}
	l, ok := s.Make(op, fd)
	if !ok || op.Call.Makes() == 2 && !s.MakeOther(l, other) {
		return nil
	}
	return []State{s}
}

// poll is Apply for kevent(2).
func (s *State) poll(op event.Op) event.Result {
	q, errno := s.Enter(op.FD)
	if errno != 0 {
		return event.Result{Errno: errno}
	}
	records, errno := s.changes(q, op)
	if errno != 0 || len(records) > 0 || op.Room == 0 {
		if errno != 0 {
			records = nil
		}
		return event.Result{Errno: errno, Events: records}
	}
	events := s.scan(q, op.Room)
	return event.Result{Events: events, Pending: len(events) == 0 && op.Wait == event.Forever}
}

// changes applies the changes of op one after another and returns their
// records, or the errno of one that fails when there is no room for its record:
// there the call stops, and what was applied stays applied.
func (s *State) changes(q int32, op event.Op) (records []event.Kevent, errno syscall.Errno) {
	for _, kev := range op.Changes {
		errno := s.Change(q, kev)
		switch {
		case errno == 0 && kev.Flags&event.Receipt == 0:
		case len(records) < op.Room:
			records = append(records, Record(kev, errno))
		case errno != 0:
			return records, errno
		}
	}
	return records, 0
}

// Record returns what reports that change kev has answered errno.
func Record(kev event.Kevent, errno syscall.Errno) event.Kevent {
	kev.Flags, kev.Data = event.Error, int64(errno)
	return kev
}

// polled is Step for kevent(2) on a descriptor that is a kqueue's, or for one
// that is pending.
func (s State) polled(op event.Op, r event.Result) []State {
	q, errno := s.Enter(op.FD)
	if errno != 0 {
		return nil
	}
	records, errno := s.changes(q, op)
	got := event.Result{Errno: errno, Events: records}
	if errno != 0 {
		got.Events = nil
	}
	if errno != 0 || len(records) > 0 || op.Room == 0 {
		if got.Equal(r) {
			return []State{s}
		}
		return nil
	}
	if r.Errno != 0 || r.N != 0 || r.N2 != 0 || len(r.Events) > op.Room || r.Pending && len(r.Events) > 0 ||
		len(r.Events) == 0 && r.Pending != (op.Wait == event.Forever) {
		return nil
	}
	if !s.anyOrder(q) {
		if slices.Equal(s.scan(q, op.Room), r.Events) {
			return []State{s}
		}
		return nil
	}
	now := s.anyInstantBelow(q)
	for i, kev := range r.Events {
		// At most once a call.
		if slices.ContainsFunc(r.Events[:i], func(e event.Kevent) bool { return e.Ident == kev.Ident && e.Filter == kev.Filter }) {
			return nil
		}
		var next []State
		for _, s := range now {
			next = append(next, s.Take(q, kev)...)
		}
		now = next
	}
	if len(r.Events) == op.Room {
		return now
	}
	// There was room left: whatever else can be delivered should have been.
	return slices.DeleteFunc(now, func(s State) bool {
		return slices.ContainsFunc(s.Deliverable(q), func(kev event.Kevent) bool {
			return !slices.ContainsFunc(r.Events, func(e event.Kevent) bool { return e.Ident == kev.Ident && e.Filter == kev.Filter })
		})
	})
}
