package spec

import (
	"fmt"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	pipeSize = 65536 // bytes that a pipe holds
	pipeBuf  = 512   // bytes that are written all or not at all; the mark of a write end that sets none
)

// readEnds have the bytes of the pipe, and whether it is starved.
type readEnds struct{ plain }

func (readEnds) knows(f event.Filter) bool { return f == event.Read || f == event.Except }

func (readEnds) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kn.filter == event.Except {
		return except(kn, kev)
	}
	return lowat(kn, kev, 1, pipeSize)
}

// ask: EV_HUP when the other end is gone, since a pipe of one direction has none left
// then, and EV_NODATA if there is nothing to read. That is all that EVFILT_EXCEPT
// tells.
func (readEnds) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[kn.file]
	if kn.filter == event.Read {
		e.Data = f.level
	}
	if !s.files[f.peer].gone {
		return kn.filter == event.Read && f.level >= kn.mark, e
	}
	e.Flags |= event.EOF | event.HUP
	if f.level == 0 {
		e.Flags |= event.NoData
	}
	return true, e
}

func (readEnds) mask(s *State, n int32) (m event.PollEvents) {
	f := &s.files[n]
	if f.level > 0 {
		m |= in
	}
	if s.files[f.peer].gone {
		m |= event.PollHup
	}
	return m
}

// act: a read takes the bytes there are; 0 at the end of the file, EAGAIN before it.
func (r readEnds) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	took := min(op.N, f.level)
	switch {
	case op.Call != event.CallRead && op.Call != event.CallWrite:
		r.plain.act(s, n, w, op)
	case f.gone || op.Call == event.CallWrite:
		w.fails(syscall.EBADF)
	case took == 0 && op.N > 0 && !s.files[f.peer].gone:
		w.fails(syscall.EAGAIN)
	case took == 0:
		w.ends(0)
	default:
		hint := pipeSize - f.level + 1
		if f.starved {
			f.starved, hint = false, 0
		}
		f.level -= took
		s.post(f.peer, 0, hint)
		w.ends(took)
	}
}

func (readEnds) released(s *State, n int32) { s.post(s.files[n].peer, 0, 0) }

func (readEnds) name() string { return "read end" }

func (readEnds) details(s *State, n int32) string { return strconv.FormatInt(s.files[n].level, 10) }

func (readEnds) words(s *State, n int32) string {
	return s.endWords(n, "reading", "writing", s.files[n].level)
}

// writeEnds have the room of the pipe.
type writeEnds struct{ plain }

func (writeEnds) knows(f event.Filter) bool { return f == event.Write || f == event.Except }

func (writeEnds) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kn.filter == event.Except {
		return except(kn, kev)
	}
	return lowat(kn, kev, pipeBuf, pipeSize)
}

func (writeEnds) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	r := &s.files[s.files[kn.file].peer]
	switch {
	case r.gone:
		e.Flags |= event.EOF | event.HUP | event.NoData
		return true, e
	case kn.filter == event.Except:
		return false, e
	}
	e.Data = pipeSize - r.level
	return e.Data >= kn.mark, e
}

func (writeEnds) mask(s *State, n int32) event.PollEvents {
	r := &s.files[s.files[n].peer]
	switch {
	case r.gone:
		return out | event.PollErr
	case pipeSize-r.level >= pipeBuf:
		return out
	}
	return 0
}

// news: the hint is one more than the room there was, and so news only to a knote
// whose mark was above that.
func (writeEnds) news(s *State, kn *knote, hint int64) bool {
	return hint <= kn.mark || s.files[s.files[kn.file].peer].gone
}

// act: a write puts all or nothing up to pipeBuf bytes, of more what there is room
// for.
func (e writeEnds) act(s *State, n int32, w *Work, op *event.Op) {
	if op.Call != event.CallRead && op.Call != event.CallWrite {
		e.plain.act(s, n, w, op)
		return
	}
	r := &s.files[s.files[n].peer]
	if s.files[n].gone || op.Call == event.CallRead {
		w.fails(syscall.EBADF)
		return
	}
	put := op.N
	if room := pipeSize - r.level; put > room {
		r.starved = true
		if put = room; op.N <= pipeBuf {
			put = 0
		}
	}
	switch {
	case r.gone:
		w.fails(syscall.EPIPE)
	case put == 0 && op.N > 0:
		w.fails(syscall.EAGAIN)
	case put == 0:
		w.ends(0)
	default:
		r.level += put
		s.post(s.files[n].peer, 0, 0)
		w.ends(put)
	}
}

func (writeEnds) released(s *State, n int32) { s.post(s.files[n].peer, 0, 0) }

func (writeEnds) name() string { return "write end" }

func (writeEnds) details(s *State, n int32) string {
	return strconv.FormatInt(s.files[s.files[n].peer].level, 10)
}

func (writeEnds) words(s *State, n int32) string {
	return s.endWords(n, "writing", "reading", s.files[s.files[n].peer].level)
}

// endWords are the words of an end of a pipe.
func (s *State) endWords(n int32, end, other string, bytes int64) string {
	text := fmt.Sprintf("the %s end of a pipe with %d bytes in it", end, bytes)
	if s.files[s.files[n].peer].gone {
		text += ", whose " + other + " end is closed"
	}
	return text
}
