//go:build linux

package host

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// writeFilter is WRITE of what epoll watches.
var writeFilter = &kqueue.Filter{
	Name: "host write",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		if err := lowat(kn, kn.Want, kn.WantData); err != nil {
			return err
		}
		return attach(kn).want(unix.EPOLLOUT)
	},
	Touch: touchLowat,
	Event: writeEvent,
}

func writeEvent(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	if hint != 0 && kn.Want == 0 {
		return hint&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	f := kn.Hook.(*File)
	f.poll(unix.POLLOUT | unix.POLLRDHUP)
	kn.Data, kn.Cond, kn.Fflags = 0, 0, 0
	switch {
	case f.held&unix.POLLNVAL != 0:
		return f.lost(kn)
	case f.hungUp() || f.held&unix.POLLERR != 0 && f.kind == stream:
		kn.Cond = event.EOF | event.NoData
		if f.hungUp() {
			kn.Cond |= event.HUP
		}
		kn.Fflags = f.takeError()
		return true
	}
	if f.held&unix.POLLERR != 0 {
		kn.Fflags = event.Fflags(f.failure())
	}
	if f.held&unix.POLLOUT == 0 {
		return kn.Fflags != 0
	}
	n, known := f.room()
	kn.Data = max(n, 1)
	return !known || f.enough(kn, kn.Data) || kn.Fflags != 0
}

// room returns how many bytes a descriptor that is writable takes.
func (f *File) room() (n int64, known bool) {
	switch f.kind {
	case pipe:
		used, _ := f.ioctl(unix.TIOCINQ)
		return f.pipeSize() - used, true
	case stream, messages:
		size := f.option(unix.SOL_SOCKET, unix.SO_SNDBUF)
		used, _ := f.ioctl(unix.SIOCOUTQ)
		if f.kind == stream && f.domain != unix.AF_UNIX {
			return size/2 - used, true
		}
		return (size - used) / 2, true
	case counter:
		return 8, true
	}
	return 1, false
}

func (f *File) pipeSize() int64 {
	size, _, _ := unix.RawSyscall(unix.SYS_FCNTL, uintptr(f.fd), unix.F_GETPIPE_SZ, 0)
	return int64(size)
}
