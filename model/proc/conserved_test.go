package proc_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
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
func TestTrackHeld(t *testing.T) {
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
