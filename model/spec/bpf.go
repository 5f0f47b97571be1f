package spec

import (
	"fmt"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	bpfBuffer  = 4096 // bytes of each of two buffers
	bpfHeader  = 26   // before each packet
	bpfAlign   = 8    // at which headers begin
	bpfLongest = 1514 // bytes of a packet that is written
	bpfYears   = 100_000_000_000
)

// A capture is what a listener of packets has besides.
type capture struct {
	stored, held int64 // bytes in the store, and in the hold buffer
	immediate    bool
	timeout      bool // there is one
	timedOut     bool // and it is over; see anyTimeout
}

// listeners have captured packets. Peer is the first listener of the same interface, of
// which absent says that the interface is gone.
type listeners struct{ plain }

func (listeners) knows(f event.Filter) bool { return f == event.Read || f == event.Except }

// touch: what is read is a whole buffer, so there is no mark.
func (listeners) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch {
	case kn.filter == event.Except:
		return except(kn, kev)
	case kev.Fflags != 0:
		return kn, syscall.EINVAL
	}
	return kn, 0
}

func (s *State) detached(n int32) bool { return s.files[s.files[n].peer].absent }

// captured returns how many bytes a read would return that Read speaks of: those of the
// hold buffer, or of the store if there is none, and that is told of already.
func (s *State) captured(n int32) int64 {
	f := &s.files[n]
	if f.held == 0 && (f.immediate || f.timedOut || s.detached(n)) {
		return f.stored
	}
	return f.held
}

func (listeners) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	data, end := s.captured(kn.file), s.detached(kn.file)
	if end {
		e = over(e, data == 0)
	}
	switch {
	case kn.filter == event.Except && end:
		e.Data = int64(syscall.ENXIO)
	case kn.filter == event.Read:
		if e.Data = data; end {
			e.Fflags = event.Fflags(syscall.ENXIO)
		}
		return end || data > 0, e
	}
	return end, e
}

func (listeners) mask(s *State, n int32) (m event.PollEvents) {
	if s.captured(n) > 0 {
		m |= in
	}
	if s.detached(n) {
		m |= event.PollHup | event.PollErr
	}
	return m
}

func (x listeners) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	if op.Call == event.CallControl {
		s.controlBpf(n, w, op)
		return
	}
	switch op.Call {
	case event.CallRead, event.CallWrite, event.CallInput, event.CallUnplug, event.CallReopen:
	default:
		x.plain.act(s, n, w, op)
		return
	}
	switch {
	case f.gone:
		w.fails(syscall.EBADF)
	case op.Call == event.CallRead:
		s.readBpf(n, w, op.N)
	case s.detached(n):
		w.fails(syscall.ENXIO)
	case op.Call == event.CallReopen:
		s.opens(w, file{kind: listener, peer: f.peer})
	case op.Call == event.CallUnplug:
		s.files[f.peer].absent = true
		s.eachListener(f.peer, func(o int32) { s.post(o, 0, 0) })
		w.ends(0)
	case op.N > bpfLongest && op.Call == event.CallWrite:
		w.fails(syscall.EMSGSIZE)
	case op.N == 0:
		w.ends(0)
	default:
		took := int64(0)
		s.eachListener(f.peer, func(o int32) {
			if c := s.captures(o, op.N); o == n {
				took = c
			}
		})
		if op.Call == event.CallWrite {
			took = op.N
		}
		w.ends(took)
	}
}

// eachListener calls f with the listeners of an interface that are open.
func (s *State) eachListener(first int32, f func(n int32)) {
	for n := range s.files {
		if o := &s.files[n]; o.kind == listener && o.peer == first && !o.gone {
			f(int32(n))
		}
	}
}

// captures: "if the store buffer is full the buffers are rotated" and who watches is told;
// if nobody has read the hold buffer yet the packet is dropped. It returns how much of the
// packet was captured.
func (s *State) captures(n int32, length int64) int64 {
	f := &s.files[n]
	length = min(length, bpfBuffer-bpfHeader)
	at, told := (f.stored+bpfAlign-1)/bpfAlign*bpfAlign, f.immediate || f.timedOut
	if at+bpfHeader+length > bpfBuffer {
		if f.held > 0 {
			return 0
		}
		f.held, at, told = f.stored, 0, true
	}
	f.stored = at + bpfHeader + length
	if told {
		s.post(n, 0, 0)
	}
	return length
}

// readBpf: "the buffer passed to read must be the same size as the buffers used
// internally". Who does not wait has what is in the store if there is no hold buffer.
func (s *State) readBpf(n int32, w *Work, room int64) {
	f := &s.files[n]
	if room != bpfBuffer {
		w.fails(syscall.EINVAL)
		return
	}
	f.timedOut = false
	switch {
	case f.held > 0:
		w.ends(f.held)
		f.held = 0
	case f.stored > 0:
		w.ends(f.stored)
		f.stored = 0
	case s.detached(n):
		w.fails(syscall.ENXIO)
	default:
		w.fails(syscall.EAGAIN)
	}
}

func (s *State) controlBpf(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case op.Control == event.Buffer, op.Control == event.Timeout && (op.N < 0 || op.N > bpfYears):
		w.fails(syscall.EINVAL)
		return
	case op.Control != event.Immediate && op.Control != event.Timeout && op.Control != event.Flush:
		w.fails(syscall.ENOTTY)
		return
	case f.gone:
		w.fails(syscall.EBADF)
		return
	}
	switch op.Control {
	case event.Immediate:
		told := s.captured(n) > 0
		if f.immediate = op.N != 0; !told && s.captured(n) > 0 {
			s.post(n, 0, 0)
		}
	case event.Timeout:
		f.timeout, f.timedOut = op.N > 0, false
	case event.Flush:
		f.stored, f.held, f.timedOut = 0, 0, false
	}
	w.ends(0)
}

func (listeners) name() string { return "bpf" }

func (listeners) details(s *State, n int32) string {
	f := &s.files[n]
	return fmt.Sprintf("stored=%d held=%d", f.stored, f.held)
}

func (listeners) words(s *State, n int32) string {
	f := &s.files[n]
	text := fmt.Sprintf("a listener of packets with %d bytes to be read and %d in its store", f.held, f.stored)
	switch {
	case f.immediate:
		text += ", in immediate mode"
	case f.timedOut:
		text += ", whose timeout is over"
	case f.timeout:
		text += ", with a timeout"
	}
	if s.detached(n) {
		text += ", whose interface is gone"
	}
	return text
}
