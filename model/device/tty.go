package device

import (
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// What a terminal holds. (TTYHOG, and what ttsetwater makes of 9600 baud)
const (
	// TtyInput is how many bytes that nobody has read a terminal takes. Of a line
	// that grows longer the rest is thrown away, but for what ends it.
	TtyInput = 1024

	// TtyOutput is how many bytes that the master has not read a slave's writes may
	// fill.
	TtyOutput = 1280

	// TtyLowat is how much room a slave that is ready to be written has, unless its
	// knote has a low-water mark.
	TtyLowat = TtyOutput - 256

	// ttyEcho is how many bytes of output there are with echoes, which ask nobody;
	// those that find no room are lost.
	ttyEcho = TtyOutput + 200
)

// The control characters. They cannot be changed, but for EOL, and none can be
// quoted.
const (
	ttyEOF   = 'D' & 0x1f
	ttyErase = 0x7f
	ttyKill  = 'U' & 0x1f
	ttyStop  = 'S' & 0x1f
	ttyStart = 'Q' & 0x1f
)

// Modes are those modes of a terminal on which it depends when it is ready.
// (struct termios)
type Modes struct {
	Canonical bool  // a read takes a line, and what has no end yet can be edited (ICANON)
	Echo      bool  // what comes in goes out (ECHO, ECHOE, ECHOKE)
	Flow      bool  // ^S and ^Q stop and start the output (IXON)
	EOL       byte  // ends a line as NL does; 0 is none (VEOL)
	Min       uint8 // not Canonical: so many bytes are ready (VMIN)
	Time      uint8 // not Canonical: if it is not 0 one byte is ready (VTIME)
}

// TtyModes returns the modes of a terminal that has just been opened.
func TtyModes() Modes { return Modes{Canonical: true, Echo: true, Flow: true, Min: 1} }

// A terminal is what a master and its slave have in common. What comes in is one
// queue: whole lines, lines bytes of it, and behind them what can be edited yet.
// Without canonical mode there are no lines, and all can be read. (struct tty:
// t_canq, t_rawq, t_outq)
type terminal struct {
	// Immutable. The four lists are in one domain, which guards the rest.
	slaveReaders  kqueue.Source
	slaveWriters  kqueue.Source
	masterReaders kqueue.Source
	masterWriters kqueue.Source

	modes   Modes
	slaves  int  // opens of the slave
	over    bool // the master is released
	stopped bool // output is (TS_TTSTOP)
	packet  bool // the master is in packet mode (PF_PKT)
	status  byte // that the master has not read in packet mode (pt_send)
	lines   int
	other   bool // EOL has been another since some of the lines have come
	pending int  // bytes at the front of in that come in again, see setModes
	typing  bool // they do (TS_TYPEN)
	in, out ring
}

// enter brings td into the domain, and exit out of it.
func (t *terminal) enter(td *machine.Thread) { t.slaveReaders.Enter(td) }
func (t *terminal) exit(td *machine.Thread)  { t.slaveReaders.Exit(td) }

// ends reports whether c ends a line. (TTBREAKC)
func (t *terminal) ends(c byte) bool {
	return c == '\n' || c == ttyEOF || c == t.modes.EOL && c != 0
}

// room returns how many bytes the terminal takes for certain. One that waits for the
// end of a line always takes one, or nobody could ever read what it has.
func (t *terminal) room() int {
	if n := TtyInput - t.in.n; n > 0 {
		return n
	}
	if t.modes.Canonical && t.lines == 0 {
		return 1
	}
	return 0
}

// input takes one byte. (ttyinput)
func (t *terminal) input(c byte) {
	if t.modes.Flow && (c == ttyStop || c == ttyStart) {
		t.stop(c == ttyStop)
		return
	}
	if !t.modes.Canonical {
		t.in.add(c)
		t.echo(c)
		return
	}
	edited := t.in.n - t.lines - t.pending
	switch {
	case c == ttyErase:
		t.erase(min(edited, 1))
	case c == ttyKill:
		t.erase(edited)
	case t.ends(c):
		t.in.add(c)
		t.lines += edited + 1
		if c != ttyEOF {
			t.echo(c)
		}
	case t.in.n < TtyInput || t.typing:
		t.in.add(c)
		t.echo(c)
	}
}

// erase takes the last n bytes back.
func (t *terminal) erase(n int) {
	t.in.cut(n)
	for range n {
		t.echo('\b')
		t.echo(' ')
		t.echo('\b')
	}
}

// echo puts c out, as far as there is room. (ttyecho)
func (t *terminal) echo(c byte) {
	if t.modes.Echo && !t.typing && t.out.n < ttyEcho {
		t.out.add(c)
	}
}

// The bits of a status in packet mode. (TIOCPKT_...)
const (
	PacketFlushRead  = 1 << iota // input was flushed
	PacketFlushWrite             // output was
	PacketStop                   // output has been stopped
	PacketStart                  // output has been started
)

// note adds to the status, and takes back what it contradicts.
func (t *terminal) note(status byte) {
	if !t.packet {
		return
	}
	switch status {
	case PacketStop:
		t.status &^= PacketStart
	case PacketStart:
		t.status &^= PacketStop
	}
	t.status |= status
}

// stop stops or starts the output. What the master reads changes by that, so the
// caller posts to it.
func (t *terminal) stop(stop bool) {
	switch {
	case t.stopped == stop:
		return
	case stop:
		t.note(PacketStop)
	default:
		t.note(PacketStart)
	}
	t.stopped = stop
}

// readable returns how many bytes a knote of the slave may say there are: those of
// whole lines, with the EOF that ends one, as in FIONREAD; or all, if they are enough
// for VMIN. With VTIME any are. (ttnread)
func (t *terminal) readable() int {
	switch {
	case t.modes.Canonical:
		return t.lines
	case t.modes.Time == 0 && t.in.n < int(t.modes.Min):
		return 0
	}
	return t.in.n
}

// take moves bytes from a line to b, or any, and reports whether there was any to
// read. The EOF that ends a line goes with the last bytes of it: only one that has
// nothing before it is a read of 0 bytes. (POSIX XBD 11.1.9; DragonFly's ttread
// leaves the EOF to the next read if the bytes fill b exactly.)
func (t *terminal) take(b []byte) (n int, ok bool) {
	if !t.modes.Canonical {
		n = t.in.take(b)
		return n, n > 0
	}
	if t.lines == 0 {
		return 0, false
	}
	for n < min(len(b), t.lines) {
		c := t.in.at(n)
		if c == ttyEOF {
			break
		}
		b[n] = c
		if n++; t.ends(c) {
			t.drop(n)
			return n, true
		}
	}
	if n < t.lines && t.in.at(n) == ttyEOF {
		t.drop(n + 1)
	} else {
		t.drop(n)
	}
	return n, true
}

// drop removes the first n bytes of the lines.
func (t *terminal) drop(n int) {
	t.in.drop(n)
	t.lines -= n
}

// setModes changes the modes, and tells those for whom that makes a difference. If
// lines begin to matter what is there comes in once more, without an echo, so what
// has no end is no longer to be read; if they cease to all is. (TIOCSETA, ttypend;
// Linux has what is there read as it is. DragonFly forgets the master, which may write
// to a terminal without a line however full it is.)
func (t *terminal) setModes(td *machine.Thread, m Modes) {
	was, stopped := t.modes, t.stopped
	t.modes = m
	if m.Canonical != was.Canonical {
		t.lines = 0
	}
	t.other = t.lines > 0 && (t.other || m.EOL != was.EOL)
	if m.Canonical && !was.Canonical {
		t.typing = true
		for t.pending = t.in.n; t.pending > 0; {
			c := t.in.at(0)
			t.in.drop(1)
			t.pending--
			t.input(c)
		}
		t.typing = false
	}
	if m.Canonical != was.Canonical || m.Min != was.Min || m.Time != was.Time {
		t.slaveReaders.Post(td, 0)
	}
	if m.Canonical != was.Canonical {
		t.masterWriters.Post(td, 0)
	}
	if t.stopped != stopped {
		t.masterReaders.Post(td, 0)
	}
}

// flush throws away what has come in and was not read, or what has gone out.
// (ttyflush)
func (t *terminal) flush(td *machine.Thread, a Access) {
	if a&ToRead != 0 {
		t.in.cut(t.in.n)
		t.lines = 0
		t.note(PacketFlushRead)
		t.masterWriters.Post(td, 0)
	}
	if a&ToWrite != 0 {
		t.out.cut(t.out.n)
		t.stop(false)
		t.note(PacketFlushWrite)
		t.slaveWriters.Post(td, 0)
	}
	if t.status != 0 {
		t.masterReaders.Post(td, 0)
	}
}
