//go:build linux

package host

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// A File is one open descriptor of the process, from [Host.Open] to Close.
type File struct {
	// What an event touches comes first, to share a cache line: these, and of
	// readers its place and its list. The sources are siblings: interrupts, and all
	// filters, run in one domain.
	fd      int    // immutable
	life    int32  // immutable: tells apart the files that a number has meant
	held    uint32 // guarded by the domain: what held at the last interrupt or poll
	n       int32  // guarded by the domain: where ioctl answers
	kind    kind   // immutable
	readers kqueue.Source
	*rest
	_ [16]byte // two lines, of which the first has what an event touches
}

// The rest of a file is what few events touch. It is apart, so that ten thousand
// files are as close together as may be: a page of them is a miss of its own.
type rest struct {
	writers kqueue.Source
	excepts kqueue.Source

	interest uint32        // guarded by the domain: what epoll watches for
	err      syscall.Errno // guarded by the domain: the socket's, once taken from it
	access   int           // immutable: O_RDONLY, O_WRONLY or O_RDWR
	domain   int           // immutable: AF_..., of a socket
	master   bool          // immutable: the side of a terminal that has no line discipline
	calms    bool          // immutable: epoll refuses it, it is always ready
	vnode    bool          // immutable: an inode of a file system, which inotify can watch
	dev, ino uint64        // immutable: which inode
	disk     int64         // immutable: the size of a block device
	what     string        // immutable: for messages

	h      *Host
	set    *set // immutable: where epoll and inotify watch it
	closed atomic.Bool
	desc   kqueue.Desc
	vnodes kqueue.Source
	view   view // guarded by the domain
}

// A kind is a class of descriptors that are measured alike.
type kind uint8

const (
	other    kind = iota // what holds is known, how much is not
	pipe                 // and fifo
	stream               // socket
	messages             // socket of datagrams or packets: an empty one can be read too
	counter              // eventfd, timerfd: eight bytes at a time
	terminal
	plain   // regular file, block device: it has an offset and an end, and is always ready
	process // a pidfd of the host's own
)

func (h *Host) newFile(td *machine.Thread, fd int) (*File, error) {
	access, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if fd != int(uint32(fd)) { // Linux looks at 32 bits only
		err = unix.EBADF
	}
	if err != nil {
		return nil, fmt.Errorf("host: descriptor %d is not open: %w", fd, err)
	}
	if access&unix.O_PATH != 0 {
		return nil, fmt.Errorf("host: descriptor %d names a file (O_PATH) and has not opened it: %w", fd, unix.EBADF)
	}
	f := &File{fd: fd, rest: &rest{h: h, access: access & unix.O_ACCMODE, interest: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI}}
	if f.access == unix.O_WRONLY {
		f.interest = unix.EPOLLOUT
	}
	if err := f.classify(); err != nil {
		return nil, fmt.Errorf("host: descriptor %d: %w", fd, err)
	}
	f.desc.File = f
	f.readers.Init(td, h.k)
	f.writers.InitSibling(&f.readers)
	f.excepts.InitSibling(&f.readers)
	f.vnodes.InitSibling(&f.readers)
	f.set = h.set(&f.readers)
	return f, nil
}

// classify finds out what the descriptor is.
func (f *File) classify() error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	f.dev, f.ino = uint64(st.Dev), st.Ino
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		f.kind, f.what = pipe, "pipe"
		var fs unix.Statfs_t
		f.vnode = unix.Fstatfs(f.fd, &fs) == nil && fs.Type != unix.PIPEFS_MAGIC
	case unix.S_IFSOCK:
		f.kind, f.what = messages, "socket"
		if t, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && t == unix.SOCK_STREAM {
			f.kind = stream
		}
		f.domain, _ = unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	case unix.S_IFCHR:
		f.what, f.vnode = "character device", true
		if _, err := unix.IoctlGetTermios(f.fd, unix.TCGETS); err == nil {
			f.kind, f.what = terminal, "terminal"
			_, err := unix.IoctlGetInt(f.fd, unix.TIOCGPTN) // only a master has a number
			f.master = err == nil
		}
	case unix.S_IFREG:
		f.what = "regular file"
		name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.fd))
		f.vnode = !strings.HasPrefix(name, "/memfd:") // Linux tells nobody of those
	case unix.S_IFDIR:
		f.what, f.vnode = "directory", true
	case unix.S_IFBLK:
		f.what, f.vnode = "block device", true
	default: // an anonymous inode has no type, and tells its class in its name
		f.what, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.fd))
		if strings.Contains(f.what, "[eventfd]") || strings.Contains(f.what, "[timerfd]") {
			f.kind = counter
		}
	}
	return nil
}

// FD returns the number of the descriptor.
func (f *File) FD() int { return f.fd }

// Source returns the source and the filter for READ, WRITE, EXCEPT and VNODE.
// Errors: EINVAL for any other, for READ of a descriptor that is not open for
// reading, for WRITE of one that is not open for writing, and for VNODE of what is
// no file of a file system. (kqueue.File)
func (f *File) Source(filter event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch {
	case filter == event.Read && f.access != unix.O_WRONLY:
		if f.calms {
			return &f.readers, f.calm(filter), nil
		}
		return &f.readers, readFilter, nil
	case filter == event.Write && f.access != unix.O_RDONLY:
		if f.calms {
			return &f.writers, f.calm(filter), nil
		}
		return &f.writers, writeFilter, nil
	case filter == event.Except:
		if f.calms {
			return &f.excepts, f.calm(filter), nil
		}
		return &f.excepts, exceptFilter, nil
	case filter == event.Vnode && f.vnode:
		return &f.vnodes, vnodeFilter, nil
	}
	return nil, nil, unix.EINVAL
}

// Sources returns the four sources. (kqueue.File)
func (f *File) Sources() []*kqueue.Source {
	return []*kqueue.Source{&f.readers, &f.writers, &f.excepts, &f.vnodes}
}

// PollClass says which of the classes of poll(2) the file is of. (package poll)
func (f *File) PollClass() event.PollClass {
	switch {
	case f.calms:
		return event.PollAlways
	case f.kind == pipe && f.access == unix.O_RDONLY:
		return event.PollReadEnd
	case f.kind == pipe && f.access == unix.O_WRONLY:
		return event.PollWriteEnd
	case f.kind == stream || f.kind == messages:
		if f.domain == unix.AF_UNIX {
			return event.PollUnix
		}
		return event.PollSocket
	case f.kind == terminal && f.master:
		return event.PollPty
	case f.kind == terminal:
		return event.PollTty
	}
	return event.PollPlain
}

// Close ends every knote of the file and closes the descriptor. When it returns
// no queue made with the host has a knote of it. It may block. Errors: EBADF if
// it is closed already, or the number does not name any more what was opened,
// and is left alone then; EINTR, EIO from close(2), after which it is closed.
func (f *File) Close(td *machine.Thread) error {
	if !f.closed.CompareAndSwap(false, true) {
		return unix.EBADF
	}
	if f.kind != process { // which no descriptor stands for
		f.desc.Close(td)
	}
	return f.h.drop(f)
}

// Release closes the file when another descriptor table has let go of its last
// descriptor. (kqueue.File)
func (f *File) Release(td *machine.Thread) { f.Close(td) }

// abandon ends a file whose number means another one by now. The knote of a process
// stays, and is told of nothing any more.
func (f *File) abandon(td *machine.Thread) {
	if f.closed.CompareAndSwap(false, true) && f.kind != process {
		f.desc.Close(td)
	}
}

// interrupt posts what epoll has said.
func (f *File) interrupt(td *machine.Thread, held uint32) {
	f.readers.Enter(td)
	f.held = held
	f.readers.Post(td, int64(held))
	if held&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.writers.Post(td, int64(held))
	}
	if held&(unix.EPOLLPRI|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		f.excepts.Post(td, int64(held))
	}
	f.readers.Exit(td)
}

// want makes epoll watch for more.
func (f *File) want(more uint32) error {
	if f.interest&more == more {
		return nil
	}
	if err := f.set.control(unix.EPOLL_CTL_MOD, f.fd, f.interest|more, f.life); err != 0 {
		if err == unix.ENOENT { // the number means another file
			err = unix.EBADF
		}
		return err
	}
	f.interest |= more
	return nil
}

// poll refreshes what holds: with each interrupt it was true, but the other
// side of a fifo or a terminal can come back without one.
func (f *File) poll(events int16) {
	p := unix.PollFd{Fd: int32(f.fd), Events: events}
	var now unix.Timespec
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	f.held = uint32(uint16(p.Revents))
}

// ioctl asks for a number.
func (f *File) ioctl(request uint) (int64, syscall.Errno) {
	_, _, err := unix.RawSyscall6(unix.SYS_IOCTL, uintptr(f.fd), uintptr(request), uintptr(unsafe.Pointer(&f.n)), 0, 0, 0)
	return int64(f.n), err
}

// option asks for a socket option that is a number.
func (f *File) option(level, name int) int64 {
	var v int32
	size := uint32(4)
	_, _, err := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(f.fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&size)), 0)
	if err != 0 {
		return 0
	}
	return int64(v)
}

// takeError takes the error of a stream socket, once: it stays the reason for
// the end.
func (f *File) takeError() event.Fflags {
	if f.err == 0 && f.kind == stream && f.held&unix.EPOLLERR != 0 {
		f.err = syscall.Errno(f.option(unix.SOL_SOCKET, unix.SO_ERROR))
	}
	return event.Fflags(f.err)
}

// backlog returns how many connections wait on a listening socket: exactly for
// TCP, where Linux keeps the number in place of one that a listener has no use
// for; 1 for others.
func (f *File) backlog() int64 {
	if f.domain != unix.AF_INET && f.domain != unix.AF_INET6 {
		return 1
	}
	var info unix.TCPInfo
	size := uint32(unsafe.Offsetof(info.Sacked))
	_, _, err := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(f.fd), unix.SOL_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if err != 0 {
		return 1
	}
	return max(int64(info.Unacked), 1)
}
