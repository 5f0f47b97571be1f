//go:build linux

package host

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// A Host is the descriptors that a kernel watches, the epoll sets they are in,
// and the source of the machine's interrupts. It is a descriptor table: the
// idents of a queue made with it are real descriptor numbers.
type Host struct {
	k    *kqueue.Kernel
	sets []*set // immutable: one, or one for each CPU

	mu     sync.Mutex
	files  atomic.Pointer[[]atomic.Pointer[File]] // by number; grown and written under mu
	lives  int32                                  // guarded by mu: files opened so far
	strays []*File                                // guarded by mu: closed behind the host's back, and to be abandoned
	over   bool                                   // guarded by mu: closed

	signals signals
}

var _ kqueue.Files = (*Host)(nil)

// New makes a host for kernel k, installs it as the source of interrupts of k's
// machine, and makes the filters PROC and SIGNAL known to k, which speak of the
// real processes and signals then. It is called before any queue is made, and no
// thread of the machine may be asleep meanwhile. Errors: EBUSY if the machine has a
// source of interrupts already; EMFILE, ENFILE, ENOMEM from Linux. It takes two
// descriptors of the process, or two for each CPU if the sources that the strategy
// places are bound to theirs.
func New(k *kqueue.Kernel) (*Host, error) {
	m := k.Machine()
	if m.Interrupts() != nil {
		return nil, fmt.Errorf("host: the machine has a source of interrupts: %w", unix.EBUSY)
	}
	h := &Host{k: k}
	h.files.Store(new([]atomic.Pointer[File]))
	n := 1
	if bound(k) {
		n = m.NumCPU()
	}
	var lines []machine.Interrupts
	for range n {
		s, err := h.newSet()
		if err != nil {
			for _, s := range h.sets {
				s.close()
			}
			return nil, err
		}
		h.sets = append(h.sets, s)
		lines = append(lines, s)
	}
	m.SetInterrupts(lines...)
	k.Install(event.Proc, h.openProcess)
	k.Install(event.Signal, h.openSignal)
	return h, nil
}

// bound reports whether sources made on different CPUs are bound to them.
func bound(k *kqueue.Kernel) bool {
	m := k.Machine()
	for i := range m.NumCPU() {
		td := m.Attach("host", i)
		c := k.NewSource(td).CPU()
		td.Detach()
		if c == nil {
			return false
		}
	}
	return true
}

// set returns the set that a source's interrupts come from.
func (h *Host) set(src *kqueue.Source) *set {
	if c := src.CPU(); c != nil && len(h.sets) > 1 {
		return h.sets[c.ID()]
	}
	return h.sets[0]
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
	h.k.Install(event.Proc, nil)
	h.k.Install(event.Signal, nil)
	h.signals.close(td)
	h.bury(td)
	files := *h.files.Load()
	var errs []error
	for i := range files {
		if f := files[i].Load(); f != nil {
			errs = append(errs, f.Close(td))
		}
	}
	h.k.Machine().SetInterrupts()
	for _, s := range h.sets {
		s.close()
	}
	return errors.Join(errs...)
}

// Open makes descriptor fd of the process a file that can be watched, and takes
// it over: from now on [File.Close] closes it. It must be open for as long as
// the file is. It does not wait.
//
// What epoll refuses, such as regular files, directories and block devices, is
// always ready.
//
// Errors wrap the errno: EBADF if fd is no open descriptor, or was opened with
// O_PATH, or h is closed; EEXIST if it is open with h already; ENOMEM, ENOSPC
// from epoll, and ELOOP if it is an epoll that watches others five deep or that
// of h. The descriptor is the caller's then, as before.
func (h *Host) Open(td *machine.Thread, fd int) (*File, error) {
	f, err := h.newFile(td, fd)
	if err != nil {
		return nil, err
	}
	if err := h.enter(f); err != nil {
		switch errno := err.(syscall.Errno); {
		case errno == unix.EEXIST:
			return nil, fmt.Errorf("host: descriptor %d is open already: %w", fd, err)
		case errno == unix.EBADF:
			return nil, fmt.Errorf("host: open of descriptor %d: it has been closed meanwhile, or the host: %w", fd, err)
		}
		return nil, fmt.Errorf("host: epoll_ctl of descriptor %d, a %s: %w", fd, f.what, err)
	}
	h.bury(td)
	return f, nil
}

// enter puts f into the set, unless epoll refuses it, and into the table. A file
// that had the number before was closed behind the host's back, and is a stray now.
// It may be called in a domain.
func (h *Host) enter(f *File) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return unix.EBADF
	}
	files := *h.files.Load()
	if h.lives++; h.lives <= 0 {
		h.lives = 1 // what is below is the host's own; of the old ones no interrupt is under way
	}
	f.life = h.lives
	switch err := f.set.control(unix.EPOLL_CTL_ADD, f.fd, f.interest, f.life); err {
	case 0:
	case unix.EPERM:
		if f.fd < len(files) {
			if old := files[f.fd].Load(); old != nil && old.calms && old.dev == f.dev && old.ino == f.ino {
				return unix.EEXIST
			}
		}
		f.settle()
	default:
		return err
	}
	if f.fd >= len(files) {
		grown := make([]atomic.Pointer[File], max(64, 2*len(files), f.fd+1))
		for i := range files {
			grown[i].Store(files[i].Load())
		}
		h.files.Store(&grown)
		files = grown
	}
	if old := files[f.fd].Swap(f); old != nil {
		h.strays = append(h.strays, old)
	}
	return nil
}

// bury abandons strays. It is called in no domain.
func (h *Host) bury(td *machine.Thread) {
	h.mu.Lock()
	strays := h.strays
	h.strays = nil
	h.mu.Unlock()
	for _, f := range strays {
		f.abandon(td)
	}
}

// drop takes f out of the set and the table and closes its number, unless that
// does not name any more what was opened.
func (h *Host) drop(f *File) (err error) {
	var st unix.Stat_t
	if f.calms && f.same(&st) || !f.calms && f.set.control(unix.EPOLL_CTL_DEL, f.fd, 0, 0) == 0 {
		err = unix.Close(f.fd)
	} else {
		err = fmt.Errorf("host: descriptor %d was closed by somebody else: %w", f.fd, unix.EBADF)
	}
	h.mu.Lock()
	(*h.files.Load())[f.fd].CompareAndSwap(f, nil)
	h.mu.Unlock()
	return err
}

// File returns the file that was opened for descriptor fd, or nil.
func (h *Host) File(fd int) *File {
	f := h.at(fd)
	if f == nil || f.kind == process {
		return nil
	}
	return f
}

// at returns what the table has for a number.
func (h *Host) at(fd int) *File {
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
	if f == nil || f.kind == process || f.closed.Load() {
		return nil, unix.EBADF
	}
	return &f.desc, nil
}
