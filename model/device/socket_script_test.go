package device_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// TestSocketScripts does what testdata/sockets.txt says under every strategy, and to
// sockets of the Linux that the test runs on. What differs there must be said there.
func TestSocketScripts(t *testing.T) {
	scripts := socketScripts(t)
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			for _, sc := range scripts {
				t.Run(sc.name, func(t *testing.T) {
					l := newLab(t, s)
					defer l.end()
					net := device.NewNetwork(l.k)
					sc.run(t, &modelRig{lab: l, net: net, fds: map[string]uint64{}}, false)
					if err := errors.Join(l.p.Audit(l.td), net.Audit(l.td)); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	t.Run("linux", func(t *testing.T) {
		for _, sc := range scripts {
			t.Run(sc.name, func(t *testing.T) {
				if sc.model {
					t.Skip("the script is of options or marks that are the model's own")
				}
				r := newLinuxRig(t)
				defer r.end()
				sc.run(t, r, true)
			})
		}
	})
}

// A socketScript is one section of testdata/sockets.txt.
type socketScript struct {
	name  string
	model bool // not for Linux
	lines []socketLine
}

type socketLine struct {
	nr          int
	words       []string
	model, real string
}

// A rig carries out one line and says what the answer was.
type rig interface{ do(words []string) string }

func (sc *socketScript) run(t *testing.T, r rig, real bool) {
	for _, l := range sc.lines {
		want := l.model
		if real {
			want = l.real
		}
		got := r.do(l.words)
		for tries := 0; real && got != want && tries < 100 && (l.words[1] == "poll" || got == "EAGAIN"); tries++ {
			time.Sleep(time.Millisecond) // what goes over the loopback takes its time
			got = r.do(l.words)
		}
		if got != want {
			t.Errorf("testdata/sockets.txt:%d: %s = %s, want %s", l.nr, strings.Join(l.words, " "), got, want)
		}
	}
}

func socketScripts(t *testing.T) (out []*socketScript) {
	f, err := os.Open("testdata/sockets.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var sc *socketScript
	nr := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		nr++
		line, _, _ := strings.Cut(s.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if name, ok := strings.CutSuffix(line, ":"); ok {
			name, model := strings.CutSuffix(name, " (model)")
			sc = &socketScript{name: name, model: model}
			out = append(out, sc)
			continue
		}
		line, differs, _ := strings.Cut(line, " | linux ")
		call, answer, ok := strings.Cut(line, "=")
		if !ok || sc == nil {
			t.Fatalf("testdata/sockets.txt:%d: %q, want CALL = ANSWER in a section NAME:", nr, line)
		}
		l := socketLine{nr, strings.Fields(call), strings.TrimSpace(answer), strings.TrimSpace(answer)}
		if differs != "" {
			real, why, ok := strings.Cut(differs, ": ")
			if !ok || why == "" {
				t.Fatalf("testdata/sockets.txt:%d: a difference without a reason: %q", nr, differs)
			}
			if l.real = strings.TrimSpace(real); l.real == l.model {
				t.Fatalf("testdata/sockets.txt:%d: a difference that is none: %q", nr, differs)
			}
		}
		sc.lines = append(sc.lines, l)
	}
	if len(out) == 0 {
		t.Fatal("testdata/sockets.txt has no scripts")
	}
	return out
}

func argument(words []string, i int) int {
	if i >= len(words) {
		panic(fmt.Sprintf("%q has no argument %d", words, i))
	}
	n, err := strconv.Atoi(words[i])
	if err != nil {
		panic(fmt.Sprintf("%q: %v", words, err))
	}
	return n
}

func saying(n int, err error) string {
	if err != nil {
		return name(err)
	}
	return strconv.Itoa(n)
}

func name(err error) string {
	if err == nil {
		return "ok"
	}
	if err == syscall.EOPNOTSUPP { // the same number as ENOTSUP, which is what it is called by
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(err.(syscall.Errno))
}

var hows = map[string]event.Side{"r": event.ReadSide, "w": event.WriteSide, "rw": event.BothSides, "?": 9}

// A modelRig has the sockets of the model. What poll(2) would say it asks three
// one-shot knotes for.
type modelRig struct {
	*lab
	net *device.Network
	fds map[string]uint64
}

func (r *modelRig) socket(name string) *device.Socket {
	f, err := r.p.File(r.td, int(r.fds[name]))
	if err != nil {
		r.Fatalf("no socket %s", name)
	}
	return f.(*device.Socket)
}

func (r *modelRig) port(name string) int {
	port, _, err := r.socket(name).Ports(r.td)
	r.must(err)
	return port
}

func (r *modelRig) do(w []string) string {
	kind := func(word string) event.SockType {
		return map[string]event.SockType{"stream": event.Stream, "dgram": event.Datagram}[word]
	}
	switch w[1] {
	case "pair":
		a, b, err := device.NewSocketPair(r.td, r.k, kind(w[3]))
		r.must(err)
		r.fds[w[0]], r.fds[w[2]] = r.open(a), r.open(b)
		return "ok"
	case "socket":
		s, err := r.net.NewSocket(r.td, map[string]device.Family{"local": device.Local, "inet": device.Inet}[w[2]], kind(w[3]))
		if err == nil {
			r.fds[w[0]] = r.open(s)
		}
		return name(err)
	case "close":
		return name(r.p.Close(r.td, int(r.fds[w[0]])))
	case "poll":
		return r.poll(w[0])
	}
	s := r.socket(w[0])
	switch w[1] {
	case "bind":
		return name(s.Bind(r.td, 0))
	case "listen":
		return name(s.Listen(r.td, 0, argument(w, 2)))
	case "connect":
		if w[2] == "nobody" {
			return name(s.Connect(r.td, 9))
		}
		return name(s.Connect(r.td, r.port(w[2])))
	case "accept":
		a, err := s.Accept(r.td)
		if err == nil {
			r.fds[w[2]] = r.open(a)
		}
		return name(err)
	case "write":
		return saying(s.Write(r.td, make([]byte, argument(w, 2))))
	case "read":
		return saying(s.Read(r.td, make([]byte, argument(w, 2))))
	case "sendto":
		if w[2] == "nobody" {
			return saying(s.WriteTo(r.td, make([]byte, argument(w, 3)), 9))
		}
		return saying(s.WriteTo(r.td, make([]byte, argument(w, 3)), r.port(w[2])))
	case "recvfrom":
		n, from, err := s.ReadFrom(r.td, make([]byte, argument(w, 2)))
		if err != nil {
			return name(err)
		}
		for who := range r.fds {
			if f, err := r.p.File(r.td, int(r.fds[who])); err == nil && from != 0 {
				if s, ok := f.(*device.Socket); ok {
					if port, _, _ := s.Ports(r.td); port == from {
						return fmt.Sprint(n, " from ", who)
					}
				}
			}
		}
		return fmt.Sprint(n, " from nobody")
	case "sendoob":
		return saying(s.SendOOB(r.td, make([]byte, argument(w, 2))))
	case "recvoob":
		return saying(s.RecvOOB(r.td, make([]byte, 1)))
	case "atmark":
		at, err := s.AtMark(r.td)
		r.must(err)
		return fmt.Sprint(at)
	case "shut":
		return name(s.Shutdown(r.td, hows[w[2]]))
	case "err":
		errno, err := s.TakeError(r.td)
		if err == nil && errno != 0 {
			err = errno
		}
		return name(err)
	case "set":
		o := map[string]device.SocketOption{"rcvbuf": device.RcvBuf, "sndbuf": device.SndBuf, "rcvlowat": device.RcvLowat, "sndlowat": device.SndLowat}[w[2]]
		return name(s.SetOption(r.td, o, argument(w, 3)))
	}
	panic("no such call: " + w[1])
}

func (r *modelRig) poll(name string) string {
	q := r.k.NewQueue(r.td, r.p)
	defer q.Close(r.td)
	var changes []event.Kevent
	for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
		kev := event.Kevent{Ident: r.fds[name], Filter: f, Flags: event.Add}
		if f == event.Except {
			kev.Fflags = event.NoteOOB
		}
		changes = append(changes, kev)
	}
	var events [4]event.Kevent
	if _, err := q.Kevent(r.td, changes, nil, 0); err != nil {
		r.Fatal(err)
	}
	n, err := q.Kevent(r.td, nil, events[:], 0)
	r.must(err)
	var is [6]bool
	for _, e := range events[:n] {
		switch e.Filter {
		case event.Read:
			is[0] = true
			is[5] = e.Flags&event.EOF != 0
		case event.Write:
			is[2] = true
		case event.Except:
			is[1] = e.Fflags&event.NoteOOB != 0
			is[3] = e.Data != 0
			is[4] = e.Flags&event.HUP != 0
		}
	}
	return pollNames(is)
}

func pollNames(is [6]bool) string {
	var names []string
	for i, n := range [...]string{"IN", "PRI", "OUT", "ERR", "HUP", "RDHUP"} {
		if is[i] {
			names = append(names, n)
		}
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, "|")
}

// A linuxRig has sockets of this machine.
type linuxRig struct {
	nobody *unix.SockaddrInet4 // a port of TCP and UDP that is taken, and does not listen
	fds    map[string]int
}

func newLinuxRig(t *testing.T) *linuxRig {
	r := &linuxRig{fds: map[string]int{}}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("there are no sockets of Inet here: %v", err)
	}
	r.fds["nobody"] = fd
	if err := r.bind("nobody", fd); err != nil {
		t.Skipf("there is no loopback here: %v", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.nobody = sa.(*unix.SockaddrInet4)
	return r
}

func (r *linuxRig) end() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
}

func (r *linuxRig) do(w []string) string {
	kind := func(word string) int {
		return map[string]int{"stream": unix.SOCK_STREAM, "dgram": unix.SOCK_DGRAM}[word] | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	}
	switch w[1] {
	case "pair":
		fds, err := unix.Socketpair(unix.AF_UNIX, kind(w[3]), 0)
		r.fds[w[0]], r.fds[w[2]] = fds[0], fds[1]
		return name(err)
	case "socket":
		fd, err := unix.Socket(map[string]int{"local": unix.AF_UNIX, "inet": unix.AF_INET}[w[2]], kind(w[3]), 0)
		if err == nil {
			r.fds[w[0]] = fd
		}
		return name(err)
	}
	fd := r.fds[w[0]]
	switch w[1] {
	case "close":
		delete(r.fds, w[0])
		return name(unix.Close(fd))
	case "poll":
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI | unix.POLLOUT | unix.POLLRDHUP}}
		if _, err := unix.Poll(p, 0); err != nil {
			return name(err)
		}
		v := p[0].Revents
		return pollNames([6]bool{v&unix.POLLIN != 0, v&unix.POLLPRI != 0, v&unix.POLLOUT != 0, v&unix.POLLERR != 0, v&unix.POLLHUP != 0, v&unix.POLLRDHUP != 0})
	case "bind":
		return name(r.bind(w[0], fd))
	case "listen":
		if err := r.bind(w[0], fd); err != nil && err != unix.EINVAL {
			return name(err)
		}
		return name(unix.Listen(fd, argument(w, 2)-1)) // Linux has room for one more
	case "connect":
		return name(unix.Connect(fd, r.address(fd, w[2])))
	case "accept":
		a, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == nil {
			r.fds[w[2]] = a
		}
		return name(err)
	case "write":
		return saying(unix.SendmsgN(fd, make([]byte, argument(w, 2)), nil, nil, unix.MSG_NOSIGNAL))
	case "read":
		return saying(unix.Read(fd, make([]byte, argument(w, 2))))
	case "sendto":
		return saying(argument(w, 3), unix.Sendto(fd, make([]byte, argument(w, 3)), unix.MSG_NOSIGNAL, r.address(fd, w[2])))
	case "recvfrom":
		n, from, err := unix.Recvfrom(fd, make([]byte, argument(w, 2)), 0)
		if err != nil {
			return name(err)
		}
		if in, ok := from.(*unix.SockaddrInet4); ok {
			for who, fd := range r.fds {
				if sa, err := unix.Getsockname(fd); err == nil && sa.(*unix.SockaddrInet4).Port == in.Port {
					return fmt.Sprint(n, " from ", who)
				}
			}
		}
		return fmt.Sprint(n, " from nobody")
	case "sendoob":
		return saying(unix.SendmsgN(fd, make([]byte, argument(w, 2)), nil, nil, unix.MSG_NOSIGNAL|unix.MSG_OOB))
	case "recvoob":
		n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_OOB)
		return saying(n, err)
	case "atmark":
		at, err := unix.IoctlGetInt(fd, unix.SIOCATMARK)
		if err != nil {
			return name(err)
		}
		return fmt.Sprint(at != 0)
	case "shut":
		return name(unix.Shutdown(fd, map[string]int{"r": unix.SHUT_RD, "w": unix.SHUT_WR, "rw": unix.SHUT_RDWR, "?": 9}[w[2]]))
	case "err":
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && n != 0 {
			err = syscall.Errno(n)
		}
		return name(err)
	}
	panic("no such call: " + w[1])
}

func (r *linuxRig) bind(who string, fd int) error {
	if domain, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); domain == unix.AF_UNIX {
		return unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("@kqlab-%d-%s-%d", os.Getpid(), who, fd)})
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// address returns where a socket is bound, or a place where nobody is.
func (r *linuxRig) address(of int, who string) unix.Sockaddr {
	if who == "nobody" {
		if domain, _ := unix.GetsockoptInt(of, unix.SOL_SOCKET, unix.SO_DOMAIN); domain == unix.AF_UNIX {
			return &unix.SockaddrUnix{Name: "@kqlab-nobody"}
		}
		return r.nobody
	}
	sa, err := unix.Getsockname(r.fds[who])
	if err != nil {
		panic(err)
	}
	return sa
}
