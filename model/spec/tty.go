package spec

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	ttyInput  = 1024            // bytes that a terminal takes
	ttyOutput = 1280            // that writes of the slave may fill
	ttyLowat  = ttyOutput - 256 // room; the mark of a slave that sets none
	ttyEcho   = ttyOutput + 200 // that echoes may fill too
)

// The keys, and what is none.
var (
	nl, eof, erase, kill = event.KeyNL.Byte(), event.KeyEOF.Byte(), event.KeyErase.Byte(), event.KeyKill.Byte()
	newTermios           = event.Canonical | event.Echo // of a terminal that has just been opened
)

// masters have all of a terminal: of the text that has come in so many bytes are whole
// lines, and of what has gone out there are level bytes. Peer says nothing.
type masters struct{ plain }

// slaves are opens of the slave of a terminal. Peer is its master.
type slaves struct{ plain }

func (masters) knows(f event.Filter) bool { return knownToTerminal(f) }
func (slaves) knows(f event.Filter) bool  { return knownToTerminal(f) }

func knownToTerminal(f event.Filter) bool {
	return f == event.Read || f == event.Write || f == event.Except
}

func (masters) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch kn.filter {
	case event.Read:
		return lowat(kn, kev, 1, ttyEcho)
	case event.Write:
		return lowat(kn, kev, 1, ttyInput)
	}
	return except(kn, kev)
}

func (slaves) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch kn.filter {
	case event.Read:
		return lowat(kn, kev, 1, ttyInput)
	case event.Write:
		return lowat(kn, kev, ttyLowat, ttyOutput)
	}
	return except(kn, kev)
}

// openSlaves returns how many opens of its slave a master has, or a line has at all.
func (s *State) openSlaves(m int32) (n int) {
	for i := range s.files {
		if f := &s.files[i]; (f.kind == slave || f.kind == serial) && f.peer == m && !f.gone {
			n++
		}
	}
	return n
}

// hungUp reports whether a terminal is at its end: its master is gone, or its line has hung
// up.
func (f *file) hungUp() bool { return f.hung || f.kind == master && f.gone }

// readable returns how many bytes there are to read: in lines, or at all.
func (f *file) readable() int64 {
	if f.modes&event.Canonical != 0 {
		return f.whole
	}
	return int64(len(f.text))
}

// room returns how many bytes are taken for certain: one at least of who waits for the
// end of a line, since nobody can read before it comes.
func (f *file) room() int64 {
	if n := int64(ttyInput - len(f.text)); n > 0 {
		return n
	}
	if f.modes&event.Canonical != 0 && f.whole == 0 {
		return 1
	}
	return 0
}

func over(e event.Kevent, empty bool) event.Kevent {
	e.Flags |= event.EOF | event.HUP
	if empty {
		e.Flags |= event.NoData
	}
	return e
}

func (masters) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[kn.file]
	gone := s.openSlaves(kn.file) == 0
	switch {
	case kn.filter == event.Read:
		e.Data = f.level
	case kn.filter == event.Write && !gone:
		e.Data = f.room()
	}
	if gone {
		return true, over(e, f.level == 0 || kn.filter == event.Write)
	}
	return kn.filter != event.Except && e.Data >= kn.mark, e
}

func (slaves) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[s.files[kn.file].peer]
	switch {
	case f.hungUp():
		return true, over(e, true)
	case kn.filter == event.Read:
		e.Data = f.readable()
	case kn.filter == event.Write:
		e.Data = max(ttyOutput-f.level, 0)
	}
	return kn.filter != event.Except && e.Data >= kn.mark, e
}

func (masters) mask(s *State, n int32) (m event.PollEvents) {
	f := &s.files[n]
	if f.level > 0 {
		m |= in
	}
	if s.openSlaves(n) == 0 {
		return m | out | event.PollHup
	}
	if f.room() > 0 {
		m |= out
	}
	return m
}

func (slaves) mask(s *State, n int32) (m event.PollEvents) {
	f := &s.files[s.files[n].peer]
	if f.hungUp() {
		return in | out | event.PollErr | event.PollHup
	}
	if f.readable() > 0 {
		m |= in
	}
	if ttyOutput-f.level >= ttyLowat {
		m |= out
	}
	return m
}

// tellMaster posts to who reads or writes at a master, and tellSlaves to who does at its
// slave, whatever open of it they have.
func (s *State) tellMaster(m int32, side event.Side) {
	if s.files[m].kind == master { // nobody watches the other side of a line
		s.postTo(only(m), side, 0)
	}
}

func (s *State) tellSlaves(m int32, side event.Side) {
	s.postTo(func(n int32) (event.Side, bool) {
		return event.ReadSide, (s.files[n].kind == slave || s.files[n].kind == serial) && s.files[n].peer == m
	}, side, 0)
}

func (x masters) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch op.Call {
	case event.CallRead, event.CallWrite, event.CallTermios, event.CallReopen:
		if f.gone {
			w.fails(syscall.EBADF)
			return
		}
	}
	unused := s.openSlaves(n) == 0
	switch op.Call {
	case event.CallRead:
		took := min(op.N, f.level)
		switch {
		case took > 0:
			f.level -= took
			s.tellSlaves(n, event.WriteSide)
			w.ends(took)
		case op.N > 0 && !unused:
			w.fails(syscall.EAGAIN)
		default:
			w.ends(0)
		}
	case event.CallWrite:
		if unused {
			w.fails(syscall.EIO)
			return
		}
		s.typed(n, w, op)
	case event.CallTermios:
		if unused {
			w.fails(syscall.EAGAIN)
			return
		}
		s.setModes(n, op.Modes)
		w.ends(0)
	case event.CallReopen:
		s.reopenSlave(n, w)
	default:
		x.plain.act(s, n, w, op)
	}
}

func (x slaves) act(s *State, n int32, w *Work, op *event.Op) {
	m := s.files[n].peer
	f := &s.files[m]
	switch op.Call {
	case event.CallRead, event.CallWrite, event.CallTermios, event.CallReopen:
		switch {
		case s.files[n].gone:
			w.fails(syscall.EBADF)
			return
		case f.hungUp() && op.Call == event.CallRead:
			w.ends(0)
			return
		case f.hungUp():
			w.fails(syscall.EIO)
			return
		}
	}
	switch op.Call {
	case event.CallRead:
		if op.N == 0 {
			w.ends(0)
			return
		}
		if f.readable() == 0 {
			w.fails(syscall.EAGAIN)
			return
		}
		took := f.takeLine(op.N)
		s.tellMaster(m, event.WriteSide)
		w.ends(took)
	case event.CallWrite:
		put := max(min(op.N, ttyOutput-f.level), 0)
		switch {
		case put > 0:
			f.level += put
			s.tellMaster(m, event.ReadSide)
			w.ends(put)
		case op.N > 0:
			w.fails(syscall.EAGAIN)
		default:
			w.ends(0)
		}
	case event.CallTermios:
		s.setModes(m, op.Modes)
		w.ends(0)
	case event.CallReopen:
		s.reopenSlave(m, w)
	default:
		x.plain.act(s, n, w, op)
	}
}

// takeLine takes at most so many bytes of the first line, or of all there is without
// lines, and says how many. An EOF goes with what it ends.
func (f *file) takeLine(most int64) int64 {
	if f.modes&event.Canonical == 0 {
		took := min(most, int64(len(f.text)))
		f.text = f.text[took:]
		return took
	}
	line := f.text[:strings.IndexAny(f.text, string([]byte{nl, eof}))+1]
	size := int64(len(line))
	if line[size-1] == eof && most >= size-1 {
		f.text, f.whole = f.text[size:], f.whole-size
		return size - 1
	}
	took := min(most, size)
	f.text, f.whole = f.text[took:], f.whole-took
	return took
}

// typed is a write of the master.
func (s *State) typed(m int32, w *Work, op *event.Op) {
	n := s.types(m, op)
	if n == 0 && op.N > 0 {
		w.fails(syscall.EAGAIN)
		return
	}
	w.ends(n)
}

// types has bytes come in: some that mean nothing, and the key that is last. It returns
// how many there was room for.
func (s *State) types(m int32, op *event.Op) int64 {
	f := &s.files[m]
	room, whole, level, n := f.room(), f.whole, f.level, int64(0)
	if f.modes&event.Canonical == 0 { // the same as below, but for the time that it takes
		n = max(min(op.N-1, room), 0)
		f.text += strings.Repeat("\x00", int(n))
		if f.modes&event.Echo != 0 {
			f.level = max(f.level, min(f.level+n, ttyEcho))
		}
	}
	for n < op.N && f.room() > 0 {
		n++
		c := byte(0)
		if n == op.N {
			c = op.Key.Byte()
		}
		f.key(c, true)
	}
	if f.whole > whole || f.modes&event.Canonical == 0 && n > 0 {
		s.tellSlaves(m, event.ReadSide)
	}
	if f.level > level {
		s.tellMaster(m, event.ReadSide)
	}
	if f.room() > room {
		s.tellMaster(m, event.WriteSide)
	}
	return n
}

// key takes one byte, with or without its echo. Beyond what fits one only ends a line
// or edits it.
func (f *file) key(c byte, echo bool) {
	edited := int64(len(f.text)) - f.whole
	shown := int64(1)
	switch {
	case f.modes&event.Canonical == 0:
		f.text += string([]byte{c})
	case c == erase || c == kill:
		if c == erase {
			edited = min(edited, 1)
		}
		f.text = f.text[:int64(len(f.text))-edited]
		shown = 3 * edited
	case c == nl || c == eof:
		f.text += string([]byte{c})
		f.whole += edited + 1
		if c == eof {
			shown = 0
		}
	case len(f.text) < ttyInput || !echo:
		f.text += string([]byte{c})
	default:
		shown = 0
	}
	if echo && f.modes&event.Echo != 0 {
		f.level = max(f.level, min(f.level+shown, ttyEcho))
	}
}

// setModes: if lines begin to matter, what is there is taken once more, and if they
// cease to all is there to be read.
func (s *State) setModes(m int32, modes event.Termios) {
	f := &s.files[m]
	changed := (f.modes ^ modes) & event.Canonical
	f.modes = modes
	if changed == 0 {
		return
	}
	text := f.text
	f.text, f.whole = "", 0
	for i := range len(text) {
		f.key(text[i], false)
	}
	s.tellSlaves(m, event.ReadSide)
	s.tellMaster(m, event.WriteSide)
}

// open returns what a terminal is opened as.
func (f *file) open() kind {
	if f.kind == serial {
		return serial
	}
	return slave
}

// reopenSlave: the first open after there was none is news to who writes at the
// master.
func (s *State) reopenSlave(m int32, w *Work) {
	first := s.openSlaves(m) == 0
	s.opens(w, file{kind: s.files[m].open(), peer: m})
	if first {
		s.files[m].modes = newTermios
		s.tellMaster(m, event.WriteSide)
	}
}

func (masters) released(s *State, n int32) {
	f := &s.files[n]
	f.text, f.whole, f.level = "", 0, 0
	s.tellSlaves(n, event.ReadSide)
	s.tellSlaves(n, event.WriteSide)
}

// released: what has gone out is left for the master.
func (slaves) released(s *State, n int32) {
	m := s.files[n].peer
	if s.openSlaves(m) > 0 {
		return
	}
	s.files[m].text, s.files[m].whole = "", 0
	s.tellMaster(m, event.ReadSide)
	s.tellMaster(m, event.WriteSide)
}

func (masters) name() string { return "master" }
func (slaves) name() string  { return "slave" }

func (masters) details(s *State, n int32) string { return s.files[n].terminal() }
func (slaves) details(s *State, n int32) string  { return s.files[s.files[n].peer].terminal() }

func (f *file) terminal() string {
	return fmt.Sprintf("%v in=%d whole=%d out=%d", f.modes, len(f.text), f.whole, f.level)
}

func (masters) words(s *State, n int32) string {
	text := "the master of a terminal, " + s.files[n].terminalWords()
	if s.openSlaves(n) == 0 {
		text += ", whose slave is not open"
	}
	return text
}

func (slaves) words(s *State, n int32) string {
	m := &s.files[s.files[n].peer]
	text := "the slave of a terminal, " + m.terminalWords()
	if m.gone {
		text += ", whose master is closed"
	}
	return text
}

func (f *file) terminalWords() string {
	text := fmt.Sprintf("with %d bytes that have come in", len(f.text))
	if f.modes&event.Canonical != 0 {
		text += fmt.Sprintf(", %d of them in lines,", f.whole)
	}
	return text + fmt.Sprintf(" and %d that have gone out", f.level)
}
