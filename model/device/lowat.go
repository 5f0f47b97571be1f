package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// marked makes a filter with a low-water mark, see lowat, which the condition finds in the
// knote's WantData. Of says what the condition is of, by a knote that is attached.
func marked[T any](name string, normal, most int64, of func(kn *kqueue.Knote) T, condition func(of T, kn *kqueue.Knote, hint int64) bool) *kqueue.Filter {
	return &kqueue.Filter{
		Name: name,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			kn.Hook = of(kn)
			return lowat(kn, kn.Want, kn.WantData, normal, most)
		},
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			return lowat(kn, kev.Fflags, kev.Data, normal, most)
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool { return condition(kn.Hook.(T), kn, hint) },
	}
}

// fileOf is what a filter of a file is of.
func fileOf[T kqueue.File](kn *kqueue.Knote) T { return kn.File().(T) }

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
