//go:build linux

package poll_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
)

const (
	// firstReal is the number of the descriptor that scripts call 0: numbers of
	// scripts are real ones, apart from this, since an item of epoll is known by its.
	firstReal = 600

	// bulk as a count of bytes is as many as there are, or as there is room for:
	// then the answer does not say how many.
	bulk = 1 << 17

	maxFD = 16 // of scripts
)

// A linux carries out operations on real descriptors.
type linux struct {
	open  [maxFD + 1]bool
	dir   string        // where fifos are made
	ports map[int64]int // of scripts: real ones
	turn  int           // which of several calls that do the same is made next
	bytes [4096]byte
	room  [64]unix.EpollEvent
}

// noPort is a real port of TCP at which nobody listens, kept so by a socket.
var noPort = func() int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 1
	}
	unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	return portOf(fd)
}()

func portOf(fd int) int {
	sa, err := unix.Getsockname(fd)
	if in, ok := sa.(*unix.SockaddrInet4); ok && err == nil {
		return in.Port
	}
	return 1
}

// canLinux skips the test where the numbers that scripts use are not to be had.
func canLinux(t testing.TB) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur < firstReal+maxFD+1 {
		t.Skipf("a process has %d descriptors here, and %d are needed", lim.Cur, firstReal+maxFD+1)
	}
	for fd := firstReal; fd <= firstReal+maxFD; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			t.Skipf("descriptor %d is in use", fd)
		}
	}
}

func real(fd int) int {
	if fd < 0 {
		return -1
	}
	return firstReal + fd
}

// place gives a descriptor that has just been made the lowest number of scripts that
// is free.
func (l *linux) place(fd int) int {
	for n := range l.open {
		if !l.open[n] {
			if err := unix.Dup3(fd, real(n), unix.O_CLOEXEC); err != nil {
				panic(err)
			}
			unix.Close(fd)
			l.open[n] = true
			return n
		}
	}
	panic("a script has too many descriptors")
}

func (l *linux) end() {
	for n := range l.open {
		if l.open[n] {
			unix.Close(real(n))
			l.open[n] = false
		}
	}
}

func answer(n int, err error) event.Result {
	if err != nil {
		return event.Result{Errno: err.(syscall.Errno)}
	}
	return event.Result{N: int64(n)}
}

func (l *linux) one(fd int, err error) event.Result {
	if err != nil {
		return answer(0, err)
	}
	return answer(l.place(fd), nil)
}

func (l *linux) two(fds [2]int, err error) event.Result {
	if err != nil {
		return answer(0, err)
	}
	a := l.place(fds[0])
	return event.Result{N: int64(a), N2: int64(l.place(fds[1]))}
}

var sockTypes = [...]int{event.Stream: unix.SOCK_STREAM, event.Datagram: unix.SOCK_DGRAM}

// do carries out one operation.
func (l *linux) do(op *event.Op) event.Result {
	const flags = unix.O_NONBLOCK | unix.O_CLOEXEC
	fd := real(op.FD)
	l.turn++
	var fds [2]int
	switch op.Call {
	case event.CallPipe:
		err := unix.Pipe2(fds[:], flags)
		return l.two(fds, err)
	case event.CallSocketpair:
		fds, err := unix.Socketpair(unix.AF_UNIX, sockTypes[op.Sock]|flags, 0)
		return l.two(fds, err)
	case event.CallSocket:
		return l.one(unix.Socket(unix.AF_INET, sockTypes[op.Sock]|flags, 0))
	case event.CallFifo: // reopened by way of /proc, it need not keep its name
		name := filepath.Join(l.dir, "fifo")
		if err := unix.Mkfifo(name, 0o600); err != nil {
			return answer(0, err)
		}
		defer unix.Unlink(name)
		return l.one(unix.Open(name, unix.O_RDWR|flags, 0))
	case event.CallReopen:
		mode := [...]int{event.ReadSide: unix.O_RDONLY, event.WriteSide: unix.O_WRONLY, event.BothSides: unix.O_RDWR}[op.Side]
		if n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, uintptr(mode|flags|unix.O_NOCTTY)); errno == 0 {
			return l.one(int(n), nil) // of a master, the slave
		}
		n, err := unix.Open(fmt.Sprint("/proc/self/fd/", fd), mode|flags|unix.O_NOCTTY, 0)
		if err == unix.ENOENT {
			err = unix.EBADF
		}
		return l.one(n, err)
	case event.CallPty:
		fds, err := openPty()
		if err == nil {
			err = setModes(fds[1], 0)
		}
		return l.two(fds, err)
	case event.CallTermios:
		return answer(0, setModes(fd, op.Modes))
	case event.CallRead:
		return l.read(fd, op.N)
	case event.CallWrite:
		return l.write(fd, op)
	case event.CallSend:
		how := unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
		if op.OOB {
			how |= unix.MSG_OOB
		}
		return answer(unix.SendmsgN(fd, l.bytes[:op.N], nil, nil, how))
	case event.CallRecv:
		how := unix.MSG_DONTWAIT
		if op.OOB {
			how |= unix.MSG_OOB
		}
		n, _, err := unix.Recvfrom(fd, l.bytes[:op.N], how)
		return answer(n, err)
	case event.CallListen:
		return answer(0, l.listen(fd, op))
	case event.CallConnect:
		port := noPort
		if p := l.ports[op.N]; p != 0 {
			port = p
		}
		return answer(0, unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}))
	case event.CallAccept:
		n, _, err := unix.Accept4(fd, flags)
		return l.one(n, err)
	case event.CallShutdown:
		how := [...]int{event.ReadSide: unix.SHUT_RD, event.WriteSide: unix.SHUT_WR, event.BothSides: unix.SHUT_RDWR}[op.Side]
		return answer(0, unix.Shutdown(fd, how))
	case event.CallSockErr:
		return answer(unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR))
	case event.CallDup:
		return l.one(unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0))
	case event.CallDup2:
		if op.To < 0 || op.To > maxFD {
			return event.Result{Errno: unix.EBADF}
		}
		if op.FD == op.To { // dup3 differs here
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			return answer(0, err)
		}
		err := unix.Dup3(fd, real(op.To), unix.O_CLOEXEC)
		if err == nil {
			l.open[op.To] = true
		}
		return answer(0, err)
	case event.CallClose:
		err := unix.Close(fd)
		if err == nil {
			l.open[op.FD] = false
		}
		return answer(0, err)
	case event.CallPoll:
		return l.poll(op)
	case event.CallSelect:
		return l.selects(op)
	case event.CallEpoll:
		return l.one(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	case event.CallEpollCtl:
		ev := unix.EpollEvent{Events: uint32(op.Events), Fd: int32(op.Udata)}
		return answer(0, unix.EpollCtl(fd, int(op.Ctl), real(op.To), &ev))
	case event.CallEpollWait:
		return l.wait(fd, op)
	}
	panic("no such call: " + op.String())
}

func openPty() (fds [2]int, err error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC
	if fds[0], err = unix.Open("/dev/ptmx", flags, 0); err != nil {
		return fds, err
	}
	if err = unix.IoctlSetPointerInt(fds[0], unix.TIOCSPTLCK, 0); err != nil {
		return fds, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		return fds, errno
	}
	fds[1] = int(fd)
	return fds, nil
}

// setModes is raw but for what it is told.
func setModes(fd int, m event.Termios) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if m&event.Canonical != 0 {
		t.Lflag |= unix.ICANON
	}
	if m&event.Echo != 0 {
		t.Lflag |= unix.ECHO
	}
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (l *linux) read(fd int, n int64) event.Result {
	if n != bulk {
		return answer(unix.Read(fd, make([]byte, n)))
	}
	for {
		n, err := unix.Read(fd, l.bytes[:])
		if n <= 0 {
			return answer(0, err)
		}
	}
}

func (l *linux) write(fd int, op *event.Op) event.Result {
	if op.N != bulk {
		b := make([]byte, op.N)
		if op.Key != event.NoKey && op.N > 0 {
			b[op.N-1] = op.Key.Byte()
		}
		return answer(unix.Write(fd, b))
	}
	for {
		if n, err := unix.Write(fd, l.bytes[:]); n <= 0 {
			return answer(0, err)
		}
	}
}

// listen binds, and listens on a socket of a stream. A port of scripts is any real one.
func (l *linux) listen(fd int, op *event.Op) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return err
	}
	if kind == unix.SOCK_STREAM {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: l.ports[op.N], Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	l.ports[op.N] = portOf(fd)
	if kind != unix.SOCK_STREAM {
		return nil
	}
	return unix.Listen(fd, op.Backlog)
}

// A finite wait is short: nothing happens in it.
func millis(w event.Wait) int {
	if w == event.NoWait {
		return 0
	}
	return 1
}

func timespec(w event.Wait) unix.Timespec { return unix.NsecToTimespec(int64(millis(w)) * 1e6) }

// poll is poll and ppoll in turn.
func (l *linux) poll(op *event.Op) event.Result {
	fds := make([]unix.PollFd, len(op.FDs))
	for i, f := range op.FDs {
		fds[i] = unix.PollFd{Fd: int32(real(int(f.FD))), Events: int16(f.Events)}
	}
	var n int
	var err error
	if l.turn%2 == 0 {
		n, err = unix.Poll(fds, millis(op.Wait))
	} else {
		ts := timespec(op.Wait)
		var mask uint64 // unix.Ppoll tells Linux that it is 0 bytes long
		r, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
			uintptr(unsafe.Pointer(&ts)), uintptr(unsafe.Pointer(&mask)), unsafe.Sizeof(mask), 0)
		if n = int(r); errno != 0 {
			n, err = 0, errno
		}
	}
	if err != nil {
		return answer(0, err)
	}
	var r event.Result
	for i := range fds {
		if m := uint16(fds[i].Revents); m != 0 {
			r.Polled = append(r.Polled, event.Polled{ID: uint64(op.FDs[i].FD), Events: event.PollEvents(m)})
		}
	}
	if n != len(r.Polled) {
		panic(fmt.Sprintf("Linux counts %d of %v", n, fds))
	}
	return r
}

var setOf = [...]event.PollEvents{event.PollIn, event.PollOut, event.PollPri}

// selects is select and pselect in turn.
func (l *linux) selects(op *event.Op) event.Result {
	var sets [3]*unix.FdSet
	for i, set := range setOf {
		for _, f := range op.FDs {
			if f.FD >= 0 && f.Events&set != 0 {
				if sets[i] == nil {
					sets[i] = &unix.FdSet{}
				}
				sets[i].Set(real(int(f.FD)))
			}
		}
	}
	nfds := int(op.N)
	if nfds > 0 {
		nfds += firstReal
	}
	var err error
	if l.turn%2 == 0 {
		tv := unix.NsecToTimeval(int64(millis(op.Wait)) * 1e6)
		_, err = unix.Select(nfds, sets[0], sets[1], sets[2], &tv)
	} else {
		ts := timespec(op.Wait)
		_, err = unix.Pselect(nfds, sets[0], sets[1], sets[2], &ts, &unix.Sigset_t{})
	}
	if err != nil {
		return answer(0, err)
	}
	return selected(op, func(set, fd int) bool { return sets[set].IsSet(real(fd)) })
}

// selected says what sets that are left say of what was asked for.
func selected(op *event.Op, isSet func(set, fd int) bool) (r event.Result) {
	for _, f := range op.FDs {
		p := event.Polled{ID: uint64(f.FD)}
		for i, set := range setOf {
			if int64(f.FD) < op.N && f.Events&set != 0 && isSet(i, int(f.FD)) {
				p.Events |= set
			}
		}
		if p.Events != 0 {
			r.Polled = append(r.Polled, p)
		}
	}
	return r
}

// wait is epoll_wait, epoll_pwait and epoll_pwait2 in turn.
func (l *linux) wait(fd int, op *event.Op) event.Result {
	events := l.room[:op.Room]
	var n int
	var err error
	if l.turn%3 == 0 || op.Room == 0 {
		n, err = unix.EpollWait(fd, events, millis(op.Wait))
	} else {
		var mask uint64
		var r uintptr
		var errno syscall.Errno
		if l.turn%3 == 1 {
			ts := timespec(op.Wait)
			r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(op.Room),
				uintptr(unsafe.Pointer(&ts)), uintptr(unsafe.Pointer(&mask)), unsafe.Sizeof(mask))
		} else {
			r, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(op.Room),
				uintptr(millis(op.Wait)), uintptr(unsafe.Pointer(&mask)), unsafe.Sizeof(mask))
		}
		if n = int(r); errno != 0 {
			n, err = 0, errno
		}
	}
	if err != nil {
		return answer(0, err)
	}
	var r event.Result
	for _, e := range events[:n] {
		var b [8]byte
		binary.NativeEndian.PutUint32(b[:4], uint32(e.Fd))
		binary.NativeEndian.PutUint32(b[4:], uint32(e.Pad))
		r.Polled = append(r.Polled, event.Polled{ID: binary.NativeEndian.Uint64(b[:]), Events: event.PollEvents(e.Events)})
	}
	return r
}
