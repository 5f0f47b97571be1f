package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
)

// lowat leaves in kn.WantData the low-water mark that a change asks for: its
// data with NOTE_LOWAT, else the given default. As with SO_RCVLOWAT a mark of 0
// is 1, and one above what the device can ever hold is that: it would never be
// reached. Data without NOTE_LOWAT is ignored.
//
// Errors, which leave the knote as it was: EINVAL if the mark is negative or
// if there are other fflags.
func lowat(kn *kqueue.Knote, f event.Fflags, data, normal, most int64) error {
	switch {
	case f == 0:
		data = normal
	case f != event.NoteLowat || data < 0:
		return syscall.EINVAL
	}
	kn.Want, kn.WantData = f, min(max(data, 1), most)
	return nil
}
