package spec

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// fifos are opens of a fifo for one side or both, which is what their kind says. Peer
// is the first open of the same fifo, which has the bytes and whether it is starved.
// Awaits is that there has been no writer since this was opened.
type fifos struct {
	plain
	side event.Side
}

// fifoOf has the kinds of opens.
var fifoOf = [...]kind{event.ReadSide: fifoRead, event.WriteSide: fifoWrite, event.BothSides: fifoBoth}

func (x fifos) knows(f event.Filter) bool {
	return f == event.Except || f == event.Read && x.side.Reads() || f == event.Write && x.side.Writes()
}

func (fifos) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch kn.filter {
	case event.Read:
		return lowat(kn, kev, 1, pipeSize)
	case event.Write:
		return lowat(kn, kev, pipeBuf, pipeSize)
	}
	return except(kn, kev)
}

// sides returns what a fifo is open for.
func (s *State) sides(fifo int32) (all event.Side) {
	for i := range s.files {
		f := &s.files[i]
		if x, ok := behaviours[f.kind].(fifos); ok && f.peer == fifo && !f.gone {
			all |= x.side
		}
	}
	return all
}

func (s *State) readers(fifo int32) bool { return s.sides(fifo).Reads() }
func (s *State) writers(fifo int32) bool { return s.sides(fifo).Writes() }

// atEnd reports whether an open is at the end of the file: "when the last writer
// disconnects, the filter will set EV_EOF", so there must have been one.
func (x fifos) atEnd(s *State, n int32) bool {
	f := &s.files[n]
	return x.side.Reads() && !f.awaits && !s.writers(f.peer)
}

// broken reports whether an open is to write and nobody reads.
func (x fifos) broken(s *State, n int32) bool {
	return x.side.Writes() && !s.readers(s.files[n].peer)
}

func (x fifos) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	level := s.files[s.files[kn.file].peer].level
	over, empty := x.broken(s, kn.file), true
	if kn.filter == event.Read || kn.filter == event.Except && x.side.Reads() {
		over, empty = x.atEnd(s, kn.file), level == 0
	}
	if over {
		e.Flags |= event.EOF | event.HUP
		if empty {
			e.Flags |= event.NoData
		}
	}
	switch {
	case kn.filter == event.Except:
		return over, e
	case kn.filter == event.Read:
		e.Data = level
	case !over:
		e.Data = pipeSize - level
	}
	return over || e.Data >= kn.mark, e
}

func (x fifos) mask(s *State, n int32) (m event.PollEvents) {
	level := s.files[s.files[n].peer].level
	if x.side.Reads() && level > 0 {
		m |= in
	}
	if x.atEnd(s, n) {
		m |= event.PollHup
	}
	switch {
	case x.broken(s, n):
		m |= out | event.PollErr
	case x.side.Writes() && pipeSize-level >= pipeBuf:
		m |= out
	}
	return m
}

// news: see writeEnds.
func (x fifos) news(s *State, kn *knote, hint int64) bool {
	mark := kn.mark
	if kn.filter == Item {
		mark = pipeBuf
	}
	return hint <= mark || x.broken(s, kn.file)
}

// tellFifo posts to the readers of a fifo or to its writers, whatever they have opened.
func (s *State) tellFifo(fifo int32, side event.Side, hint int64) {
	s.postTo(func(n int32) (event.Side, bool) {
		x, ok := behaviours[s.files[n].kind].(fifos)
		if except := event.WriteSide; ok && s.files[n].peer == fifo {
			if x.side.Reads() {
				except = event.ReadSide
			}
			return except, true
		}
		return 0, false
	}, side, hint)
}

func (x fifos) act(s *State, n int32, w *Work, op *event.Op) {
	f := s.files[n]
	switch op.Call {
	case event.CallRead, event.CallWrite, event.CallReopen:
		if f.gone || op.Call == event.CallRead && !x.side.Reads() || op.Call == event.CallWrite && !x.side.Writes() {
			w.fails(syscall.EBADF)
			return
		}
	}
	switch op.Call {
	case event.CallRead:
		s.readFifo(f.peer, w, op.N)
	case event.CallWrite:
		s.writeFifo(f.peer, w, op.N)
	case event.CallReopen:
		s.reopenFifo(f.peer, w, op.Side)
	default:
		x.plain.act(s, n, w, op)
	}
}

// readFifo takes the bytes there are; without a writer the file ends, whoever reads.
func (s *State) readFifo(fifo int32, w *Work, want int64) {
	f := &s.files[fifo]
	took := min(want, f.level)
	switch {
	case took == 0 && want > 0 && s.writers(fifo):
		w.fails(syscall.EAGAIN)
	case took == 0:
		w.ends(0)
	default:
		hint := pipeSize - f.level + 1
		if f.starved {
			f.starved, hint = false, 0
		}
		f.level -= took
		s.tellFifo(fifo, event.WriteSide, hint)
		w.ends(took)
	}
}

// writeFifo puts what a pipe takes.
func (s *State) writeFifo(fifo int32, w *Work, want int64) {
	f := &s.files[fifo]
	if !s.readers(fifo) {
		w.fails(syscall.EPIPE)
		return
	}
	put := want
	if room := pipeSize - f.level; put > room {
		f.starved = true
		if put = room; want <= pipeBuf {
			put = 0
		}
	}
	switch {
	case put == 0 && want > 0:
		w.fails(syscall.EAGAIN)
	case put == 0:
		w.ends(0)
	default:
		f.level += put
		s.tellFifo(fifo, event.ReadSide, 0)
		w.ends(put)
	}
}

// reopenFifo: a first reader is news to the writers, a first writer to nobody.
func (s *State) reopenFifo(fifo int32, w *Work, side event.Side) {
	if side == event.WriteSide && !s.readers(fifo) {
		w.fails(syscall.ENXIO)
		return
	}
	first := side.Reads() && !s.readers(fifo)
	s.opens(w, file{kind: fifoOf[side], peer: fifo, awaits: true})
	if s.writers(fifo) {
		for i := range s.files {
			if s.files[i].peer == fifo {
				s.files[i].awaits = false
			}
		}
	}
	if first {
		s.tellFifo(fifo, event.WriteSide, 0)
	}
}

// released: the last at one end is news to those at the other.
func (x fifos) released(s *State, n int32) {
	fifo := s.files[n].peer
	if x.side.Writes() && !s.writers(fifo) {
		s.tellFifo(fifo, event.ReadSide, 0)
	}
	if x.side.Reads() && !s.readers(fifo) {
		s.tellFifo(fifo, event.WriteSide, 0)
	}
}

func (fifos) name() string { return "fifo" }

func (x fifos) details(s *State, n int32) string {
	return x.side.String() + " " + strconv.FormatInt(s.files[s.files[n].peer].level, 10)
}

func (x fifos) words(s *State, n int32) string {
	to := [...]string{event.ReadSide: "to read", event.WriteSide: "to write", event.BothSides: "to read and write"}
	text := fmt.Sprintf("a fifo with %d bytes in it, open %s", s.files[s.files[n].peer].level, to[x.side])
	switch {
	case x.atEnd(s, n):
		text += ", whose writers are gone"
	case x.side == event.ReadSide && s.files[n].awaits:
		text += ", which has had no writer since"
	case x.broken(s, n):
		text += ", which nobody has open to read"
	}
	return text
}
