package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A SocketOption is a number that can be set on a socket.
type SocketOption uint8

// The options. A direction holds the smaller of the sender's SndBuf and the
// receiver's RcvBuf. The low-water marks are those of knotes that have none of their
// own; RcvLowat is 1 at first, SndLowat half of the buffer, but 2048 at most. A mark
// above what the direction holds is that. A socket that is accepted has the options
// of the one that listened.
const (
	RcvBuf   SocketOption = iota // bytes; SocketBuffer at first
	SndBuf                       // bytes; SocketBuffer at first
	RcvLowat                     // bytes
	SndLowat                     // bytes
)

// most is the largest SndLowat that is not set. (MCLBYTES)
const most = 2048

// SetOption sets an option. Bytes that have come stay, though the buffer be too small
// for them. (setsockopt)
//
// Errors: ENOPROTOOPT if there is no such option; EINVAL if v is below 1; ENOBUFS if
// a buffer is to be larger than MaxSocketBuffer; EBADF once the socket is released.
func (s *Socket) SetOption(td *machine.Thread, o SocketOption, v int) (err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case o > SndLowat:
		err = syscall.ENOPROTOOPT
	case v < 1:
		err = syscall.EINVAL
	case o <= SndBuf && v > MaxSocketBuffer:
		err = syscall.ENOBUFS
	default:
		*s.option(o) = v
		s.measured(td, o)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return err
}

// measured tells those to whom an option makes a difference.
func (s *Socket) measured(td *machine.Thread, o SocketOption) {
	s.readers.Post(td, 0)
	s.writers.Post(td, 0)
	if p := s.peer; o <= SndBuf && p != nil && !p.gone {
		p.readers.Post(td, 0)
		p.writers.Post(td, 0)
	}
}

// Option returns what an option is. (getsockopt)
//
// Errors: ENOPROTOOPT if there is no such option; EBADF once the socket is released.
func (s *Socket) Option(td *machine.Thread, o SocketOption) (v int, err error) {
	s.enter(td)
	switch {
	case s.gone:
		err = syscall.EBADF
	case o > SndLowat:
		err = syscall.ENOPROTOOPT
	case o == SndLowat:
		v = s.sendMark()
	default:
		v = *s.option(o)
	}
	td.Commit(event.Acted)
	s.exit(td)
	return v, err
}

func (s *Socket) option(o SocketOption) *int {
	return [...]*int{&s.rcvBuf, &s.sndBuf, &s.rcvLowat, &s.sndLowat}[o]
}

// sendMark is the low-water mark of Write for knotes without one.
func (s *Socket) sendMark() int {
	if s.sndLowat != 0 {
		return s.sndLowat
	}
	return min(most, max(1, s.sndBuf/2))
}

// inherit gives a socket that is to be accepted the options of the one that listens.
func (s *Socket) inherit(l *Socket) {
	s.rcvBuf, s.sndBuf, s.rcvLowat, s.sndLowat = l.rcvBuf, l.sndBuf, l.rcvLowat, l.sndLowat
}
