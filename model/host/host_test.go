//go:build linux

package host_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

func TestOpenErrors(t *testing.T) {
	each(t, func(l *lab) {
		refuse := func(fd int, want error, says string) {
			l.Helper()
			f, err := l.h.Open(l.td, fd)
			if f != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
				l.Errorf("Open(%d): %v, %v, want %v that says %q", fd, f, err, want, says)
			}
		}
		refuse(-1, unix.EBADF, "descriptor -1")
		refuse(1<<30, unix.EBADF, "not open")
		refuse(1<<32, unix.EBADF, "not open") // and not descriptor 0
		fd, err := unix.Open(l.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
		l.ok(err)
		refuse(fd, unix.EBADF, "O_PATH")
		l.ok(unix.Close(fd)) // it is the caller's still
		refuse(fd, unix.EBADF, "not open")
		r, _ := l.pipe()
		refuse(r, unix.EEXIST, "open already")
		if f := l.h.File(r); f == nil || f.FD() != r {
			l.Errorf("File(%d) = %v", r, f)
		}
		plain := l.file("x")
		refuse(plain, unix.EEXIST, "open already")
		for _, fd := range []int{-1, 100000} {
			if f := l.h.File(fd); f != nil {
				l.Errorf("File(%d) = %v, want nil", fd, f)
			}
		}
	})
}

func TestSecondHost(t *testing.T) {
	each(t, func(l *lab) {
		if h, err := host.New(l.k); h != nil || !errors.Is(err, unix.EBUSY) {
			l.Errorf("a second host on one machine: %v, %v, want EBUSY", h, err)
		}
	})
}

func TestClose(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		f := l.h.File(r)
		l.write(w, 1)
		l.add(r, read, 0)
		l.add(w, write, 0)
		l.close(r)
		if l.h.File(r) != nil {
			l.Error("a closed file is still in the table")
		}
		if err := f.Close(l.td); err != unix.EBADF {
			l.Errorf("second Close: %v, want EBADF", err)
		}
		l.want(ev(w, write, 0, dead)) // the other side has seen it
		if _, err := l.q.Kevent(l.td, []event.Kevent{ev(r, read, 0, event.Delete)}, nil, 0); err != unix.EBADF {
			l.Errorf("EV_DELETE on a closed descriptor: %v, want EBADF", err)
		}
		// The number used again is a new life: no knote and no interrupt of the old one.
		r2, w2 := l.pipe()
		if r2 != r {
			l.Fatalf("Linux gave descriptor %d, want %d again", r2, r)
		}
		if _, err := l.q.Kevent(l.td, []event.Kevent{ev(r2, read, 0, event.Delete)}, nil, 0); err != unix.ENOENT {
			l.Errorf("EV_DELETE on a new life: %v, want ENOENT", err)
		}
		l.close(w)
		l.add(r2, read, 0)
		l.want()
		l.write(w2, 2)
		l.want(ev(r2, read, 2, 0))
	})
}

// Lives that have been counted to their end begin anew, and not with what stands for
// the host's own descriptors.
func TestLivesBeginAnew(t *testing.T) {
	each(t, func(l *lab) {
		for _, last := range []int32{math.MaxInt32, -1} {
			l.h.Age(last)
			r, w := l.pipe()
			for _, fd := range []int{r, w} {
				if life := l.h.File(fd).Life(); life < 1 || life > 2 {
					l.Errorf("the life of descriptor %d after the last is %d", fd, life)
				}
			}
			l.add(r, read, 0)
			l.write(w, 3)
			l.want(ev(r, read, 3, 0))
			l.ok(l.h.File(r).Close(l.td))
		}
	})
}

// A number that the program closes itself: the host says so, and never closes
// what the number means afterwards.
func TestClosedBehindTheBack(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		f := l.h.File(r)
		l.write(w, 1)
		l.add(r, read, 0)
		l.want(ev(r, read, 1, 0))
		l.ok(unix.Close(r))
		lost := ev(r, read, 0, drained)
		lost.Fflags = event.Fflags(unix.EBADF)
		l.want(lost)

		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		l.ok(err)
		if fd != r {
			l.Fatalf("Linux gave descriptor %d, want %d again", fd, r)
		}
		g := l.open(fd) // ends the old life
		l.want()
		if err := f.Close(l.td); !errors.Is(err, unix.EBADF) {
			l.Errorf("Close of the old life: %v, want EBADF", err)
		}
		l.add(fd, write, 0)
		l.want(ev(fd, write, 8, 0))
		l.ok(unix.Close(fd))
		keep, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		l.ok(err)
		if err := g.Close(l.td); !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "somebody else") {
			l.Errorf("Close of a reused number: %v, want EBADF", err)
		}
		l.ok(unix.Close(keep)) // it was left alone
		if l.h.File(fd) != nil {
			l.Error("a closed file is still in the table")
		}
	})
}

func TestHostClosesAll(t *testing.T) {
	each(t, func(l *lab) {
		for range 40 { // more than the table begins with
			r, w := l.pipe()
			l.add(r, read, 0)
			l.add(w, write, 0)
		}
		if n := len(l.now()); n != 40 {
			l.Errorf("%d events, want 40", n)
		}
		l.ok(l.h.Close(l.td))
		l.want() // no knote is left
		if f, err := l.h.Open(l.td, 0); f != nil || !errors.Is(err, unix.EBADF) {
			l.Errorf("Open on a closed host: %v, %v, want EBADF", f, err)
		}
		h, err := host.New(l.k) // the machine is free for another
		l.ok(err)
		l.ok(h.Close(l.td))
	})
}

// A host's file may stand in another descriptor table, under another number.
func TestFileOfAnotherTable(t *testing.T) {
	each(t, func(l *lab) {
		r, w := l.pipe()
		desc := &kqueue.Desc{File: l.h.File(r)}
		q := l.k.NewQueue(l.td, table{7: desc})
		l.write(w, 3)
		var got [2]event.Kevent
		n, err := q.Kevent(l.td, []event.Kevent{ev(7, read, 0, event.Add)}, got[:], 0)
		if n != 1 || err != nil || got[0] != ev(7, read, 3, 0) {
			l.Errorf("%s, %v, want READ 7 with 3 bytes", list(got[:n]), err)
		}
		desc.Close(l.td)
		desc.File.Release(l.td)
		if n, err = q.Kevent(l.td, nil, got[:], 0); n != 0 || err != nil {
			l.Errorf("after its close: %s, %v, want nothing", list(got[:n]), err)
		}
		l.add(w, write, 0)
		l.want(ev(w, write, 0, dead))
		l.ok(q.Close(l.td))
	})
}

type table map[uint64]*kqueue.Desc

func (t table) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if d := t[fd]; d != nil {
		return d, nil
	}
	return nil, unix.EBADF
}

// More interrupts at once than the host has room for.
func TestManyAtOnce(t *testing.T) {
	const n = 600
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < n+100 {
		t.Skipf("needs %d descriptors, the limit is %d (%v)", n+100, limit.Cur, err)
	}
	each(t, func(l *lab) {
		var fds []int
		for range n {
			fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
			l.ok(err)
			l.open(fd)
			l.add(fd, read, event.Clear)
			fds = append(fds, fd)
		}
		for range 3 {
			for _, fd := range fds {
				if _, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
					l.Fatal(err)
				}
			}
			events := make([]event.Kevent, 2*n)
			if got, err := l.q.Kevent(l.td, nil, events, 0); got != n || err != nil {
				l.Errorf("%d events, %v, want %d", got, err, n)
			}
			l.want()
		}
	})
}

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random tests")

// Whatever is done to pipes and sockets, level-triggered knotes say what
// poll(2) says of the same descriptors at the same moment, and with EV_CLEAR
// nothing is reported that does not hold.
func TestAgreesWithPoll(t *testing.T) {
	t.Logf("repeat with: go test -run 'TestAgreesWithPoll$' ./model/host -args -seed %d", *seed)
	each(t, func(l *lab) {
		if err := comparePoll(l, func(*host.File) {}); err != nil {
			l.Error(err)
		}
	})
}

// The control: a host that hears nothing from a descriptor must be found out.
func TestDeafHostDisagreesWithPoll(t *testing.T) {
	t.Logf("repeat with: go test -run 'TestDeafHost' ./model/host -args -seed %d", *seed)
	each(t, func(l *lab) {
		if err := comparePoll(l, (*host.File).Deafen); err == nil {
			l.Error("interrupts were dropped, and nobody saw it")
		}
	})
}

// comparePoll does the same random things to the descriptors for every
// strategy, and returns the first difference.
func comparePoll(l *lab, tamper func(f *host.File)) error {
	rng := rand.New(rand.NewPCG(*seed, 1))
	clear := l.k.NewQueue(l.td, l.h)
	defer clear.Close(l.td)
	var fds []int
	opened := func(a, b int) {
		for _, fd := range []int{a, b} {
			fds = append(fds, fd)
			tamper(l.h.File(fd))
			for _, f := range []event.Filter{read, write} {
				if _, _, err := l.h.File(fd).Source(f); err == nil {
					l.add(fd, f, 0)
					if _, err := clear.Kevent(l.td, []event.Kevent{ev(fd, f, 0, event.Add|event.Clear)}, nil, 0); err != nil {
						l.Fatal(err)
					}
				}
			}
		}
	}
	steps := 3000
	if testing.Short() {
		steps = 300
	}
	events := make([]event.Kevent, 256)
	for step := range steps {
		what := "open"
		switch op := rng.IntN(20); {
		case len(fds) < 4 || op == 0 && len(fds) < 40:
			switch rng.IntN(3) {
			case 0:
				opened(l.pipe())
			case 1:
				opened(l.sockets(unix.SOCK_STREAM))
			case 2:
				opened(l.sockets(unix.SOCK_DGRAM))
			}
		case op == 1:
			i := rng.IntN(len(fds))
			what = fmt.Sprintf("close %d", fds[i])
			l.close(fds[i])
			fds = slices.Delete(fds, i, i+1)
		case op == 2:
			fd := fds[rng.IntN(len(fds))]
			what = fmt.Sprintf("shutdown %d", fd)
			unix.Shutdown(fd, rng.IntN(3))
		case op < 11:
			fd := fds[rng.IntN(len(fds))]
			n := 1 << rng.IntN(15)
			what = fmt.Sprintf("read %d, %d", fd, n)
			unix.Read(fd, make([]byte, n))
		default:
			fd := fds[rng.IntN(len(fds))]
			n := 1 << rng.IntN(15)
			what = fmt.Sprintf("write %d, %d", fd, n)
			// MSG_NOSIGNAL has no counterpart for pipes; Go ignores SIGPIPE but on 1 and 2.
			unix.Write(fd, make([]byte, n))
		}
		if rng.IntN(2) == 0 {
			continue // several between looks
		}
		got, err := clear.Kevent(l.td, nil, events, 0)
		l.ok(err)
		want := pollAll(l, fds)
		for _, e := range events[:got] {
			if !slices.ContainsFunc(want, func(w event.Kevent) bool { return w.Ident == e.Ident && w.Filter == e.Filter }) {
				return fmt.Errorf("step %d, %s: EV_CLEAR %v, and poll says no such thing", step, what, e)
			}
		}
		have := l.now()
		for i := range have {
			have[i] = event.Kevent{Ident: have[i].Ident, Filter: have[i].Filter}
		}
		if !slices.Equal(have, want) {
			return fmt.Errorf("step %d, %s: kqueue %s\n\tpoll %s", step, what, list(have), list(want))
		}
	}
	return nil
}

// pollAll returns what poll(2) says, as events without data.
func pollAll(l *lab, fds []int) (want []event.Kevent) {
	l.Helper()
	p := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		p[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}
	}
	_, err := unix.Poll(p, 0)
	l.ok(err)
	for i, fd := range fds {
		_, _, noRead := l.h.File(fd).Source(read)
		_, _, noWrite := l.h.File(fd).Source(write)
		if noRead == nil && p[i].Revents&(unix.POLLIN|unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0 {
			want = append(want, event.Kevent{Ident: uint64(fd), Filter: read})
		}
		if noWrite == nil && p[i].Revents&(unix.POLLOUT|unix.POLLHUP|unix.POLLERR) != 0 {
			want = append(want, event.Kevent{Ident: uint64(fd), Filter: write})
		}
	}
	slices.SortFunc(want, func(a, b event.Kevent) int {
		if a.Ident != b.Ident {
			return int(a.Ident) - int(b.Ident)
		}
		return int(b.Filter) - int(a.Filter)
	})
	return want
}

// What the host opens for itself is not handed on to programs that are started.
func TestCloseOnExec(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("")
		l.change(vnode(fd, wrote, event.Add), exit(os.Getpid(), event.NoteExit, event.Add, 0))
		own := 0
		for _, line := range openFDs(l.T) {
			name, what, _ := strings.Cut(line, " ")
			n, err := strconv.Atoi(name)
			l.ok(err)
			flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
			l.ok(err)
			for _, class := range []string{"eventpoll", "eventfd", "inotify", "pidfd"} {
				if strings.Contains(what, class) {
					own++
					if flags&unix.FD_CLOEXEC == 0 {
						l.Errorf("descriptor %s is handed on", line)
					}
				}
			}
		}
		if want := 2*l.h.Sets() + 2; own < want {
			l.Errorf("%d descriptors of the host's own, want %d at least", own, want)
		}
	})
}

// Threads add, delete and wait for ends of processes, files and signals while others
// close what they wait on.
func TestCloseAgainstWait(t *testing.T) {
	mine := make(chan os.Signal, 1) // or one that comes while nobody watches would end the test
	signal.Notify(mine, unix.SIGUSR2)
	defer signal.Stop(mine)
	each(t, func(l *lab) {
		rounds := 20
		if testing.Short() {
			rounds = 5
		}
		for range rounds {
			fd := l.file("")
			q := l.k.NewQueue(l.td, l.h)
			changes := []event.Kevent{
				vnode(fd, anyNote, event.Add|event.Clear), exit(os.Getpid(), event.NoteExit, event.Add, 0), ev(fd, read, 0, event.Add),
				{Ident: uint64(unix.SIGUSR2), Filter: event.Signal, Flags: event.Add},
			}
			var joins []func()
			for i := range 3 {
				joins = append(joins, l.start("waiter", i%2, func(td *machine.Thread) {
					var got [4]event.Kevent
					for {
						_, err := q.Kevent(td, changes, got[:], kqueue.Forever)
						if errors.Is(err, unix.EBADF) {
							return
						}
						if err != nil {
							l.Error(err)
							return
						}
						if got[0].Flags&event.Error != 0 { // the file is closed: EV_ADD of it says so
							if _, err := q.Kevent(td, nil, got[:], kqueue.Forever); errors.Is(err, unix.EBADF) {
								return
							}
						}
					}
				}))
			}
			l.write(fd, 1)
			l.raise(unix.SIGUSR2)
			l.write(fd, 1)
			l.close(fd)
			l.ok(q.Close(l.td))
			for _, join := range joins {
				join()
			}
		}
	})
}
