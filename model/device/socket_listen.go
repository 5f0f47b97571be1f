package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A backlog is who waits to be accepted: connections, and sockets that will be some
// once there is room. (so_comp, so_incomp)
type backlog struct {
	room int
	full line
	rest line
}

// A line is a list of the sockets that accept is to return, oldest first.
type line struct {
	first, last *Socket
	n           int
}

func (l *line) append(s *Socket) {
	if s.next = nil; l.last == nil {
		l.first = s
	} else {
		l.last.next = s
	}
	l.last = s
	l.n++
}

func (l *line) shift() *Socket {
	s := l.first
	if s == nil {
		return nil
	}
	if l.first = s.next; l.first == nil {
		l.last = nil
	}
	l.n--
	s.next = nil
	return s
}

func (l *line) remove(s *Socket) {
	var before *Socket
	for at := l.first; at != s; at = at.next {
		before = at
	}
	if before == nil {
		l.shift()
		return
	}
	if before.next = s.next; l.last == s {
		l.last = before
	}
	l.n--
	s.next = nil
}

// Listen binds the socket to a port, unless it is bound to it or port is 0 and it has
// one, and has it wait for connections. Up to backlog of them wait to be accepted; one
// at least. Listening again changes only how many. (listen)
//
// Errors: those of Bind; EOPNOTSUPP for datagrams; EINVAL if the socket is connected or
// connects, or has another port.
func (s *Socket) Listen(td *machine.Thread, port, backlog int) error {
	n := s.net
	if n == nil {
		if s.kind == event.Datagram {
			return s.orphan(td, syscall.EOPNOTSUPP)
		}
		return s.orphan(td, nil)
	}
	n.mu.Lock(td)
	s.enter(td)
	err := s.listen(port, backlog)
	var in *Socket
	if err == nil {
		in = s.admit(td)
	}
	td.Commit(event.Acted)
	s.exit(td)
	admitted(td, in)
	n.mu.Unlock(td)
	return err
}

func (s *Socket) listen(port, backlog int) error {
	switch {
	case s.gone:
		return syscall.EBADF
	case s.kind == event.Datagram:
		return syscall.EOPNOTSUPP
	case s.phase == connected || s.phase == connecting:
		return syscall.EINVAL
	case s.port == 0 || port != 0 && port != s.port:
		if err := s.net.bind(s, port); err != nil {
			return err
		}
	}
	s.phase = listening
	s.wait.room = max(backlog, 1)
	return nil
}

// Connect connects a stream to the socket that listens at a port; or says to which
// port a datagram socket sends, and from which alone it receives, from now on. A
// socket that has no port is given one. (connect)
//
// Errors: ECONNREFUSED if nobody listens there; of Local EAGAIN if too many wait to be
// accepted; of Inet EINPROGRESS: then it is connected, and ready to write, once there
// is room, or has ECONNREFUSED pending if the other is closed before; EALREADY while
// that is so; EISCONN; EOPNOTSUPP if the socket listens; EADDRNOTAVAIL if the number is
// none of a port, or no port is free for the socket; EBADF once the socket is released. One that was refused may try
// again.
func (s *Socket) Connect(td *machine.Thread, port int) error {
	n := s.net
	if n == nil {
		return s.orphan(td, syscall.EISCONN)
	}
	n.mu.Lock(td)
	err := n.connect(td, s, port)
	n.mu.Unlock(td)
	return err
}

func (n *Network) connect(td *machine.Thread, s *Socket, port int) error {
	l := n.bound[s.address(port)]
	s.enter(td)
	err := s.connectable(port)
	if err == nil && s.kind == event.Stream && (l == nil || l == s) {
		err = syscall.ECONNREFUSED
	}
	if err == nil && s.port == 0 {
		err = n.name(s)
	}
	if err == nil {
		s.err = 0
		if s.kind == event.Datagram {
			s.phase, s.to = connected, port
		}
	}
	td.Commit(event.Acted)
	s.exit(td)
	if err != nil || s.kind == event.Datagram {
		return err
	}

	p := newSocket(td, n.k, s, s.family, s.kind)
	l.enter(td)
	at, err := l.take(td, p)
	td.Commit(event.Acted)
	l.exit(td)
	if at == idle {
		return err
	}
	s.enter(td)
	p.phase, p.port, p.to = connected, port, s.port
	s.peer, p.peer = p, s
	s.phase, s.to = at, port
	s.noRecv, s.noSend = false, false
	if at == connected {
		s.writers.Post(td, 0)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return err
}

// connectable returns what stands in the way of connecting.
func (s *Socket) connectable(port int) error {
	switch {
	case s.gone:
		return syscall.EBADF
	case s.phase == listening:
		return syscall.EOPNOTSUPP
	case s.phase == connecting:
		return syscall.EALREADY
	case s.phase == connected && s.kind == event.Stream:
		return syscall.EISCONN
	case port < 1 || port > maxPort:
		return syscall.EADDRNOTAVAIL
	}
	return nil
}

// take puts p, whom nobody knows yet, in line, in the listener's domain. It returns
// what the one who connects is at then.
func (s *Socket) take(td *machine.Thread, p *Socket) (phase, error) {
	p.inherit(s)
	p.listener = s
	switch {
	case s.phase != listening:
		return idle, syscall.ECONNREFUSED
	case s.wait.full.n < s.wait.room:
		s.wait.full.append(p)
		s.readers.Post(td, 0)
		return connected, nil
	case s.family == Local:
		return idle, syscall.EAGAIN
	}
	s.wait.rest.append(p)
	return connecting, syscall.EINPROGRESS
}

// Accept returns the connection that has waited longest. It is in the domain of the
// socket that has connected; its options are those of the listener. (accept)
//
// Errors: EAGAIN if none waits; EINVAL if the socket does not listen; EOPNOTSUPP for
// datagrams; EBADF once the socket is released.
func (s *Socket) Accept(td *machine.Thread) (*Socket, error) {
	n := s.net
	if n == nil {
		if s.kind == event.Datagram {
			return nil, s.orphan(td, syscall.EOPNOTSUPP)
		}
		return nil, s.orphan(td, nil)
	}
	n.mu.Lock(td)
	s.enter(td)
	a, err := s.accept()
	var in *Socket
	if err == nil {
		in = s.admit(td)
	}
	td.Commit(event.Acted)
	s.exit(td)
	admitted(td, in)
	n.mu.Unlock(td)
	return a, err
}

func (s *Socket) accept() (*Socket, error) {
	switch {
	case s.gone:
		return nil, syscall.EBADF
	case s.kind == event.Datagram:
		return nil, syscall.EOPNOTSUPP
	case s.phase != listening:
		return nil, syscall.EINVAL
	}
	a := s.wait.full.shift()
	if a == nil {
		return nil, syscall.EAGAIN
	}
	a.listener = nil
	return a, nil
}

// admit moves those who wait for room in line as far as there is some, in the
// listener's domain, and returns the first of them; the others follow it.
func (s *Socket) admit(td *machine.Thread) (first *Socket) {
	for s.wait.full.n < s.wait.room && s.wait.rest.n > 0 {
		p := s.wait.rest.shift()
		s.wait.full.append(p)
		if first == nil {
			first = p
		}
	}
	if first != nil {
		s.readers.Post(td, 0)
	}
	return first
}

// admitted connects those who have been moved in line, each in its own domain. The
// lock of the network keeps them there meanwhile.
func admitted(td *machine.Thread, p *Socket) {
	for ; p != nil; p = p.next {
		c := p.peer
		c.enter(td)
		c.phase = connected
		c.writers.Post(td, 0)
		td.Commit(event.Acted)
		c.exit(td)
	}
}
