//go:build linux

package host_test

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// child starts a shell that runs a script, and returns its number, and what ends
// its waiting for a line of input.
func (l *lab) child(script string) (cmd *exec.Cmd, pid int, release func()) {
	l.Helper()
	cmd = exec.Command("/bin/sh", "-c", script)
	in, err := cmd.StdinPipe()
	l.ok(err)
	l.ok(cmd.Start())
	return cmd, cmd.Process.Pid, func() { in.Close() }
}

// exit is a change or an event of PROC.
func exit(pid int, notes event.Fflags, flags event.Flags, status int64) event.Kevent {
	return event.Kevent{Ident: uint64(pid), Filter: event.Proc, Fflags: notes, Flags: flags, Data: status}
}

const exited = event.EOF | event.NoData | event.OneShot | event.Clear

func TestProc(t *testing.T) {
	for _, c := range []struct {
		what, script string
		asked        event.Fflags
		status       int64
	}{
		{"success", "read x; exit 0", event.NoteExit, 0},
		{"failure", "read x; exit 3", event.NoteExit, 3 << 8},
		{"killed", "read x; kill -9 $$", event.NoteExit, 9},
		{"not asked for", "read x; exit 255", 0, 255 << 8},
	} {
		t.Run(c.what, func(t *testing.T) {
			each(t, func(l *lab) {
				cmd, pid, release := l.child(c.script)
				l.change(exit(pid, c.asked, event.Add, 0))
				other := l.k.NewQueue(l.td, l.h) // each has its own
				_, err := other.Kevent(l.td, []event.Kevent{exit(pid, event.NoteExit, event.Add, 0)}, nil, 0)
				l.ok(err)
				l.want()
				join := l.start("sleeper", 1, func(td *machine.Thread) {
					want := exit(pid, event.NoteExit, exited, c.status)
					if e := next(l.T, td, other); e != want {
						l.Errorf("woken by %v, want %v", e, want)
					}
				})
				l.inWait()
				release()
				join()
				l.want(exit(pid, c.asked, exited, c.status))
				l.want() // once
				if _, err := l.q.Kevent(l.td, []event.Kevent{exit(pid, 0, event.Delete, 0)}, nil, 0); err != unix.ENOENT {
					l.Errorf("EV_DELETE of a knote that was told: %v, want ENOENT", err)
				}
				// Not waited for yet: it is there to be told of at once.
				l.change(exit(pid, event.NoteExit, event.Add|event.Disable, 0))
				l.want()
				l.change(exit(pid, 0, event.Enable, 0))
				l.want(exit(pid, event.NoteExit, exited, c.status))
				cmd.Wait()
				if got := int64(cmd.ProcessState.Sys().(interface{ ExitStatus() int }).ExitStatus()); c.status&0x7f == 0 && got != c.status>>8 {
					l.Errorf("wait(2) says %d", got)
				}
				if _, err := l.q.Kevent(l.td, []event.Kevent{exit(pid, event.NoteExit, event.Add, 0)}, nil, 0); err != unix.ESRCH {
					l.Errorf("EV_ADD of a process that is gone: %v, want ESRCH", err)
				}
				l.ok(other.Close(l.td))
			})
		})
	}
}

// The status outlives the parent's wait, and one that nobody can tell is told as
// such.
func TestProcStatus(t *testing.T) {
	each(t, func(l *lab) {
		cmd, pid, release := l.child("read x; exit 7")
		l.change(exit(pid, event.NoteExit, event.Add, 0))
		release()
		cmd.Wait()
		got := l.now()
		if len(got) != 1 || got[0].Data != 7<<8 && got[0].Data != host.StatusUnknown {
			l.Errorf("%s, want status 7, or unknown before Linux 6.15", list(got))
		}

		// A grandchild: the shell between stops before it waits.
		cmd = exec.Command("/bin/sh", "-c", `/bin/sh -c 'read x; exit 5' <&3 & echo $!; kill -STOP $$; wait`)
		r, w, err := os.Pipe()
		l.ok(err)
		out, err := cmd.StdoutPipe()
		l.ok(err)
		cmd.ExtraFiles = []*os.File{r}
		l.ok(cmd.Start())
		line := make([]byte, 32)
		n, err := out.Read(line)
		l.ok(err)
		grandchild, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
		l.ok(err)
		var stopped unix.Siginfo
		l.ok(unix.Waitid(unix.P_PID, cmd.Process.Pid, &stopped, unix.WSTOPPED|unix.WNOWAIT, nil))
		l.change(exit(grandchild, event.NoteExit, event.Add, 0))
		w.Close()
		r.Close()
		if e := next(l.T, l.td, l.q); e != exit(grandchild, event.NoteExit, exited, host.StatusUnknown) {
			l.Errorf("a process that is no child: %v, want status %d", e, host.StatusUnknown)
		}
		l.ok(cmd.Process.Signal(unix.SIGCONT))
		l.ok(cmd.Wait())
	})
}

func TestProcErrors(t *testing.T) {
	each(t, func(l *lab) {
		me := os.Getpid()
		thread := 0
		tasks, err := os.ReadDir("/proc/self/task")
		l.ok(err)
		for _, task := range tasks {
			if id, _ := strconv.Atoi(task.Name()); id != me {
				thread = id
			}
		}
		for _, c := range []struct {
			kev  event.Kevent
			want error
		}{
			{exit(0, event.NoteExit, event.Add, 0), unix.ESRCH},
			{exit(-1, event.NoteExit, event.Add, 0), unix.ESRCH},
			{exit(thread, event.NoteExit, event.Add, 0), unix.ESRCH},
			{exit(math.MaxInt32, event.NoteExit, event.Add, 0), unix.ESRCH},
			{exit(1<<32+me, event.NoteExit, event.Add, 0), unix.ESRCH},
			{exit(me, event.NoteFork, event.Add, 0), unix.EOPNOTSUPP},
			{exit(me, event.NoteExit|event.NoteExec, event.Add, 0), unix.EOPNOTSUPP},
			{exit(me, event.NoteTrack, event.Add, 0), unix.EOPNOTSUPP},
			{exit(me, 1<<8, event.Add, 0), unix.EINVAL},
			{exit(me, event.NoteTrackErr, event.Add, 0), unix.EINVAL},
			{exit(me, event.NoteExit, event.Enable, 0), unix.ENOENT},
			{exit(me, event.NoteExit, event.Add, 0), nil},
			{exit(me, event.NoteFork, event.Add, 0), unix.EOPNOTSUPP}, // and leaves it as it was
			{exit(me, event.NoteExit, event.Delete, 0), nil},
		} {
			if _, err := l.q.Kevent(l.td, []event.Kevent{c.kev}, nil, 0); !errors.Is(err, c.want) {
				l.Errorf("%v: %v, want %v", c.kev, err, c.want)
			}
		}
		l.want()
	})
}

// ours lists the descriptors that have come since before.
func ours(t *testing.T, before []string) (fds []int) {
	for _, fd := range openFDs(t) {
		if !slices.Contains(before, fd) {
			n, err := strconv.Atoi(strings.Fields(fd)[0])
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, n)
		}
	}
	return fds
}

// A program that closes the descriptor that the host has of a process, which is a
// fault of its own, is not told of the end any more, and nothing else is harmed.
func TestProcClosedBehindTheBack(t *testing.T) {
	each(t, func(l *lab) {
		before := openFDs(l.T)
		l.change(exit(os.Getpid(), event.NoteExit, event.Add, 0))
		fd := ours(l.T, before)[0]
		l.ok(unix.Close(fd))
		again, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		l.ok(err)
		if again != fd {
			l.Fatalf("Linux gave descriptor %d, want %d again", again, fd)
		}
		l.open(fd)
		l.add(fd, read, 0)
		l.want(ev(fd, read, 8, 0))
		l.change(exit(os.Getpid(), event.NoteExit, event.Add, 0)) // looks once more
		l.want(ev(fd, read, 8, 0))
		l.change(exit(os.Getpid(), event.NoteExit, event.Delete, 0))
		l.want(ev(fd, read, 8, 0))
	})
}

// The host's own descriptors are nobody else's: no change can name them.
func TestProcDescriptorIsHidden(t *testing.T) {
	each(t, func(l *lab) {
		before := openFDs(l.T)
		l.change(exit(os.Getpid(), event.NoteExit, event.Add, 0))
		hidden := ours(l.T, before)
		for _, n := range hidden {
			if l.h.File(n) != nil {
				l.Errorf("descriptor %d has a file", n)
			}
			if _, err := l.q.Kevent(l.td, []event.Kevent{ev(n, read, 0, event.Add)}, nil, 0); err != unix.EBADF {
				l.Errorf("EV_ADD of descriptor %d: %v, want EBADF", n, err)
			}
			if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				l.Errorf("descriptor %d is handed on to programs: %#x, %v", n, flags, err)
			}
		}
		if len(hidden) != 1 {
			l.Errorf("%d descriptors for one process", len(hidden))
		}
	})
}
