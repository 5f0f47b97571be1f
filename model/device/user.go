package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// userFilter is EVFILT_USER: a flag that a change raises (NOTE_TRIGGER), and 24
// bits that changes work on and the event hands back. (filt_user)
//
// Fflags of any change, with or without EV_ADD, are commands: one of
// NOTE_FFNOP, FFAND, FFOR, FFCOPY with the low 24 bits as operand, and
// NOTE_TRIGGER. Bits that mean nothing are EINVAL, and change nothing.
//
// The event's fflags are the accumulated bits. The manual page is silent on its
// data; as in every BSD it is the data of the last change, of those with EV_ADD
// or NOTE_TRIGGER: EV_ENABLE and EV_DISABLE touch nothing (decision 2).
//
// Raised stays raised, so without EV_CLEAR the event comes back on every call
// until it is deleted or disabled. EV_CLEAR resets all of the state, "after the
// event is retrieved by the user, its state is reset": flag, bits and data, as
// in DragonFly (kqueue_scan zeroes kn_fflags). FreeBSD keeps the bits.
//
// DragonFly and FreeBSD also lower the flag when a change to a knote carries
// EV_CLEAR, and so lose a NOTE_TRIGGER that comes with EV_ADD|EV_CLEAR
// (filt_usertouch; DragonFly's own comment there regrets it). The manual page
// has no such sentence; here a trigger is a trigger.
var userFilter = &kqueue.Filter{
	Name:     "user",
	Commands: true,
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		return command(kn, kn.Want, kn.WantData, true)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		return command(kn, kev.Fflags, kev.Data, kev.Flags&event.Add != 0)
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool { return kn.Pending != 0 },
}

// command applies the fflags of a change. The bits live in kn.Fflags and the
// flag in kn.Pending, where EV_CLEAR finds them.
func command(kn *kqueue.Knote, c event.Fflags, data int64, add bool) error {
	if c&^(event.NoteFFCtrlMask|event.NoteFlagsMask|event.NoteTrigger) != 0 {
		return syscall.EINVAL
	}
	bits := c & event.NoteFlagsMask
	switch c & event.NoteFFCtrlMask {
	case event.NoteFFAnd:
		kn.Fflags &= bits
	case event.NoteFFOr:
		kn.Fflags |= bits
	case event.NoteFFCopy:
		kn.Fflags = bits
	}
	if c&event.NoteTrigger != 0 {
		kn.Pending = 1
	}
	if add || c&event.NoteTrigger != 0 {
		kn.Data = data
	}
	return nil
}
