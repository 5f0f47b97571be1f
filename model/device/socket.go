package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Family says what sockets are connected by.
type Family uint8

// The families.
const (
	Local Family = iota + 1 // sockets of UNIX (AF_LOCAL)
	Inet                    // TCP and UDP, on a network that neither loses nor delays (AF_INET)
)

const (
	// SocketBuffer is the size of either buffer of a socket that has not set it,
	// in bytes.
	SocketBuffer = 65536

	// MaxSocketBuffer is the largest that can be set. (sb_max)
	MaxSocketBuffer = 1 << 21

	// MaxDatagrams is how many datagrams wait at most, however short they are.
	MaxDatagrams = 64
)

// A Socket is one end of a connection, or is to become one, or waits for others to
// connect; it never blocks: socket(2) with O_NONBLOCK. It is a [kqueue.File].
//
// # Conditions
//
//	           data            ready when                            flags
//	Read       bytes to read   they reach the mark; nothing more     EOF, and NODATA without bytes,
//	                           will come; an error is pending        HUP if both directions are over
//	  listens  connections     one waits to be accepted
//	Write      room            connected and it reaches the mark;    EOF|NODATA, HUP as above
//	                           nothing can be sent; an error
//	Except     pending errno   both directions are over; an error;   EOF|HUP if both are over
//	                           with NOTE_OOB, out-of-band data
//
// Fflags of Read and Write are the pending error, of Except NOTE_OOB. The mark is
// NOTE_LOWAT's, else SO_RCVLOWAT or SO_SNDLOWAT as they are at the time. As for pipes,
// room is news only when it passes the mark, or if a write has been refused. When
// nothing can be sent data is 0. (filt_soread, filt_sowrite, filt_solisten)
//
// A pending error is taken by the next read, if no bytes are there, by the next
// write, unless nothing can be sent, or by TakeError. (so_error)
//
// # The two families
//
//	                          Local                       Inet
//	the peer closes           both directions are over    nothing more comes; a write goes to
//	                                                      nobody, and is a reset
//	... with bytes unread     reset                       reset
//	... of a datagram pair    a write answers             nobody knows
//	                          ECONNREFUSED, and has
//	                          disconnected the socket
//	the peer shuts reading    nothing can be sent         what is sent is thrown away
//	too many connect          EAGAIN                      EINPROGRESS, until there is room
//	no room for a datagram    EAGAIN                      it is lost
//	nobody at a port          ECONNREFUSED                of datagrams, later: it is pending
//	out-of-band data          EOPNOTSUPP                  the last byte of a SendOOB
//
// A reset is ECONNRESET, pending, with both directions over; what has come before it
// can still be read.
//
// # One domain
//
// The two ends of a connection share one domain. It is that of the socket that
// connects: that one has knotes perhaps, and these never move, while its peer, which
// accept will return, is made by the connect. A socket that listens has a domain of
// its own. So accept moves nothing, and each operation on a connection is one step:
// what one end has lost the other has got.
//
// With a domain for each end, on two CPUs, a write would be a visit to the other
// CPU, and so would be a read, to tell of the room; here the end that connects
// visits nobody and the other always, so a request and its answer cost the same two
// visits. What the second domain would save is the message by which a notify reaches
// a queue of another CPU; it would cost that no instant shows both ends.
//
// Connections are made, and unmade before they are accepted, in two domains, so under
// the lock of the [Network] besides; between its steps other threads see a connection
// that one end knows of and the other does not. Datagrams to a port are in the
// receiver's domain when they arrive.
//
// # Where it departs
//
// From DragonFly: the pending error is in fflags whether or not a direction is over; a
// direction holds the smaller of the sender's and the receiver's buffer, exactly; a
// write takes what fits, however little, where there it waits for the mark; a backlog is
// as large as it says, and not half as large again. Of Local: a close with bytes unread
// resets; who shuts reading tells its peer, which there goes on to fill a buffer that
// nobody can read; and three errors are Linux's, where there a full backlog is
// ECONNREFUSED, no room for a datagram ENOBUFS, and the end of a datagram pair
// ECONNRESET, pending.
//
// From Linux: a shutdown of reading throws away what has come; a write to an end that
// can send nothing answers EPIPE and leaves a pending error to others, of TCP too;
// the reset after a write to nobody is ECONNRESET, not EPIPE; out-of-band data is
// pending while its mark is ahead or has just been reached, as POSIX has it, and not
// only until it is taken; a stream that is not connected is never ready to write. Call by
// call, testdata/sockets.txt has it.
type Socket struct {
	// Immutable once others know the socket. The three lists are in one domain,
	// that of the peer too, which guards the rest.
	readers kqueue.Source
	writers kqueue.Source
	excepts kqueue.Source

	phase   phase
	gone    bool // released
	noRecv  bool // nothing more will come (SS_CANTRCVMORE)
	noSend  bool // nothing can be sent (SS_CANTSENDMORE)
	starved bool // a write has been refused or cut short since the peer has last read
	err     syscall.Errno
	peer    *Socket // the other end; of a connecting socket the one that is to be it
	in      ring    // bytes that have come
	msgs    []message
	urgent  urgent

	rcvBuf, sndBuf     int
	rcvLowat, sndLowat int // sndLowat is 0 until it is set

	family Family         // immutable
	kind   event.SockType // immutable
	net    *Network       // immutable; nil if no call can name a port
	port   int            // of this end; 0 if none. Written with net.mu held as well
	to     int            // of the other end, of one that is connected
	wait   backlog        // of one that listens

	listener *Socket // guarded by net.mu of the listener: where it waits to be accepted
	next     *Socket // guarded by listener: the next that waits there

	srcs [3]*kqueue.Source
}

// A phase is what a socket is at.
type phase uint8

const (
	idle       phase = iota
	connecting       // waits for room in a backlog
	connected        // has, or has had, a peer; of a datagram socket: sends to one
	listening
)

var sockets = machine.NewStock(func(s *Socket) {
	*s = Socket{in: s.in.again(), msgs: s.msgs[:0]}
})

// newSocket makes a socket in a domain of its own, or in that of another.
func newSocket(td *machine.Thread, k *kqueue.Kernel, of *Socket, f Family, t event.SockType) *Socket {
	s := sockets.New(td)
	if of != nil {
		s.readers.InitSibling(&of.readers)
	} else {
		s.readers.Init(td, k)
	}
	s.writers.InitSibling(&s.readers)
	s.excepts.InitSibling(&s.readers)
	s.srcs = [3]*kqueue.Source{&s.readers, &s.writers, &s.excepts}
	s.family, s.kind = f, t
	s.rcvBuf, s.sndBuf, s.rcvLowat = SocketBuffer, SocketBuffer, 1
	return s
}

// NewSocketPair makes two sockets of Local that are connected to each other, placed
// by the strategy. (socketpair)
//
// Error: EPROTONOSUPPORT if there is no such type.
func NewSocketPair(td *machine.Thread, k *kqueue.Kernel, t event.SockType) (a, b *Socket, err error) {
	if t != event.Stream && t != event.Datagram {
		return nil, nil, syscall.EPROTONOSUPPORT
	}
	a = newSocket(td, k, nil, Local, t)
	b = newSocket(td, k, a, Local, t)
	a.peer, b.peer = b, a
	a.phase, b.phase = connected, connected
	return a, b, nil
}

// Family returns the family of the socket.
func (s *Socket) Family() Family { return s.family }

// PollClass implements the method that [event.PollClass] speaks of.
func (s *Socket) PollClass() event.PollClass {
	if s.family == Local || s.kind == event.Datagram {
		return event.PollUnix
	}
	return event.PollSocket
}

// Type returns the type of the socket.
func (s *Socket) Type() event.SockType { return s.kind }

// enter brings td into the domain of the socket and its peer.
func (s *Socket) enter(td *machine.Thread) { s.readers.Enter(td) }
func (s *Socket) exit(td *machine.Thread)  { s.readers.Exit(td) }

// Read takes up to len(b) bytes from the socket and returns how many; of a datagram
// socket one datagram, whose rest is lost if b is too short. 0 and no error is the end
// of the stream, an empty datagram, or an empty b. It does not read past the mark of
// out-of-band data. (soreceive)
//
// Errors: EAGAIN if nothing is there yet; a pending error, which is taken; ENOTCONN
// if the stream is not connected; EBADF once the socket is released. It may block, as
// long as entering a domain does, but not for data; this goes for all methods.
func (s *Socket) Read(td *machine.Thread, b []byte) (n int, err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case len(b) == 0:
	case s.kind == event.Datagram:
		n, _, err = s.receive(td, b)
	default:
		n, err = s.read(td, b)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return n, err
}

// Write sends up to len(b) bytes and returns how many: as many as fit, of a datagram
// socket all. (sosend)
//
// Errors: EAGAIN if nothing was sent for want of room; EPIPE if nothing can be sent
// any more (there are no signals); a pending error, which is taken; ENOTCONN if it is
// not connected, EDESTADDRREQ if it is a datagram socket of Inet; EMSGSIZE if a
// datagram is larger than the buffers; ECONNREFUSED if the other end of a datagram
// pair is gone, and from then on ENOTCONN; EBADF once the socket is released.
func (s *Socket) Write(td *machine.Thread, b []byte) (n int, err error) {
	if s.kind == event.Datagram && s.family == Inet {
		return s.sendTo(td, b, 0)
	}
	s.enter(td)
	if err = s.sendable(); err == nil {
		if s.kind == event.Datagram {
			n, err = s.sendPair(td, b)
		} else {
			n, err = s.write(td, b)
		}
	}
	td.Commit(event.Acted)
	s.exit(td)
	return n, err
}

// sendable returns what any attempt to send answers first, and takes a pending error.
func (s *Socket) sendable() error {
	switch {
	case s.gone:
		return syscall.EBADF
	case s.noSend:
		return syscall.EPIPE
	case s.err != 0:
		return s.takeError()
	}
	return nil
}

// nothing returns what a receive answers that finds nothing, and takes a pending
// error. No error is the end.
func (s *Socket) nothing() error {
	switch {
	case s.err != 0:
		return s.takeError()
	case s.noRecv:
		return nil
	case s.phase != connected && s.kind == event.Stream:
		return syscall.ENOTCONN
	}
	return syscall.EAGAIN
}

func (s *Socket) takeError() error {
	err := s.err
	s.err = 0
	return err
}

// TakeError returns the pending error, 0 if there is none, and takes it. (SO_ERROR)
//
// Error: EBADF once the socket is released.
func (s *Socket) TakeError(td *machine.Thread) (pending syscall.Errno, err error) {
	s.enter(td)
	if s.gone {
		err = syscall.EBADF
	} else {
		pending, s.err = s.err, 0
	}
	td.Commit(event.Acted)
	s.exit(td)
	return pending, err
}

// Shutdown ends one direction of the connection, or both. What has come and was not
// read is lost if reading is shut. Shutting again does nothing. (soshutdown)
//
// Errors: EINVAL if it is none of the three sides; ENOTCONN if the socket was never
// connected; EBADF once it is released.
func (s *Socket) Shutdown(td *machine.Thread, side event.Side) (err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case side < event.ReadSide || side > event.BothSides:
		err = syscall.EINVAL
	case s.phase != connected:
		err = syscall.ENOTCONN
	default:
		s.shut(td, side.Reads(), side.Writes())
	}
	td.Commit(event.Acted)
	s.exit(td)
	return err
}

func (s *Socket) shut(td *machine.Thread, read, write bool) {
	p := s.peer
	if p != nil && p.gone {
		p = nil
	}
	more := read && !s.noRecv && s.family == Inet // its peer can send for ever
	if read {
		s.forget()
	}
	s.over(td, read, write)
	if p != nil && more {
		p.starved = false
		p.writers.Post(td, 0)
	}
	if p != nil {
		p.over(td, write && s.kind == event.Stream, read && s.family == Local)
	}
}

// forget throws away what has come.
func (s *Socket) forget() {
	s.in.drop(s.in.n)
	s.msgs = s.msgs[:0]
	s.urgent = urgent{}
}

// over notes that the socket can receive, or send, no more, and tells who watches it.
// One direction is news to its own list, the second to all: both are EV_HUP.
// (socantrcvmore, socantsendmore)
func (s *Socket) over(td *machine.Thread, recv, send bool) {
	recv, send = recv && !s.noRecv, send && !s.noSend
	if !recv && !send {
		return
	}
	s.noRecv, s.noSend = s.noRecv || recv, s.noSend || send
	both := s.noRecv && s.noSend
	if recv || both {
		s.readers.Post(td, 0)
	}
	if send || both {
		s.writers.Post(td, 0)
	}
	if both {
		s.excepts.Post(td, 0)
	}
}

// fail makes err pending and tells all who watch.
func (s *Socket) fail(td *machine.Thread, err syscall.Errno) {
	s.err = err
	s.readers.Post(td, 0)
	s.writers.Post(td, 0)
	s.excepts.Post(td, 0)
}

// reset ends both directions with an error. (soisdisconnected)
func (s *Socket) reset(td *machine.Thread, err syscall.Errno) {
	s.noRecv, s.noSend = true, true
	s.fail(td, err)
}

// room returns how much can be sent. What nobody will read takes none.
func (s *Socket) room() int {
	p := s.peer
	switch {
	case s.noSend:
		return 0
	case p == nil || p.gone || p.noRecv:
		return s.sndBuf
	case len(p.msgs) >= MaxDatagrams:
		return 0
	}
	return max(0, s.holds()-p.in.n)
}

// holds returns how much the direction from s to its peer holds.
func (s *Socket) holds() int {
	if s.peer == nil {
		return s.sndBuf
	}
	return min(s.sndBuf, s.peer.rcvBuf)
}

// drained tells the peer's watchers of room that there was not before, as a pipe's
// Read does.
func (s *Socket) drained(td *machine.Thread, before int) {
	p := s.peer
	if p == nil || p.gone {
		return
	}
	hint := int64(before) + 1
	if p.starved {
		p.starved = false
		hint = 0
	}
	p.writers.Post(td, hint)
}

// Release closes the socket. Doing so again does nothing. It may block. (soclose)
func (s *Socket) Release(td *machine.Thread) {
	n := s.net
	if n != nil {
		n.mu.Lock(td)
	}
	s.enter(td)
	if s.gone {
		s.exit(td)
	} else {
		s.readers.Bare()
		s.writers.Bare()
		s.excepts.Bare()
		s.gone = true
		s.hangUp(td)
		td.Commit(event.Released)
		s.exit(td)
		if n != nil {
			n.leave(td, s)
		}
	}
	if n != nil {
		n.mu.Unlock(td)
	}
}

// hangUp tells the peer that the socket is gone.
func (s *Socket) hangUp(td *machine.Thread) {
	p := s.peer
	switch {
	case p == nil || p.gone || s.phase != connected:
	case s.kind == event.Datagram: // a write need not wait any more, to have its answer
		p.starved = false
		p.writers.Post(td, 0)
	case s.in.n > 0:
		p.reset(td, syscall.ECONNRESET)
	default:
		p.over(td, true, s.family == Local)
	}
}
