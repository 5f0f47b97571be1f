package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// ask says whether the condition of knote i holds, and the event that reports
// it: "values are a snapshot at retrieval".
func (s *State) ask(i int) (bool, event.Kevent) {
	kn := &s.knotes[i]
	e := event.Kevent{Ident: kn.ident, Filter: kn.filter, Flags: kn.keep, Udata: kn.udata}
	switch kn.filter {
	case Item:
		return s.item(i)
	case event.User:
		e.Fflags, e.Data = kn.bits, kn.data
		return kn.pending != 0, e
	case event.Timer, event.Signal:
		e.Data = kn.pending
		return kn.pending > 0, e
	case event.Proc:
		return kn.askProc(e)
	case event.FS:
		e.Fflags = kn.bits
		return kn.bits != 0, e
	}
	return s.of(kn.file).ask(s, kn, e)
}

// touch returns a knote with what an EV_ADD asks for, or after the commands of a
// change to a user event. With an error it is as it was.
func (s *State) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	switch kn.filter {
	case event.User:
		errno := kn.command(kev)
		return kn, errno
	case event.Timer:
		errno := kn.start(kev)
		return kn, errno
	case event.Signal:
		return kn, signalKnote(kev)
	case event.Proc:
		errno := kn.askFor(kev)
		return kn, errno
	case event.FS:
		return kn, 0 // everybody is told of all
	}
	if s.files[kn.file].aio == returned {
		return kn, syscall.EINVAL // "under the same conditions as aio_error", which says so
	}
	return s.of(kn.file).touch(kn, kev)
}
