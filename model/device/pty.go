package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Pty is the master of an in-process pseudo-terminal that never blocks, as
// posix_openpt(3) makes it, with O_NONBLOCK. It is a [kqueue.File]. What it writes
// comes in at the slave, a [Tty], through the line discipline, and what that echoes
// comes back with what the slave writes.
//
// Read is ready when there are bytes that have come out of the terminal; data says
// how many. While output is stopped there are none. Write is ready when a byte can
// be written; data says how many can be for certain. A terminal that is full and
// waits for the end of a line takes one at a time, and throws it away unless it ends
// the line or edits it. Both honour NOTE_LOWAT, from 1, which is what they use without
// it. (filt_ptcread, filt_ptcwrite)
//
// While the slave is not open both are ready, with EV_EOF and EV_HUP, and EV_NODATA,
// which Read has only when the bytes that came out before are read. That is over when
// it is opened again: news to who wants to write. Except is ready while it is not
// open too, and with NOTE_OOB while there is a status to be read in packet mode: then
// it has that in its fflags.
//
// In packet mode each read begins with a byte, 0 before what has come out. If there is
// a status a read takes just that, one byte; it makes Read ready, and data counts it.
//
// There are no signals: the characters of ISIG are bytes like any other. Nothing is
// done to what goes out (OPOST), and nothing to what comes in but what the line
// discipline of [Modes] says. The slave can be opened as long as there is a master,
// and each first open begins with [TtyModes].
type Pty struct {
	t    *terminal
	srcs [2]*kqueue.Source
}

// A Tty is one open of the slave of a pseudo-terminal, a [kqueue.File] that never
// blocks; all opens of it are the same terminal.
//
// Read is ready when there is a whole line; data is the bytes of all lines, an EOF
// counted as one. Without canonical mode it is ready when there are as many as VMIN,
// or any, if VTIME is set: who reads will wait no longer than that. Write is ready when
// there is room for [TtyLowat] bytes of output; data is the room. Both honour
// NOTE_LOWAT, from 1, which is the default of Read. (filt_ttyread; filt_ttywrite,
// whose data is what is taken: here, as everywhere else, it is room.)
//
// When the master is released both are ready for good, with EV_EOF, EV_HUP and
// EV_NODATA, and so is Except: all that was in the terminal is gone. A read is at the
// end of the file then. (ptcclose, TS_ZOMBIE)
type Tty struct {
	t    *terminal
	gone bool // guarded by t: released
	srcs [2]*kqueue.Source
}

var (
	terminals = machine.NewStock(func(t *terminal) { *t = terminal{in: t.in.again(), out: t.out.again()} })
	ptys      = machine.NewStock[Pty](nil)
	ttys      = machine.NewStock[Tty](nil)
)

// NewPty makes a pseudo-terminal, placed by the strategy, opens its slave and
// returns both. (openpty(3))
func NewPty(td *machine.Thread, k *kqueue.Kernel) (*Pty, *Tty) {
	t := terminals.New(td)
	t.slaveReaders.Init(td, k)
	t.slaveWriters.InitSibling(&t.slaveReaders)
	t.masterReaders.InitSibling(&t.slaveReaders)
	t.masterWriters.InitSibling(&t.slaveReaders)
	t.modes, t.slaves = TtyModes(), 1
	m := ptys.New(td)
	m.t = t
	m.srcs = [2]*kqueue.Source{&t.masterReaders, &t.masterWriters}
	return m, t.open(td)
}

// open returns an open of the slave that has been counted.
func (t *terminal) open(td *machine.Thread) *Tty {
	s := ttys.New(td)
	s.t = t
	s.srcs = [2]*kqueue.Source{&t.slaveReaders, &t.slaveWriters}
	return s
}

// Read takes up to len(b) bytes that have come out of the terminal and returns how
// many. 0 and no error is the end of the file: the slave is not open, and nothing is
// left. (ptcread)
//
// Errors: EAGAIN if there are none, or output is stopped; EBADF once the master is
// released. It may block, as long as entering a domain does, but not for data.
func (m *Pty) Read(td *machine.Thread, b []byte) (n int, err error) {
	t := m.t
	t.enter(td)
	switch {
	case t.over:
		err = syscall.EBADF
	case len(b) == 0:
	case t.status != 0:
		b[0], t.status, n = t.status, 0, 1
	case t.out.n > 0 && !t.stopped:
		if t.packet {
			b[0], n = 0, 1
		}
		n += t.out.take(b[n:])
		t.slaveWriters.Post(td, 0)
	case t.slaves > 0:
		err = syscall.EAGAIN
	}
	td.Commit(event.Acted)
	t.exit(td)
	return n, err
}

// Write has up to len(b) bytes come in at the slave and returns how many did.
// (ptcwrite)
//
// Errors: EAGAIN if there is no room for one; EIO if the slave is not open; EBADF once
// the master is released. It may block, as long as entering a domain does, but not for
// room.
func (m *Pty) Write(td *machine.Thread, b []byte) (n int, err error) {
	t := m.t
	t.enter(td)
	switch {
	case t.over:
		err = syscall.EBADF
	case t.slaves == 0:
		err = syscall.EIO
	default:
		room, lines, echoed, status, stopped := t.room(), t.lines, t.out.n, t.status, t.stopped
		for n < len(b) && t.room() > 0 {
			t.input(b[n])
			n++
		}
		if n == 0 && len(b) > 0 {
			err = syscall.EAGAIN
		}
		if t.lines > lines || !t.modes.Canonical && n > 0 {
			t.slaveReaders.Post(td, 0)
		}
		if t.out.n > echoed || t.status != status || stopped && !t.stopped {
			t.masterReaders.Post(td, 0)
		}
		if t.room() > room {
			t.masterWriters.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	t.exit(td)
	return n, err
}

// Open opens the slave once more. It is news to the master if it was not open. (open(2)
// of ptsname(3); ptsopen)
//
// Error: EBADF once the master is released. It may block, as long as entering a domain
// does.
func (m *Pty) Open(td *machine.Thread) (*Tty, error) {
	return m.t.reopen(td, func() error { return nil }, syscall.EBADF)
}

// Reopen opens the slave once more.
//
// Errors: EIO if the master is released; EBADF once this open is. It may block, as long
// as entering a domain does.
func (s *Tty) Reopen(td *machine.Thread) (*Tty, error) {
	return s.t.reopen(td, s.open, syscall.EIO)
}

func (t *terminal) reopen(td *machine.Thread, open func() error, over error) (s *Tty, err error) {
	t.enter(td)
	err = open()
	switch {
	case err != nil:
	case t.over:
		err = over
	default:
		s = t.open(td)
		if t.slaves++; t.slaves == 1 {
			t.modes = TtyModes()
			t.masterWriters.Post(td, 0)
		}
	}
	td.Commit(event.Acted)
	t.exit(td)
	return s, err
}

// open returns EBADF if s is released.
func (s *Tty) open() error {
	if s.gone {
		return syscall.EBADF
	}
	return nil
}

// Read takes up to len(b) bytes of the first line, with what ends it but EOF, and
// returns how many. Without canonical mode it takes any bytes, fewer than VMIN if
// there are no more: to wait for VMIN and VTIME is for who can wait. 0 and no error is
// an EOF at the begin of a line, or that the master is released, or that there is
// nothing and VMIN is 0. (ttread)
//
// Errors: EAGAIN if there is nothing to take; EBADF once this open is released. It may
// block, as long as entering a domain does, but not for data.
func (s *Tty) Read(td *machine.Thread, b []byte) (n int, err error) {
	t := s.t
	t.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case len(b) == 0 || t.over:
	default:
		var ok bool
		if n, ok = t.take(b); ok {
			t.masterWriters.Post(td, 0)
		} else if t.modes.Canonical || t.modes.Min > 0 {
			err = syscall.EAGAIN
		}
	}
	td.Commit(event.Acted)
	t.exit(td)
	return n, err
}

// Write puts up to len(b) bytes out and returns how many. (ttwrite)
//
// Errors: EAGAIN if there is no room for one; EIO if the master is released; EBADF once
// this open is. It may block, as long as entering a domain does, but not for room.
func (s *Tty) Write(td *machine.Thread, b []byte) (n int, err error) {
	t := s.t
	t.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case t.over:
		err = syscall.EIO
	case len(b) == 0:
	default:
		n = max(min(len(b), TtyOutput-t.out.n), 0)
		if n == 0 {
			err = syscall.EAGAIN
			break
		}
		t.out.put(b[:n])
		t.masterReaders.Post(td, 0)
	}
	td.Commit(event.Acted)
	t.exit(td)
	return n, err
}

// SetModes changes the modes of the terminal at once. (tcsetattr(3), TCSANOW)
//
// Errors: EIO if the master is released; EBADF once this open is. It may block, as long
// as entering a domain does; so may all that follow.
func (s *Tty) SetModes(td *machine.Thread, modes Modes) error {
	return s.control(td, func() error { s.t.setModes(td, modes); return nil })
}

// Flush throws away what has come in and was not read, or what has gone out and was
// not read at the master, or both: what a says. Stopped output goes on when there is
// none of it left. (tcflush(3))
//
// Errors: EINVAL if a is no access; those of SetModes.
func (s *Tty) Flush(td *machine.Thread, a Access) error {
	return s.control(td, func() error {
		if a < ToRead || a > ToReadAndWrite {
			return syscall.EINVAL
		}
		s.t.flush(td, a)
		return nil
	})
}

// Stop stops the output, or starts it again. Errors are those of SetModes. (tcflow(3),
// TCOOFF and TCOON)
func (s *Tty) Stop(td *machine.Thread, stop bool) error {
	return s.control(td, func() error {
		s.t.stop(stop)
		s.t.masterReaders.Post(td, 0)
		return nil
	})
}

func (s *Tty) control(td *machine.Thread, do func() error) (err error) {
	t := s.t
	t.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case t.over:
		err = syscall.EIO
	default:
		err = do()
	}
	td.Commit(event.Acted)
	t.exit(td)
	return err
}

// SetModes is [Tty.SetModes] from the other side.
//
// Errors: EAGAIN if the slave is not open, when there are no modes; EBADF once the
// master is released.
func (m *Pty) SetModes(td *machine.Thread, modes Modes) (err error) {
	t := m.t
	t.enter(td)
	switch {
	case t.over:
		err = syscall.EBADF
	case t.slaves == 0:
		err = syscall.EAGAIN
	default:
		t.setModes(td, modes)
	}
	td.Commit(event.Acted)
	t.exit(td)
	return err
}

// Packet begins packet mode, or ends it and forgets the status. Error: EBADF once the
// master is released. (TIOCPKT)
func (m *Pty) Packet(td *machine.Thread, on bool) (err error) {
	t := m.t
	t.enter(td)
	if t.over {
		err = syscall.EBADF
	} else {
		t.packet, t.status = on, 0
	}
	td.Commit(event.Acted)
	t.exit(td)
	return err
}

// Source returns the list of f and its filter, EINVAL unless it is Read, Write or
// Except, which has that of Read.
func (m *Pty) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &m.t.masterReaders, ptyRead, nil
	case event.Write:
		return &m.t.masterWriters, ptyWrite, nil
	case event.Except:
		return &m.t.masterReaders, ptyExcept, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the two lists of the master.
func (m *Pty) Sources() []*kqueue.Source { return m.srcs[:] }

// Release closes the master: the slave is hung up for good, and what was in the
// terminal is gone. It may block. (ptcclose)
func (m *Pty) Release(td *machine.Thread) {
	t := m.t
	t.enter(td)
	t.over = true
	t.empty()
	t.out.cut(t.out.n)
	t.masterReaders.Bare()
	t.masterWriters.Bare()
	t.slaveReaders.Post(td, 0)
	t.slaveWriters.Post(td, 0)
	td.Commit(event.Released)
	t.exit(td)
}

// empty throws away what has come in.
func (t *terminal) empty() {
	t.in.cut(t.in.n)
	t.lines, t.stopped, t.status = 0, false, 0
}

// Source returns the list of f and its filter, EINVAL unless it is Read, Write or
// Except, which has that of Read.
func (s *Tty) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &s.t.slaveReaders, ttyRead, nil
	case event.Write:
		return &s.t.slaveWriters, ttyWrite, nil
	case event.Except:
		return &s.t.slaveReaders, ttyExcept, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the two lists of the slave, which all its opens share.
func (s *Tty) Sources() []*kqueue.Source { return s.srcs[:] }

// Release closes this open. With the last the master is hung up until there is
// another. What nobody has read here is gone; what went out is still there for the
// master, since a close that can block waits until it has read it. It may block, and
// doing it again does nothing. (ptsclose, ttyclose)
func (s *Tty) Release(td *machine.Thread) {
	t := s.t
	t.enter(td)
	if !s.gone {
		s.gone = true
		if t.slaves--; t.slaves == 0 {
			t.slaveReaders.Bare()
			t.slaveWriters.Bare()
			t.empty()
			t.masterReaders.Post(td, 0)
			t.masterWriters.Post(td, 0)
		}
	}
	td.Commit(event.Released)
	t.exit(td)
}

// PollClass implements the method that [event.PollClass] speaks of.
func (m *Pty) PollClass() event.PollClass { return event.PollPty }

// PollClass implements the method that [event.PollClass] speaks of.
func (s *Tty) PollClass() event.PollClass { return event.PollTty }
