//go:build linux

package host_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
)

// A lab is a machine with a host and one queue, and the thread of the test.
type lab struct {
	*testing.T
	m  *machine.Machine
	k  *kqueue.Kernel
	h  *host.Host
	td *machine.Thread
	q  *kqueue.Queue
}

// each runs a test under every strategy, and fails it if a descriptor or a
// goroutine is left over, or if it hangs.
func each(t *testing.T, f func(l *lab)) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			hang := time.AfterFunc(time.Minute, func() {
				buf := make([]byte, 1<<20)
				panic(fmt.Sprintf("%s hangs\n%s", t.Name(), buf[:runtime.Stack(buf, true)]))
			})
			defer hang.Stop()
			fds, goroutines := openFDs(t), runtime.NumGoroutine()
			m := machine.Native(2)
			l := &lab{T: t, m: m, k: kqueue.New(m, s.New(m)), td: m.Attach("test", 0)}
			device.Install(l.k)
			var err error
			if l.h, err = host.New(l.k); err != nil {
				t.Fatal(err)
			}
			l.q = l.k.NewQueue(l.td, l.h)
			f(l)
			if err := l.q.Close(l.td); err != nil && err != unix.EBADF {
				t.Error(err)
			}
			if err := l.h.Close(l.td); err != nil {
				t.Error(err)
			}
			l.td.Detach()
			if t.Failed() || t.Skipped() {
				return
			}
			if left := openFDs(t); !slices.Equal(left, fds) {
				t.Errorf("descriptors before %v, after %v", fds, left)
			}
			for i := 0; runtime.NumGoroutine() > goroutines; i++ {
				if i == 1000 {
					t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
				}
				time.Sleep(time.Millisecond) // they have been told to end
			}
		})
	}
}

// openFDs lists the open descriptors of the process with what they are.
func openFDs(t *testing.T) (fds []string) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name != fmt.Sprint(dir.Fd()) {
			what, _ := os.Readlink("/proc/self/fd/" + name)
			fds = append(fds, name+" "+what)
		}
	}
	slices.Sort(fds)
	return fds
}

func (l *lab) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// open gives fd to the host.
func (l *lab) open(fd int) *host.File {
	l.Helper()
	f, err := l.h.Open(l.td, fd)
	l.ok(err)
	return f
}

// pipe returns a pipe whose ends are both open with the host.
func (l *lab) pipe() (r, w int) {
	l.Helper()
	var p [2]int
	l.ok(unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	l.open(p[0])
	l.open(p[1])
	return p[0], p[1]
}

// sockets returns a connected pair, both open with the host.
func (l *lab) sockets(typ int) (a, b int) {
	l.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	l.ok(err)
	l.open(p[0])
	l.open(p[1])
	return p[0], p[1]
}

// listener returns a TCP socket that listens, and its address.
func (l *lab) listener() (int, unix.Sockaddr) {
	l.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	l.ok(err)
	l.ok(unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	l.ok(unix.Listen(s, 16))
	at, err := unix.Getsockname(s)
	l.ok(err)
	l.open(s)
	return s, at
}

// connect returns a TCP socket connected to at, not open with the host.
func (l *lab) connect(at unix.Sockaddr) int {
	l.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	l.ok(err)
	l.ok(unix.Connect(s, at))
	l.ok(unix.SetNonblock(s, true))
	return s
}

// tcp returns a connected pair, both open with the host.
func (l *lab) tcp() (a, b int) {
	l.Helper()
	s, at := l.listener()
	a = l.connect(at)
	b, _, err := unix.Accept4(s, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	l.ok(err)
	l.close(s)
	l.open(a)
	l.open(b)
	return a, b
}

// file returns a regular file with some content, open for reading and writing and
// at its beginning.
func (l *lab) file(content string) int {
	l.Helper()
	name := l.TempDir() + "/file"
	l.ok(os.WriteFile(name, []byte(content), 0o600))
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	l.ok(err)
	l.open(fd)
	return fd
}

func (l *lab) write(fd, n int) {
	l.Helper()
	if got, err := unix.Write(fd, make([]byte, n)); err != nil || got != n {
		l.Fatalf("write of %d bytes to %d: %d, %v", n, fd, got, err)
	}
}

func (l *lab) read(fd, n int) {
	l.Helper()
	if got, err := unix.Read(fd, make([]byte, n)); err != nil || got != n {
		l.Fatalf("read of %d bytes from %d: %d, %v", n, fd, got, err)
	}
}

// close closes a descriptor that is open with the host.
func (l *lab) close(fd int) {
	l.Helper()
	l.ok(l.h.File(fd).Close(l.td))
}

// change applies changes, which must all go well.
func (l *lab) change(changes ...event.Kevent) {
	l.Helper()
	if _, err := l.q.Kevent(l.td, changes, nil, 0); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) add(fd int, f event.Filter, flags event.Flags) {
	l.Helper()
	l.change(event.Kevent{Ident: uint64(fd), Filter: f, Flags: event.Add | flags})
}

func (l *lab) lowat(fd int, f event.Filter, n int64) {
	l.Helper()
	l.change(event.Kevent{Ident: uint64(fd), Filter: f, Flags: event.Add, Fflags: event.NoteLowat, Data: n})
}

// now returns what is ready, sorted.
func (l *lab) now() []event.Kevent {
	l.Helper()
	var events [256]event.Kevent
	n, err := l.q.Kevent(l.td, nil, events[:], 0)
	l.ok(err)
	if n == len(events) {
		l.Fatal("more events than a test has room for")
	}
	got := events[:n]
	slices.SortFunc(got, func(a, b event.Kevent) int {
		if a.Ident != b.Ident {
			return int(a.Ident) - int(b.Ident)
		}
		return int(b.Filter) - int(a.Filter)
	})
	return got
}

// want checks what is ready now.
func (l *lab) want(want ...event.Kevent) {
	l.Helper()
	if got := l.now(); !slices.Equal(got, want) {
		l.Errorf("ready: %s\n\twant: %s", list(got), list(want))
	}
}

// soon waits for events and checks them: for what another host, the loopback
// network, or a thread of Linux brings.
func (l *lab) soon(want ...event.Kevent) {
	l.Helper()
	for len(l.now()) < len(want) {
		var one [1]event.Kevent
		if _, err := l.q.Kevent(l.td, nil, one[:], 10*time.Second); err != nil {
			l.Fatal(err)
		}
	}
	l.want(want...)
}

func list(events []event.Kevent) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "[%v]", e)
	}
	return b.String()
}

// ev is an event as it is to be returned.
func ev(fd int, f event.Filter, data int64, flags event.Flags) event.Kevent {
	return event.Kevent{Ident: uint64(fd), Filter: f, Flags: flags, Data: data}
}

// start runs f on an attached thread of its own. The returned function waits
// until it has ended.
func (l *lab) start(name string, cpu int, f func(td *machine.Thread)) (join func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		td := l.m.Attach(name, cpu)
		defer td.Detach()
		f(td)
	}()
	return func() { <-done }
}
