package proc_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

func (l *lab) fork(p *proc.Process) *proc.Process {
	l.Helper()
	c, err := p.Fork(l.td)
	if err != nil {
		l.Fatalf("process %d: Fork: %v", p.Pid(), err)
	}
	return c
}

// waits expects what a wait of the first process answers.
func (l *lab) waits(pid, want int, status proc.Status, err error) {
	l.Helper()
	got, s, e := l.p.Wait(l.td, pid)
	if got != want || s != status || e != err {
		l.Errorf("Wait(%d): process %d, %v, error %v; want process %d, %v, error %v", pid, got, s, e, want, status, err)
	}
}

func (l *lab) errno(what string, got, want error) {
	l.Helper()
	if got != want {
		l.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// A child has descriptors for the files of its parent, each a life of its own, and none
// for a kqueue.
func TestForkDescriptors(t *testing.T) {
	each(t, func(l *lab) {
		f := l.file()
		fd := l.open(f)
		kq := l.kqueue()
		dup, err := l.p.Dup(l.td, fd)
		l.must(err)
		l.watch(kq, fd, 1)
		l.watch(kq, dup, 2)

		c := l.fork(l.p)
		if _, err := c.File(l.td, kq); err != syscall.EBADF {
			t.Errorf("the child's number of the kqueue: %v, want EBADF", err)
		}
		mine, err := l.p.Desc(l.td, uint64(fd))
		l.must(err)
		its, err := c.Desc(l.td, uint64(fd))
		l.must(err)
		if mine == its || mine.File != its.File {
			t.Errorf("number %d of parent and child: one life is %v, one file is %v; want false and true", fd, mine == its, mine.File == its.File)
		}
		if n, err := c.Kqueue(l.td); n != kq || err != nil {
			t.Errorf("the child's next number: %d, %v, want %d, which its parent has for a kqueue", n, err, kq)
		}
		l.must(l.p.Audit(l.td))

		// What the child closes is its own.
		l.must(c.Close(l.td, fd))
		l.ready(kq, 1, 2)
		l.must(l.p.Close(l.td, fd))
		l.ready(kq, 2)
		l.must(l.p.Close(l.td, dup))
		l.ready(kq)
		l.released(f, 0)
		l.must(c.Exit(l.td, proc.Exited(0)))
		l.released(f, 1)
		l.must(l.p.Audit(l.td))
	})
}

func TestExitWait(t *testing.T) {
	each(t, func(l *lab) {
		l.waits(proc.Any, 0, 0, syscall.ECHILD)
		a, b := l.fork(l.p), l.fork(l.p)
		grandchild := l.fork(a)
		if a.Pid() != 2 || b.Pid() != 3 || grandchild.Pid() != 4 || grandchild.Parent(l.td) != 2 || l.p.Parent(l.td) != 0 {
			t.Errorf("numbers %d, %d, %d, parents %d, %d", a.Pid(), b.Pid(), grandchild.Pid(), grandchild.Parent(l.td), l.p.Parent(l.td))
		}
		l.waits(proc.Any, 0, 0, syscall.EAGAIN)
		l.waits(2, 0, 0, syscall.EAGAIN)
		l.waits(4, 0, 0, syscall.ECHILD) // another's child
		l.waits(1, 0, 0, syscall.ECHILD)
		l.waits(99, 0, 0, syscall.ECHILD)
		l.waits(0, 0, 0, syscall.ECHILD)
		l.waits(-7, 0, 0, syscall.ECHILD)

		l.must(b.Exit(l.td, proc.Exited(300))) // 8 bits of it
		l.errno("a second exit", b.Exit(l.td, 0), syscall.ESRCH)
		_, err := b.Fork(l.td)
		l.errno("a zombie forks", err, syscall.ESRCH)
		l.errno("a zombie execs", b.Exec(l.td), syscall.ESRCH)
		_, err = b.Open(l.td, l.file())
		l.errno("a zombie opens a file", err, syscall.ESRCH)
		_, err = b.Kqueue(l.td)
		l.errno("a zombie makes a kqueue", err, syscall.ESRCH)
		l.errno("a signal to a zombie", l.p.Table().Kill(l.td, 3, syscall.SIGTERM), nil)
		l.must(l.p.Audit(l.td))

		l.must(a.Exit(l.td, proc.Exited(1)))
		if grandchild.Parent(l.td) != proc.Init {
			t.Errorf("an orphan's parent is %d, want %d", grandchild.Parent(l.td), proc.Init)
		}
		l.waits(3, 3, proc.Exited(44), nil)
		l.errno("a signal to a process that was waited for", l.p.Table().Kill(l.td, 3, 0), syscall.ESRCH)
		l.must(grandchild.Kill(l.td, syscall.SIGKILL))
		l.waits(proc.Any, 2, proc.Exited(1), nil) // the first to end
		l.waits(proc.Any, 4, proc.Killed(syscall.SIGKILL), nil)
		l.waits(proc.Any, 0, 0, syscall.ECHILD)
		l.errno("the first process ends", l.p.Exit(l.td, 0), syscall.EPERM)
		if c := l.fork(l.p); c.Pid() != 5 {
			t.Errorf("number %d is given, want 5: none is given twice", c.Pid())
		}
		l.must(l.p.Audit(l.td))
	})
}

// A zombie whose parent ends before it has waited is Init's.
func TestOrphanedZombie(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		l.change(kq, event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Add})
		a := l.fork(l.p)
		b := l.fork(a)
		l.must(b.Exit(l.td, proc.Exited(7)))
		l.events(kq)
		l.must(a.Exit(l.td, proc.Exited(8)))
		l.events(kq, event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Clear, Data: 2})
		l.waits(proc.Any, 3, proc.Exited(7), nil)
		l.waits(proc.Any, 2, proc.Exited(8), nil)
		l.must(l.p.Audit(l.td))
	})
}

// Who ignores SIGCHLD waits for nobody; the signal is counted all the same.
func TestChildrenIgnored(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		l.change(kq, event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Add})
		_, err := l.p.SetAction(l.td, syscall.SIGCHLD, proc.Action{Ignore: true})
		l.must(err)
		c := l.fork(l.p)
		l.must(c.Exit(l.td, 0))
		l.waits(proc.Any, 0, 0, syscall.ECHILD)
		l.events(kq, event.Kevent{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Clear, Data: 1})
		l.must(l.p.Audit(l.td))
	})
}

func TestProcessTableFull(t *testing.T) {
	each(t, func(l *lab) {
		l.p.Table().SetMax(2, 0)
		c := l.fork(l.p)
		_, err := l.p.Fork(l.td)
		l.errno("a third process of two", err, syscall.EAGAIN)
		l.must(c.Exit(l.td, 0))
		_, err = l.p.Fork(l.td)
		l.errno("beside a zombie", err, syscall.EAGAIN)
		l.waits(2, 2, 0, nil)
		l.fork(l.p)
		l.must(l.p.Audit(l.td))
	})
}

// What a child has of its parent's signals: actions and mask, and nothing that is pending.
func TestForkSignals(t *testing.T) {
	each(t, func(l *lab) {
		got := l.catches(usr1)
		_, err := l.p.SetAction(l.td, usr2, proc.Action{Ignore: true})
		l.must(err)
		l.p.Join(l.td)
		_, err = l.p.SetMask(l.td, proc.Block, proc.Signals(syscall.SIGTERM, syscall.SIGHUP))
		l.must(err)
		l.must(l.p.Kill(l.td, syscall.SIGHUP))
		c := l.fork(l.p)
		l.p.Part(l.td)

		// Nobody has joined it: what is ignored goes, what is blocked or caught stays.
		for _, sig := range []syscall.Signal{usr1, usr2, syscall.SIGTERM} {
			l.must(c.Kill(l.td, sig))
		}
		lwp := c.Join(l.td)
		if n := lwp.Deliver(l.td); n != 1 {
			t.Errorf("%d signals were caught, want 1", n)
		}
		l.caught(got, usr1)
		if set := c.Pending(l.td); set != proc.Signals(syscall.SIGTERM) {
			t.Errorf("pending for the child's thread: %v, want %v", set, proc.Signals(syscall.SIGTERM))
		}
		l.waits(proc.Any, 0, 0, syscall.EAGAIN)
		_, err = c.SetMask(l.td, proc.SetMask, 0)
		l.must(err)
		c.Part(l.td)
		l.waits(proc.Any, 2, proc.Killed(syscall.SIGTERM), nil)
		if n := l.p.Fatal(l.td); n != 0 {
			t.Errorf("%d signals would have ended the first process, want none", n)
		}
	})
}

// A signal that ends a process with threads does so on the one that takes it; those that
// wait in Kevent find their descriptors closed.
func TestKilledInKevent(t *testing.T) {
	each(t, func(l *lab) {
		c := l.fork(l.p)
		errs := make([]error, 2)
		for i := range errs {
			l.m.Go([]string{"takes it", "waits too"}[i], i, func(td *machine.Thread) {
				c.Join(td)
				defer c.Part(td)
				kq, err := c.Kqueue(td)
				if err == nil {
					_, err = c.Kevent(td, kq, nil, make([]event.Kevent, 1), machine.Forever)
				}
				errs[i] = err
			})
		}
		l.m.Go("kills", 0, func(td *machine.Thread) {
			for {
				// Both must be asleep, or about to be.
				if _, err := c.File(td, 1); err == nil {
					break
				}
				td.Leave()
			}
			if err := c.Kill(td, syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		})
		l.td.Detach()
		err := l.m.Run()
		l.td = l.m.Attach("test", 0)
		l.must(err)
		for i, err := range errs {
			if err != syscall.EINTR && err != syscall.EBADF {
				t.Errorf("thread %d: %v, want EINTR or EBADF", i, err)
			}
		}
		l.waits(2, 2, proc.Killed(syscall.SIGTERM), nil)
		l.must(l.p.Audit(l.td))
	})
}

func TestExec(t *testing.T) {
	each(t, func(l *lab) {
		f, g := l.file(), l.file()
		stays, goes := l.open(f), l.open(g)
		l.must(l.p.SetCloseOnExec(l.td, stays, true))
		l.must(l.p.SetCloseOnExec(l.td, stays, false))
		l.must(l.p.SetCloseOnExec(l.td, goes, true))
		l.errno("a number that is not open", l.p.SetCloseOnExec(l.td, 9, true), syscall.EBADF)
		got := l.catches(usr1)
		_, err := l.p.SetAction(l.td, usr2, proc.Action{Ignore: true})
		l.must(err)
		c := l.fork(l.p)
		dup, err := c.Dup(l.td, goes)
		l.must(err)
		l.must(c.Close(l.td, stays))
		l.must(c.Exec(l.td))
		for fd, want := range map[int]error{stays: syscall.EBADF, goes: syscall.EBADF, dup: nil} {
			_, err := c.File(l.td, fd)
			l.errno("a descriptor after exec", err, want)
		}
		for _, fd := range []int{stays, goes} {
			_, err := l.p.File(l.td, fd)
			l.errno("the parent's", err, nil)
		}
		l.must(c.Kill(l.td, usr2)) // ignored still
		l.waits(2, 0, 0, syscall.EAGAIN)
		l.must(c.Kill(l.td, usr1)) // caught no more
		l.caught(got)
		l.waits(2, 2, proc.Killed(usr1), nil)
		l.must(l.p.Audit(l.td))
	})
}

func TestStatus(t *testing.T) {
	for s, want := range map[proc.Status]string{
		proc.Exited(0): "exit 0", proc.Exited(-1): "exit 255", proc.Killed(syscall.SIGKILL): "signal 9", 0x300: "exit 3",
	} {
		if s.String() != want {
			t.Errorf("status %#x is %v, want %s", int(s), s, want)
		}
	}
}
