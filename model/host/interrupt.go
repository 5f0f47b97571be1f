//go:build linux

package host

import (
	"time"
	"unsafe"

	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

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
func (h *Host) Wait(td *machine.Thread, until time.Duration) {
	if until > 0 {
		h.handle(td, h.await(td, until))
		return
	}
	for range rounds {
		// To ask without waiting need not be told to Go's scheduler.
		n, _, _ := unix.RawSyscall6(sysEpollWait, uintptr(h.ep), uintptr(unsafe.Pointer(&h.buf)), uintptr(len(h.buf)), 0, 0, 0)
		h.handle(td, int(n))
		if int(n) < len(h.buf) {
			break
		}
	}
}

// Kick ends a Wait. It makes a system call only if somebody is in epoll_wait.
// (machine.Interrupts)
func (h *Host) Kick() {
	h.ring.Add(1)
	defer h.ring.Add(-1)
	if h.wait.Swap(kicked) == waiting {
		one := uint64(1)
		unix.RawSyscall(unix.SYS_WRITE, uintptr(h.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// await waits for epoll, unless it has been kicked. A full buffer leaves the
// rest to the next look, which every waiter takes before it waits again.
func (h *Host) await(td *machine.Thread, until time.Duration) int {
	if !h.wait.CompareAndSwap(running, waiting) {
		h.wait.Store(running)
		return 0
	}
	n := h.epollWait(td, until)
	// A bell that rings after this ends some later wait for nothing.
	h.wait.Store(running)
	return n
}

// epollWait is epoll_pwait2; where there is none (Linux before 5.11), or a
// sandbox that does not know it forbids it, epoll_pwait, with the timeout
// rounded up to milliseconds.
func (h *Host) epollWait(td *machine.Thread, until time.Duration) int {
	var ts unix.Timespec
	var timeout unsafe.Pointer
	if until != machine.Forever {
		d := max(until-td.Now(), 0)
		ts = unix.NsecToTimespec(int64(d))
		timeout = unsafe.Pointer(&ts)
	}
	n, _, err := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(h.ep), uintptr(unsafe.Pointer(&h.buf)),
		uintptr(len(h.buf)), uintptr(timeout), 0, 0)
	if err == unix.ENOSYS || err == unix.EPERM {
		ms := -1
		if timeout != nil {
			ms = int(min((ts.Nano()+999_999)/1_000_000, 1<<31-1))
		}
		n, _, _ = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(h.ep), uintptr(unsafe.Pointer(&h.buf)),
			uintptr(len(h.buf)), uintptr(ms), 0, 0)
	}
	return int(n)
}

// handle posts the first n interrupts of buf. -1 is EINTR, since nothing else
// can be: there are none, and who waited looks around and waits again.
func (h *Host) handle(td *machine.Thread, n int) {
	files := *h.files.Load()
	for i := range h.buf[:max(n, 0)] {
		ev := &h.buf[i]
		var f *File
		if uint(ev.Fd) < uint(len(files)) {
			f = files[ev.Fd].Load()
		}
		if f == nil || f.life != ev.Pad {
			if f = h.late(td, ev); f == nil {
				continue
			}
		}
		f.interrupt(td, ev.Events)
	}
}

// late finds the file of an interrupt that overtook its entry into the table.
// Nil if it is of a life that has ended, or of a descriptor of the host's own, which
// is seen to here.
func (h *Host) late(td *machine.Thread, ev *unix.EpollEvent) *File {
	switch ev.Pad {
	case bellLife:
		return nil
	case inotifyLife:
		h.inotify.read(td)
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.at(int(ev.Fd)); f != nil && f.life == ev.Pad {
		return f
	}
	return nil
}
