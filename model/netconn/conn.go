package netconn

import (
	"net"
	"time"

	"github.com/kqlab/kqlab/model/event"
)

// A Conn is one end of a connection. It is a [net.Conn], and as a [net.TCPConn] it can
// be closed for reading and for writing alone.
//
// Errors are [net.OpError]s around [os.ErrDeadlineExceeded], [net.ErrClosed], or what
// the socket has answered; but the end of the stream is [io.EOF]. A write that fails
// says how much was written.
type Conn struct{ fd *fd }

var _ net.Conn = (*Conn)(nil)

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) { return c.fd.read(b) }

// Write implements [net.Conn].
func (c *Conn) Write(b []byte) (int, error) { return c.fd.write(b) }

// Close implements [net.Conn]: calls under way end with net.ErrClosed. If bytes have
// come that nobody has read the other end is reset.
func (c *Conn) Close() error { return c.fd.close() }

// CloseRead ends reading: what has come, and will come, is thrown away.
func (c *Conn) CloseRead() error { return c.fd.shut(event.ReadSide) }

// CloseWrite ends writing: the other end reads what has been written, then io.EOF.
func (c *Conn) CloseWrite() error { return c.fd.shut(event.WriteSide) }

// LocalAddr returns the Addr of this end.
func (c *Conn) LocalAddr() net.Addr { return c.fd.addr }

// RemoteAddr returns the Addr of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.fd.peer }

// SetDeadline sets the time from which on Read and Write fail, also those under way;
// zero is never.
func (c *Conn) SetDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.rd, &c.fd.wr) }

// SetReadDeadline is SetDeadline for Read alone.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.rd) }

// SetWriteDeadline is SetDeadline for Write alone.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.fd.setDeadline(t, &c.fd.wr) }

// SetReadBuffer sets how many bytes that have come the socket holds; SetWriteBuffer
// how many that have been sent and not been read. The connection holds the smaller of
// the two.
func (c *Conn) SetReadBuffer(n int) error { return c.fd.set(rcvBuf, n) }

// SetWriteBuffer sets the size of the other buffer, see SetReadBuffer.
func (c *Conn) SetWriteBuffer(n int) error { return c.fd.set(sndBuf, n) }
