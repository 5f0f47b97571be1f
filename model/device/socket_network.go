package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	maxPort   = 65535
	firstFree = 49152 // the ports from there are given to those who ask for none
)

// A Network is what sockets find each other by: each family and type has ports from 1
// to 65535.
//
// Its lock makes one step, to all who connect, accept, listen and close, of what
// happens in the two domains of a listener and of a connection. It is taken before any
// domain, and kept while they are entered, one after the other; nobody takes it in a
// domain. To read and to write on a connection needs no lock.
type Network struct {
	k     *kqueue.Kernel
	mu    machine.Mutex
	bound map[address]*Socket // guarded by mu
	next  int                 // guarded by mu: the next port to give away
}

// An address is where a socket is bound.
type address struct {
	family Family
	kind   event.SockType
	port   int
}

// NewNetwork returns a network without sockets.
func NewNetwork(k *kqueue.Kernel) *Network {
	n := &Network{k: k, bound: map[address]*Socket{}, next: firstFree}
	n.mu.Name = "network"
	return n
}

// Reset makes n a network without sockets, whatever it had, on a virtual machine that
// has been reset.
func (n *Network) Reset() {
	clear(n.bound)
	n.next = firstFree
}

// NewSocket makes a socket, placed by the strategy. (socket)
//
// Errors: EAFNOSUPPORT if there is no such family; EPROTONOSUPPORT if it has no such
// type: datagrams of Local are for pairs only.
func (n *Network) NewSocket(td *machine.Thread, f Family, t event.SockType) (*Socket, error) {
	switch {
	case f != Local && f != Inet:
		return nil, syscall.EAFNOSUPPORT
	case t != event.Stream && (t != event.Datagram || f == Local):
		return nil, syscall.EPROTONOSUPPORT
	}
	s := newSocket(td, n.k, nil, f, t)
	s.net = n
	return s, nil
}

func (s *Socket) address(port int) address { return address{s.family, s.kind, port} }

// Ports returns the port of the socket and of its peer, 0 for none.
//
// Error: EBADF once the socket is released.
func (s *Socket) Ports(td *machine.Thread) (local, remote int, err error) {
	s.enter(td)
	if s.gone {
		err = syscall.EBADF
	} else {
		local, remote = s.port, s.to
	}
	td.Commit(event.Acted)
	s.exit(td)
	return local, remote, err
}

// Bind gives the socket a port; 0 is any that is free.
//
// Errors: EADDRINUSE; EADDRNOTAVAIL if the number is none of a port; EINVAL if the
// socket has a port, or is of no network; EBADF once it is released.
func (s *Socket) Bind(td *machine.Thread, port int) error {
	n := s.net
	if n == nil {
		return s.orphan(td, nil)
	}
	n.mu.Lock(td)
	s.enter(td)
	err := error(syscall.EBADF)
	if !s.gone {
		err = n.bind(s, port)
	}
	td.Commit(event.Acted)
	s.exit(td)
	n.mu.Unlock(td)
	return err
}

// bind is Bind, in the domain and with mu held.
func (n *Network) bind(s *Socket, port int) error {
	switch {
	case s.port != 0:
		return syscall.EINVAL
	case port < 0 || port > maxPort:
		return syscall.EADDRNOTAVAIL
	case port == 0:
		for range maxPort - firstFree + 1 {
			at := s.address(n.next)
			if n.next++; n.next > maxPort {
				n.next = firstFree
			}
			if n.bound[at] == nil {
				n.bound[at], s.port = s, at.port
				return nil
			}
		}
		return syscall.EADDRINUSE
	}
	at := s.address(port)
	if n.bound[at] != nil {
		return syscall.EADDRINUSE
	}
	n.bound[at], s.port = s, port
	return nil
}

// name gives a port to a socket that connects or sends and has none: EADDRNOTAVAIL if
// all are taken, of which it knows nothing that it could use.
func (n *Network) name(s *Socket) error {
	if n.bind(s, 0) != nil {
		return syscall.EADDRNOTAVAIL
	}
	return nil
}

// orphan returns what a call answers that needs a network, on a socket that has none:
// EBADF if it is released, what the call says of one that is connected, else EINVAL.
func (s *Socket) orphan(td *machine.Thread, isConnected error) error {
	s.enter(td)
	err := error(syscall.EINVAL)
	switch {
	case s.gone:
		err = syscall.EBADF
	case s.phase == connected && isConnected != nil:
		err = isConnected
	}
	td.Commit(event.Acted)
	s.exit(td)
	return err
}

// route returns who has the port that a datagram is sent to, nil if nobody has, and
// the port of the sender, which is given one if it has none.
func (n *Network) route(td *machine.Thread, s *Socket, to int) (r *Socket, from int, err error) {
	n.mu.Lock(td)
	if s.port == 0 {
		s.enter(td)
		if err = syscall.EBADF; !s.gone {
			err = n.name(s)
		}
		s.exit(td)
	}
	if err == nil {
		r, from = n.bound[s.address(to)], s.port
	}
	td.Commit(event.Acted)
	n.mu.Unlock(td)
	return r, from, err
}

// leave takes a socket that has been released off the network, with mu held. Those who
// wait for it to accept them are reset, or refused if they are not connected yet.
func (n *Network) leave(td *machine.Thread, s *Socket) {
	if at := s.address(s.port); n.bound[at] == s {
		delete(n.bound, at)
	}
	if s.phase == connecting {
		l := s.peer.listener
		l.enter(td)
		l.wait.rest.remove(s.peer)
		l.exit(td)
		return
	}
	for w := s.wait.full.first; w != nil; w = w.next {
		w.enter(td)
		w.gone, w.listener = true, nil
		if c := w.peer; !c.gone {
			c.reset(td, syscall.ECONNRESET)
		}
		td.Commit(event.Acted)
		w.exit(td)
	}
	for w := s.wait.rest.first; w != nil; w = w.next {
		c := w.peer
		c.enter(td)
		w.listener = nil
		c.phase, c.peer, c.to = idle, nil, 0
		c.reset(td, syscall.ECONNREFUSED)
		td.Commit(event.Acted)
		c.exit(td)
	}
}
