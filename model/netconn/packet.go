package netconn

import (
	"net"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A PacketConn sends and receives datagrams. It is a [net.PacketConn]. Datagrams are
// lost if the receiver has no room, and if nobody is there.
type PacketConn struct{ fd *fd }

var _ net.PacketConn = (*PacketConn)(nil)

// ListenPacket makes a socket for datagrams at a port, 0 for any that is free.
//
// Errors are a [net.OpError] with the errno of [device.Socket.Bind].
func (s *Stack) ListenPacket(port int) (*PacketConn, error) {
	f, err := s.open(event.Datagram, func(td *machine.Thread, f *fd) error { return f.sock.Bind(td, port) })
	if err != nil {
		return nil, opError("listen", port, err)
	}
	f.none = true
	return &PacketConn{f}, nil
}

// ReadFrom implements [net.PacketConn]. What does not fit into b is lost.
func (c *PacketConn) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	f := c.fd
	f.rd.turn.Lock()
	defer f.rd.turn.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	port := 0
	err = f.again(td, &f.rd, func() (err error) {
		n, port, err = f.sock.ReadFrom(td, b)
		return err
	})
	if err != nil {
		return 0, nil, f.fail("read", err)
	}
	return n, Addr{port}, nil
}

// WriteTo implements [net.PacketConn]. The address is an Addr, or any whose text is
// one.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (n int, err error) {
	f := c.fd
	a, ok := to.(Addr)
	if !ok {
		if to == nil {
			return 0, f.fail("write", &net.AddrError{Err: "missing address", Addr: ""})
		}
		if a.Port, err = parse(to.String()); err != nil {
			return 0, f.fail("write", err)
		}
	}
	f.wr.turn.Lock()
	defer f.wr.turn.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	err = f.again(td, &f.wr, func() (err error) {
		n, err = f.sock.WriteTo(td, b, a.Port)
		return err
	})
	if err != nil {
		return n, f.fail("write", err)
	}
	return n, nil
}

// Close implements [net.PacketConn]: calls under way end with net.ErrClosed.
func (c *PacketConn) Close() error { return c.fd.close() }

// LocalAddr returns the Addr that the socket has.
func (c *PacketConn) LocalAddr() net.Addr { return c.fd.addr }

// SetDeadline sets the time from which on ReadFrom and WriteTo fail, also those under
// way; zero is never.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.rd, &c.fd.wr) }

// SetReadDeadline is SetDeadline for ReadFrom alone.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.rd) }

// SetWriteDeadline is SetDeadline for WriteTo alone.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.wr) }
