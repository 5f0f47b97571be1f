package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// How EVFILT_PROC is judged. An event says what has happened, of what the knote asks for,
// since it was last retrieved: each of NOTE_FORK, NOTE_TRACK and NOTE_EXEC once, however
// often it did. The end of a process is always told, with EV_EOF, and EV_ONESHOT since
// it is the last that there is to tell. A knote with NOTE_TRACK has another made for each
// child, by the fork and before anybody can find the child; that one says first that it is
// there, with NOTE_CHILD and the parent's number as data. The end of a child that was so
// quick is an event of its own, since that has data too, and comes in another call.

// procAsks are the fflags that a knote may ask for.
const procAsks = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack

// watches reports whether a knote is of a process.
func (kn *knote) watches(pid int) bool {
	return kn.filter == event.Proc && kn.ident == uint64(pid) && kn.queue >= 0
}

// askProc is ask for a process.
func (kn *knote) askProc(e event.Kevent) (bool, event.Kevent) {
	e.Fflags, e.Data = kn.bits, kn.data
	if kn.pending != 0 {
		e.Flags |= event.EOF | event.NoData
	}
	return kn.bits != 0 || kn.pending != 0, e
}

// askFor is touch for a process.
func (kn *knote) askFor(kev event.Kevent) syscall.Errno {
	if kev.Fflags&^procAsks != 0 {
		return syscall.EINVAL
	}
	kn.notes = kev.Fflags
	return 0
}

// end notes that the process has ended.
func (kn *knote) end(status int64) {
	kn.ended, kn.exit, kn.status = true, kn.notes&event.NoteExit, status
	if kn.bits&event.NoteChild == 0 {
		kn.tellEnd()
	}
}

// tellEnd has a knote tell of an end that was kept back, if there is one.
func (kn *knote) tellEnd() {
	if kn.ended {
		kn.bits, kn.data, kn.pending = kn.bits|kn.exit, kn.status, 1
		kn.keep |= event.OneShot
		kn.ended, kn.exit, kn.status = false, 0, 0
	}
}

// Seek is Target where it is known that what is to be watched was looked for then: a
// process that is not there is answered for at once. Whatever becomes of one that is, the
// change goes on with it.
func (s *State) Seek(kev event.Kevent) (l Life, errno syscall.Errno) {
	if l, errno = s.Target(kev); errno == 0 && kev.Filter == event.Proc {
		if !s.findable(kev.Ident) {
			return l, syscall.ESRCH
		}
		l.sought = true
	}
	return l, errno
}

func (s *State) findable(pid uint64) bool { return pid < 1<<31 && s.there(int(pid)) }

// attach begins to watch a process: "a zombie at registration reports at once".
func (s *State) attach(kn *knote, l Life) syscall.Errno {
	if !l.sought && !s.findable(kn.ident) {
		return syscall.ESRCH
	}
	if kn.notes&^procAsks != 0 {
		return syscall.EINVAL
	}
	if p := s.entry(int(kn.ident)); p != nil && p.course >= zombie {
		kn.end(p.status)
	}
	return 0
}

// tellProcess tells the knotes of a process that something has happened.
func (s *State) tellProcess(pid int, what event.Fflags) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.watches(pid) {
			kn.bits |= kn.notes & what
			s.tell(i)
		}
	}
	s.visit()
}

// conceive notes which knotes of a process its child's are to follow.
func (s *State) conceive(pid int, child int32) {
	for _, kn := range s.knotes {
		if kn.watches(pid) && kn.notes&event.NoteTrack != 0 {
			s.births = append(s.births, birth{child: child, knote: knote{
				queue: kn.queue, file: -1, filter: event.Proc, keep: kn.keep, ident: uint64(child), udata: kn.udata,
				notes: kn.notes, born: int32(pid),
			}})
		}
	}
}

// Births returns how many knotes a fork is still to make for its child.
func (s *State) Births(d *Deed) (n int) {
	for _, b := range s.births {
		if b.child == d.child && !b.failed {
			n++
		}
	}
	return n
}

// Bear makes the next of them; in a kqueue that has been closed there is none.
func (s *State) Bear(d *Deed) {
	for i := range s.births {
		b := &s.births[i]
		if b.child != d.child || b.failed {
			continue
		}
		if b.failed = s.files[b.knote.queue].gone; b.failed {
			return
		}
		s.knotes = append(s.knotes, b.knote)
		s.births = append(s.births[:i:i], s.births[i+1:]...)
		return
	}
}

// Miscarried tells the parent's knotes of those that could not be made, which only who
// scans a kqueue that is being closed may still see.
func (s *State) Miscarried(d *Deed) {
	left := s.births[:0]
	for _, b := range s.births {
		if b.child != d.child || !b.failed {
			left = append(left, b)
			continue
		}
		for i := range s.knotes {
			if kn := &s.knotes[i]; kn.queue == b.knote.queue && kn.watches(int(b.knote.born)) {
				kn.bits |= event.NoteTrackErr
				s.tell(i)
			}
		}
	}
	s.births = left
	s.visit()
}
