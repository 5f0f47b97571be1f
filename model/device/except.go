package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
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
