//go:build linux

package host

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// exceptFilter is EXCEPT. Out-of-band data is told of only with NOTE_OOB, a
// hang-up of both directions and an error that is pending always: that is what
// poll(2) tells to those who ask for nothing. Data is the errno, as of sockets in
// package device.
var exceptFilter = &kqueue.Filter{
	Name: "host except",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		if err := oob(kn, kn.Want); err != nil {
			return err
		}
		return attach(kn).want(unix.EPOLLPRI)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		return oob(kn, kev.Fflags)
	},
	Event: exceptEvent,
}

// oob takes what a change asks for: NOTE_OOB or nothing. EINVAL if it is anything
// else; the knote is as it was then.
func oob(kn *kqueue.Knote, want event.Fflags) error {
	if want&^event.NoteOOB != 0 {
		return unix.EINVAL
	}
	kn.Want = want
	return nil
}

func exceptEvent(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	if hint != 0 {
		return hint&(unix.EPOLLPRI|unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	f := kn.Hook.(*File)
	f.poll(unix.POLLIN | unix.POLLPRI | unix.POLLRDHUP)
	kn.Data, kn.Cond, kn.Fflags = 0, 0, 0
	if f.held&unix.POLLNVAL != 0 {
		return f.lost(kn)
	}
	if f.held&unix.POLLERR != 0 && !f.hungUp() || f.kind == stream {
		kn.Data = f.failure()
	}
	if f.hungUp() {
		kn.Cond = event.EOF | event.HUP
		if f.kind == pipe {
			if n, _ := f.ioctl(unix.TIOCINQ); n <= 0 || f.access == unix.O_WRONLY {
				kn.Cond |= event.NoData
			}
		}
	}
	if kn.Want != 0 && f.held&unix.POLLPRI != 0 {
		kn.Fflags = event.NoteOOB
	}
	return kn.Fflags != 0 || f.held&(unix.POLLHUP|unix.POLLERR) != 0
}

// failure returns the error that is pending, EIO if only the descriptor itself can
// tell which: of a datagram socket it is left to the read, and others have no name
// for it.
func (f *File) failure() int64 {
	if err := f.takeError(); err != 0 {
		return int64(err)
	}
	if f.held&unix.POLLERR != 0 {
		return int64(unix.EIO)
	}
	return 0
}
