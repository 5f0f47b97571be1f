package netconn

import (
	"context"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	rcvBuf = device.RcvBuf
	sndBuf = device.SndBuf

	// backlog is how many connections of a listener wait to be accepted. More wait
	// to be connected.
	backlog = 128
)

// set sets an option of the socket.
func (f *fd) set(o device.SocketOption, n int) error {
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	if err := f.sock.SetOption(td, o, n); err != nil {
		return f.fail("set", err)
	}
	return nil
}

// open makes a socket of the network, and does something to it; if that fails the
// socket is closed.
func (s *Stack) open(t event.SockType, do func(td *machine.Thread, f *fd) error) (*fd, error) {
	cpu := s.cpu()
	td := s.enter(cpu)
	defer s.exit(cpu, td)
	sock, err := s.net.NewSocket(td, device.Inet, t)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := newFD(td, s, cpu, sock)
	if err := do(td, f); err != nil {
		f.close()
		return nil, err
	}
	f.addr.Port, f.peer.Port, err = sock.Ports(td)
	return f, err
}

// A Listener waits for connections. It is a [net.Listener].
type Listener struct{ fd *fd }

var _ net.Listener = (*Listener)(nil)

// Listen waits for connections at a port, 0 for any that is free.
//
// Errors are a [net.OpError] with the errno of [device.Socket.Listen].
func (s *Stack) Listen(port int) (*Listener, error) {
	f, err := s.open(event.Stream, func(td *machine.Thread, f *fd) error { return f.sock.Listen(td, port, backlog) })
	if err != nil {
		return nil, opError("listen", port, err)
	}
	f.none = true
	return &Listener{f}, nil
}

// opError is the error of a call that has made nothing.
func opError(op string, port int, err error) error {
	return &net.OpError{Op: op, Net: Host, Addr: Addr{port}, Err: syscallError(op, err)}
}

// Accept implements [net.Listener]. Any number of goroutines may wait in it.
func (l *Listener) Accept() (net.Conn, error) {
	f := l.fd
	f.rd.turn.Lock()
	defer f.rd.turn.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	var sock *device.Socket
	err := f.again(td, &f.rd, func() (err error) {
		sock, err = f.sock.Accept(td)
		return err
	})
	if err != nil {
		return nil, f.fail("accept", err)
	}
	return &Conn{newFD(td, f.stack, f.stack.cpu(), sock)}, nil
}

// Close implements [net.Listener]: calls of Accept end with net.ErrClosed, and
// connections that wait to be accepted are reset.
func (l *Listener) Close() error { return l.fd.close() }

// Addr returns the Addr that the listener has.
func (l *Listener) Addr() net.Addr { return l.fd.addr }

// SetDeadline sets the time from which on Accept fails; zero is never.
func (l *Listener) SetDeadline(t time.Time) error { return l.fd.setDeadline(t, &l.fd.rd) }

// Dial connects to the listener at a port. It waits as long as there are too many who
// wait to be accepted.
func (s *Stack) Dial(port int) (*Conn, error) { return s.dial(context.Background(), port) }

// DialContext is Dial to an address such as "kqlab:80", of which only the port counts,
// until ctx is done. The network is "tcp" or "kqlab". It is what a [net/http.Transport]
// wants for its DialContext.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" && network != Host {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	port, err := parse(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: Host, Err: err}
	}
	c, err := s.dial(ctx, port)
	if err != nil {
		return nil, err // and not a nil *Conn
	}
	return c, nil
}

func (s *Stack) dial(ctx context.Context, port int) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", port, err)
	}
	f, err := s.open(event.Stream, func(td *machine.Thread, f *fd) error { return f.connect(td, ctx, port) })
	if err != nil {
		return nil, opError("dial", port, err)
	}
	return &Conn{f}, nil
}

// connect waits, if it must, until the socket is connected, is refused, or ctx is
// done. That ends the wait as a deadline would. Who is refused while it waits asks once
// more, and waits again if another listener, with no room either, has the port by then.
func (f *fd) connect(td *machine.Thread, ctx context.Context, port int) error {
	err := f.sock.Connect(td, port)
	if err != syscall.EINPROGRESS {
		return err
	}
	stop := context.AfterFunc(ctx, func() { f.setDeadline(time.Unix(0, 0), &f.wr) })
	err = f.again(td, &f.wr, func() error {
		switch err := f.sock.Connect(td, port); err {
		case syscall.EALREADY, syscall.EINPROGRESS:
			return syscall.EAGAIN
		case syscall.EISCONN:
			return nil
		default:
			return err
		}
	})
	if !stop() { // it may be about to set the deadline yet
		return ctx.Err()
	}
	return err
}

// Pipe returns the two ends of a connection that needs no port: a pair of sockets of
// UNIX.
func (s *Stack) Pipe() (*Conn, *Conn, error) {
	cpu := s.cpu()
	td := s.enter(cpu)
	defer s.exit(cpu, td)
	a, b, err := device.NewSocketPair(td, s.k, event.Stream)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return &Conn{newFD(td, s, cpu, a)}, &Conn{newFD(td, s, s.cpu(), b)}, nil
}
