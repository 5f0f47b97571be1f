//go:build linux

package host

import (
	"math"
	"unsafe"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// StatusUnknown is the data of a PROC event about a process whose status Linux
// does not tell: one that is no child of this one, and whose parent has not waited
// for it yet.
const StatusUnknown = -1

// openProcess makes the source and the filter of one PROC knote. Each has a pidfd
// of its own, which is opened when the knote is attached: an opener's source may
// be dropped unused. (kqueue.Opener)
//
// Linux tells by a pidfd that a process has ended, and nothing else. So there is
// NOTE_EXIT, and each knote is told of it whether it has asked or not, once, with
// EV_EOF and EV_ONESHOT, its status in data as wait(2) has it. (filt_proc)
//
// Errors of EV_ADD: ESRCH if there is no such process; EOPNOTSUPP for NOTE_FORK,
// NOTE_EXEC and NOTE_TRACK; EINVAL for fflags that are none of PROC's; EMFILE,
// ENFILE, ENOMEM, ENOSPC from Linux.
func (h *Host) openProcess(td *machine.Thread, _ kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
	f := &File{fd: -1, kind: process, rest: &rest{h: h, interest: unix.EPOLLIN, what: "process"}}
	f.readers.Init(td, h.k)
	f.writers.InitSibling(&f.readers)
	f.excepts.InitSibling(&f.readers)
	f.vnodes.InitSibling(&f.readers)
	f.set = h.set(&f.readers)
	p := &ending{f: f}
	return &f.readers, &kqueue.Filter{
		Name: "host proc", Clear: true, OneShot: true,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			if err := procNotes(kn.Want); err != nil {
				return err
			}
			return p.open(kn.Ident())
		},
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			if err := procNotes(kev.Fflags); err != nil {
				return err
			}
			kn.Want, kn.WantData = kev.Fflags, kev.Data
			return nil
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			if !p.look(hint) {
				return false
			}
			kn.Data, kn.Fflags, kn.Cond = p.status, kn.Want&event.NoteExit, event.EOF|event.NoData
			return true
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) { f.Close(td) },
	}, nil
}

// procNotes checks the fflags of a change.
func procNotes(want event.Fflags) error {
	const all = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack
	switch {
	case want&^all != 0:
		return unix.EINVAL
	case want&^event.NoteExit != 0:
		return unix.EOPNOTSUPP
	}
	return nil
}

// An ending is the end of one process, as one knote sees it.
type ending struct {
	f      *File // a pidfd
	over   bool  // guarded by f's domain
	status int64 // guarded by f's domain: once it is over
}

// open finds the process. A number that is used again from here on does no harm:
// the pidfd is of this one.
func (p *ending) open(pid uint64) error {
	if pid == 0 || pid > math.MaxInt32 {
		return unix.ESRCH
	}
	fd, err := unix.PidfdOpen(int(pid), 0) // close-on-exec always
	switch err {
	case nil:
	case unix.EINVAL, unix.ENOENT: // the number of a thread
		return unix.ESRCH
	default:
		return err
	}
	p.f.fd = fd
	if err := p.f.h.enter(p.f); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

// look reports whether the process has ended. Its status is asked for at once:
// its parent may wait for it any time, and then only a newer Linux can still tell.
func (p *ending) look(hint int64) bool {
	if p.over {
		return true
	}
	if hint == 0 {
		if p.f.closed.Load() { // abandoned: the number means another file
			return false
		}
		p.f.poll(unix.POLLIN)
		hint = int64(p.f.held)
	}
	if hint&(unix.EPOLLIN|unix.EPOLLHUP) == 0 {
		return false
	}
	p.over, p.status = true, p.f.exitStatus()
	return true
}

// exitStatus returns how the process of a pidfd has ended, in the form of wait(2).
// A child is asked for it without being waited for; any other tells since Linux
// 6.15, once its parent has waited for it.
func (f *File) exitStatus() int64 {
	const (
		exited = 1 // CLD_EXITED
		dumped = 3 // CLD_DUMPED
		// In siginfo_t, si_pid and si_uid stand before si_status, after three
		// words of 32 bits and, with 64-bit pointers, one for alignment.
		statusAt = 3*4 + unsafe.Sizeof(uintptr(0)) - 4 + 2*4
	)
	var si unix.Siginfo
	err := unix.Waitid(unix.P_PIDFD, f.fd, &si, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	if err == nil && si.Signo != 0 {
		status := int64(*(*int32)(unsafe.Add(unsafe.Pointer(&si), statusAt)))
		switch si.Code {
		case exited:
			return status & 0xff << 8
		case dumped:
			return status | 0x80
		}
		return status
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(f.fd), unix.PIDFD_GET_INFO, uintptr(unsafe.Pointer(&info)))
	if errno == 0 && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		return int64(info.Exit_code)
	}
	return StatusUnknown
}
