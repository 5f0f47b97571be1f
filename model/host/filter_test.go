//go:build linux

package host_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"golang.org/x/sys/unix"
)

const (
	read    = event.Read
	write   = event.Write
	drained = event.EOF | event.NoData
	dead    = event.EOF | event.NoData | event.HUP
)

func TestPipeRead(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.add(r, read, 0)
		l.want()
		l.write(w, 3)
		l.want(ev(r, read, 3, 0))
		l.write(w, 4)
		l.want(ev(r, read, 7, 0)) // level-triggered, measured anew
		l.read(r, 5)
		l.want(ev(r, read, 2, 0))
		l.close(w)
		l.want(ev(r, read, 2, event.EOF|event.HUP)) // data pending
		l.read(r, 2)
		l.want(ev(r, read, 0, dead))
		l.want(ev(r, read, 0, dead)) // it stays
	})
}

func TestPipeReadAtEndBeforeAdd(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.write(w, 1)
		l.close(w)
		l.add(r, read, event.Clear)
		l.want(ev(r, read, 1, event.EOF|event.HUP|event.Clear))
		l.want()
	})
}

func TestPipeWrite(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		size, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, 4*os.Getpagesize())
		l.ok(err)
		l.add(w, write, 0)
		l.want(ev(w, write, int64(size), 0))
		l.write(w, 100)
		l.want(ev(w, write, int64(size)-100, 0))
		l.write(w, size-100)
		l.want() // full
		l.read(r, os.Getpagesize())
		l.want(ev(w, write, int64(os.Getpagesize()), 0))
		l.close(r)
		l.want(ev(w, write, 0, dead))
	})
}

func TestFifoComesBack(t *testing.T) {
	each(t, func(l *lab) {
		name := l.TempDir() + "/fifo"
		l.ok(unix.Mkfifo(name, 0o600))
		open := func(mode int) int {
			l.Helper()
			fd, err := unix.Open(name, mode|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			l.ok(err)
			l.open(fd)
			return fd
		}
		r := open(unix.O_RDONLY)
		l.add(r, read, 0)
		l.want()
		w := open(unix.O_WRONLY)
		l.close(w)
		l.want(ev(r, read, 0, dead))
		w = open(unix.O_WRONLY)
		l.want() // no end any more
		l.write(w, 2)
		l.want(ev(r, read, 2, 0))
	})
}

func TestStreams(t *testing.T) {
	for name, pair := range map[string]func(l *lab) (a, b int){
		"unix": func(l *lab) (a, b int) { return l.sockets(unix.SOCK_STREAM) },
		"tcp":  (*lab).tcp,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(l *lab) {
				a, b := pair(l)
				l.add(a, read, 0)
				l.want()
				l.write(b, 10)
				l.soon(ev(a, read, 10, 0))
				l.read(a, 4)
				l.want(ev(a, read, 6, 0))
				l.ok(unix.Shutdown(b, unix.SHUT_WR)) // half a close
				l.soonFlags(a, read, event.EOF)
				l.want(ev(a, read, 6, event.EOF))
				l.read(a, 6)
				l.want(ev(a, read, 0, drained))
				l.ok(unix.Shutdown(a, unix.SHUT_WR)) // the other half
				l.soonFlags(a, read, event.HUP)
				l.want(ev(a, read, 0, dead))
			})
		})
	}
}

// soonFlags waits until the event of (fd, f) shows flag.
func (l *lab) soonFlags(fd int, f event.Filter, flag event.Flags) {
	l.Helper()
	var got [64]event.Kevent
	for {
		n, err := l.q.Kevent(l.td, nil, got[:], 0)
		l.ok(err)
		for _, e := range got[:n] {
			if e.Ident == uint64(fd) && e.Filter == f && e.Flags&flag != 0 {
				return
			}
		}
	}
}

func TestStreamWrite(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.sockets(unix.SOCK_STREAM)
		l.add(a, write, 0)
		got := l.now()
		if len(got) != 1 || got[0].Data < 4096 {
			l.Fatalf("an empty socket: %s, want room for a page at least", list(got))
		}
		before := got[0].Data
		l.write(a, 1000)
		if got = l.now(); len(got) != 1 || got[0].Data >= before {
			l.Errorf("with 1,000 bytes in it: %s, want less room than %d", list(got), before)
		}
		page := make([]byte, 4096)
		total := 1000
		for {
			n, err := unix.Write(a, page)
			if err == unix.EAGAIN {
				break
			}
			l.ok(err)
			total += n
		}
		l.want() // full
		for total > 0 {
			n, err := unix.Read(b, page)
			l.ok(err)
			total -= n
		}
		if got = l.now(); len(got) != 1 || got[0].Data != before {
			l.Errorf("empty again: %s, want room for %d", list(got), before)
		}
		l.close(b)
		l.want(ev(a, write, 0, dead))
	})
}

// An error of the peer is reported with the end.
func TestConnectionReset(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.tcp()
		l.add(a, read, 0)
		l.add(a, write, event.Disable)
		l.ok(unix.SetsockoptLinger(b, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		l.close(b)
		l.soonFlags(a, read, event.EOF)
		end := ev(a, read, 0, dead)
		end.Fflags = event.Fflags(unix.ECONNRESET)
		l.want(end)
		l.want(end) // looked at once, it is still the reason
		l.change(event.Kevent{Ident: uint64(a), Filter: write, Flags: event.Enable})
		out := ev(a, write, 0, dead)
		out.Fflags = end.Fflags
		l.want(end, out)
	})
}

func TestConnectionRefused(t *testing.T) {
	each(t, func(l *lab) {
		s, at := l.listener()
		l.close(s)
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		if err := unix.Connect(c, at); err != unix.EINPROGRESS && err != unix.ECONNREFUSED {
			l.Fatal(err)
		}
		l.open(c)
		l.add(c, write, 0)
		l.soonFlags(c, write, event.EOF)
		end := ev(c, write, 0, dead)
		end.Fflags = event.Fflags(unix.ECONNREFUSED)
		l.want(end)
	})
}

func TestListenTCP(t *testing.T) {
	each(t, func(l *lab) {
		s, at := l.listener()
		l.add(s, read, 0)
		l.want()
		for i := range 3 {
			c := l.connect(at)
			defer unix.Close(c)
			l.soon(ev(s, read, int64(i+1), 0))
		}
		c, _, err := unix.Accept4(s, unix.SOCK_CLOEXEC)
		l.ok(err)
		defer unix.Close(c)
		l.want(ev(s, read, 2, 0))
		l.lowat(s, read, 3)
		l.want()
	})
}

func TestListenUnix(t *testing.T) {
	each(t, func(l *lab) {
		s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		at := &unix.SockaddrUnix{Name: l.TempDir() + "/socket"}
		l.ok(unix.Bind(s, at))
		l.open(s)
		l.ok(unix.Listen(s, 4)) // may come after Open
		l.add(s, read, 0)
		l.want()
		for range 2 {
			c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			l.ok(err)
			defer unix.Close(c)
			l.ok(unix.Connect(c, at))
		}
		l.want(ev(s, read, 1, 0)) // at least one: Linux does not say how many
	})
}

func TestDatagram(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.sockets(unix.SOCK_DGRAM)
		l.add(a, read, 0)
		l.want()
		send := func(n int) { l.Helper(); l.ok(unix.Sendto(b, make([]byte, n), 0, nil)) }
		send(0)
		l.want(ev(a, read, 0, 0)) // it can be read, and has no content
		send(5)
		l.want(ev(a, read, 0, 0))
		if n, err := unix.Read(a, make([]byte, 8)); n != 0 || err != nil {
			l.Fatalf("read: %d, %v, want the empty message", n, err)
		}
		l.want(ev(a, read, 5, 0)) // the next message only
		l.read(a, 5)
		l.want()
		l.add(b, write, 0)
		if got := l.now(); len(got) != 1 || got[0].Data < 4096 {
			l.Errorf("%s, want room for a page at least", list(got))
		}
	})
}

// The error of a datagram socket belongs to the next read, and is no end.
func TestDatagramRefused(t *testing.T) {
	each(t, func(l *lab) {
		a, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		b, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		l.ok(err)
		l.ok(unix.Bind(b, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		at, err := unix.Getsockname(b)
		l.ok(err)
		unix.Close(b)
		l.ok(unix.Connect(a, at))
		l.open(a)
		l.add(a, read, 0)
		l.write(a, 1)
		failed := ev(a, read, 0, 0)
		failed.Fflags = event.Fflags(unix.EIO)
		l.soon(failed)
		if _, err := unix.Read(a, make([]byte, 1)); err != unix.ECONNREFUSED {
			l.Errorf("read: %v, want ECONNREFUSED", err)
		}
		l.want()
	})
}

func TestEventfd(t *testing.T) {
	each(t, func(l *lab) {
		fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		l.ok(err)
		l.open(fd)
		l.add(fd, read, 0)
		l.add(fd, write, 0)
		l.want(ev(fd, write, 8, 0))
		count := func(n uint64) {
			l.Helper()
			if _, err := unix.Write(fd, []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)}); err != nil {
				l.Fatal(err)
			}
		}
		count(1)
		l.want(ev(fd, read, 8, 0), ev(fd, write, 8, 0))
		count(1<<64 - 3) // as much as it holds
		l.want(ev(fd, read, 8, 0))
		l.read(fd, 8)
		l.want(ev(fd, write, 8, 0))
	})
}

func TestTimerfd(t *testing.T) {
	each(t, func(l *lab) {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		l.ok(err)
		l.open(fd)
		l.add(fd, read, 0)
		l.want()
		l.ok(unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.Timespec{Nsec: 1000}}, nil))
		l.soon(ev(fd, read, 8, 0))
		l.read(fd, 8)
		l.want()
	})
}

func TestTerminal(t *testing.T) {
	each(t, func(l *lab) {
		master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			l.Skipf("no terminal to test with: /dev/ptmx: %v", err)
		}
		l.open(master)
		l.ok(unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
		n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
		l.ok(err)
		open := func() int {
			l.Helper()
			fd, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				l.Skipf("no terminal to test with: /dev/pts/%d: %v", n, err)
			}
			l.open(fd)
			return fd
		}
		slave := open()
		mode, err := unix.IoctlGetTermios(slave, unix.TCGETS)
		l.ok(err)
		mode.Lflag &^= unix.ECHO
		l.ok(unix.IoctlSetTermios(slave, unix.TCSETS, mode))
		l.add(slave, read, 0)
		l.add(master, read, 0)
		l.add(slave, write, 0)
		l.want(ev(slave, write, 1, 0))
		line := func(s string) {
			l.Helper()
			if _, err := unix.Write(master, []byte(s)); err != nil {
				l.Fatal(err)
			}
		}
		line("ab")
		l.want(ev(slave, write, 1, 0)) // not a line yet
		line("c\n")
		l.soon(ev(slave, read, 4, 0), ev(slave, write, 1, 0))
		l.read(slave, 4)
		l.want(ev(slave, write, 1, 0))
		line("\x04") // a line without content: the end, which a read takes
		l.soon(ev(slave, read, 0, 0), ev(slave, write, 1, 0))
		if n, err := unix.Read(slave, make([]byte, 8)); n != 0 || err != nil {
			l.Fatalf("read: %d, %v, want the end", n, err)
		}
		l.write(slave, 6)
		l.soon(ev(master, read, 6, 0), ev(slave, write, 1, 0))
		l.read(master, 6)
		l.close(slave)
		l.soon(ev(master, read, 0, dead))
		slave = open()
		l.want() // somebody is there again
		l.close(master)
		l.add(slave, read, 0)
		l.soon(ev(slave, read, 0, dead))
	})
}

func TestOutOfBand(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.tcp()
		l.change(event.Kevent{Ident: uint64(a), Filter: event.Except, Flags: event.Add, Fflags: event.NoteOOB})
		l.want()
		l.write(b, 1) // ordinary data is none
		l.want()
		l.ok(unix.Sendto(b, []byte{7}, unix.MSG_OOB, nil))
		urgent := ev(a, event.Except, 0, 0)
		urgent.Fflags = event.NoteOOB
		l.soon(urgent)
		if _, _, err := unix.Recvfrom(a, make([]byte, 1), unix.MSG_OOB); err != nil {
			l.Fatal(err)
		}
		l.want()
	})
}

func TestLowat(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
		l.ok(err)
		l.lowat(r, read, 5)
		l.write(w, 4)
		l.want()
		l.write(w, 1)
		l.want(ev(r, read, 5, 0))
		l.lowat(r, read, 6)
		l.want()
		l.lowat(r, read, 0) // as SO_RCVLOWAT: 1
		l.want(ev(r, read, 5, 0))
		l.read(r, 5)
		l.want()
		l.change(ev(r, read, 0, event.Delete))
		l.lowat(w, write, int64(size))
		l.want(ev(w, write, int64(size), 0))
		l.write(w, 1)
		l.want()
		l.lowat(w, write, int64(size)-1)
		l.want(ev(w, write, int64(size)-1, 0))
		l.change(ev(w, write, 0, event.Delete))
		l.read(r, 1)
		l.lowat(r, read, 1<<40) // more than it holds: full is enough
		l.write(w, size)
		l.want(ev(r, read, int64(size), 0))
		l.read(r, 1)
		l.want()
		l.close(w)
		l.want(ev(r, read, int64(size)-1, event.EOF|event.HUP)) // the end needs no mark
	})
}

// What holds at EV_ADD is reported once with EV_CLEAR, although epoll tells of
// it as well, and each arrival once.
func TestClear(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		l.write(w, 1)
		l.add(r, read, event.Clear)
		l.add(w, write, event.Clear)
		size, err := unix.FcntlInt(uintptr(w), unix.F_GETPIPE_SZ, 0)
		l.ok(err)
		l.want(ev(r, read, 1, event.Clear), ev(w, write, int64(size)-1, event.Clear))
		l.want()
		for i := range 3 {
			l.write(w, 1)
			l.want(ev(r, read, int64(i)+2, event.Clear))
			l.want()
		}
		l.write(w, 1)
		l.write(w, 1) // two before anybody looked: one activation
		l.want(ev(r, read, 6, event.Clear))
		l.want()
		l.write(w, 1)
		l.read(r, 7) // gone before anybody looked
		l.want()
	})
}

// Two queues, and two filters of one descriptor, are told apart.
func TestSiblings(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.sockets(unix.SOCK_STREAM)
		other := l.k.NewQueue(l.td, l.h)
		l.add(a, read, event.OneShot)
		l.add(a, write, event.Dispatch)
		if _, err := other.Kevent(l.td, []event.Kevent{ev(a, read, 0, event.Add|event.Clear)}, nil, 0); err != nil {
			l.Fatal(err)
		}
		l.write(b, 2)
		got := l.now()
		if len(got) != 2 || got[0] != ev(a, read, 2, event.OneShot) || got[1].Filter != write {
			l.Errorf("%s, want READ with 2 bytes and WRITE", list(got))
		}
		l.want() // one is deleted, the other disabled
		var two [2]event.Kevent
		n, err := other.Kevent(l.td, nil, two[:], 0)
		if n != 1 || err != nil || two[0] != ev(a, read, 2, event.Clear) {
			l.Errorf("other queue: %s, %v, want READ with 2 bytes", list(two[:n]), err)
		}
		l.ok(other.Close(l.td))
	})
}

func TestBadChanges(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		a, _ := l.sockets(unix.SOCK_STREAM)
		plain, _ := unix.Eventfd(0, unix.EFD_CLOEXEC) // open, but not with the host
		defer unix.Close(plain)
		const add = event.Add
		for _, c := range []struct {
			kev  event.Kevent
			want error
		}{
			{ev(plain, read, 0, add), unix.EBADF},
			{ev(100000, read, 0, add), unix.EBADF},
			{event.Kevent{Ident: 1 << 63, Filter: read, Flags: add}, unix.EBADF},
			{event.Kevent{Ident: 1<<64 - 1, Filter: read, Flags: add}, unix.EBADF},
			{ev(r, write, 0, add), unix.EINVAL}, // not open for writing
			{ev(w, read, 0, add), unix.EINVAL},  // not open for reading
			{ev(r, event.Vnode, 0, add), unix.EINVAL},
			{ev(r, event.AIO, 0, add), unix.EINVAL},
			{ev(r, read, 0, event.Delete), unix.ENOENT},
			{ev(r, event.FS, 0, add), unix.EINVAL},
			{event.Kevent{Ident: uint64(a), Filter: event.Except, Flags: add, Fflags: event.NoteOOB | event.NoteLowat}, unix.EINVAL},
			{event.Kevent{Ident: uint64(r), Filter: read, Flags: add, Fflags: event.NoteOOB}, unix.EINVAL},
			{event.Kevent{Ident: uint64(r), Filter: read, Flags: add, Fflags: event.NoteLowat, Data: -1}, unix.EINVAL},
			{event.Kevent{Ident: uint64(w), Filter: write, Flags: add, Fflags: 1 << 31}, unix.EINVAL},
			{event.Kevent{Ident: uint64(w), Filter: write, Flags: add, Fflags: event.NoteLowat, Data: -1}, unix.EINVAL},
			{event.Kevent{Ident: uint64(r), Filter: read, Flags: add, Data: -5}, nil}, // data without NOTE_LOWAT is ignored
			{event.Kevent{Ident: uint64(r), Filter: read, Flags: add, Fflags: event.NoteLowat, Data: -1}, unix.EINVAL},
		} {
			if _, err := l.q.Kevent(l.td, []event.Kevent{c.kev}, nil, 0); !errors.Is(err, c.want) {
				l.Errorf("%v: %v, want %v", c.kev, err, c.want)
			}
		}
		l.write(w, 1)
		l.want(ev(r, read, 1, 0)) // the refused change left the knote as it was
	})
}
