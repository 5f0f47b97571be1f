package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

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
