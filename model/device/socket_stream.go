package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// read is Read on a stream.
func (s *Socket) read(td *machine.Thread, b []byte) (int, error) {
	if s.in.n == 0 {
		return 0, s.nothing()
	}
	before := 0
	if p := s.peer; p != nil {
		before = p.room()
	}
	n := s.in.take(s.urgent.before(b))
	s.urgent.pass(n)
	s.drained(td, before)
	return n, nil
}

// write is Write on a stream.
func (s *Socket) write(td *machine.Thread, b []byte) (int, error) {
	p := s.peer
	switch {
	case s.phase != connected:
		return 0, syscall.ENOTCONN
	case len(b) == 0:
		return 0, nil
	case p.gone: // it answers that there is no such connection
		s.reset(td, syscall.ECONNRESET)
		return len(b), nil
	case p.noRecv:
		return len(b), nil
	}
	n := s.room()
	if n < len(b) {
		s.starved = true
	}
	if n == 0 {
		return 0, syscall.EAGAIN
	}
	n = min(n, len(b))
	p.in.put(b[:n])
	// Each write posts, as a pipe's does.
	p.readers.Post(td, 0)
	return n, nil
}

// urgent is the out-of-band data of a stream: one byte, and where in the stream it
// was. It takes no room there. (t_iobc, so_oobmark, SS_RCVATMARK)
type urgent struct {
	ahead int  // bytes to read before the mark; 0 if there is none ahead
	at    bool // the mark has been reached, and nothing has been read since
	has   bool // the byte has not been taken
	c     byte
}

// pending reports whether there is a mark.
func (u *urgent) pending() bool { return u.ahead > 0 || u.at }

// before returns as much of b as may be read in one go.
func (u *urgent) before(b []byte) []byte {
	if u.ahead > 0 && u.ahead < len(b) {
		return b[:u.ahead]
	}
	return b
}

// pass notes that n bytes have been read, and no mark was among them.
func (u *urgent) pass(n int) {
	switch {
	case u.ahead > 0:
		u.ahead -= n
		u.at = u.ahead == 0
	case u.at:
		*u = urgent{}
	}
}

// SendOOB sends b, the last byte of which goes out of band: who reads the stream comes
// by a mark where it was. A second one takes the place of the first, taken or not.
// Either all is sent or nothing.
//
// Errors: as Write; EAGAIN if there is no room for all but the last byte, EMSGSIZE if
// there never can be; EOPNOTSUPP for datagrams and for Local.
func (s *Socket) SendOOB(td *machine.Thread, b []byte) (n int, err error) {
	s.enter(td)
	p := s.peer
	switch err = s.sendable(); {
	case err != nil:
	case s.kind != event.Stream || s.family != Inet:
		err = syscall.EOPNOTSUPP
	case s.phase != connected || len(b) == 0 || p.gone || p.noRecv:
		n, err = s.write(td, b)
	case len(b)-1 > s.holds():
		err = syscall.EMSGSIZE
	case s.room() < len(b)-1:
		s.starved = true
		err = syscall.EAGAIN
	default:
		n = len(b)
		p.in.put(b[:n-1])
		p.urgent = urgent{ahead: p.in.n, at: p.in.n == 0, has: true, c: b[n-1]}
		if n > 1 {
			p.readers.Post(td, 0)
		}
		p.excepts.Post(td, 0)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return n, err
}

// RecvOOB takes the out-of-band byte, wherever its mark is, and returns 1. With an
// empty b it returns 0. (soreceive with MSG_OOB, tcp_usr_rcvoob)
//
// Errors: EINVAL if there is none, it has been taken, or its mark has been passed;
// EOPNOTSUPP for datagrams and for Local; EBADF once the socket is released.
func (s *Socket) RecvOOB(td *machine.Thread, b []byte) (n int, err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case s.kind != event.Stream || s.family != Inet:
		err = syscall.EOPNOTSUPP
	case !s.urgent.has:
		err = syscall.EINVAL
	case len(b) > 0:
		s.urgent.has = false
		b[0] = s.urgent.c
		n = 1
	}
	td.Commit(event.Acted)
	s.exit(td)
	return n, err
}

// AtMark reports whether all before the mark has been read, and nothing after it.
// (sockatmark)
//
// Error: EBADF once the socket is released.
func (s *Socket) AtMark(td *machine.Thread) (at bool, err error) {
	s.enter(td)
	if at = s.urgent.at; s.gone {
		at, err = false, syscall.EBADF
	}
	td.Commit(event.Acted)
	s.exit(td)
	return at, err
}
