package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// serials are opens of a serial line, which is a terminal without a master. Peer is the
// first open of the same line, which has all of the terminal: hung says that it has hung
// up, and absent that the device has been unplugged.
type serials struct{ slaves }

// hangs hangs up a line: what was in it is gone.
func (s *State) hangs(l int32) {
	f := &s.files[l]
	if f.hung {
		return
	}
	f.hung, f.text, f.whole, f.level = true, "", 0, 0
	s.tellSlaves(l, event.ReadSide)
	s.tellSlaves(l, event.WriteSide)
}

func (x serials) act(s *State, n int32, w *Work, op *event.Op) {
	l := s.files[n].peer
	f := &s.files[l]
	switch op.Call {
	case event.CallControl:
		switch {
		case op.Control != event.Carrier && op.Control != event.Flush:
			w.fails(syscall.ENOTTY)
			return
		case op.Control == event.Flush:
			s.flushes(n, w, op.N)
			return
		}
	case event.CallInput, event.CallOutput, event.CallUnplug:
	default:
		x.slaves.act(s, n, w, op)
		return
	}
	// What is left are interrupts.
	switch {
	case s.files[n].gone:
		w.fails(syscall.EBADF)
		return
	case f.absent:
		w.fails(syscall.ENXIO)
		return
	}
	took := int64(0)
	switch {
	case op.Call == event.CallUnplug || op.Call == event.CallControl && op.N == 0:
		s.hangs(l)
		f.absent = op.Call == event.CallUnplug
	case f.hung:
	case op.Call == event.CallInput:
		took = s.types(l, op)
	case op.Call == event.CallOutput:
		if took = min(op.N, f.level); took > 0 {
			f.level -= took
			s.tellSlaves(l, event.WriteSide)
		}
	}
	w.ends(took)
}

// flushes throws away what has come in, what has not gone out, or both.
func (s *State) flushes(n int32, w *Work, of int64) {
	l := s.files[n].peer
	f := &s.files[l]
	switch {
	case of < 0 || of > int64(event.BothSides):
		w.fails(syscall.EINVAL)
		return
	case s.files[n].gone:
		w.fails(syscall.EBADF)
		return
	case f.hung:
		w.fails(syscall.EIO)
		return
	}
	if of == 0 || event.Side(of).Reads() {
		f.text, f.whole = "", 0
	}
	if of == 0 || event.Side(of).Writes() {
		f.level = 0
		s.tellSlaves(l, event.WriteSide)
	}
	w.ends(0)
}

func (serials) name() string { return "serial line" }

func (serials) words(s *State, n int32) string {
	f := &s.files[s.files[n].peer]
	text := "a serial line, " + f.terminalWords()
	if f.hung {
		text += ", which has hung up"
	}
	return text
}
