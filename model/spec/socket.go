package spec

import (
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	socketBuffer = 65536 // bytes that a direction holds
	sendMark     = 2048  // the mark of room of a knote that sets none
	datagrams    = 64    // that wait at most
	maxMark      = 1 << 21
	maxPort      = 65535
	firstFree    = 49152 // the ports from there are given to those who ask for none
)

// A socket is what a file has besides that is one. Level is how many bytes it has to
// read, peer the other end of a connection if connected or paired says that there is
// one, starved whether a write of this end has been refused or cut short.
type socket struct {
	typ    event.SockType
	pair   bool // of socketpair(2), and so without a network
	phase  phase
	paired bool // peer is the other end
	noRecv bool // nothing more will come
	noSend bool // nothing can be sent
	err    syscall.Errno
	urgent urgent

	port    int  // of this end; 0 if none
	bound   bool // it is known by its port
	to      int  // of the other end, of one that is connected
	backlog int  // of one that listens

	waits place // where a connection waits that is to be accepted
	at    int32 // there: the socket that listens
	turn  int64 // and when it came
}

// A phase is what a socket is at.
type phase uint8

const (
	idle       phase = iota
	connecting       // waits for room in a backlog
	connected        // has, or has had, a peer; of a datagram socket: sends to one
	listening
)

// A place is where a connection waits.
type place uint8

const (
	nowhere place = iota
	inLine        // to be accepted
	behind        // for room in line
)

// An urgent is the out-of-band data of a stream: one byte, and where in the stream it
// was.
type urgent struct {
	ahead int64 // bytes to read before the mark; 0 if there is none ahead
	at    bool  // the mark has been reached, and nothing has been read since
	has   bool  // the byte has not been taken
}

func (u urgent) pending() bool { return u.ahead > 0 || u.at }

// A message is a datagram that has come to a file and was not read. Counts are all
// that there is of it.
type message struct {
	file int32
	n    int64
}

// sockets are files that two of them make a connection, or one waits for others.
type sockets struct{ plain }

func (sockets) knows(f event.Filter) bool {
	return f == event.Read || f == event.Write || f == event.Except
}

// touch: the mark of a knote that sets none is that of the direction, which is 0 here;
// of EVFILT_EXCEPT it is NOTE_OOB, or nothing.
func (sockets) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kn.filter != event.Except {
		return lowat(kn, kev, 0, maxMark)
	}
	kn, errno := except(kn, kev)
	if errno == 0 {
		kn.mark = int64(kev.Fflags)
	}
	return kn, errno
}

// socketMark is the mark of a knote, which cannot be above what a direction holds.
func socketMark(kn *knote, normal int64) int64 {
	if kn.mark != 0 {
		return min(kn.mark, socketBuffer)
	}
	return normal
}

// ask: "READ data: bytes available; listen socket: connections waiting. WRITE data:
// room". The fflags of both are the error that is pending, which is the data of EXCEPT.
func (sockets) ask(s *State, kn *knote, e event.Kevent) (hit bool, _ event.Kevent) {
	f := &s.files[kn.file]
	both, empty := f.noRecv && f.noSend, f.level == 0 && s.first(kn.file) < 0
	switch kn.filter {
	case event.Read:
		e.Fflags, e.Data = event.Fflags(f.err), f.level
		if f.phase == listening {
			e.Data = s.waiting(kn.file, inLine)
			return e.Data > 0, e
		}
		hit = f.level >= socketMark(kn, 1)
		if f.typ == event.Datagram { // an empty one is something too
			hit = s.first(kn.file) >= 0 && max(f.level, 1) >= socketMark(kn, 1)
		}
		return ended(e, f.noRecv, both, empty, hit || f.err != 0)
	case event.Write:
		e.Fflags, e.Data = event.Fflags(f.err), s.room(kn.file)
		hit = e.Data >= socketMark(kn, sendMark)
		if f.typ == event.Stream && f.phase != connected && f.err == 0 && !f.noSend {
			e.Data, hit = 0, false
		}
		return ended(e, f.noSend, both, true, hit || f.err != 0)
	}
	e.Data = int64(f.err)
	if f.urgent.pending() {
		e.Fflags = event.Fflags(kn.mark) & event.NoteOOB
	}
	return ended(e, both, both, false, f.err != 0 || e.Fflags != 0)
}

// ended completes an event of a direction that is over.
func ended(e event.Kevent, over, both, empty, hit bool) (bool, event.Kevent) {
	if !over {
		return hit, e
	}
	e.Flags |= event.EOF
	if both {
		e.Flags |= event.HUP
	}
	if empty {
		e.Flags |= event.NoData
	}
	return true, e
}

// news: room is news only to a knote whose mark it had not reached, unless there is
// more to tell than of room.
func (sockets) news(s *State, kn *knote, hint int64) bool {
	f := &s.files[kn.file]
	return hint <= socketMark(kn, sendMark) || f.noSend || f.err != 0
}

// mask: nothing more to come is POLLIN and POLLRDHUP, both directions over POLLHUP, and a
// write that fails does so at once.
func (sockets) mask(s *State, n int32) (m event.PollEvents) {
	f := &s.files[n]
	switch {
	case f.phase == listening:
		if s.waiting(n, inLine) > 0 {
			m |= in
		}
	case f.noRecv:
		m |= in | event.PollRdHup
	case f.level > 0 || s.first(n) >= 0 && f.err == 0:
		m |= in
	}
	if s.sends(n) {
		m |= out
		if f.pair || f.typ == event.Datagram {
			m |= event.PollWrBand
		}
	}
	if f.noRecv && f.noSend {
		m |= event.PollHup
	}
	if f.err != 0 {
		m |= event.PollErr
	}
	if f.urgent.pending() {
		m |= event.PollPri
	}
	return m
}

// sends reports whether poll(2) says that a write need not wait.
func (s *State) sends(n int32) bool {
	f, room := &s.files[n], s.room(n)
	switch {
	case f.noSend:
		return true
	case f.err != 0:
		return room > 0
	}
	return room >= sendMark && (f.typ == event.Datagram || f.phase == connected)
}

// itemHears reports whether a post to the knotes of one filter of a socket is news to an
// item, which has one of Read always and of the others if it asks for what they tell.
func (s *State) itemHears(kn *knote, filter event.Filter) bool {
	f, m := &s.files[kn.file], s.mask(kn.file)
	switch filter {
	case event.Read:
		told := f.err != 0 || f.noRecv && f.phase != listening
		return m&kn.asks&(in|event.PollRdHup) != 0 || m&always != 0 && (told || m&in != 0)
	case event.Write:
		return kn.asks&(out|event.PollWrBand) != 0 && m&(out|always) != 0
	}
	return kn.asks&event.PollPri != 0 && m&(event.PollPri|always) != 0
}

// other returns the other end of a connection, nil if there is none or it is gone.
func (s *State) other(n int32) *file {
	if f := &s.files[n]; f.paired && !s.files[f.peer].gone {
		return &s.files[f.peer]
	}
	return nil
}

// room returns how much can be sent. What nobody will read takes none.
func (s *State) room(n int32) int64 {
	f, p := &s.files[n], s.other(n)
	switch {
	case f.noSend:
		return 0
	case p == nil || p.noRecv:
		return socketBuffer
	case s.messages(f.peer) >= datagrams:
		return 0
	}
	return max(0, socketBuffer-p.level)
}

// first returns the index of the datagram that has waited longest at file n, -1 if
// none does.
func (s *State) first(n int32) int {
	return slices.IndexFunc(s.queued, func(m message) bool { return m.file == n })
}

func (s *State) messages(n int32) (all int) {
	for _, m := range s.queued {
		if m.file == n {
			all++
		}
	}
	return all
}

// waiting returns how many connections wait in a place at file n, which listens.
func (s *State) waiting(n int32, where place) (all int64) {
	for i := range s.files {
		if f := &s.files[i]; f.waits == where && f.at == n {
			all++
		}
	}
	return all
}

// foremost returns the connection that has waited longest, -1 if none does.
func (s *State) foremost(n int32, where place) int32 {
	best := int32(-1)
	for i := range s.files {
		if f := &s.files[i]; f.waits == where && f.at == n && (best < 0 || f.turn < s.files[best].turn) {
			best = int32(i)
		}
	}
	return best
}

// over notes that a socket can receive, or send, no more, and tells who watches it. One
// direction is news to its own watchers, the second to all: both are EV_HUP.
func (s *State) over(n int32, recv, send bool) {
	f := &s.files[n]
	recv, send = recv && !f.noRecv, send && !f.noSend
	if !recv && !send {
		return
	}
	f.noRecv, f.noSend = f.noRecv || recv, f.noSend || send
	both := f.noRecv && f.noSend
	if recv || both {
		s.post(n, event.Read, 0)
	}
	if send || both {
		s.post(n, event.Write, 0)
	}
	if both {
		s.post(n, event.Except, 0)
	}
}

// fail makes an error pending and tells all who watch; reset ends both directions with
// it.
func (s *State) fail(n int32, errno syscall.Errno) {
	s.files[n].err = errno
	for _, f := range [...]event.Filter{event.Read, event.Write, event.Except} {
		s.post(n, f, 0)
	}
}

func (s *State) reset(n int32, errno syscall.Errno) {
	s.files[n].noRecv, s.files[n].noSend = true, true
	s.fail(n, errno)
}

// forget throws away what has come to a socket.
func (s *State) forget(n int32) {
	s.files[n].level, s.files[n].urgent = 0, urgent{}
	s.queued = slices.DeleteFunc(s.queued, func(m message) bool { return m.file == n })
}

// takeError is what a call answers that meets the pending error.
func (s *State) takeError(n int32) (errno syscall.Errno) {
	errno, s.files[n].err = s.files[n].err, 0
	return errno
}

// act takes a step of what is done to a socket.
func (k sockets) act(s *State, n int32, w *Work, op *event.Op) {
	if s.files[n].gone && w.stage == 0 {
		switch op.Call {
		case event.CallSet, event.CallTermios, event.CallReopen, event.CallInput, event.CallOutput, event.CallUnplug, event.CallControl:
			k.plain.act(s, n, w, op)
			return
		}
		w.fails(syscall.EBADF)
		return
	}
	switch op.Call {
	case event.CallRead, event.CallRecv:
		s.receive(n, w, op)
	case event.CallWrite, event.CallSend:
		s.send(n, w, op)
	case event.CallShutdown:
		s.shutdown(n, w, op)
	case event.CallSockErr:
		w.ends(int64(s.takeError(n)))
	case event.CallListen:
		s.listen(n, w, op)
	case event.CallConnect:
		s.connect(n, w, op)
	case event.CallAccept:
		s.accept(n, w)
	default:
		k.plain.act(s, n, w, op)
	}
}

// shutdown ends one direction, or both. What has come and was not read is lost if
// reading is shut.
func (s *State) shutdown(n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	switch {
	case op.Side < event.ReadSide || op.Side > event.BothSides:
		w.fails(syscall.EINVAL)
		return
	case f.phase != connected:
		w.fails(syscall.ENOTCONN)
		return
	}
	p := s.other(n)
	more := op.Side.Reads() && !f.noRecv && !f.pair // its peer can send for ever
	if op.Side.Reads() {
		s.forget(n)
	}
	s.over(n, op.Side.Reads(), op.Side.Writes())
	if p != nil && more {
		p.starved = false
		s.post(f.peer, event.Write, 0)
	}
	if p != nil {
		s.over(f.peer, op.Side.Writes() && f.typ == event.Stream, op.Side.Reads() && f.pair)
	}
	w.ends(0)
}

// released: the peer of a stream sees the end, or a reset if bytes were left unread. A
// port is free, and who waits behind a backlog waits no more. Those who wait at one that
// listened are turned away by Refuse.
func (sockets) released(s *State, n int32) {
	f := &s.files[n]
	f.bound = false
	if f.phase == connecting {
		s.files[f.peer].waits = nowhere
	}
	switch p := s.other(n); {
	case p == nil || f.phase != connected:
	case f.typ == event.Datagram: // a write need not wait any more, to have its answer
		p.starved = false
		s.post(f.peer, event.Write, 0)
	case f.level > 0:
		s.reset(f.peer, syscall.ECONNRESET)
	default:
		s.over(f.peer, true, f.pair)
	}
}

func (sockets) name() string { return "socket" }

func (sockets) details(s *State, n int32) string {
	f := &s.files[n]
	if f.phase == listening {
		return fmt.Sprintf("listens at %d, %d wait", f.port, s.waiting(n, inLine))
	}
	text := strconv.FormatInt(f.level, 10)
	if f.typ == event.Datagram {
		text += fmt.Sprintf(" in %d", s.messages(n))
	}
	for _, x := range []struct {
		is   bool
		name string
	}{{f.phase == idle, "idle"}, {f.phase == connecting, "connecting"}, {f.noRecv, "no receive"}, {f.noSend, "no send"}, {f.urgent.pending(), "urgent"}, {f.err != 0, f.err.Error()}} {
		if x.is {
			text += ", " + x.name
		}
	}
	return text
}

func (sockets) words(s *State, n int32) string {
	f := &s.files[n]
	text := map[event.SockType]string{event.Stream: "a stream socket", event.Datagram: "a datagram socket"}[f.typ]
	switch {
	case f.phase == listening:
		return fmt.Sprintf("%s that listens at port %d, where %s", text, f.port, count(s.waiting(n, inLine), "connection waits", "connections wait"))
	case f.phase == connecting:
		text += fmt.Sprintf(" that waits for room to be connected to port %d", f.to)
	case f.phase == idle:
		text += " that is not connected"
	}
	if f.typ == event.Datagram {
		text += ", with " + count(int64(s.messages(n)), "datagram", "datagrams") + " to read"
	} else if f.phase == connected || f.level > 0 {
		text += ", with " + count(f.level, "byte", "bytes") + " to read"
	}
	for _, x := range []struct {
		is    bool
		words string
	}{
		{f.noRecv && f.noSend, "both directions are over"},
		{f.noRecv && !f.noSend, "nothing more will come"},
		{f.noSend && !f.noRecv, "nothing can be sent"},
		{f.urgent.pending(), "out-of-band data is pending"},
		{f.err != 0, fmt.Sprintf("`%v` is pending", event.Result{Errno: f.err})},
	} {
		if x.is {
			text += "; " + x.words
		}
	}
	return text
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
