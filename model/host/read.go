//go:build linux

package host

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// readFilter is READ of what epoll watches.
var readFilter = &kqueue.Filter{
	Name: "host read",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		attach(kn)
		return lowat(kn, kn.Want, kn.WantData)
	},
	Touch: touchLowat,
	Event: readEvent,
}

func readEvent(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	if hint != 0 && kn.Want == 0 {
		return hint&(unix.EPOLLIN|ended) != 0
	}
	f := kn.Hook.(*File)
	n, err := f.ioctl(unix.TIOCINQ) // FIONREAD by its older name
	kn.Cond, kn.Fflags = 0, 0
	switch {
	case f.held&ended != 0:
	case n > 0 && err == 0:
		kn.Data = n
		return n >= kn.WantData || f.enough(kn, n)
	case err == 0 && (f.kind == pipe || f.kind == stream):
		kn.Data = 0
		return false
	}
	if err != 0 {
		return f.readSlow(kn, 0, false)
	}
	return f.readSlow(kn, n, true)
}

// readSlow is for what a positive FIONREAD does not settle: the end, messages
// without content, and what does not know FIONREAD.
func (f *File) readSlow(kn *kqueue.Knote, n int64, measured bool) bool {
	f.poll(unix.POLLIN | unix.POLLPRI | unix.POLLRDHUP)
	if f.held&unix.POLLNVAL != 0 {
		return f.lost(kn)
	}
	hit := f.held&(unix.POLLIN|unix.POLLERR) != 0
	switch {
	case !measured && f.held&unix.POLLIN != 0:
		switch f.kind {
		case stream, messages: // has no FIONREAD when it listens
			hit = f.enough(kn, f.backlog())
		case counter:
			hit = f.enough(kn, 8)
		default:
			kn.Data = 1
		}
	case n > 0:
		hit = f.enough(kn, n)
	default:
		kn.Data = 0
		if f.kind == other && f.held&unix.POLLIN != 0 {
			kn.Data = 1 // its FIONREAD means nothing: a file of /proc that changes
		}
	}
	if f.held&(unix.POLLHUP|unix.POLLRDHUP) == 0 {
		if f.held&unix.POLLERR != 0 {
			kn.Fflags = event.Fflags(f.failure())
		}
		return hit
	}
	kn.Cond = event.EOF
	if n == 0 {
		kn.Data = 0
		kn.Cond |= event.NoData
	}
	if f.held&unix.POLLHUP != 0 {
		kn.Cond |= event.HUP
	}
	kn.Fflags = f.takeError()
	return true
}
