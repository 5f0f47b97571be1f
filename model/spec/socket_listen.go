package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// portOf returns who is known by a port, -1 if nobody is.
func (s *State) portOf(typ event.SockType, port int) int32 {
	for i := range s.files {
		if f := &s.files[i]; f.bound && f.typ == typ && f.port == port {
			return int32(i)
		}
	}
	return -1
}

// bind gives a socket a port; 0 is any that is free.
func (s *State) bind(n int32, port int64) syscall.Errno {
	f := &s.files[n]
	switch {
	case f.port != 0:
		return syscall.EINVAL
	case port < 0 || port > maxPort:
		return syscall.EADDRNOTAVAIL
	case port == 0:
		for range maxPort - firstFree + 1 {
			free := firstFree + s.ports
			if s.ports++; firstFree+s.ports > maxPort {
				s.ports = 0
			}
			if s.portOf(f.typ, free) < 0 {
				f.port, f.bound = free, true
				return 0
			}
		}
		return syscall.EADDRINUSE
	case s.portOf(f.typ, int(port)) >= 0:
		return syscall.EADDRINUSE
	}
	f.port, f.bound = int(port), true
	return 0
}

// name gives a port to a socket that connects or sends and has none.
func (s *State) name(n int32) syscall.Errno {
	if s.bind(n, 0) != 0 {
		return syscall.EADDRNOTAVAIL
	}
	return 0
}

// listen: up to backlog connections wait to be accepted, one at least. To listen again
// changes only how many. Those who get in by that are connected one after another.
func (s *State) listen(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case w.stage > 0:
		s.admitted(w)
		return
	case f.pair:
		w.fails(syscall.EINVAL)
		return
	case f.typ == event.Datagram:
		if errno := s.bind(n, op.N); errno != 0 {
			w.fails(errno)
			return
		}
		w.ends(0)
		return
	case f.phase == connected || f.phase == connecting:
		w.fails(syscall.EINVAL)
		return
	case f.port == 0 || op.N != 0 && op.N != int64(f.port):
		if errno := s.bind(n, op.N); errno != 0 {
			w.fails(errno)
			return
		}
	}
	f.phase, f.backlog = listening, max(op.Backlog, 1)
	s.admit(n, w)
}

// admit moves those who wait for room in line as far as there is some. The steps that
// follow connect them.
func (s *State) admit(n int32, w *Work) {
	w.stage, w.other = 1, -1
	for s.waiting(n, inLine) < int64(s.files[n].backlog) {
		p := s.foremost(n, behind)
		if p < 0 {
			break
		}
		if w.other < 0 {
			w.other = p
		}
		s.places++
		s.files[p].waits, s.files[p].turn = inLine, s.places
	}
	if w.other < 0 {
		w.done = true
		return
	}
	s.post(n, event.Read, 0)
}

// admitted connects one of those who have been moved in line, and goes on to the next.
func (s *State) admitted(w *Work) {
	p := &s.files[w.other]
	s.files[p.peer].phase = connected
	s.post(p.peer, event.Write, 0)
	next := int32(-1)
	for i := range s.files {
		if f := &s.files[i]; f.waits == inLine && f.at == p.at && f.turn > p.turn && (next < 0 || f.turn < s.files[next].turn) {
			next = int32(i)
		}
	}
	if w.other = next; next < 0 {
		w.done = true
	}
}

// The steps of connect.
const (
	toConnect = iota // it is seen whether the socket may, and it is given a port
	toWait           // it waits at the socket that listens
	toBe             // and is connected, or connecting
)

// connect connects a stream to the socket that listens at a port, or waits for room
// there; or says of a datagram socket where it sends.
func (s *State) connect(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch w.stage {
	case toConnect:
		w.other = s.portOf(f.typ, int(op.N))
		if errno := s.connectable(n, w.other, op.N); errno != 0 {
			w.fails(errno)
			return
		}
		if f.port == 0 {
			if errno := s.name(n); errno != 0 {
				w.fails(errno)
				return
			}
		}
		if f.err = 0; f.typ == event.Datagram {
			f.phase, f.to = connected, int(op.N)
			w.ends(0)
		}
	case toWait:
		l := &s.files[w.other]
		if l.phase != listening {
			w.fails(syscall.ECONNREFUSED)
			return
		}
		where := behind
		if s.waiting(w.other, inLine) < int64(l.backlog) {
			where = inLine
		} else {
			w.Errno = syscall.EINPROGRESS
		}
		s.places++
		p := file{kind: endpoint, peer: n, socket: socket{typ: event.Stream, waits: where, at: w.other, turn: s.places}}
		s.files = append(s.files, p)
		at := w.other
		if w.other = int32(len(s.files) - 1); where == inLine {
			s.post(at, event.Read, 0)
		}
	case toBe:
		p := &s.files[w.other]
		p.phase, p.port, p.to, p.paired = connected, int(op.N), f.port, true
		f.peer, f.paired, f.to = w.other, true, int(op.N)
		f.noRecv, f.noSend = false, false
		if f.phase = connecting; w.Errno == 0 {
			f.phase = connected
			s.post(n, event.Write, 0)
		}
		w.done = true
	}
	w.stage++
}

// connectable returns what stands in the way of connecting socket n to port, which l
// has.
func (s *State) connectable(n, l int32, port int64) syscall.Errno {
	switch f := &s.files[n]; {
	case f.pair && f.phase == connected:
		return syscall.EISCONN
	case f.pair:
		return syscall.EINVAL
	case f.phase == listening:
		return syscall.EOPNOTSUPP
	case f.phase == connecting:
		return syscall.EALREADY
	case f.phase == connected && f.typ == event.Stream:
		return syscall.EISCONN
	case port < 1 || port > maxPort:
		return syscall.EADDRNOTAVAIL
	case f.typ == event.Stream && (l < 0 || l == n):
		return syscall.ECONNREFUSED
	}
	return 0
}

// accept takes the connection that has waited longest, and lets in who waits for room.
func (s *State) accept(n int32, w *Work) {
	f := &s.files[n]
	switch {
	case w.stage > 0:
		s.admitted(w)
		return
	case f.typ == event.Datagram && (!f.pair || f.phase == connected):
		w.fails(syscall.EOPNOTSUPP)
		return
	case f.phase != listening:
		w.fails(syscall.EINVAL)
		return
	}
	a := s.foremost(n, inLine)
	if a < 0 {
		w.fails(syscall.EAGAIN)
		return
	}
	s.files[a].waits, w.opened = nowhere, a+1
	s.admit(n, w)
}

// Refuse turns away the next of those who wait at a socket that has listened and is
// gone, and reports whether there was one: those in line are reset, and those who are
// not connected yet refused.
func (s *State) Refuse(n int32) bool {
	if n < 0 || s.files[n].kind != endpoint {
		return false
	}
	if p := s.foremost(n, inLine); p >= 0 {
		f := &s.files[p]
		f.gone, f.waits = true, nowhere
		if !s.files[f.peer].gone {
			s.reset(f.peer, syscall.ECONNRESET)
		}
		return true
	}
	p := s.foremost(n, behind)
	if p < 0 {
		return false
	}
	s.files[p].waits = nowhere
	c := s.files[p].peer
	s.files[c].phase, s.files[c].paired = idle, false
	s.reset(c, syscall.ECONNREFUSED)
	return true
}
