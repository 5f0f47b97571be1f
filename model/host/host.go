//go:build linux

package host

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// A Host is the descriptors that a kernel watches, the epoll set they are in,
// and the source of the machine's interrupts. It is a descriptor table: the
// idents of a queue made with it are real descriptor numbers.
type Host struct {
	k    *kqueue.Kernel
	ep   int // the epoll set
	bell int // an eventfd in it: ends a wait

	wait atomic.Uint32 // running, waiting or kicked: see Wait
	ring atomic.Int32  // threads in Kick
	buf  [512]unix.EpollEvent

	mu    sync.Mutex
	files atomic.Pointer[[]atomic.Pointer[File]] // by number; grown and written under mu
	lives int32                                  // guarded by mu: files opened so far
	over  bool                                   // guarded by mu: closed
}

var _ kqueue.Files = (*Host)(nil)
var _ machine.Interrupts = (*Host)(nil)

// New makes a host for kernel k and installs it as the source of interrupts of
// k's machine. No thread of the machine may be asleep meanwhile. Errors: EBUSY
// if the machine has a source of interrupts already; EMFILE, ENFILE, ENOMEM
// from Linux. It takes two descriptors of the process.
func New(k *kqueue.Kernel) (*Host, error) {
	if k.Machine().Interrupts() != nil {
		return nil, fmt.Errorf("host: the machine has a source of interrupts: %w", unix.EBUSY)
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("host: epoll_create1: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("host: eventfd: %w", err)
	}
	h := &Host{k: k, ep: ep, bell: bell}
	h.files.Store(new([]atomic.Pointer[File]))
	// Edge-triggered, the bell need never be read: each ring is an edge.
	if err := h.control(unix.EPOLL_CTL_ADD, bell, unix.EPOLLIN, 0); err != 0 {
		unix.Close(ep)
		unix.Close(bell)
		return nil, fmt.Errorf("host: epoll_ctl: %w", err)
	}
	k.Machine().SetInterrupts(h)
	return h, nil
}

// Close closes every file that is still open, with its descriptor, and gives
// back what New took. No thread of the machine may be asleep, or in Kevent on a
// queue made with h. It may block. A second call does nothing.
func (h *Host) Close(td *machine.Thread) error {
	h.mu.Lock()
	over := h.over
	h.over = true
	h.mu.Unlock()
	if over {
		return nil
	}
	files := *h.files.Load()
	var errs []error
	for i := range files {
		if f := files[i].Load(); f != nil {
			errs = append(errs, f.Close(td))
		}
	}
	h.k.Machine().SetInterrupts(nil)
	for h.ring.Load() != 0 { // who woke the last sleeper may not have let go of the bell
		runtime.Gosched()
	}
	unix.Close(h.bell)
	unix.Close(h.ep)
	return errors.Join(errs...)
}

// Open makes descriptor fd of the process a file that can be watched, and takes
// it over: from now on [File.Close] closes it. It must be open for as long as
// the file is. It does not wait.
//
// Errors wrap the errno: EBADF if fd is no open descriptor or h is closed;
// EPERM if epoll cannot watch it, as it is with regular files and directories,
// which are always ready; EEXIST if it is open with h already; ENOMEM, ENOSPC
// from epoll. The descriptor is the caller's then, as before.
func (h *Host) Open(td *machine.Thread, fd int) (*File, error) {
	f, err := h.newFile(td, fd)
	if err != nil {
		return nil, err
	}
	old, err := h.add(f)
	if err != nil {
		return nil, err
	}
	if old != nil {
		old.abandon(td)
	}
	return f, nil
}

// add enters f into the set and the table. It returns the file that had the
// number before, if the program has closed that behind the host's back.
func (h *Host) add(f *File) (old *File, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil, fmt.Errorf("host: open of descriptor %d: the host is closed: %w", f.fd, unix.EBADF)
	}
	h.lives++
	f.life = h.lives
	switch err := h.control(unix.EPOLL_CTL_ADD, f.fd, f.interest, f.life); err {
	case 0:
	case unix.EPERM:
		return nil, fmt.Errorf("host: descriptor %d is a %s, which epoll cannot watch: it is always ready: %w", f.fd, f.what, err)
	case unix.EEXIST:
		return nil, fmt.Errorf("host: descriptor %d is open already: %w", f.fd, err)
	default:
		return nil, fmt.Errorf("host: epoll_ctl of descriptor %d: %w", f.fd, err)
	}
	files := *h.files.Load()
	if f.fd >= len(files) {
		grown := make([]atomic.Pointer[File], max(64, 2*len(files), f.fd+1))
		for i := range files {
			grown[i].Store(files[i].Load())
		}
		h.files.Store(&grown)
		files = grown
	}
	return files[f.fd].Swap(f), nil
}

// drop takes f out of the set and the table and closes its number, unless that
// does not name any more what was opened.
func (h *Host) drop(f *File) (err error) {
	if h.control(unix.EPOLL_CTL_DEL, f.fd, 0, 0) == 0 {
		err = unix.Close(f.fd)
	} else {
		err = fmt.Errorf("host: descriptor %d was closed by somebody else: %w", f.fd, unix.EBADF)
	}
	h.mu.Lock()
	(*h.files.Load())[f.fd].CompareAndSwap(f, nil)
	h.mu.Unlock()
	return err
}

// File returns the open file of descriptor fd, or nil.
func (h *Host) File(fd int) *File {
	files := *h.files.Load()
	if uint(fd) >= uint(len(files)) {
		return nil
	}
	return files[fd].Load()
}

// Desc returns the life that descriptor fd has, or EBADF if it is not open with
// h. (kqueue.Files)
func (h *Host) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	files := *h.files.Load()
	if fd >= uint64(len(files)) {
		return nil, unix.EBADF
	}
	f := files[fd].Load()
	if f == nil || f.closed.Load() {
		return nil, unix.EBADF
	}
	return &f.desc, nil
}

// control is epoll_ctl, always edge-triggered.
func (h *Host) control(op, fd int, interest uint32, life int32) syscall.Errno {
	ev := unix.EpollEvent{Events: interest | unix.EPOLLET, Fd: int32(fd), Pad: life}
	_, _, err := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(h.ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return err
}
