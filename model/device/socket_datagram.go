package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A message is a datagram that has come. Its bytes are the first in the ring.
type message struct{ n, from int }

// receive takes a datagram, see Read, and returns the port it is from.
func (s *Socket) receive(td *machine.Thread, b []byte) (n, from int, err error) {
	if s.kind == event.Stream {
		n, err = s.read(td, b)
		return n, s.to, err
	}
	if len(s.msgs) == 0 {
		return 0, 0, s.nothing()
	}
	before := 0
	if p := s.peer; p != nil {
		before = p.room()
	}
	m := s.msgs[0]
	s.msgs = append(s.msgs[:0], s.msgs[1:]...)
	n = s.in.take(b[:min(len(b), m.n)])
	s.in.drop(m.n - n)
	s.drained(td, before)
	return n, m.from, nil
}

// ReadFrom is Read, and returns the port that the datagram is from besides, 0 if it
// has none. An empty b takes a datagram too. (recvfrom)
func (s *Socket) ReadFrom(td *machine.Thread, b []byte) (n, from int, err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case len(b) == 0 && s.kind == event.Stream:
	default:
		n, from, err = s.receive(td, b)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return n, from, err
}

// queue appends a datagram, for which there is room.
func (s *Socket) queue(td *machine.Thread, b []byte, from int) {
	s.in.put(b)
	s.msgs = append(s.msgs, message{len(b), from})
	s.readers.Post(td, 0)
}

// sendPair is Write on one of a pair of datagram sockets.
func (s *Socket) sendPair(td *machine.Thread, b []byte) (int, error) {
	p := s.peer
	switch {
	case p == nil:
		return 0, syscall.ENOTCONN
	case p.gone:
		s.peer, s.phase = nil, idle
		return 0, syscall.ECONNREFUSED
	case len(b) > s.holds():
		return 0, syscall.EMSGSIZE
	case len(b) > s.room() || len(p.msgs) == MaxDatagrams:
		s.starved = true
		return 0, syscall.EAGAIN
	}
	p.queue(td, b, 0)
	return len(b), nil
}

// WriteTo sends a datagram to a port, which must be 0 if the socket is connected. A
// socket that has no port is given one.
//
// Errors: as Write; EISCONN if it is connected and a port is named; EADDRNOTAVAIL if
// the number is none of a port, or no port is free for the socket; EOPNOTSUPP unless it is a datagram socket of Inet.
// (sendto)
func (s *Socket) WriteTo(td *machine.Thread, b []byte, port int) (int, error) {
	if s.kind != event.Datagram || s.family != Inet {
		return 0, syscall.EOPNOTSUPP
	}
	return s.sendTo(td, b, port)
}

// sendTo comes by three domains at most: the sender's, to see whether it may; the
// receiver's; and if nobody was there the sender's again, where the refusal is
// pending from then on. It is no error of the call, which has sent what it was told
// to. One that is not connected is not told, as ever since 4.3BSD: it would not know
// of which datagram.
func (s *Socket) sendTo(td *machine.Thread, b []byte, port int) (int, error) {
	s.enter(td)
	err := s.sendable()
	switch {
	case err != nil:
	case port == 0 && s.phase != connected:
		err = syscall.EDESTADDRREQ
	case port != 0 && s.phase == connected:
		err = syscall.EISCONN
	case port < 0 || port > maxPort:
		err = syscall.EADDRNOTAVAIL
	case len(b) > s.sndBuf:
		err = syscall.EMSGSIZE
	}
	told := port == 0
	if told {
		port = s.to
	}
	td.Commit(event.Acted)
	s.exit(td)
	if err != nil {
		return 0, err
	}

	r, from, err := s.net.route(td, s, port)
	if err != nil {
		return 0, err
	}
	if (r == nil || !r.deliver(td, b, from)) && told {
		s.enter(td)
		if !s.gone {
			s.fail(td, syscall.ECONNREFUSED)
		}
		td.Commit(event.Acted)
		s.exit(td)
	}
	return len(b), nil
}

// deliver reports whether anybody is there to have a datagram. A connected socket has
// none but from its peer. One that shuts reading, or has no room, loses it.
func (s *Socket) deliver(td *machine.Thread, b []byte, from int) bool {
	s.enter(td)
	there := !s.gone && (s.phase != connected || s.to == from)
	if there && !s.noRecv && len(s.msgs) < MaxDatagrams && s.in.n+len(b) <= s.rcvBuf {
		s.queue(td, b, from)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return there
}
