package netconn

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// An fd is a socket that calls can wait for. It is the descriptor table of its own
// queues, with the number 0 for the socket.
type fd struct {
	stack *Stack
	sock  *device.Socket
	desc  *kqueue.Desc
	cpu   int
	addr  Addr
	peer  Addr
	none  bool // it has no peer to name

	rd, wr side

	closed atomic.Bool
	mu     sync.Mutex // over the making of queues and the closing
}

// A side is one direction: who waits for it, and how long.
type side struct {
	turn     sync.Mutex      // a call at a time
	events   [2]event.Kevent // guarded by turn: room for what a wait returns
	filter   event.Filter
	q        *kqueue.Queue // guarded by fd.mu; nil until somebody waits
	waits    atomic.Bool   // somebody is about to sleep on q, or does
	deadline atomic.Int64  // on the stack's clock; 0 if there is none
}

// newFD takes over a socket, whose objects are on the given CPU.
func newFD(td *machine.Thread, s *Stack, cpu int, sock *device.Socket) *fd {
	f := &fd{stack: s, sock: sock, desc: kqueue.NewDesc(td, sock), cpu: cpu}
	s.live.Add(1)
	f.rd.filter, f.wr.filter = event.Read, event.Write
	if local, remote, err := sock.Ports(td); err == nil {
		f.addr.Port, f.peer.Port = local, remote
	}
	return f
}

// Desc implements [kqueue.Files].
func (f *fd) Desc(td *machine.Thread, n uint64) (*kqueue.Desc, error) {
	if n != 0 {
		return nil, syscall.EBADF
	}
	return f.desc, nil
}

// again calls do until it answers anything but EAGAIN, and waits in between for as
// long as the side's deadline lets it. A deadline that has passed is looked at first.
func (f *fd) again(td *machine.Thread, s *side, do func() error) error {
	for {
		if err := f.late(s); err != nil {
			return err
		}
		if err := do(); err != syscall.EAGAIN {
			return err
		}
		if err := f.wait(td, s); err != nil {
			return err
		}
	}
}

// late returns what a call answers whatever there is: the fd is closed, or its time
// is over.
func (f *fd) late(s *side) error {
	if f.closed.Load() {
		return net.ErrClosed
	}
	if d := s.deadline.Load(); d != 0 && int64(f.stack.now()) >= d {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// wait sleeps until the side's condition may hold, its deadline is over or has been
// changed, or the fd is closed; which of these it was its caller finds out.
//
//	a call                      SetDeadline
//	says that it waits
//	looks at the deadline: none
//	                            sets it; somebody waits: triggers
//	sleeps                      <- and finds the user event
func (f *fd) wait(td *machine.Thread, s *side) error {
	q, err := f.queue(td, s)
	if err != nil {
		return err
	}
	s.waits.Store(true)
	defer s.waits.Store(false)
	timeout := kqueue.Forever
	if d := s.deadline.Load(); d != 0 {
		timeout = max(time.Duration(d)-f.stack.now(), 0)
	}
	if _, err = q.Kevent(td, nil, s.events[:], timeout); err == syscall.EBADF {
		return net.ErrClosed
	}
	return err
}

// queue returns the queue of a side, which is made when somebody waits first.
func (f *fd) queue(td *machine.Thread, s *side) (*kqueue.Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed.Load() {
		return nil, net.ErrClosed
	}
	if s.q != nil {
		return s.q, nil
	}
	q := f.stack.k.NewQueue(td, f)
	changes := [...]event.Kevent{
		{Filter: s.filter, Flags: event.Add | event.Clear},
		{Filter: event.User, Flags: event.Add | event.Clear},
	}
	if _, err := q.Kevent(td, changes[:], nil, 0); err != nil {
		q.Close(td)
		return nil, err
	}
	s.q = q
	return q, nil
}

// interrupt has who waits for the side look again.
func (f *fd) interrupt(s *side) {
	if !s.waits.Load() {
		return
	}
	f.mu.Lock()
	q := s.q
	f.mu.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	// If it is closed meanwhile nobody waits any more.
	q.Kevent(td, []event.Kevent{{Filter: event.User, Fflags: event.NoteTrigger}}, nil, 0)
}

// setDeadline sets the deadline of one side or both. The zero time is none.
func (f *fd) setDeadline(t time.Time, sides ...*side) error {
	if f.closed.Load() {
		return f.fail("set", net.ErrClosed)
	}
	d := int64(0)
	if !t.IsZero() {
		// What is past may lie before the clock began; 0 would be none.
		d = max(int64(t.Sub(f.stack.boot)), 1)
	}
	for _, s := range sides {
		s.deadline.Store(d)
		f.interrupt(s)
	}
	return nil
}

// close closes the socket and wakes who waits for it.
func (f *fd) close() error {
	f.mu.Lock()
	was := f.closed.Swap(true)
	f.mu.Unlock() // no queue is made from here on
	if was {
		return f.fail("close", net.ErrClosed)
	}
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	f.desc.Close(td)
	f.sock.Release(td)
	f.stack.live.Add(-1)
	for _, s := range [...]*side{&f.rd, &f.wr} {
		if s.q != nil {
			s.q.Close(td)
		}
	}
	return nil
}

// read is Read of a connection.
func (f *fd) read(b []byte) (n int, err error) {
	f.rd.turn.Lock()
	defer f.rd.turn.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	err = f.again(td, &f.rd, func() error {
		n, err = f.sock.Read(td, b)
		return err
	})
	if err != nil {
		return 0, f.fail("read", err)
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// write is Write of a connection: it ends when all is written, or something is wrong.
func (f *fd) write(b []byte) (n int, err error) {
	f.wr.turn.Lock()
	defer f.wr.turn.Unlock()
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	for {
		err = f.again(td, &f.wr, func() error {
			wrote, err := f.sock.Write(td, b[n:])
			n += wrote
			return err
		})
		if err != nil {
			return n, f.fail("write", err)
		}
		if n == len(b) {
			return n, nil
		}
	}
}

// shut ends one direction.
func (f *fd) shut(side event.Side) error {
	if f.closed.Load() {
		return f.fail("close", net.ErrClosed)
	}
	td := f.stack.enter(f.cpu)
	defer f.stack.exit(f.cpu, td)
	if err := f.sock.Shutdown(td, side); err != nil {
		return f.fail("close", err)
	}
	return nil
}

// fail says of an error what went wrong, and between whom.
func (f *fd) fail(op string, err error) error {
	if err == syscall.EBADF { // closed while the call was under way
		err = net.ErrClosed
	}
	e := &net.OpError{Op: op, Net: Host, Source: f.addr, Addr: f.peer, Err: syscallError(op, err)}
	if f.none {
		e.Source, e.Addr = nil, f.addr
	}
	return e
}

// syscallError is what package net has inside of an OpError: of an errno, which call
// has answered it; any other error as it is.
func syscallError(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		return os.NewSyscallError(op, errno)
	}
	return err
}
