//go:build linux

package poll_test

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/strategies"
)

// A wrongCall is one with a wrong argument, made on Linux and here: the errno is the
// same, and is this one. On both sides descriptors 0 and 1 are the ends of a pipe, 2, 3
// and 4 are epolls, 3 has 2 and 0 as items, and 0 is EXCLUSIVE there; 5 is a dup of 2,
// and 9 is not open.
type wrongCall struct {
	name  string
	want  syscall.Errno
	here  func(l *lab) error
	there func() syscall.Errno
}

// Timeouts that are none; they must not move.
var (
	negativeTS = unix.Timespec{Sec: -1}
	longSecond = unix.Timespec{Nsec: 1e9}
	negativeTV = unix.Timeval{Sec: -1}
)

// syscall6 makes a system call that the Go libraries have no form for, or would not make so.
func syscall6(nr uintptr, args ...uintptr) func() syscall.Errno {
	return func() syscall.Errno {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		return errno
	}
}

// ctl is an epoll_ctl, of which ev may be nil.
func ctl(name string, want syscall.Errno, epfd int, op event.EpollOp, fd int, ev *poll.EpollEvent) wrongCall {
	return wrongCall{
		"epoll_ctl: " + name, want,
		func(l *lab) error { return poll.EpollCtl(l.td, l.p, epfd, op, fd, ev) },
		func() syscall.Errno {
			var real *unix.EpollEvent
			if ev != nil {
				real = &unix.EpollEvent{Events: uint32(ev.Events)}
			}
			_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(number(epfd)), uintptr(op), uintptr(number(fd)), uintptr(unsafe.Pointer(real)), 0, 0)
			return errno
		},
	}
}

func number(fd int) int32 {
	if fd < 0 || fd > maxFD {
		return int32(fd)
	}
	return int32(firstReal + fd)
}

// waitWrong is an epoll_wait with room for so many, or with that many negative.
func waitWrong(name string, want syscall.Errno, epfd, room int) wrongCall {
	return wrongCall{
		"epoll_wait: " + name, want,
		func(l *lab) error {
			_, err := poll.EpollWait(l.td, l.p, epfd, make([]poll.EpollEvent, max(room, 0)), 0)
			return err
		},
		func() syscall.Errno {
			var ev [8]unix.EpollEvent
			_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(number(epfd)), uintptr(unsafe.Pointer(&ev)), uintptr(room), 0, 0, 0)
			return errno
		},
	}
}

func wrongCalls() []wrongCall {
	const add, mod, del, excl = event.EpollAdd, event.EpollMod, event.EpollDel, event.EpollExclusive
	in := func(e event.PollEvents) *poll.EpollEvent { return &poll.EpollEvent{Events: event.PollIn | e} }
	minus := -time.Second
	return []wrongCall{
		{"epoll_create: no size", unix.EINVAL, func(l *lab) error { _, err := poll.EpollCreate(l.td, l.p, 0); return err },
			syscall6(unix.SYS_EPOLL_CREATE, 0)},
		{"epoll_create: a negative size", unix.EINVAL, func(l *lab) error { _, err := poll.EpollCreate(l.td, l.p, -1); return err },
			syscall6(unix.SYS_EPOLL_CREATE, ^uintptr(0))},
		{"epoll_create1: flags that there are not", unix.EINVAL, func(l *lab) error { _, err := poll.EpollCreate1(l.td, l.p, 1); return err },
			syscall6(unix.SYS_EPOLL_CREATE1, 1)},

		ctl("no event to add", unix.EFAULT, 2, add, 0, nil),
		ctl("no event to modify, of what is not open", unix.EFAULT, 9, mod, 9, nil),
		ctl("no event to delete, of what is not there", unix.ENOENT, 2, del, 0, nil),
		ctl("an epoll that is not open", unix.EBADF, 9, add, 0, in(0)),
		ctl("a negative epoll", unix.EBADF, -1, add, 0, in(0)),
		ctl("a file that is not open", unix.EBADF, 2, add, 9, in(0)),
		ctl("a negative file", unix.EBADF, 2, add, -1, in(0)),
		ctl("neither is open, to delete", unix.EBADF, 9, del, 9, nil),
		ctl("a pipe for an epoll", unix.EINVAL, 0, add, 1, in(0)),
		ctl("a pipe for an epoll, to delete", unix.EINVAL, 0, del, 1, nil),
		ctl("an epoll in itself", unix.EINVAL, 2, add, 2, in(0)),
		ctl("an epoll in itself, by a dup", unix.EINVAL, 2, add, 5, in(0)),
		ctl("an epoll in itself, to delete", unix.EINVAL, 2, del, 2, nil),
		ctl("no operation", unix.EINVAL, 2, 0, 0, in(0)),
		ctl("an operation that there is not", unix.EINVAL, 2, 4, 0, in(0)),
		ctl("an operation that there is not, of an item", unix.EINVAL, 3, 4, 0, in(0)),
		ctl("what is there already", unix.EEXIST, 3, add, 0, in(0)),
		ctl("an epoll that is there already", unix.EEXIST, 3, add, 2, in(0)),
		ctl("to modify what is not there", unix.ENOENT, 2, mod, 0, in(0)),
		ctl("to modify by another number", unix.ENOENT, 3, mod, 5, in(0)),
		ctl("to delete what is not there", unix.ENOENT, 2, del, 1, nil),
		ctl("a circle", unix.ELOOP, 2, add, 3, in(0)),
		ctl("a circle, by a dup", unix.ELOOP, 5, add, 3, in(0)),
		ctl("EXCLUSIVE with an epoll", unix.EINVAL, 4, add, 2, in(excl)),
		ctl("EXCLUSIVE and ONESHOT", unix.EINVAL, 2, add, 0, in(excl|event.EpollOneShot)),
		ctl("EXCLUSIVE and RDHUP", unix.EINVAL, 2, add, 0, in(excl|event.PollRdHup)),
		ctl("EXCLUSIVE and PRI", unix.EINVAL, 2, add, 0, in(excl|event.PollPri)),
		ctl("EXCLUSIVE and RDNORM", unix.EINVAL, 2, add, 0, in(excl|event.PollRdNorm)),
		ctl("EXCLUSIVE to modify", unix.EINVAL, 3, mod, 2, in(excl)),
		ctl("EXCLUSIVE to modify what is not there", unix.EINVAL, 2, mod, 0, in(excl)),
		ctl("to modify what is EXCLUSIVE", unix.EINVAL, 3, mod, 0, in(0)),
		ctl("EXCLUSIVE with all that may be, which is there", unix.EEXIST, 3, add, 0,
			in(excl|event.PollOut|event.PollErr|event.PollHup|event.EpollWakeup|event.EpollET)),

		waitWrong("no room", unix.EINVAL, 2, 0),
		waitWrong("negative room", unix.EINVAL, 2, -1),
		waitWrong("not open", unix.EBADF, 9, 8),
		waitWrong("negative", unix.EBADF, -1, 8),
		waitWrong("a pipe", unix.EINVAL, 0, 8),
		waitWrong("not open, and no room", unix.EBADF, 9, 0),
		waitWrong("a pipe, and no room", unix.EINVAL, 0, 0),

		{"poll: more than there may be descriptors", unix.EINVAL,
			func(l *lab) error {
				_, err := l.Poll(l.td, make([]event.PollFD, l.p.Limit()+1), 0)
				return err
			},
			func() syscall.Errno {
				var lim unix.Rlimit
				unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
				fds := make([]unix.PollFd, lim.Cur+1)
				_, _, errno := unix.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), 0)
				return errno
			}},
		{"ppoll: a negative timeout", unix.EINVAL, func(l *lab) error { _, err := l.PPoll(l.td, nil, &minus, nil); return err },
			syscall6(unix.SYS_PPOLL, 0, 0, uintptr(unsafe.Pointer(&negativeTS)))},
		{"select: negative nfds", unix.EINVAL, func(l *lab) error { _, err := l.Select(l.td, -1, nil, nil, nil, &zero); return err },
			syscall6(unix.SYS_SELECT, ^uintptr(0))},
		{"select: a negative timeout", unix.EINVAL, func(l *lab) error { d := minus; _, err := l.Select(l.td, 0, nil, nil, nil, &d); return err },
			syscall6(unix.SYS_SELECT, 0, 0, 0, 0, uintptr(unsafe.Pointer(&negativeTV)))},
		{"select: a descriptor that is not open", unix.EBADF,
			func(l *lab) error { _, err := l.Select(l.td, 10, poll.NewFDSet(9), nil, nil, &zero); return err },
			func() syscall.Errno {
				var set unix.FdSet
				set.Set(firstReal + 9)
				_, err := unix.Select(firstReal+10, nil, nil, &set, &unix.Timeval{})
				return errnoOf(err)
			}},
		{"pselect: negative nfds", unix.EINVAL, func(l *lab) error { _, err := l.PSelect(l.td, math.MinInt32, nil, nil, nil, &zero, nil); return err },
			syscall6(unix.SYS_PSELECT6, 1<<31)},
		{"pselect: a negative timeout", unix.EINVAL, func(l *lab) error { _, err := l.PSelect(l.td, 0, nil, nil, nil, &minus, nil); return err },
			syscall6(unix.SYS_PSELECT6, 0, 0, 0, 0, uintptr(unsafe.Pointer(&longSecond)))},
		{"select: what is not open is at nfds, not below", 0,
			func(l *lab) error { _, err := l.Select(l.td, 9, poll.NewFDSet(9), nil, nil, &zero); return err },
			func() syscall.Errno {
				var set unix.FdSet
				set.Set(firstReal + 9)
				_, err := unix.Select(firstReal+9, &set, nil, nil, &unix.Timeval{})
				return errnoOf(err)
			}},
	}
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	return err.(syscall.Errno)
}

// TestErrno: what is wrong with a call is the same on Linux and here.
func TestErrno(t *testing.T) {
	canLinux(t)
	before := []event.Op{
		{Call: event.CallPipe},
		{Call: event.CallEpoll}, {Call: event.CallEpoll}, {Call: event.CallEpoll},
		{Call: event.CallDup, FD: 2},
		{Call: event.CallEpollCtl, Ctl: event.EpollAdd, FD: 3, To: 2, Events: event.PollIn},
		{Call: event.CallEpollCtl, Ctl: event.EpollAdd, FD: 3, To: 0, Events: event.PollIn | event.EpollExclusive},
	}
	there := &linux{ports: map[int64]int{}}
	defer there.end()
	for i := range before {
		if r := there.do(&before[i]); r.Errno != 0 {
			t.Fatalf("%v: %v", before[i], r)
		}
	}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			l := newLab(t, e)
			defer l.end()
			l.pipe()
			for range 3 {
				l.epoll()
			}
			_, err := l.p.Dup(l.td, 2)
			l.must(err)
			l.ctl(3, event.EpollAdd, 2, epin, 0)
			l.ctl(3, event.EpollAdd, 0, epin|event.EpollExclusive, 0)
			for _, c := range wrongCalls() {
				if got := errnoOf(c.here(l)); got != c.want {
					t.Errorf("%s: %v here, want %v", c.name, name(got), name(c.want))
				}
				if got := c.there(); got != c.want {
					t.Errorf("%s: %v on Linux, want %v", c.name, name(got), name(c.want))
				}
			}
			l.must(l.p.Audit(l.td))
		})
	}
}

func name(e syscall.Errno) string {
	if e == 0 {
		return "no error"
	}
	return unix.ErrnoName(e)
}

// TestEpollChains: of epolls that watch one another there are five in a row at most,
// however the chain is made, on Linux and here.
func TestEpollChains(t *testing.T) {
	canLinux(t)
	for above := 1; above <= 6; above++ {
		for below := 1; above+below <= 7; below++ {
			n := above + below
			var ops []event.Op
			for range n {
				ops = append(ops, event.Op{Call: event.CallEpoll})
			}
			watch := func(i int) event.Op {
				return event.Op{Call: event.CallEpollCtl, Ctl: event.EpollAdd, FD: i, To: i + 1, Events: event.PollIn}
			}
			for i := range n - 1 { // both halves first, then the link between them
				if i != above-1 {
					ops = append(ops, watch(i))
				}
			}
			ops = append(ops, watch(above-1))
			for _, e := range strategies.All {
				if d, _ := compare(e, "", 0, list(slices.Clone(ops))); d != nil {
					t.Errorf("%s: a chain of %d and one of %d: %v", e.Name, above, below, d)
				}
			}
		}
	}
}

// TestEpollPermission: what has no conditions that could be waited for cannot be an
// item, on Linux and here.
func TestEpollPermission(t *testing.T) {
	fd, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no regular file to try: ", err)
	}
	defer unix.Close(fd)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != unix.EPERM {
		t.Errorf("a regular file on Linux: %v, want EPERM", err)
	}
	each(t, func(l *lab) {
		ep := l.epoll()
		file := l.open(plain{})
		ev := &poll.EpollEvent{Events: event.PollIn}
		for _, op := range []event.EpollOp{event.EpollAdd, event.EpollMod, event.EpollDel} {
			if err := poll.EpollCtl(l.td, l.p, ep, op, file, ev); err != syscall.EPERM {
				t.Errorf("%v of a file without conditions: %v, want EPERM", op, err)
			}
		}
	})
}

// FuzzEpollCtl calls epoll_ctl with anything, on Linux and here: it neither panics nor
// hangs, and the answers are the same.
func FuzzEpollCtl(f *testing.F) {
	f.Add([]byte{1, 3, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{1, 3, 0, 1, 0, 0, 0, 0x80, 3, 3, 0, 5, 0, 0, 0, 0x40, 2, 3, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 3, 4, 1, 0, 0, 0, 0, 1, 4, 3, 1, 0, 0, 0, 0, 1, 3, 3, 1, 0, 0, 0, 0})
	f.Add([]byte{1, 3, 0, 1, 0, 0, 0, 0x10, 3, 3, 0, 1, 0, 0, 0, 0, 1, 4, 3, 1, 0, 0, 0, 0x10})
	f.Fuzz(func(t *testing.T, calls []byte) {
		canLinux(t)
		ops := []event.Op{
			{Call: event.CallPipe}, {Call: event.CallWrite, FD: 1, N: 1},
			{Call: event.CallFifo}, {Call: event.CallEpoll}, {Call: event.CallEpoll}, {Call: event.CallDup, FD: 0},
		}
		for ; len(calls) >= 8 && len(ops) < 100; calls = calls[8:] {
			mask := event.PollEvents(calls[3]) | event.PollEvents(calls[4])<<8 | event.PollEvents(calls[5])<<16 | event.PollEvents(calls[7])<<24
			ops = append(ops, event.Op{
				Call: event.CallEpollCtl, Ctl: event.EpollOp(calls[0] % 5), FD: int(int8(calls[1] % 18)), To: int(int8(calls[2] % 18)),
				Events: mask, Udata: uint64(calls[6])*100 + uint64(calls[2]%18),
			}, event.Op{Call: event.CallEpollWait, FD: 3 + int(calls[6]&1), Room: 8})
		}
		if d, _ := compare(strategies.All[0], "", 0, list(ops)); d != nil && explain(d) == nil {
			var b []string
			for i := range d.ops {
				b = append(b, fmt.Sprint(d.ops[i]))
			}
			t.Errorf("%q: %v", b, d)
		}
	})
}
