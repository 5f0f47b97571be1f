package device

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the sockets that have ports, at their peers and at who waits to be
// accepted, and says what does not hold; nil if all does. Nothing runs but td, which is
// in no domain and, on a native machine, visits each domain before it looks; nil is for
// a virtual machine on which no thread is to run any more. It allocates nothing if all
// holds. Of several wrongs it names that of the lowest port.
//
//	N1  a port leads to a socket that is not released and has that port
//	N2  who waits for a listener is counted, in line, and knows it; nobody waits
//	    for room while there is some; a client that connects waits for room, and
//	    one that is gone does not
//	N3  of two ends each is the other's peer
//	N4  the bytes of datagrams are those that have come, a mark is among them, and
//	    there are not more than fit
func (n *Network) Audit(td *machine.Thread) error {
	if td != nil {
		n.mu.Lock(td)
		n.mu.Unlock(td)
	}
	var wrong error
	lowest := maxPort + 1
	for at, s := range n.bound {
		if at.port > lowest {
			continue
		}
		visit(td, &s.readers)
		if err := s.audit(at, td); err != nil {
			wrong, lowest = err, at.port
		}
	}
	return wrong
}

func (s *Socket) audit(at address, td *machine.Thread) error {
	if s.gone || s.address(s.port) != at {
		return fmt.Errorf("N1: port %d leads to a socket that is released, %v, or has port %d", at.port, s.gone, s.port)
	}
	if p := s.peer; s.kind == event.Stream && (p == nil) != (s.phase == idle || s.phase == listening) {
		return fmt.Errorf("N3: the socket of port %d is at %d, and has a peer: %v", at.port, s.phase, p != nil)
	} else if p != nil && p.peer != s {
		return fmt.Errorf("N3: the peer of the socket of port %d has another", at.port)
	}
	if s.phase == connecting && !s.peer.listener.wait.rest.has(s.peer) {
		return fmt.Errorf("N2: the socket of port %d connects, and waits nowhere", at.port)
	}
	if err := s.content(); err != nil {
		return fmt.Errorf("N4: the socket of port %d has %w", at.port, err)
	}
	w := &s.wait
	if w.rest.n > 0 && w.full.n < w.room {
		return fmt.Errorf("N2: %d wait for room at port %d, where %d of %d wait to be accepted", w.rest.n, at.port, w.full.n, w.room)
	}
	for _, l := range [...]*line{&w.full, &w.rest} {
		n, last := 0, (*Socket)(nil)
		for p := l.first; p != nil; p = p.next {
			c := p.peer
			visit(td, &p.readers)
			switch {
			case p.gone || p.listener != s || c == nil || c.peer != p && !c.gone:
				return fmt.Errorf("N2: who waits for port %d as number %d does not know it, or has no other end", at.port, n)
			case (c.phase == connecting) != (l == &w.rest) || c.gone && l == &w.rest:
				return fmt.Errorf("N2: the client of number %d at port %d is at %d, gone: %v", n, at.port, c.phase, c.gone)
			}
			n, last = n+1, p
		}
		if n != l.n || last != l.last {
			return fmt.Errorf("N2: %d wait at port %d, which counts %d", n, at.port, l.n)
		}
	}
	return nil
}

// content returns what is wrong with what has come.
func (s *Socket) content() error {
	sum := 0
	for _, m := range s.msgs {
		sum += m.n
	}
	switch {
	case s.kind == event.Datagram && sum != s.in.n:
		return fmt.Errorf("datagrams of %d bytes, and %d bytes", sum, s.in.n)
	case s.urgent.ahead > s.in.n:
		return fmt.Errorf("a mark after %d bytes of %d", s.urgent.ahead, s.in.n)
	case s.in.n > MaxSocketBuffer || len(s.msgs) > MaxDatagrams:
		return fmt.Errorf("%d bytes in %d datagrams", s.in.n, len(s.msgs))
	}
	return nil
}

func (l *line) has(s *Socket) bool {
	for at := l.first; at != nil; at = at.next {
		if at == s {
			return true
		}
	}
	return false
}
