package spec

import (
	"math"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

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
