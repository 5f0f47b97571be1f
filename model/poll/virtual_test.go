package poll_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

// A world is a process on a virtual machine of two CPUs. What its threads tell each
// other outside of the kernel they tell by words of the machine.
type world struct {
	m   *machine.Machine
	k   *kqueue.Kernel
	p   *proc.Process
	err error // the first that a thread has noted

	last func() error // when all have ended
}

func (w *world) note(td *machine.Thread, format string, args ...any) {
	td.Touch(w, machine.Writes)
	if w.err == nil {
		w.err = fmt.Errorf(td.Name+": "+format, args...)
	}
}

func (w *world) must(td *machine.Thread, err error) {
	if err != nil {
		w.note(td, "%v", err)
	}
}

// open makes a pipe and descriptors for its ends, before threads run.
func (w *world) pipe(td *machine.Thread) pipe {
	r, wr := device.NewPipe(td, w.k)
	rd, err := w.p.Open(td, r)
	w.must(td, err)
	wd, err := w.p.Open(td, wr)
	w.must(td, err)
	return pipe{r, wr, rd, wd}
}

// explore has a program run n times under each strategy and each of two schedulers,
// and returns what was wrong: an error of Run, or what a thread has noted. A program
// is given a thread to set the world up with, and starts others.
func explore(t *testing.T, n int, program func(w *world, td *machine.Thread)) (errs []error) {
	t.Helper()
	t.Logf("repeat with: go test ./model/poll -run %s -seed %d", t.Name(), *seed)
	for _, s := range strategies.All {
		for _, name := range []string{"random", "pct:3"} {
			sc, err := sched.New(name, *seed)
			if err != nil {
				t.Fatal(err)
			}
			for range n {
				sc.Begin()
				if err := execute(sc, s, program); err != nil {
					errs = append(errs, fmt.Errorf("%s, %s: %w", s.Name, name, err))
				}
			}
		}
	}
	return errs
}

func execute(sc sched.Scheduler, s strategies.Entry, program func(w *world, td *machine.Thread)) (err error) {
	m := machine.Virtual(2, sc)
	defer m.Abandon()
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	w := &world{m: m, k: k, p: proc.New(k)}
	td := m.Attach("setup", 0)
	program(w, td)
	td.Detach()
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	if err := m.Run(); err != nil {
		return err
	}
	if w.err == nil && w.last != nil {
		w.err = w.last()
	}
	if w.err == nil {
		w.err = w.p.Audit(nil)
	}
	return w.err
}

func nothing(t *testing.T, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		t.Errorf("%d executions went wrong; the first: %v", len(errs), errs[0])
	}
}

// signalled has a thread wait until a handler has set a flag, which wait does once it
// has found that it is not set; another sends the signal.
func signalled(wait func(w *world, td *machine.Thread, p *poll.Poller, unblocked func() (caught bool)) error) func(w *world, td *machine.Thread) {
	return func(w *world, td *machine.Thread) {
		var flag machine.Uint32
		_, err := w.p.SetAction(td, syscall.SIGUSR1, proc.Action{Catch: func(td *machine.Thread, _ syscall.Signal) { flag.Store(td, 1) }})
		w.must(td, err)
		w.m.Go("waits", 0, func(td *machine.Thread) {
			w.p.Join(td)
			defer w.p.Part(td)
			p := poll.New(td, w.k, w.p)
			defer p.Close(td)
			_, err := w.p.SetMask(td, proc.Block, proc.Signals(syscall.SIGUSR1))
			w.must(td, err)
			for flag.Load(td) == 0 {
				err := wait(w, td, p, func() bool {
					_, err := w.p.SetMask(td, proc.SetMask, 0)
					w.must(td, err)
					return flag.Load(td) != 0
				})
				if err != syscall.EINTR {
					w.note(td, "waited for ever, and had the error %v", err)
				}
			}
		})
		w.m.Go("sends", 1, func(td *machine.Thread) { w.must(td, w.p.Kill(td, syscall.SIGUSR1)) })
	}
}

// The reason why there is pselect: a signal that comes after the flag has been looked
// at still ends the wait. Who unblocks it, looks again and calls select loses it.
func TestSignalRace(t *testing.T) {
	var none proc.Sigset
	for _, c := range []struct {
		name  string
		loses bool
		wait  func(w *world, td *machine.Thread, p *poll.Poller, unblocked func() bool) error
	}{
		{"pselect", false, func(_ *world, td *machine.Thread, p *poll.Poller, _ func() bool) error {
			_, err := p.PSelect(td, 0, nil, nil, nil, nil, &none)
			return err
		}},
		{"ppoll", false, func(_ *world, td *machine.Thread, p *poll.Poller, _ func() bool) error {
			_, err := p.PPoll(td, nil, nil, &none)
			return err
		}},
		{"epoll_pwait", false, func(w *world, td *machine.Thread, _ *poll.Poller, _ func() bool) error {
			epfd, err := poll.EpollCreate1(td, w.p, 0)
			w.must(td, err)
			defer w.p.Close(td, epfd)
			_, err = poll.EpollPwait(td, w.p, epfd, make([]poll.EpollEvent, 1), kqueue.Forever, &none)
			return err
		}},
		{"select", true, func(_ *world, td *machine.Thread, p *poll.Poller, unblocked func() bool) (err error) {
			if unblocked() {
				return syscall.EINTR
			}
			_, err = p.Select(td, 0, nil, nil, nil, nil)
			return err
		}},
		{"poll", true, func(_ *world, td *machine.Thread, p *poll.Poller, unblocked func() bool) (err error) {
			if unblocked() {
				return syscall.EINTR
			}
			_, err = p.Poll(td, nil, kqueue.Forever)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := explore(t, 300, signalled(c.wait))
			if !c.loses {
				nothing(t, errs)
				return
			}
			for _, err := range errs {
				var dead *machine.DeadlockError
				if !errors.As(err, &dead) {
					t.Errorf("want nothing but deadlocks: %v", err)
				}
			}
			t.Logf("%d executions have lost the signal", len(errs))
			if len(errs) == 0 {
				t.Error("the control has lost no signal: what the others are held to is too easy")
			}
		})
	}
}

// A Poller that two threads are in calls of is found on a virtual machine.
func TestOnePollerTwoThreads(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector finds it first, and fails the test")
	}
	errs := explore(t, 20, func(w *world, td *machine.Thread) {
		p := poll.New(td, w.k, w.p)
		a := w.pipe(td)
		fds := [2][]event.PollFD{{{FD: int32(a.rd), Events: in}}, {{FD: int32(a.rd), Events: in}}}
		for i := range fds {
			w.m.Go(fmt.Sprintf("t%d", i), i, func(td *machine.Thread) {
				for range 3 {
					p.Poll(td, fds[i], 0)
				}
			})
		}
	})
	for _, err := range errs {
		if !strings.Contains(err.Error(), "calls a Poller that t") {
			t.Errorf("want a panic that says who calls whose Poller: %v", err)
		}
	}
	if len(errs) == 0 {
		t.Error("two threads were in calls of one Poller, and nobody has noticed")
	}
}
