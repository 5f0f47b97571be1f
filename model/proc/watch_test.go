package proc_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/proc"
)

// events takes the events that kq has now and expects these.
func (l *lab) events(kq int, want ...event.Kevent) {
	l.Helper()
	events := make([]event.Kevent, len(want)+1)
	n, err := l.p.Kevent(l.td, kq, nil, events, 0)
	l.must(err)
	if !slices.Equal(events[:n], want) {
		l.Errorf("events\n%v, want\n%v", events[:n], want)
	}
}

// adds expects the answer to an EV_ADD.
func (l *lab) adds(kq int, kev event.Kevent, want error) {
	l.Helper()
	kev.Flags |= event.Add
	if _, err := l.p.Kevent(l.td, kq, []event.Kevent{kev}, nil, 0); err != want {
		l.Errorf("%v: error %v, want %v", kev, err, want)
	}
}

func ofProcess(pid int, f event.Fflags, data int64) event.Kevent {
	return event.Kevent{Ident: uint64(pid), Filter: event.Proc, Flags: event.Clear, Fflags: f, Data: data}
}

func ended(pid int, f event.Fflags, s proc.Status) event.Kevent {
	kev := ofProcess(pid, f, int64(s))
	kev.Flags |= event.OneShot | event.EOF | event.NoData
	return kev
}

func watching(pid int, f event.Fflags) event.Kevent {
	return event.Kevent{Ident: uint64(pid), Filter: event.Proc, Fflags: f}
}

const everything = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack

func TestProc(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		c := l.fork(l.p)
		l.adds(kq, watching(2, event.NoteExit|event.NoteFork|event.NoteExec), nil)
		l.events(kq)
		l.fork(c)
		l.fork(c)
		l.events(kq, ofProcess(2, event.NoteFork, 0)) // once for both
		l.events(kq)
		l.must(c.Exec(l.td))
		l.fork(c)
		l.events(kq, ofProcess(2, event.NoteFork|event.NoteExec, 0))
		l.must(c.Exec(l.td))
		l.must(c.Exit(l.td, proc.Exited(3)))
		l.events(kq, ended(2, event.NoteExec|event.NoteExit, proc.Exited(3)))
		l.events(kq)
		l.adds(kq, event.Kevent{Ident: 2, Filter: event.Proc}, nil) // a zombie
		l.events(kq, ended(2, 0, proc.Exited(3)))                   // which was asked for nothing
		l.adds(kq, watching(2, event.NoteExit), nil)
		l.waits(2, 2, proc.Exited(3), nil)
		l.events(kq, ended(2, event.NoteExit, proc.Exited(3))) // though it is no more
		l.adds(kq, watching(2, event.NoteExit), syscall.ESRCH)
		l.must(l.p.Audit(l.td))
	})
}

func TestTrack(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		l.adds(kq, event.Kevent{Ident: 1, Filter: event.Proc, Fflags: everything, Udata: 9}, nil)
		udata := func(kevs ...event.Kevent) []event.Kevent {
			for i := range kevs {
				kevs[i].Udata = 9
			}
			return kevs
		}
		c := l.fork(l.p)
		l.events(kq, udata(ofProcess(1, event.NoteFork|event.NoteTrack, 0), ofProcess(2, event.NoteChild, 1))...)
		d := l.fork(c)
		l.must(d.Exec(l.td))
		l.must(d.Exit(l.td, proc.Exited(5)))
		l.must(c.Exit(l.td, proc.Exited(6)))
		// NOTE_CHILD has data of its own, so the end of 3 is an event of its own.
		l.events(kq, udata(
			ended(2, event.NoteFork|event.NoteTrack|event.NoteExit, proc.Exited(6)),
			ofProcess(3, event.NoteChild|event.NoteExec, 2))...)
		l.events(kq, udata(ended(3, event.NoteExit, proc.Exited(5)))...)
		l.events(kq)
		l.must(l.p.Audit(l.td))
	})
}

// What tracking makes has the parent's flags: here it is disabled by its first event, and
// what came meanwhile is there once it is enabled.
func TestTrackDispatch(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		l.adds(kq, event.Kevent{Ident: 1, Filter: event.Proc, Flags: event.Dispatch | event.Disable, Fflags: event.NoteTrack}, nil)
		c := l.fork(l.p)
		l.must(c.Exit(l.td, proc.Exited(1)))
		child, end := ofProcess(2, event.NoteChild, 1), ended(2, 0, proc.Exited(1))
		child.Flags |= event.Dispatch
		end.Flags |= event.Dispatch
		l.events(kq, child)
		l.events(kq)
		l.change(kq, event.Kevent{Ident: 2, Filter: event.Proc, Flags: event.Enable})
		l.events(kq, end)
		l.events(kq)
		l.must(l.p.Audit(l.td))
	})
}

// With no room for the child's knote the parent's says so, and the child is not watched.
func TestTrackErr(t *testing.T) {
	each(t, func(l *lab) {
		l.p.Table().SetMax(0, 2)
		kq := l.kqueue()
		l.adds(kq, watching(1, event.NoteTrack), nil)
		c := l.fork(l.p)
		l.fork(l.p)
		l.events(kq, ofProcess(1, event.NoteTrack|event.NoteTrackErr, 0), ofProcess(2, event.NoteChild, 1))
		l.adds(kq, watching(3, event.NoteExit), syscall.ENOMEM)
		l.must(c.Exit(l.td, 0))
		l.events(kq, ended(2, 0, 0)) // and there is room again
		l.fork(l.p)
		l.events(kq, ofProcess(1, event.NoteTrack, 0), ofProcess(4, event.NoteChild, 1))
		l.must(l.p.Audit(l.td))
	})
}

// The errors of an EV_ADD, of one that makes a knote and of one that finds it.
func TestWatchErrno(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		for _, c := range []struct {
			kev  event.Kevent
			want error
		}{
			{watching(0, event.NoteExit), syscall.ESRCH},
			{watching(7, event.NoteExit), syscall.ESRCH},
			{watching(-1, event.NoteExit), syscall.ESRCH},
			{event.Kevent{Ident: 1<<32 + 1, Filter: event.Proc}, syscall.ESRCH},
			{watching(1, event.NoteChild), syscall.EINVAL},
			{watching(1, event.NoteTrackErr), syscall.EINVAL},
			{watching(1, 0x100), syscall.EINVAL},
			{watching(1, everything), nil},
			{watching(1, event.NoteExit|event.NoteChild), syscall.EINVAL}, // it is there
			{watching(1, 0), nil},
			{event.Kevent{Ident: 1, Filter: event.Proc, Data: -5}, nil}, // means nothing
			{event.Kevent{Ident: 0, Filter: event.Signal}, syscall.EINVAL},
			{event.Kevent{Ident: proc.MaxSignal + 1, Filter: event.Signal}, syscall.EINVAL},
			{event.Kevent{Ident: 1<<32 + 1, Filter: event.Signal}, syscall.EINVAL},
			{event.Kevent{Ident: 1, Filter: event.Signal, Fflags: 1}, syscall.EINVAL},
			{event.Kevent{Ident: 1, Filter: event.Signal}, nil},
			{event.Kevent{Ident: 1, Filter: event.Signal, Fflags: 1}, syscall.EINVAL}, // it is there
			{event.Kevent{Ident: proc.MaxSignal, Filter: event.Signal, Data: -5}, nil},
			{event.Kevent{Ident: uint64(syscall.SIGKILL), Filter: event.Signal}, nil},
		} {
			l.adds(kq, c.kev, c.want)
		}
		// A queue that has no process.
		q := l.k.NewQueue(l.td, nil)
		for _, f := range []event.Filter{event.Proc, event.Signal} {
			if err := q.Register(l.td, &event.Kevent{Ident: 1, Filter: f, Flags: event.Add}); err != syscall.ESRCH {
				t.Errorf("%v in a queue without a process: %v, want ESRCH", f, err)
			}
		}
		l.must(q.Close(l.td))
		l.must(l.p.Audit(l.td))
	})
}

// Every attempt to send a signal counts, whatever becomes of it.
func TestSignalCounted(t *testing.T) {
	each(t, func(l *lab) {
		kq := l.kqueue()
		counts := func(sig syscall.Signal, n int64) event.Kevent {
			return event.Kevent{Ident: uint64(sig), Filter: event.Signal, Flags: event.Clear, Data: n}
		}
		const hup = syscall.SIGHUP
		for _, sig := range []syscall.Signal{usr1, usr2, hup} {
			l.adds(kq, counts(sig, 0), nil)
		}
		got := l.catches(usr1, hup)
		_, err := l.p.SetAction(l.td, usr2, proc.Action{Ignore: true})
		l.must(err)
		l.p.Join(l.td)
		defer l.p.Part(l.td)
		_, err = l.p.SetMask(l.td, proc.Block, proc.Signals(hup))
		l.must(err)
		l.must(l.p.Kill(l.td, usr2)) // ignored
		l.must(l.p.Kill(l.td, hup))  // blocked
		l.must(l.p.Kill(l.td, hup))  // and pending already
		l.must(l.p.ThreadKill(l.td, l.td, hup))
		l.must(l.p.Kill(l.td, usr1))
		l.must(l.p.Kill(l.td, 0))
		l.caught(got, usr1)
		l.adds(kq, counts(hup, 0), nil) // forgets nothing
		l.events(kq, counts(usr2, 1), counts(hup, 3), counts(usr1, 1))
		l.events(kq)
		l.must(l.p.Kill(l.td, usr1))
		l.change(kq, event.Kevent{Ident: uint64(usr1), Filter: event.Signal, Flags: event.Disable})
		l.must(l.p.Kill(l.td, usr1))
		l.events(kq)
		l.change(kq, event.Kevent{Ident: uint64(usr1), Filter: event.Signal, Flags: event.Enable})
		l.events(kq, counts(usr1, 2))

		// A child's signals are the child's, also in a queue of its own.
		c := l.fork(l.p)
		ckq, err := c.Kqueue(l.td)
		l.must(err)
		_, err = c.Kevent(l.td, ckq, []event.Kevent{{Ident: uint64(usr2), Filter: event.Signal, Flags: event.Add}}, nil, 0)
		l.must(err)
		l.must(l.p.Table().Kill(l.td, 2, usr2))
		l.events(kq)
		var e [2]event.Kevent
		n, err := c.Kevent(l.td, ckq, nil, e[:], 0)
		if n != 1 || err != nil || e[0] != counts(usr2, 1) {
			t.Errorf("the child's queue: %v, %v", e[:n], err)
		}
		l.must(c.Exit(l.td, 0))
		l.must(l.p.Audit(l.td))
	})
}
