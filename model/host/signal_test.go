//go:build linux

package host_test

import (
	"errors"
	"os"
	"os/signal"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

var t0 = time.Unix(1e9, 0)

// The package that hands signals on keeps a goroutine from its first use on; no
// test is to count it as its own.
func TestMain(m *testing.M) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGUSR1)
	signal.Stop(c)
	os.Exit(m.Run())
}

// caught is an event of SIGNAL.
func caught(sig unix.Signal, n int64) event.Kevent {
	return event.Kevent{Ident: uint64(sig), Filter: event.Signal, Flags: event.Clear, Data: n}
}

func (l *lab) watch(sig unix.Signal) {
	l.Helper()
	l.change(event.Kevent{Ident: uint64(sig), Filter: event.Signal, Flags: event.Add})
}

func (l *lab) raise(sig unix.Signal) {
	l.Helper()
	l.ok(unix.Kill(os.Getpid(), sig))
}

// come waits for one event, which goes with its retrieval.
func (l *lab) come(want event.Kevent) {
	l.Helper()
	if e := next(l.T, l.td, l.q); e != want {
		l.Errorf("%v, want %v", e, want)
	}
}

// count waits until a signal has come n times in all.
func (l *lab) count(sig unix.Signal, n int64) {
	l.Helper()
	for n > 0 {
		var one [1]event.Kevent
		got, err := l.q.Kevent(l.td, nil, one[:], 10*time.Second)
		if got != 1 || err != nil || one[0].Ident != uint64(sig) || one[0].Data > n {
			l.Fatalf("%s, %v, want %v, %d more", list(one[:got]), err, sig, n)
		}
		n -= one[0].Data
	}
	l.want()
}

func TestSignal(t *testing.T) {
	each(t, func(l *lab) {
		l.watch(unix.SIGUSR1)
		l.watch(unix.SIGUSR2)
		l.want()
		for range 5 { // each after the one before has come: none is merged
			l.raise(unix.SIGUSR1)
			l.come(caught(unix.SIGUSR1, 1))
			l.want()
		}
		for sig := unix.Signal(40); sig < 43; sig++ { // a real-time one
			l.watch(sig)
			l.raise(sig)
			l.count(sig, 1)
		}
	})
}

// Data counts what came since it was retrieved last, while it was disabled as well.
func TestSignalCounts(t *testing.T) {
	each(t, func(l *lab) {
		l.watch(unix.SIGUSR1)
		l.change(event.Kevent{Ident: uint64(unix.SIGUSR1), Filter: event.Signal, Flags: event.Disable})
		seen := l.k.NewQueue(l.td, l.h) // tells when it has come
		_, err := seen.Kevent(l.td, []event.Kevent{{Ident: uint64(unix.SIGUSR1), Filter: event.Signal, Flags: event.Add}}, nil, 0)
		l.ok(err)
		for range 3 {
			l.raise(unix.SIGUSR1)
			if e := next(l.T, l.td, seen); e != caught(unix.SIGUSR1, 1) {
				l.Errorf("%v", e)
			}
		}
		l.want()
		l.change(event.Kevent{Ident: uint64(unix.SIGUSR1), Filter: event.Signal, Flags: event.Enable})
		l.want(caught(unix.SIGUSR1, 3))
		l.want()
		l.ok(seen.Close(l.td))
	})
}

// A signal that the program ignores is told of, and ignored again afterwards.
func TestSignalIgnored(t *testing.T) {
	each(t, func(l *lab) {
		signal.Ignore(unix.SIGUSR2)
		defer signal.Reset(unix.SIGUSR2)
		l.watch(unix.SIGUSR2)
		l.raise(unix.SIGUSR2)
		l.come(caught(unix.SIGUSR2, 1))
		mine := make(chan os.Signal, 1) // the program may be told, too
		signal.Notify(mine, unix.SIGUSR2)
		l.raise(unix.SIGUSR2)
		l.come(caught(unix.SIGUSR2, 1))
		select {
		case <-mine:
		case <-time.After(10 * time.Second):
			l.Error("the program's own channel was not told")
		}
		signal.Stop(mine)
		l.change(event.Kevent{Ident: uint64(unix.SIGUSR2), Filter: event.Signal, Flags: event.Delete})
		signal.Ignore(unix.SIGUSR2)
		l.raise(unix.SIGUSR2) // would end the test
		l.want()
	})
}

func TestSignalWakes(t *testing.T) {
	each(t, func(l *lab) {
		l.watch(unix.SIGUSR1)
		join := l.start("sleeper", 1, func(td *machine.Thread) {
			if e := next(l.T, td, l.q); e != caught(unix.SIGUSR1, 1) {
				l.Errorf("woken by %v", e)
			}
		})
		l.inWait()
		l.raise(unix.SIGUSR1)
		join()
	})
}

func TestSignalErrors(t *testing.T) {
	each(t, func(l *lab) {
		for _, c := range []struct {
			ident  uint64
			fflags event.Fflags
			flags  event.Flags
			want   error
		}{
			{0, 0, event.Add, unix.EINVAL},
			{uint64(unix.SIGKILL), 0, event.Add, unix.EINVAL},
			{uint64(unix.SIGSTOP), 0, event.Add, unix.EINVAL},
			{33, 0, event.Add, unix.EINVAL},
			{65, 0, event.Add, unix.EINVAL},
			{1<<64 - 1, 0, event.Add, unix.EINVAL},
			{uint64(unix.SIGUSR1), 1, event.Add, unix.EINVAL},
			{uint64(unix.SIGUSR1), 0, event.Enable, unix.ENOENT},
			{uint64(unix.SIGUSR1), 0, event.Add, nil},
			{uint64(unix.SIGUSR1), 1, event.Add, unix.EINVAL}, // and leaves it as it was
			{uint64(unix.SIGUSR1), 0, event.Delete, nil},
			{uint64(unix.SIGUSR1), 0, event.Delete, unix.ENOENT},
		} {
			kev := event.Kevent{Ident: c.ident, Filter: event.Signal, Fflags: c.fflags, Flags: c.flags}
			if _, err := l.q.Kevent(l.td, []event.Kevent{kev}, nil, 0); !errors.Is(err, c.want) {
				l.Errorf("%v: %v, want %v", kev, err, c.want)
			}
		}
	})
}

// A host that is closed takes no signal any more, though a queue has a knote yet.
func TestSignalAfterClose(t *testing.T) {
	each(t, func(l *lab) {
		mine := make(chan os.Signal, 1) // or the last would end the test
		signal.Notify(mine, unix.SIGUSR1)
		defer signal.Stop(mine)
		l.watch(unix.SIGUSR1)
		l.change(exit(os.Getpid(), event.NoteExit, event.Add, 0))
		l.ok(l.h.Close(l.td))
		l.raise(unix.SIGUSR1)
		<-mine
		l.want()
		for _, f := range []event.Filter{event.Proc, event.Signal} {
			if _, err := l.q.Kevent(l.td, []event.Kevent{{Ident: 10, Filter: f, Flags: event.Add}}, nil, 0); err != unix.EINVAL {
				l.Errorf("%v on a closed host: %v, want EINVAL", f, err)
			}
		}
	})
}
