//go:build linux

package host

import (
	"math"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// The filters of what epoll watches are in read.go, write.go and except.go. All
// are MP-safe and none blocks: each is a system call or two that never waits. A
// hint is what epoll said; the answer to it is only whether the condition may
// hold, since the scan measures.

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

// ended is what epoll says of a direction that is over.
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

// lost reports a descriptor that was closed behind the host's back.
func (f *File) lost(kn *kqueue.Knote) bool {
	kn.Data, kn.Cond, kn.Fflags = 0, event.EOF|event.NoData, event.Fflags(unix.EBADF)
	return true
}

// hungUp reports whether both directions are over. Of a pipe without readers, to
// which that is an error, Linux says so by another name.
func (f *File) hungUp() bool {
	return f.held&unix.POLLHUP != 0 || f.held&unix.POLLERR != 0 && f.kind == pipe
}
