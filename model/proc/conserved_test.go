package proc_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// slowly has the filter of signals block wherever it is asked, as one with an f_event that
// sleeps: so a knote is busy when a signal comes, and who sends it waits for that or, if it
// must not sleep, leaves word. It begins to when what is returned is called.
func slowly(g *ground) (begin func()) {
	begun := false
	open := g.k.Opener(event.Signal)
	var slow *kqueue.Filter
	nap := &machine.WaitChan{Name: "nap"}
	g.k.Install(event.Signal, func(td *machine.Thread, files kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
		src, f, err := open(td, files, ident)
		if err != nil {
			return nil, nil, err
		}
		if slow == nil {
			own := *f
			own.Count, own.Blocks = false, true
			own.Event = func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
				if begun && !td.NoSleep {
					td.Interlock(nap)
					td.Sleep(td.Now() + 1)
				}
				kn.Pending += hint
				kn.Data = kn.Pending
				return kn.Pending > 0
			}
			slow = &own
		}
		return src, slow, nil
	})
	return func() { begun = true }
}

// Each signal is counted once in each queue, whoever sends it, and whoever takes the events
// meanwhile. In DragonFly one that is sent while a knote is being asked is counted again for
// each knote before that (bug D19).
func TestSignalsConserved(t *testing.T) {
	for _, slow := range []bool{false, true} {
		t.Run(fmt.Sprintf("slow=%v", slow), func(t *testing.T) {
			nothing(t, explore(t, 200, drawn, func(g *ground, td *machine.Thread) func() error {
				begin := func() {}
				if slow {
					begin = slowly(g)
				}
				const senders, each = 2, 2
				var kqs [2]int
				var counted [2]int64 // each a taker's, and the check's
				sig := event.Kevent{Ident: uint64(syscall.SIGURG), Filter: event.Signal, Flags: event.Add}
				for i := range kqs {
					kq, err := g.p.Kqueue(td)
					g.must(td, "kqueue", err)
					_, err = g.p.Kevent(td, kq, []event.Kevent{sig}, nil, 0)
					g.must(td, "add", err)
					kqs[i] = kq
				}
				begin()
				for i := range senders {
					g.m.Go(fmt.Sprintf("sender %d", i), i, func(td *machine.Thread) {
						for range each {
							g.must(td, "kill", g.p.Kill(td, syscall.SIGURG))
						}
					})
				}
				g.m.Go("alarm", 0, func(td *machine.Thread) {
					c := g.m.NewCallout("alarm", td.Home(), func(td *machine.Thread) {
						g.must(td, "kill", g.p.Kill(td, syscall.SIGURG))
					})
					td.Interlock(&c.Ended)
					c.Reset(td, td.Now())
					td.Sleep(machine.Forever)
				})
				for i := range kqs {
					g.m.Go(fmt.Sprintf("taker %d", i), i, func(td *machine.Thread) {
						for counted[i] < senders*each+1 {
							var e [1]event.Kevent
							n, err := g.p.Kevent(td, kqs[i], nil, e[:], machine.Forever)
							g.must(td, "kevent", err)
							if n != 1 {
								return
							}
							counted[i] += e[0].Data
						}
					})
				}
				return func() error {
					for i, n := range counted {
						if n != senders*each+1 {
							return fmt.Errorf("I10: queue %d has counted %d signals of %d", i, n, senders*each+1)
						}
					}
					return nil
				}
			}))
		})
	}
}

// A knote that tracks, and ends while a fork is on its way, is kept from becoming another
// until the fork has done with it (bug F6). Here its queue is closed, so that the child
// cannot be tracked, which is to be told to nobody.
func TestHeldExplored(t *testing.T) {
	nothing(t, explore(t, 150, drawn, func(g *ground, td *machine.Thread) func() error {
		var kqs [2]int
		var err error
		for i := range kqs {
			kqs[i], err = g.p.Kqueue(td)
			g.must(td, "kqueue", err)
		}
		track := event.Kevent{Ident: 1, Filter: event.Proc, Flags: event.Add, Fflags: event.NoteTrack}
		_, err = g.p.Kevent(td, kqs[0], []event.Kevent{track}, nil, 0)
		g.must(td, "track", err)
		g.m.Go("forks", 0, func(td *machine.Thread) {
			_, err := g.p.Fork(td)
			g.must(td, "fork", err)
		})
		var events [4]event.Kevent
		n := 0
		g.m.Go("closes", 1, func(td *machine.Thread) {
			g.must(td, "close", g.p.Close(td, kqs[0]))
			var err error
			n, err = g.p.Kevent(td, kqs[1], []event.Kevent{{Ident: 7, Filter: event.User, Flags: event.Add}}, events[:], 0)
			g.must(td, "kevent", err)
		})
		return func() error {
			if n != 0 {
				return fmt.Errorf("events %v, want none", events[:n])
			}
			return nil
		}
	}))
}

// Who waits for SIGCHLD, or for NOTE_EXIT, and then for children until there is none, finds
// them all: the status is there before either is told.
func TestWaitForChildren(t *testing.T) {
	for _, by := range []event.Filter{event.Signal, event.Proc} {
		t.Run(by.String(), func(t *testing.T) {
			nothing(t, explore(t, 200, drawn, func(g *ground, td *machine.Thread) func() error {
				kq, err := g.p.Kqueue(td)
				g.must(td, "kqueue", err)
				const children = 3
				var all [children]*proc.Process
				changes := []event.Kevent{{Ident: uint64(syscall.SIGCHLD), Filter: event.Signal, Flags: event.Add}}
				if by == event.Proc {
					changes = nil
				}
				for i := range all {
					all[i], err = g.p.Fork(td)
					g.must(td, "fork", err)
					if by == event.Proc {
						changes = append(changes, event.Kevent{Ident: uint64(all[i].Pid()), Filter: event.Proc, Flags: event.Add, Fflags: event.NoteExit})
					}
				}
				_, err = g.p.Kevent(td, kq, changes, nil, 0)
				g.must(td, "add", err)
				for i, c := range all {
					g.m.Go(fmt.Sprintf("child %d", i), i%2, func(td *machine.Thread) { g.must(td, "exit", c.Exit(td, proc.Exited(i))) })
				}
				found := 0
				g.m.Go("parent", 0, func(td *machine.Thread) {
					for found < children {
						var e [1]event.Kevent
						n, err := g.p.Kevent(td, kq, nil, e[:], machine.Forever)
						g.must(td, "kevent", err)
						before := found
						for {
							pid, status, err := g.p.Wait(td, proc.Any)
							if err != nil {
								break
							}
							if status != proc.Exited(pid-2) {
								g.must(td, "status", fmt.Errorf("of process %d: %v", pid, status))
							}
							found++
						}
						if by == event.Proc && n == 1 && before == 0 && found == 0 {
							g.must(td, "wait", fmt.Errorf("NOTE_EXIT of process %d, and no child has ended", e[0].Ident))
						}
					}
				})
				return func() error { return nil }
			}))
		})
	}
}

// A signal ends a process while its threads come, wait and go. Whoever waits is let go, and
// nobody makes a descriptor that nobody closes.
func TestKilledExplored(t *testing.T) {
	nothing(t, explore(t, 300, drawn, func(g *ground, td *machine.Thread) func() error {
		c, err := g.p.Fork(td)
		g.must(td, "fork", err)
		for i := range 2 {
			g.m.Go(fmt.Sprintf("thread %d", i), i, func(td *machine.Thread) {
				c.Join(td)
				defer c.Part(td)
				kq, err := c.Kqueue(td)
				if err == nil {
					_, err = c.Kevent(td, kq, nil, make([]event.Kevent, 1), machine.Forever)
				}
				switch err {
				case syscall.ESRCH, syscall.EBADF, syscall.EINTR:
				default:
					g.must(td, "ended", fmt.Errorf("error %v", err))
				}
			})
		}
		g.m.Go("kills", 0, func(td *machine.Thread) { g.must(td, "kill", c.Kill(td, syscall.SIGTERM)) })
		g.m.Go("kills too", 1, func(td *machine.Thread) {
			if err := c.Exit(td, proc.Exited(1)); err != nil && err != syscall.ESRCH {
				g.must(td, "exit", err)
			}
		})
		return func() error { return nil }
	}))
}
