//go:build linux

package host

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// A set is an epoll set, and a line of interrupts of the machine. Under a strategy
// whose sources are bound to CPUs there is one for each CPU, with the files whose
// sources are placed there, so that threads on different CPUs meet nowhere.
type set struct {
	h    *Host
	ep   int
	bell int // an eventfd in it: ends a wait

	wait    atomic.Uint32 // running, waiting or kicked: see Wait
	ring    atomic.Int32  // threads in Kick
	buf     [512]unix.EpollEvent
	found   [512]*File // of buf; between visits all nil
	inotify inotify
}

var _ machine.Interrupts = (*set)(nil)

func (h *Host) newSet() (*set, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("host: epoll_create1: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("host: eventfd: %w", err)
	}
	s := &set{h: h, ep: ep, bell: bell}
	s.inotify.ep, s.inotify.fd = ep, -1
	// Edge-triggered, the bell need never be read: each ring is an edge.
	if err := s.control(unix.EPOLL_CTL_ADD, bell, unix.EPOLLIN, bellLife); err != 0 {
		unix.Close(ep)
		unix.Close(bell)
		return nil, fmt.Errorf("host: epoll_ctl: %w", err)
	}
	return s, nil
}

// close gives back what newSet took. Nobody waits there any more.
func (s *set) close() {
	s.inotify.close()
	for s.ring.Load() != 0 { // who woke the last sleeper may not have let go of the bell
		runtime.Gosched()
	}
	unix.Close(s.bell)
	unix.Close(s.ep)
}

// control is epoll_ctl, always edge-triggered.
func (s *set) control(op, fd int, interest uint32, life int32) syscall.Errno {
	ev := unix.EpollEvent{Events: interest | unix.EPOLLET, Fd: int32(fd), Pad: life}
	_, _, err := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(s.ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return err
}

// What the word wait says.
const (
	running uint32 = iota // nobody is in epoll_wait
	waiting               // somebody is, or is about to be, and needs the bell
	kicked                // the wait is to end, or the next one not to begin
)

// rounds bounds one visit of the epoll set: more than all descriptors a
// process has, and yet an end if a peer never stops sending.
const rounds = 128

// Wait is the interrupt handler of the machine: it takes what epoll has and
// posts it, waiting for it until the given instant. (machine.Interrupts)
func (s *set) Wait(td *machine.Thread, until time.Duration) {
	if until > 0 {
		s.handle(td, s.await(td, until))
		return
	}
	for range rounds {
		// To ask without waiting need not be told to Go's scheduler.
		n, _, _ := unix.RawSyscall6(sysEpollWait, uintptr(s.ep), uintptr(unsafe.Pointer(&s.buf)), uintptr(len(s.buf)), 0, 0, 0)
		s.handle(td, int(n))
		if int(n) < len(s.buf) {
			break
		}
	}
}

// Kick ends a Wait. It makes a system call only if somebody is in epoll_wait.
// (machine.Interrupts)
func (s *set) Kick() {
	s.ring.Add(1)
	defer s.ring.Add(-1)
	if s.wait.Swap(kicked) == waiting {
		one := uint64(1)
		unix.RawSyscall(unix.SYS_WRITE, uintptr(s.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// await waits for epoll, unless it has been kicked. A full buffer leaves the
// rest to the next look, which every waiter takes before it waits again.
func (s *set) await(td *machine.Thread, until time.Duration) int {
	if !s.wait.CompareAndSwap(running, waiting) {
		s.wait.Store(running)
		return 0
	}
	n := s.epollWait(td, until)
	// A bell that rings after this ends some later wait for nothing.
	s.wait.Store(running)
	return n
}

// epollWait is epoll_pwait2; where there is none (Linux before 5.11), or a
// sandbox that does not know it forbids it, epoll_pwait, with the timeout
// rounded up to milliseconds.
func (s *set) epollWait(td *machine.Thread, until time.Duration) int {
	var ts unix.Timespec
	var timeout unsafe.Pointer
	if until != machine.Forever {
		d := max(until-td.Now(), 0)
		ts = unix.NsecToTimespec(int64(d))
		timeout = unsafe.Pointer(&ts)
	}
	n, _, err := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.ep), uintptr(unsafe.Pointer(&s.buf)),
		uintptr(len(s.buf)), uintptr(timeout), 0, 0)
	if err == unix.ENOSYS || err == unix.EPERM {
		ms := -1
		if timeout != nil {
			ms = int(min((ts.Nano()+999_999)/1_000_000, 1<<31-1))
		}
		n, _, _ = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.ep), uintptr(unsafe.Pointer(&s.buf)),
			uintptr(len(s.buf)), uintptr(ms), 0, 0)
	}
	return int(n)
}

// handle posts the first n interrupts of buf. -1 is EINTR, since nothing else
// can be: there are none, and who waited looks around and waits again.
//
// All files are looked at before the first is posted: what is not in the cache comes
// for several at once then, where one after another would wait for each.
func (s *set) handle(td *machine.Thread, n int) {
	files := *s.h.files.Load()
	events := s.buf[:max(n, 0)]
	for i := range events {
		ev := &events[i]
		var f *File
		if uint(ev.Fd) < uint(len(files)) {
			f = files[ev.Fd].Load()
		}
		s.found[i] = f
		if f != nil && f.life != ev.Pad {
			s.found[i] = nil
		}
	}
	for i := range events {
		ev := &events[i]
		f := s.found[i]
		if f == nil {
			if f = s.late(td, ev); f == nil {
				continue
			}
		}
		f.interrupt(td, ev.Events)
		s.found[i] = nil
	}
}

// late finds the file of an interrupt that overtook its entry into the table.
// Nil if it is of a life that has ended, or of a descriptor of the host's own, which
// is seen to here.
func (s *set) late(td *machine.Thread, ev *unix.EpollEvent) *File {
	switch ev.Pad {
	case bellLife:
		return nil
	case inotifyLife:
		s.inotify.read(td)
		return nil
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if f := s.h.at(int(ev.Fd)); f != nil && f.life == ev.Pad {
		return f
	}
	return nil
}
