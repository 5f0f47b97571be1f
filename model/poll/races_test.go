package poll_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
)

// executions is how many of each program there are, under each strategy and scheduler.
func executions() int {
	if testing.Short() || raceEnabled {
		return 60
	}
	return 400
}

// Two threads wait for the same two pipes, a third writes to one: both are told, of
// that one.
func TestTwoPollsOfOnePipe(t *testing.T) {
	nothing(t, explore(t, executions(), func(w *world, td *machine.Thread) {
		w.m.AllowSpurious(1)
		a, b := w.pipe(td), w.pipe(td)
		for i := range 2 {
			w.m.Go(fmt.Sprintf("polls%d", i), i, func(td *machine.Thread) {
				p := poll.New(td, w.k, w.p)
				defer p.Close(td)
				fds := []event.PollFD{{FD: int32(a.rd), Events: in}, {FD: int32(b.rd), Events: in}, {FD: int32(a.rd), Events: in}}
				for range 2 { // what the first call has registered serves the second
					n, err := p.Poll(td, fds, kqueue.Forever)
					if n != 1 || err != nil || fds[0].Revents != 0 || fds[1].Revents != in || fds[2].Revents != 0 {
						w.note(td, "poll: %d, %v, %v", n, err, fds)
					}
				}
				n, err := p.Select(td, 64, poll.NewFDSet(a.rd, b.rd), nil, nil, nil)
				if n != 1 || err != nil {
					w.note(td, "select: %d, %v", n, err)
				}
			})
		}
		w.m.Go("writes", 1, func(td *machine.Thread) {
			_, err := b.w.Write(td, []byte{1})
			w.must(td, err)
		})
	}))
}

// replaced has one thread poll a number that another makes stand for another file: a
// call that begins after the dup2, or the close, has returned tells of what the number
// stands for then, and of nothing that was before.
func replaced(how string, before func(td *machine.Thread, p *poll.Poller)) func(w *world, td *machine.Thread) {
	return func(w *world, td *machine.Thread) {
		a, b, c := w.pipe(td), w.pipe(td), w.pipe(td)
		_, err := b.w.Write(td, []byte{1})
		w.must(td, err)
		if how == "full to empty" {
			a, b = b, a
		}
		var done machine.Uint32
		was := map[string]event.PollEvents{"empty to full": 0, "full to empty": in, "close": 0}[how]
		is := map[string]event.PollEvents{"empty to full": in, "full to empty": 0, "close": nval}[how]
		w.m.Go("polls", 0, func(td *machine.Thread) {
			p := poll.New(td, w.k, w.p)
			defer p.Close(td)
			fds := []event.PollFD{{FD: int32(c.rd), Events: in}, {FD: int32(a.rd), Events: in}}
			for range 3 {
				after := done.Load(td) != 0
				before(td, p)
				n, err := p.Poll(td, fds, 0)
				got := fds[1].Revents
				switch {
				case err != nil || fds[0].Revents != 0 || n != min(1, int(got)):
					w.note(td, "poll: %d, %v, %v", n, err, fds)
				case after && got != is:
					w.note(td, "poll after it: %v, want %v", fds, is)
				case got != was && got != is && !(how == "full to empty" && got == 0):
					w.note(td, "poll: %v, want %v or %v", fds, was, is)
				}
			}
		})
		w.m.Go("replaces", 1, func(td *machine.Thread) {
			if how == "close" {
				w.must(td, w.p.Close(td, a.rd))
			} else {
				w.must(td, w.p.Dup2(td, b.rd, a.rd))
			}
			done.Store(td, 1)
		})
	}
}

func TestReplaced(t *testing.T) {
	for _, how := range []string{"empty to full", "full to empty", "close"} {
		t.Run(how, func(t *testing.T) {
			nothing(t, explore(t, executions(), replaced(how, func(*machine.Thread, *poll.Poller) {})))
			if how == "full to empty" {
				return // the old knote goes by itself, and there is nothing to miss
			}
			errs := explore(t, executions(), replaced(how, func(td *machine.Thread, p *poll.Poller) { p.Blind(td) }))
			if len(errs) == 0 {
				t.Error("the control does not look whether a descriptor has been closed, and nobody has noticed")
			}
		})
	}
}

// A signal that comes to the process ends the wait of one of its threads, and of no
// other; it is caught once. The other waits on, for a byte.
func TestSignalForOne(t *testing.T) {
	nothing(t, explore(t, executions(), func(w *world, td *machine.Thread) {
		w.m.AllowSpurious(1)
		a := w.pipe(td)
		var caught, interrupted machine.Uint32
		_, err := w.p.SetAction(td, syscall.SIGUSR1, proc.Action{Catch: func(td *machine.Thread, _ syscall.Signal) { caught.Add(td, 1) }})
		w.must(td, err)
		for i := range 2 {
			w.m.Go(fmt.Sprintf("waits%d", i), i, func(td *machine.Thread) {
				w.p.Join(td)
				defer w.p.Part(td)
				was := caught.Load(td)
				var n int
				var err error
				if i == 0 {
					p := poll.New(td, w.k, w.p)
					defer p.Close(td)
					n, err = p.Poll(td, []event.PollFD{{FD: int32(a.rd), Events: in}}, kqueue.Forever)
				} else {
					kq, e := w.p.Kqueue(td)
					w.must(td, e)
					defer w.p.Close(td, kq)
					var got [1]event.Kevent
					n, err = w.p.Kevent(td, kq, []event.Kevent{{Ident: uint64(a.rd), Filter: event.Read, Flags: event.Add}}, got[:], kqueue.Forever)
				}
				switch {
				case err == syscall.EINTR && n == 0:
					interrupted.Add(td, 1)
				case err != nil || n != 1:
					w.note(td, "%d, %v, caught %d", n, err, was)
				}
			})
		}
		w.m.Go("sends", 1, func(td *machine.Thread) {
			w.must(td, w.p.Kill(td, syscall.SIGUSR1))
			_, err := a.w.Write(td, []byte{1})
			w.must(td, err)
		})
		// Whoever comes last looks: a thread that has ended takes no signal.
		w.last = func() error {
			c, i := caught.Look(), interrupted.Look()
			if c > 1 || i > c {
				return fmt.Errorf("caught %d times, and %d calls were interrupted", c, i)
			}
			return nil
		}
	}))
}

// An event and a signal that only ppoll's mask lets through: either the call returns the
// event, and the signal is pending still, or EINTR, and it has been caught.
func TestSignalAndEvent(t *testing.T) {
	both := [2]int{}
	nothing(t, explore(t, executions(), func(w *world, td *machine.Thread) {
		a := w.pipe(td)
		caught := false
		_, err := w.p.SetAction(td, syscall.SIGUSR1, proc.Action{Catch: func(td *machine.Thread, _ syscall.Signal) { caught = true }})
		w.must(td, err)
		w.m.Go("waits", 0, func(td *machine.Thread) {
			w.p.Join(td)
			defer w.p.Part(td)
			p := poll.New(td, w.k, w.p)
			defer p.Close(td)
			_, err := w.p.SetMask(td, proc.SetMask, proc.Signals(syscall.SIGUSR1))
			w.must(td, err)
			fds := []event.PollFD{{FD: int32(a.rd), Events: in}}
			caught = false // it may have come before
			var none proc.Sigset
			n, err := p.PPoll(td, fds, nil, &none)
			switch {
			case n == 1 && err == nil && !caught && fds[0].Revents == in:
				both[0]++
			case n == 0 && err == syscall.EINTR && caught && fds[0].Revents == 0:
				both[1]++
			default:
				w.note(td, "ppoll: %d, %v, %v, caught: %v", n, err, fds, caught)
			}
		})
		w.m.Go("sends", 1, func(td *machine.Thread) {
			w.must(td, w.p.Kill(td, syscall.SIGUSR1))
			_, err := a.w.Write(td, []byte{1})
			w.must(td, err)
		})
	}))
	if both[0] == 0 || both[1] == 0 {
		t.Errorf("the event first %d times, the signal %d times: want some of each", both[0], both[1])
	}
}

// A handler may poll, with the Poller of the thread that it runs on: the call that it
// has interrupted is over.
func TestPollInHandler(t *testing.T) {
	nothing(t, explore(t, executions(), func(w *world, td *machine.Thread) {
		a, b := w.pipe(td), w.pipe(td)
		var p *poll.Poller
		_, err := w.p.SetAction(td, syscall.SIGUSR1, proc.Action{Catch: func(td *machine.Thread, _ syscall.Signal) {
			fds := []event.PollFD{{FD: int32(b.wr), Events: out}}
			if n, err := p.Poll(td, fds, kqueue.Forever); n != 1 || err != nil {
				w.note(td, "poll in the handler: %d, %v", n, err)
			}
		}})
		w.must(td, err)
		w.m.Go("waits", 0, func(td *machine.Thread) {
			p = poll.New(td, w.k, w.p)
			defer p.Close(td)
			w.p.Join(td)
			defer w.p.Part(td)
			fds := []event.PollFD{{FD: int32(a.rd), Events: in}, {FD: int32(b.rd), Events: in}}
			for {
				n, err := p.Poll(td, fds, kqueue.Forever)
				if err == syscall.EINTR && n == 0 {
					continue
				}
				if n != 1 || err != nil || fds[0].Revents != in {
					w.note(td, "poll: %d, %v, %v", n, err, fds)
				}
				return
			}
		})
		w.m.Go("sends", 1, func(td *machine.Thread) {
			w.must(td, w.p.Kill(td, syscall.SIGUSR1))
			_, err := a.w.Write(td, []byte{1})
			w.must(td, err)
		})
	}))
}

// A polled socket's peer closes while the poll waits for it.
func TestPollHangUp(t *testing.T) {
	nothing(t, explore(t, executions(), func(w *world, td *machine.Thread) {
		a, b, err := device.NewSocketPair(td, w.k, event.Stream)
		w.must(td, err)
		fd, err := w.p.Open(td, a)
		w.must(td, err)
		peer, err := w.p.Open(td, b)
		w.must(td, err)
		for i, asks := range []event.PollEvents{0, rdhup} {
			w.m.Go(fmt.Sprintf("polls%d", i), i, func(td *machine.Thread) {
				p := poll.New(td, w.k, w.p)
				defer p.Close(td)
				fds := []event.PollFD{{FD: int32(fd), Events: asks}}
				for range 2 {
					n, err := p.Poll(td, fds, kqueue.Forever)
					if n != 1 || err != nil || fds[0].Revents != asks|hup {
						w.note(td, "poll: %d, %v, %v", n, err, fds)
					}
				}
			})
		}
		w.m.Go("closes", 1, func(td *machine.Thread) {
			_, err := b.Write(td, []byte{1}) // which nobody asks for
			w.must(td, err)
			w.must(td, w.p.Close(td, peer))
		})
	}))
}
