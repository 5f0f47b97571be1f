package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A modem is a terminal whose other side is hardware: a wire, and a signal that says
// whether anybody is at its end. What a master is to a pseudo-terminal interrupts are
// here, which nobody can watch. (struct com_s)
type modem struct {
	terminal

	overruns  int64 // bytes that came when there was no room
	unplugged bool
}

// A Serial is one open of a serial line, a [kqueue.File] that never blocks; all opens of
// it are the same terminal. It is read and written, and has filters, as a [Tty] has. It
// begins without modes, with VMIN at 1: nobody types at a modem. (sio(4), whose initial
// state has no local modes)
//
// Bytes come by [Serial.Receive], the receive interrupt, and go by [Serial.Transmit], the
// transmit interrupt. Nobody can make the other side wait: what comes when there is no
// room is lost, and counted.
//
// When the carrier is lost all opens are hung up, for good even if it comes back: Read,
// Write and Except are ready, with EV_EOF, EV_HUP and EV_NODATA, what was in the terminal
// is gone, and a read is at the end of the file. (ttymodem, TS_ZOMBIE. There are no
// signals, and carrier is never ignored: there is no CLOCAL. DragonFly lets a line be
// opened that has hung up, to no use until all have closed it; here that is EIO, as it
// is of a pseudo-terminal without a master.)
type Serial struct {
	Tty
	l *modem
}

var (
	modems  = machine.NewStock(func(l *modem) { *l = modem{terminal: terminal{in: l.in.again(), out: l.out.again()}} })
	serials = machine.NewStock[Serial](nil)
)

// NewSerial makes a line with a carrier, placed by the strategy, and returns an open of
// it.
func NewSerial(td *machine.Thread, k *kqueue.Kernel) *Serial {
	l := modems.New(td)
	l.slaveReaders.Init(td, k)
	l.slaveWriters.InitSibling(&l.slaveReaders)
	l.masterReaders.InitSibling(&l.slaveReaders)
	l.masterWriters.InitSibling(&l.slaveReaders)
	l.modes = Modes{Min: 1}
	return l.open(td)
}

// open makes an open, and counts it.
func (l *modem) open(td *machine.Thread) *Serial {
	s := serials.New(td)
	s.l, s.t = l, &l.terminal
	s.srcs = [2]*kqueue.Source{&l.slaveReaders, &l.slaveWriters}
	l.slaves++
	return s
}

// Open opens the line once more. It may block, as long as entering a domain does; so may
// all that follow.
//
// Errors: EIO if it is hung up; EBADF once this open is released.
func (s *Serial) Open(td *machine.Thread) (o *Serial, err error) {
	err = s.control(td, func() error { o = s.l.open(td); return nil })
	return o, err
}

// Receive is an interrupt with which b has come in, and returns how many bytes of it were
// taken: none while the line is hung up. (siointr1, ttyinput)
//
// Errors: ENXIO if the device is unplugged; EBADF once this open is released.
func (s *Serial) Receive(td *machine.Thread, b []byte) (n int, err error) {
	return s.interrupt(td, func() int {
		t, n := s.t, 0
		if t.over {
			return 0
		}
		lines := t.lines
		for n < len(b) && t.room() > 0 {
			t.input(b[n])
			n++
		}
		s.l.overruns += int64(len(b) - n)
		if t.lines > lines || !t.modes.Canonical && n > 0 {
			t.slaveReaders.Post(td, 0)
		}
		return n
	})
}

// Input is Receive of n zeros, which mean nothing to a terminal.
//
// Errors: EINVAL if n is negative; those of Receive.
func (s *Serial) Input(td *machine.Thread, n int) (int, error) {
	if n < 0 {
		return 0, syscall.EINVAL
	}
	return s.Receive(td, blank(n))
}

// Transmit is an interrupt at which the wire is ready for so many bytes as b has room for,
// and returns how many have gone out: none while output is stopped. (siostart)
//
// Errors: those of Receive.
func (s *Serial) Transmit(td *machine.Thread, b []byte) (n int, err error) {
	return s.transmit(td, func(t *terminal) int { return t.out.take(b) })
}

// Output is Transmit of n bytes that nobody looks at.
//
// Errors: EINVAL if n is negative; those of Receive.
func (s *Serial) Output(td *machine.Thread, n int) (int, error) {
	if n < 0 {
		return 0, syscall.EINVAL
	}
	return s.transmit(td, func(t *terminal) int {
		n := min(n, t.out.n)
		t.out.drop(n)
		return n
	})
}

func (s *Serial) transmit(td *machine.Thread, take func(*terminal) int) (int, error) {
	return s.interrupt(td, func() int {
		t := s.t
		if t.over || t.stopped || t.out.n == 0 {
			return 0
		}
		n := take(t)
		if n > 0 {
			t.slaveWriters.Post(td, 0)
		}
		return n
	})
}

// Carrier is an interrupt that says whether there is a carrier. When it is lost the line
// hangs up. (TTY_CHECK_DCD, ttymodem)
//
// Errors: those of Receive.
func (s *Serial) Carrier(td *machine.Thread, on bool) error {
	_, err := s.interrupt(td, func() int {
		if !on {
			s.l.hangUp(td)
		}
		return 0
	})
	return err
}

// Unplug takes the device away: the line hangs up, and there are no more interrupts.
//
// Errors: those of Receive.
func (s *Serial) Unplug(td *machine.Thread) error {
	_, err := s.interrupt(td, func() int {
		s.l.hangUp(td)
		s.l.unplugged = true
		return 0
	})
	return err
}

// Control is Carrier, or Flush of what n says as an [Access], 0 being both, by name.
//
// Errors: EINVAL if n says nothing; ENOTTY if it is another; those of Carrier and of Flush.
func (s *Serial) Control(td *machine.Thread, c event.Control, n int64) error {
	switch c {
	case event.Carrier:
		return s.Carrier(td, n != 0)
	case event.Flush:
		switch n {
		case 0:
			return s.Flush(td, ToReadAndWrite)
		case int64(ToRead), int64(ToWrite), int64(ToReadAndWrite):
			return s.Flush(td, Access(n))
		}
		return syscall.EINVAL
	}
	return syscall.ENOTTY
}

// hangUp ends the terminal, once.
func (l *modem) hangUp(td *machine.Thread) {
	if l.over {
		return
	}
	l.over = true
	l.empty()
	l.out.cut(l.out.n)
	l.slaveReaders.Post(td, 0)
	l.slaveWriters.Post(td, 0)
}

func (s *Serial) interrupt(td *machine.Thread, do func() int) (n int, err error) {
	s.t.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case s.l.unplugged:
		err = syscall.ENXIO
	default:
		n = do()
	}
	td.Commit(event.Acted)
	s.t.exit(td)
	return n, err
}

// Overruns returns how many bytes have been lost for want of room. Error: EBADF once this
// open is released. (CE_TTY_BUF_OVERFLOW)
func (s *Serial) Overruns(td *machine.Thread) (n int64, err error) {
	s.t.enter(td)
	if n = s.l.overruns; s.gone {
		n, err = 0, syscall.EBADF
	}
	td.Commit(event.Acted)
	s.t.exit(td)
	return n, err
}

// Source is that of a [Tty].
func (s *Serial) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f == event.Except {
		return &s.t.slaveReaders, serialExcept, nil
	}
	return s.Tty.Source(f)
}

var serialExcept = exceptional("serial except", func(s *Serial, kn *kqueue.Knote) bool { return s.t.over && ended(kn, true, true) })
