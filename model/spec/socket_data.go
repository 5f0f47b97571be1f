package spec

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// receive: the bytes there are, not past a mark, or the first datagram, whose rest is
// lost; or the urgent byte.
func (s *State) receive(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case op.OOB:
		s.receiveUrgent(n, w, op)
		return
	case op.N == 0:
		w.ends(0)
		return
	case f.typ == event.Datagram && s.first(n) < 0, f.typ == event.Stream && f.level == 0:
		s.nothing(n, w)
		return
	}
	before, took, lost := int64(0), min(op.N, f.level), int64(0)
	p := s.other(n)
	if p != nil {
		before = s.room(f.peer)
	}
	if f.typ == event.Datagram {
		i := s.first(n)
		took = min(op.N, s.queued[i].n)
		lost = s.queued[i].n - took
		s.queued = slices.Delete(s.queued, i, i+1)
	} else {
		took = f.urgent.pass(took)
	}
	f.level -= took + lost
	if p != nil {
		hint := before + 1
		if p.starved {
			p.starved, hint = false, 0
		}
		s.post(f.peer, event.Write, hint)
	}
	w.ends(took)
}

// pass has so many bytes read, or those before the mark, and returns how many.
func (u *urgent) pass(n int64) int64 {
	switch {
	case u.ahead > 0:
		n = min(n, u.ahead)
		u.ahead -= n
		u.at = u.ahead == 0
	case u.at:
		*u = urgent{}
	}
	return n
}

// nothing is what a receive answers that finds nothing. No error is the end.
func (s *State) nothing(n int32, w *Work) {
	switch f := &s.files[n]; {
	case f.err != 0:
		w.fails(s.takeError(n))
	case f.noRecv:
		w.ends(0)
	case f.phase != connected && f.typ == event.Stream:
		w.fails(syscall.ENOTCONN)
	default:
		w.fails(syscall.EAGAIN)
	}
}

// receiveUrgent takes the byte, wherever its mark is, and leaves the mark.
func (s *State) receiveUrgent(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case f.typ != event.Stream || f.pair:
		w.fails(syscall.EOPNOTSUPP)
	case !f.urgent.has:
		w.fails(syscall.EINVAL)
	case op.N == 0:
		w.ends(0)
	default:
		f.urgent.has = false
		w.ends(1)
	}
}

// send: what fits of a stream; all of a datagram, or nothing. To a port it is several
// steps, see sendTo.
func (s *State) send(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case f.typ == event.Datagram && !f.pair && !op.OOB:
		s.sendTo(n, w, op)
	case !s.sendable(n, w):
	case op.OOB && (f.typ != event.Stream || f.pair):
		w.fails(syscall.EOPNOTSUPP)
	case f.typ == event.Datagram:
		s.sendPair(n, w, op)
	case op.OOB:
		s.sendUrgent(n, w, op)
	default:
		s.sendStream(n, w, op)
	}
}

// sendable reports whether nothing stands in the way of any attempt to send. What does
// is answered.
func (s *State) sendable(n int32, w *Work) bool {
	switch f := &s.files[n]; {
	case f.gone:
		w.fails(syscall.EBADF)
	case f.noSend:
		w.fails(syscall.EPIPE)
	case f.err != 0:
		w.fails(s.takeError(n))
	}
	return !w.done
}

func (s *State) sendStream(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case f.phase != connected:
		w.fails(syscall.ENOTCONN)
		return
	case op.N == 0:
		w.ends(0)
		return
	}
	p := s.other(n)
	switch {
	case p == nil: // it answers that there is no such connection
		s.reset(n, syscall.ECONNRESET)
		w.ends(op.N)
		return
	case p.noRecv:
		w.ends(op.N)
		return
	}
	put := min(s.room(n), op.N)
	if put < op.N {
		f.starved = true
	}
	if put == 0 {
		w.fails(syscall.EAGAIN)
		return
	}
	p.level += put
	s.post(f.peer, event.Read, 0)
	w.ends(put)
}

// sendUrgent sends all, the last byte out of band, or nothing. A second one takes the
// place of the first, taken or not.
func (s *State) sendUrgent(n int32, w *Work, op *event.Op) {
	f, p := &s.files[n], s.other(n)
	switch {
	case f.phase != connected || op.N == 0 || p == nil || p.noRecv:
		s.sendStream(n, w, op)
		return
	case op.N-1 > socketBuffer:
		w.fails(syscall.EMSGSIZE)
		return
	case s.room(n) < op.N-1:
		f.starved = true
		w.fails(syscall.EAGAIN)
		return
	}
	p.level += op.N - 1
	p.urgent = urgent{ahead: p.level, at: p.level == 0, has: true}
	if op.N > 1 {
		s.post(f.peer, event.Read, 0)
	}
	s.post(f.peer, event.Except, 0)
	w.ends(op.N)
}

// sendPair sends to the other of a pair. One that finds it gone is connected no more.
func (s *State) sendPair(n int32, w *Work, op *event.Op) {
	f, p := &s.files[n], s.other(n)
	switch {
	case !f.paired:
		w.fails(syscall.ENOTCONN)
	case p == nil:
		f.paired, f.phase = false, idle
		w.fails(syscall.ECONNREFUSED)
	case op.N > socketBuffer:
		w.fails(syscall.EMSGSIZE)
	case op.N > s.room(n) || s.messages(f.peer) >= datagrams:
		f.starved = true
		w.fails(syscall.EAGAIN)
	default:
		s.arrive(f.peer, op.N)
		w.ends(op.N)
	}
}

// arrive appends a datagram, for which there is room.
func (s *State) arrive(n int32, bytes int64) {
	s.files[n].level += bytes
	s.queued = append(s.queued, message{n, bytes})
	s.post(n, event.Read, 0)
}

// The steps of sendTo.
const (
	toSend   = iota // it is seen whether the socket may
	toRoute         // who has the port, and the sender is given one
	toArrive        // the datagram comes there, and may be lost
	toRefuse        // nobody was there
)

// sendTo sends a datagram to the port that the socket is connected to. That nobody is
// there is no error of the call, which has sent what it was told to; it is pending
// from then on. A socket that is connected has none but from there.
func (s *State) sendTo(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch w.stage {
	case toSend:
		switch {
		case !s.sendable(n, w):
		case f.phase != connected:
			w.fails(syscall.EDESTADDRREQ)
		case op.N > socketBuffer:
			w.fails(syscall.EMSGSIZE)
		}
		if !w.done {
			w.N = int64(f.to)
		}
	case toRoute:
		if f.port == 0 {
			errno := syscall.EBADF
			if !f.gone {
				errno = s.name(n)
			}
			if errno != 0 {
				w.fails(errno)
				return
			}
		}
		if w.other = s.portOf(event.Datagram, int(w.N)); w.other < 0 {
			w.stage = toArrive
		}
	case toArrive:
		r := &s.files[w.other]
		if r.gone || r.phase == connected && r.to != f.port {
			break
		}
		if !r.noRecv && s.messages(w.other) < datagrams && r.level+op.N <= socketBuffer {
			s.arrive(w.other, op.N)
		}
		w.ends(op.N)
	case toRefuse:
		if !f.gone {
			s.fail(n, syscall.ECONNREFUSED)
		}
		w.ends(op.N)
	}
	w.stage++
}
