package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Source returns the list and the filter of Read, Write or Except, EINVAL for any
// other filter. Each has a list of its own, so that what is no news to the watchers of
// one costs nothing for theirs. (sokqfilter)
func (s *Socket) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch f {
	case event.Read:
		return &s.readers, receiveFilter, nil
	case event.Write:
		return &s.writers, sendFilter, nil
	case event.Except:
		return &s.excepts, exceptFilter, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the three lists.
func (s *Socket) Sources() []*kqueue.Source { return s.srcs[:] }

// lowatOf takes what a change asks of Read or Write. What the mark is without
// NOTE_LOWAT is said by the socket's options, whenever the filter is asked.
func lowatOf(kn *kqueue.Knote, f event.Fflags, data int64) error {
	return lowat(kn, f, data, 0, MaxSocketBuffer)
}

func attachSocket(td *machine.Thread, kn *kqueue.Knote) error {
	kn.Hook = kn.File()
	return lowatOf(kn, kn.Want, kn.WantData)
}

func touchSocket(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	return lowatOf(kn, kev.Fflags, kev.Data)
}

// mark returns the low-water mark of a knote: its own, or the given one, and not more
// than can be.
func mark(kn *kqueue.Knote, normal, holds int) int64 {
	if kn.Want&event.NoteLowat != 0 {
		return min(kn.WantData, int64(holds))
	}
	return int64(min(normal, holds))
}

// receiveFilter is Read. A socket may begin to listen when it has knotes already.
var receiveFilter = &kqueue.Filter{
	Name:   "socket read",
	Attach: attachSocket,
	Touch:  touchSocket,
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		s := kn.Hook.(*Socket)
		kn.Cond, kn.Fflags = 0, event.Fflags(s.err)
		if s.phase == listening {
			kn.Data = int64(s.wait.full.n)
			return kn.Data > 0
		}
		kn.Data = int64(s.in.n)
		if s.noRecv {
			return ended(kn, s.noSend, s.in.n == 0 && len(s.msgs) == 0)
		}
		if s.err != 0 {
			return true
		}
		holds := s.rcvBuf
		if p := s.peer; p != nil && p.sndBuf < holds {
			holds = p.sndBuf
		}
		at := mark(kn, s.rcvLowat, holds)
		if s.kind == event.Datagram { // an empty one is something too
			return len(s.msgs) > 0 && max(kn.Data, 1) >= at
		}
		return kn.Data >= at
	},
}

// sendFilter is Write. The hint of a read is 1 more than the room there was before it,
// see roomFilter.
var sendFilter = &kqueue.Filter{
	Name:   "socket write",
	Attach: attachSocket,
	Touch:  touchSocket,
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		s := kn.Hook.(*Socket)
		kn.Cond, kn.Fflags = 0, event.Fflags(s.err)
		kn.Data = int64(s.room())
		switch {
		case s.noSend:
			return ended(kn, s.noRecv, true)
		case s.err != 0:
			return true
		case s.kind == event.Stream && s.phase != connected:
			kn.Data = 0
			return false
		}
		at := mark(kn, s.sendMark(), s.holds())
		return kn.Data >= at && hint <= at
	},
}

// exceptFilter is Except.
var exceptFilter = exceptional("socket except", func(s *Socket, kn *kqueue.Knote) bool {
	kn.Data = int64(s.err)
	if s.urgent.pending() {
		kn.Fflags = kn.Want & event.NoteOOB
	}
	if s.noRecv && s.noSend {
		return ended(kn, true, false)
	}
	return s.err != 0 || kn.Fflags != 0
})
