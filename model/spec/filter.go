package spec

import (
	"math"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	pipeSize = 65536 // bytes that a pipe holds
	pipeBuf  = 512   // bytes that are written all or not at all; the mark of a write end that sets none
	depth    = 10    // kqueues in the longest chain
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
	case event.Timer:
		e.Data = kn.pending
		return kn.pending > 0, e
	}
	f := &s.files[kn.file]
	if kn.filter == event.Except {
		return s.broken(f, &e), e
	}
	switch f.kind {
	case queue, epoll:
		s.prune(kn.file)
		e.Data = s.listed(kn.file)
		return e.Data > 0, e
	case readEnd:
		e.Data = f.level
		if s.broken(f, &e) {
			return true, e
		}
	case writeEnd:
		if s.broken(f, &e) {
			return true, e
		}
		e.Data = pipeSize - s.files[f.peer].level
	default:
		e.Data = f.level
	}
	return e.Data >= kn.mark, e
}

// broken reports whether the other end of f, an end of a pipe, is gone, and has e
// say so: EV_HUP since a pipe of one direction has none left then, EV_NODATA if
// there is nothing to read.
func (s *State) broken(f *file, e *event.Kevent) bool {
	if !s.files[f.peer].gone {
		return false
	}
	e.Flags |= event.EOF | event.HUP
	if f.kind == writeEnd || f.level == 0 {
		e.Flags |= event.NoData
	}
	return true
}

// prune asks everything on the list of kqueue q, so that what is left there is
// what it can deliver: "data = deliverable events".
func (s *State) prune(q int32) {
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.knotes[i].place != 0 {
			s.look(i)
		}
	}
}

// touch gives a knote what an EV_ADD asks for, or the commands of a change to a
// user event. An error leaves the knote as it was.
func (s *State) touch(kn *knote, kev event.Kevent) syscall.Errno {
	switch kn.filter {
	case event.User:
		return kn.command(kev)
	case event.Timer:
		return kn.start(kev)
	}
	if kn.filter == event.Except {
		if kev.Fflags&^event.NoteOOB != 0 {
			return syscall.EINVAL
		}
		return 0
	}
	normal, most := int64(1), int64(math.MaxInt64)
	switch s.files[kn.file].kind {
	case queue, epoll:
		return 0
	case readEnd:
		most = pipeSize
	case writeEnd:
		normal, most = pipeBuf, pipeSize
	}
	switch {
	case kev.Fflags == 0:
		kn.mark = normal
	case kev.Fflags != event.NoteLowat || kev.Data < 0:
		return syscall.EINVAL
	default:
		kn.mark = min(max(kev.Data, 1), most)
	}
	return 0
}

// command: "NOTE_FFNOP/AND/OR/COPY on the low 24 bits, NOTE_TRIGGER, also in the
// EV_ADD". The data is that of the last change with EV_ADD or NOTE_TRIGGER.
func (kn *knote) command(kev event.Kevent) syscall.Errno {
	f := kev.Fflags
	if f&^(event.NoteFFCtrlMask|event.NoteFlagsMask|event.NoteTrigger) != 0 {
		return syscall.EINVAL
	}
	switch bits := f & event.NoteFlagsMask; f & event.NoteFFCtrlMask {
	case event.NoteFFAnd:
		kn.bits &= bits
	case event.NoteFFOr:
		kn.bits |= bits
	case event.NoteFFCopy:
		kn.bits = bits
	}
	if f&event.NoteTrigger != 0 {
		kn.pending = 1
	}
	if f&event.NoteTrigger != 0 || kev.Flags&event.Add != 0 {
		kn.data = kev.Data
	}
	return 0
}

// start: "periodic unless EV_ONESHOT; re-adding re-arms". What is due at once
// has expired when it is added.
func (kn *knote) start(kev event.Kevent) syscall.Errno {
	unit := int64(1e6)
	switch kev.Fflags &^ event.NoteAbsTime {
	case 0, event.NoteMSeconds:
	case event.NoteSeconds:
		unit = 1e9
	case event.NoteUSeconds:
		unit = 1e3
	case event.NoteNSeconds:
		unit = 1
	default:
		return syscall.EINVAL
	}
	if kev.Data < 0 || kev.Data > math.MaxInt64/unit {
		return syscall.EINVAL
	}
	kn.pending, kn.more = 0, manyTicks
	if kev.Fflags&event.NoteAbsTime != 0 || kn.keep&event.OneShot != 0 {
		kn.more = oneTick
		if kev.Data == 0 {
			kn.pending, kn.more = 1, noTick
		}
	}
	return 0
}

// reaches reports whether kqueue q is to, or watches it over any number of steps.
func (s *State) reaches(q, to int32) bool {
	if q == to {
		return true
	}
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.queue == q && s.nested(i) && s.reaches(kn.file, to) {
			return true
		}
	}
	return false
}

// nested reports whether knote i watches a kqueue or an epoll.
func (s *State) nested(i int) bool {
	kn := &s.knotes[i]
	return kn.file >= 0 && s.collects(kn.file)
}

// below returns the length of the longest chain that starts at q, in kqueues.
func (s *State) below(q int32) int {
	n := 0
	for i := range s.knotes {
		if s.knotes[i].queue == q && s.nested(i) {
			n = max(n, s.below(s.knotes[i].file))
		}
	}
	return n + 1
}

// above returns the length of the longest chain that ends at q, in kqueues.
func (s *State) above(q int32) int {
	n := 0
	for i := range s.knotes {
		if s.knotes[i].file == q && s.nested(i) {
			n = max(n, s.above(s.knotes[i].queue))
		}
	}
	return n + 1
}
