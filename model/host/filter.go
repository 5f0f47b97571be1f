//go:build linux

package host

import (
	"math"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// The filters. All are MP-safe and none blocks: each is a system call or two
// that never waits. A hint is what epoll said; the answer to it is only
// whether the condition may hold, since the scan measures.
var (
	readFilter = &kqueue.Filter{
		Name: "host read",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			attach(kn)
			return lowat(kn, kn.Want, kn.WantData)
		},
		Touch: touchLowat,
		Event: readEvent,
	}
	writeFilter = &kqueue.Filter{
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
	exceptFilter = &kqueue.Filter{
		Name: "host except",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			if err := checkOOB(kn.Want); err != nil {
				return err
			}
			return attach(kn).want(unix.EPOLLPRI)
		},
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			return checkOOB(kev.Fflags)
		},
		Event: exceptEvent,
	}
)

// attach hooks the knote to its file: to find that by way of the descriptor
// would touch two more cache lines an event.
func attach(kn *kqueue.Knote) *File {
	f := kn.File().(*File)
	kn.Hook = f
	return f
}

// lowat leaves in kn.WantData the low-water mark that a change asks for, at
// least 1. Data without NOTE_LOWAT is ignored. EINVAL if the mark is negative
// or if there are other fflags; the knote is as it was then.
func lowat(kn *kqueue.Knote, want event.Fflags, data int64) error {
	switch {
	case want == 0:
		data = 1
	case want != event.NoteLowat || data < 0:
		return unix.EINVAL
	}
	kn.Want, kn.WantData = want, max(data, 1)
	return nil
}

func touchLowat(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	return lowat(kn, kev.Fflags, kev.Data)
}

func checkOOB(want event.Fflags) error {
	if want != event.NoteOOB {
		return unix.EINVAL
	}
	return nil
}

const ended = unix.EPOLLHUP | unix.EPOLLRDHUP | unix.EPOLLERR

// enough reports whether n, an amount of this direction, reaches the mark. A mark
// above what can ever be there is that.
func (f *File) enough(kn *kqueue.Knote, n int64) bool {
	kn.Data = n
	return n >= kn.WantData || n > 0 && n >= f.most(kn.Filter())
}

// most returns a bound on what enough is asked about.
func (f *File) most(filter event.Filter) int64 {
	switch {
	case f.kind == pipe:
		return f.pipeSize()
	case f.kind == counter:
		return 8
	case filter == event.Read && (f.kind == stream || f.kind == messages):
		return f.option(unix.SOL_SOCKET, unix.SO_RCVBUF) / 2 // the bound of SO_RCVLOWAT
	case f.kind == stream || f.kind == messages:
		return f.option(unix.SOL_SOCKET, unix.SO_SNDBUF) / 2
	}
	return math.MaxInt64
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
	}
	if f.held&(unix.POLLHUP|unix.POLLRDHUP) == 0 {
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

// lost reports a descriptor that was closed behind the host's back.
func (f *File) lost(kn *kqueue.Knote) bool {
	kn.Data, kn.Cond, kn.Fflags = 0, event.EOF|event.NoData, event.Fflags(unix.EBADF)
	return true
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
	case f.held&unix.POLLHUP != 0,
		f.held&unix.POLLERR != 0 && (f.kind == pipe || f.kind == stream):
		kn.Cond = event.EOF | event.NoData
		if f.held&unix.POLLHUP != 0 || f.kind == pipe {
			kn.Cond |= event.HUP
		}
		kn.Fflags = f.takeError()
		return true
	case f.held&unix.POLLOUT == 0:
		return f.held&unix.POLLERR != 0
	}
	n, known := f.room()
	kn.Data = max(n, 1)
	return !known || f.enough(kn, kn.Data)
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

func exceptEvent(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	if hint != 0 {
		return hint&unix.EPOLLPRI != 0
	}
	f := kn.Hook.(*File)
	f.poll(unix.POLLIN | unix.POLLPRI | unix.POLLRDHUP)
	if f.held&unix.POLLPRI == 0 {
		return false
	}
	kn.Data, kn.Cond, kn.Fflags = 1, 0, event.NoteOOB
	return true
}
