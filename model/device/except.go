package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// except takes what a change asks of the filter Except: nothing, or NOTE_OOB,
// which is a condition beside the one that needs no asking, that the file has
// hung up. Every file that can hang up has the filter for that: a poll(2) of no
// events is told of POLLHUP and POLLERR, and of nothing else. (OpenBSD's
// filt_pipeexcept, filt_soexcept and their like, of 2020, do so for its poll.)
//
// Error, which leaves the knote as it was: EINVAL if there are other fflags. Data
// is ignored.
func except(kn *kqueue.Knote, f event.Fflags) error {
	if f&^event.NoteOOB != 0 {
		return syscall.EINVAL
	}
	kn.Want = f
	return nil
}

// exceptional makes the filter Except of files that are a T: condition reports
// whether it holds, and sets what is not 0 of the knote's cond, fflags and data.
func exceptional[T kqueue.File](name string, condition func(f T, kn *kqueue.Knote) bool) *kqueue.Filter {
	return &kqueue.Filter{
		Name: name,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			kn.Hook = kn.File()
			return except(kn, kn.Want)
		},
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			return except(kn, kev.Fflags)
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Cond, kn.Fflags, kn.Data = 0, 0, 0
			return condition(kn.Hook.(T), kn)
		},
	}
}

// ended tells a knote that its direction is over, whether the other is too, and
// whether nothing is left in it. It returns true: that is a condition.
func ended(kn *kqueue.Knote, both, empty bool) bool {
	kn.Cond = event.EOF
	if both {
		kn.Cond |= event.HUP
	}
	if empty {
		kn.Cond |= event.NoData
	}
	return true
}
