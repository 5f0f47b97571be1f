//go:build linux

package host_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/kqlab/kqlab/model/event"
	"golang.org/x/sys/unix"
)

// A class is a kind of descriptor in some state, and what is reported of it. Make
// returns it open with the host, or says why it cannot be had here.
type class struct {
	what string
	make func(l *lab) (fd int, err error)
	want string // READ, WRITE and EXCEPT, as far as the descriptor knows them
}

// shut is a pair of which an end has been through something.
func shut(typ int, do func(l *lab, a, b int)) func(l *lab) (int, error) {
	return func(l *lab) (int, error) {
		a, b := l.sockets(typ)
		do(l, a, b)
		return a, nil
	}
}

func shutTCP(do func(l *lab, a, b int)) func(l *lab) (int, error) {
	return func(l *lab) (int, error) {
		a, b := l.tcp()
		do(l, a, b)
		return a, nil
	}
}

// opened gives a descriptor to the host.
func opened(l *lab, fd int, err error) (int, error) {
	if err == nil {
		l.open(fd)
	}
	return fd, err
}

func sysfd(l *lab, nr, a, b, c uintptr) (int, error) {
	fd, _, errno := unix.Syscall(nr, a, b, c)
	if errno != 0 {
		return -1, errno
	}
	unix.CloseOnExec(int(fd))
	return opened(l, int(fd), nil)
}

func path(name string, mode int) func(l *lab) (int, error) {
	return func(l *lab) (int, error) {
		fd, err := unix.Open(name, mode|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		return opened(l, fd, err)
	}
}

var classes = []class{
	{"pipe, read end", func(l *lab) (int, error) { r, _ := l.pipe(); return r, nil }, ""},
	{"pipe, read end, bytes", func(l *lab) (int, error) { r, w := l.pipe(); l.write(w, 3); return r, nil }, "READ data=3"},
	{"pipe, read end, no writer", func(l *lab) (int, error) { r, w := l.pipe(); l.close(w); return r, nil },
		"READ HUP|NODATA|EOF; EXCEPT HUP|NODATA|EOF"},
	{"pipe, read end, bytes and no writer", func(l *lab) (int, error) { r, w := l.pipe(); l.write(w, 3); l.close(w); return r, nil },
		"READ HUP|EOF data=3; EXCEPT HUP|EOF"},
	{"pipe, write end", func(l *lab) (int, error) { _, w := l.pipe(); return w, nil }, "WRITE data=65536"},
	{"pipe, write end, no reader", func(l *lab) (int, error) { r, w := l.pipe(); l.close(r); return w, nil },
		"WRITE HUP|NODATA|EOF; EXCEPT HUP|NODATA|EOF"},
	{"pipe, write end, full, no reader", func(l *lab) (int, error) { r, w := l.pipe(); l.write(w, 1<<16); l.close(r); return w, nil },
		"WRITE HUP|NODATA|EOF; EXCEPT HUP|NODATA|EOF"},
	{"fifo, both ways", func(l *lab) (int, error) {
		name := l.TempDir() + "/fifo"
		l.ok(unix.Mkfifo(name, 0o600))
		return path(name, unix.O_RDWR)(l)
	}, "WRITE data=65536"},
	{"fifo, read end, never a writer", func(l *lab) (int, error) {
		name := l.TempDir() + "/fifo"
		l.ok(unix.Mkfifo(name, 0o600))
		return path(name, unix.O_RDONLY)(l)
	}, ""},

	{"UNIX stream", shut(unix.SOCK_STREAM, func(l *lab, a, b int) {}), "WRITE data>0"},
	{"UNIX stream, bytes", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.write(b, 3) }), "READ data=3; WRITE data>0"},
	{"UNIX stream, peer shut for writing", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.ok(unix.Shutdown(b, unix.SHUT_WR)) }),
		"READ NODATA|EOF; WRITE data>0"},
	{"UNIX stream, peer shut for reading", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.ok(unix.Shutdown(b, unix.SHUT_RD)) }),
		"WRITE data>0"},
	{"UNIX stream, peer closed", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.close(b) }),
		"READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"UNIX stream, bytes and peer closed", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.write(b, 3); l.close(b) }),
		"READ HUP|EOF data=3; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"UNIX stream, peer closed with bytes unread", shut(unix.SOCK_STREAM, func(l *lab, a, b int) { l.write(a, 3); l.close(b) }),
		"READ HUP|NODATA|EOF fflags=ECONNRESET; WRITE HUP|NODATA|EOF fflags=ECONNRESET; EXCEPT HUP|EOF data=104"},
	{"UNIX seqpacket, message", shut(unix.SOCK_SEQPACKET, func(l *lab, a, b int) { l.write(b, 3); l.write(b, 4) }), "READ data=7; WRITE data>0"},
	{"UNIX seqpacket, peer closed", shut(unix.SOCK_SEQPACKET, func(l *lab, a, b int) { l.close(b) }),
		"READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"UNIX datagram", shut(unix.SOCK_DGRAM, func(l *lab, a, b int) {}), "WRITE data>0"},
	{"UNIX datagram, peer closed", shut(unix.SOCK_DGRAM, func(l *lab, a, b int) { l.close(b) }), "WRITE data>0"},
	{"UNIX stream, not connected", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return opened(l, fd, err)
	}, "READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},

	{"TCP", shutTCP(func(l *lab, a, b int) {}), "WRITE data>0"},
	{"TCP, peer shut for writing", shutTCP(func(l *lab, a, b int) { l.ok(unix.Shutdown(b, unix.SHUT_WR)) }), "READ NODATA|EOF; WRITE data>0"},
	{"TCP, shut for writing", shutTCP(func(l *lab, a, b int) { l.ok(unix.Shutdown(a, unix.SHUT_WR)) }), "WRITE data>0"},
	{"TCP, shut both ways", shutTCP(func(l *lab, a, b int) { l.ok(unix.Shutdown(a, unix.SHUT_RDWR)) }),
		"READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"TCP, reset", shutTCP(func(l *lab, a, b int) {
		l.ok(unix.SetsockoptLinger(b, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		l.close(b)
	}), "READ HUP|NODATA|EOF fflags=ECONNRESET; WRITE HUP|NODATA|EOF fflags=ECONNRESET; EXCEPT HUP|EOF data=104"},
	{"TCP, out-of-band byte", shutTCP(func(l *lab, a, b int) { l.ok(unix.Sendto(b, []byte{7}, unix.MSG_OOB, nil)) }),
		"WRITE data>0; EXCEPT fflags=OOB"},
	{"TCP, not connected", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return opened(l, fd, err)
	}, "READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"TCP, listening", func(l *lab) (int, error) { s, _ := l.listener(); return s, nil }, ""},
	{"TCP, listening, shut", func(l *lab) (int, error) { s, _ := l.listener(); return s, unix.Shutdown(s, unix.SHUT_RDWR) },
		"READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"UDP", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return opened(l, fd, err)
	}, "WRITE data>0"},
	{"UDP, refused by ICMP", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		l.ok(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		at, err := unix.Getsockname(fd)
		l.ok(err)
		l.ok(unix.Close(fd))
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		l.ok(unix.Connect(fd, at))
		l.write(fd, 1)
		return opened(l, fd, nil)
	}, "READ fflags=EIO; WRITE fflags=EIO data>0; EXCEPT data=5"},
	{"netlink", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return opened(l, fd, err)
	}, "WRITE data>0"},
	{"packet", func(l *lab) (int, error) {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // bound to no protocol: it receives nothing
		return opened(l, fd, err)
	}, "WRITE data>0"},

	{"eventfd", func(l *lab) (int, error) { fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC); return opened(l, fd, err) }, "WRITE data=8"},
	{"eventfd, counted", func(l *lab) (int, error) { fd, err := unix.Eventfd(5, unix.EFD_CLOEXEC); return opened(l, fd, err) },
		"READ data=8; WRITE data=8"},
	{"eventfd, overflown", func(l *lab) (int, error) {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		l.ok(err)
		_, err = unix.Write(fd, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		l.ok(err)
		return opened(l, fd, nil)
	}, "READ data=8"},
	{"timerfd, expired", func(l *lab) (int, error) {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		l.ok(err)
		l.ok(unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}, nil))
		return opened(l, fd, nil)
	}, "READ data=8"},
	{"signalfd", func(l *lab) (int, error) {
		var set unix.Sigset_t
		set.Val[0] = 1 << (unix.SIGWINCH - 1)
		fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC)
		return opened(l, fd, err)
	}, ""},
	{"pidfd, alive", func(l *lab) (int, error) { fd, err := unix.PidfdOpen(os.Getpid(), 0); return opened(l, fd, err) }, ""},
	{"pidfd, ended", func(l *lab) (int, error) {
		cmd, pid, release := l.child("exit 0")
		fd, err := unix.PidfdOpen(pid, 0)
		l.ok(err)
		release()
		l.ok(cmd.Wait())
		return opened(l, fd, nil)
	}, "READ HUP|NODATA|EOF; WRITE HUP|NODATA|EOF; EXCEPT HUP|EOF"},
	{"inotify", func(l *lab) (int, error) {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		l.ok(err)
		dir := l.TempDir()
		_, err = unix.InotifyAddWatch(fd, dir, unix.IN_CREATE)
		l.ok(err)
		l.ok(os.WriteFile(dir+"/name", nil, 0o600))
		return opened(l, fd, nil)
	}, "READ data=32"},
	{"epoll", func(l *lab) (int, error) { fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC); return opened(l, fd, err) }, ""},
	{"epoll with something ready", func(l *lab) (int, error) {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		l.ok(err)
		_, w := l.pipe()
		l.ok(unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, w, &unix.EpollEvent{Events: unix.EPOLLOUT}))
		return opened(l, fd, nil)
	}, "READ data=1"},
	{"userfaultfd, not set up", func(l *lab) (int, error) {
		return sysfd(l, unix.SYS_USERFAULTFD, unix.O_NONBLOCK|1, 0, 0) // UFFD_USER_MODE_ONLY
	}, "READ fflags=EIO; EXCEPT data=5"},
	{"io_uring", func(l *lab) (int, error) {
		var params [120]byte
		return sysfd(l, unix.SYS_IO_URING_SETUP, 4, uintptr(unsafe.Pointer(&params)), 0)
	}, "WRITE data=1"},
	{"terminal without a slave", path("/dev/ptmx", unix.O_RDWR), "WRITE data=1"},
	{"mounts", path("/proc/self/mounts", unix.O_RDONLY), "READ data=1"},
	{"random", path("/dev/random", unix.O_RDONLY), "READ data=1"},
	{"null", path("/dev/null", unix.O_RDWR), "READ data=1; WRITE data=1"},
	{"file", func(l *lab) (int, error) { return l.file("abc"), nil }, "READ data=3; WRITE"},
	{"empty file", func(l *lab) (int, error) { return l.file(""), nil }, "WRITE"},
	{"directory", path("/", unix.O_RDONLY), "READ data=1"},
}

// What Linux says of every class of descriptor, and what is reported then.
func TestClasses(t *testing.T) {
	for _, c := range classes {
		t.Run(c.what, func(t *testing.T) {
			each(t, func(l *lab) {
				fd, err := c.make(l)
				if err != nil {
					l.Skipf("no such descriptor here: %v", err)
				}
				want := strings.Split(c.want, "; ")
				if c.want == "" {
					want = nil
				}
				for _, f := range []event.Filter{read, write, event.Except} {
					kev := ev(fd, f, 0, event.Add)
					if f == event.Except {
						kev.Fflags = event.NoteOOB
					}
					if _, err := l.q.Kevent(l.td, []event.Kevent{kev}, nil, 0); err != nil && !errors.Is(err, unix.EINVAL) {
						l.Error(err)
					}
				}
				l.arrive(fd, want)
				var got []string
				for _, e := range l.now() {
					got = append(got, describe(e))
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					l.Errorf("ready: %q\n\twant: %q", got, want)
				}
			})
		})
	}
}

// arrive waits for what the loopback network, or another process, brings a moment
// later: as many events as are wanted, and the last of their flags.
func (l *lab) arrive(fd int, want []string) {
	l.Helper()
	for range 1000 {
		got := l.now()
		ok := len(got) >= len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = describe(got[i]) == want[i]
		}
		if ok {
			return
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 1e5}, nil)
	}
}

// describe is an event as the table writes it: without ident, an errno of READ or
// WRITE by its name, and an estimate of room as >0.
func describe(e event.Kevent) string {
	var b strings.Builder
	b.WriteString(e.Filter.String())
	if e.Flags != 0 {
		fmt.Fprintf(&b, " %v", e.Flags)
	}
	switch {
	case e.Fflags == event.NoteOOB && e.Flags == 0:
		b.WriteString(" fflags=OOB")
	case e.Fflags != 0:
		fmt.Fprintf(&b, " fflags=%s", unix.ErrnoName(unix.Errno(e.Fflags)))
	}
	switch {
	case e.Filter == write && e.Data > 8 && e.Data != 65536:
		b.WriteString(" data>0")
	case e.Data != 0:
		fmt.Fprintf(&b, " data=%d", e.Data)
	}
	return b.String()
}
