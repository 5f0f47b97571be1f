package device_test

import (
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

var configs = []device.ProbeConfig{
	{}, {Unsafe: true}, {Blocks: true}, {Unsafe: true, Blocks: true},
	{Gated: true}, {Unsafe: true, Gated: true}, {Unsafe: true, Blocks: true, Gated: true},
}

// eachProbe runs f with a probe of every kind, on a descriptor.
func eachProbe(t *testing.T, f func(l *lab, p *device.Probe, fd uint64)) {
	for _, c := range configs {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			each(t, func(l *lab) {
				p := device.NewProbe(l.td, l.k, c)
				f(l, p, l.open(p))
			})
		})
	}
}

func TestProbe(t *testing.T) {
	eachProbe(t, func(l *lab, p *device.Probe, fd uint64) {
		for _, f := range []event.Filter{event.Read, event.Write} {
			kev := func(flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
				return event.Kevent{Ident: fd, Filter: f, Flags: flags, Fflags: fflags, Data: data}
			}
			p.Set(l.td, 0)
			l.change(kev(event.Add, event.NoteLowat, -1), syscall.EINVAL)
			l.change(kev(event.Add, event.NoteOOB, 1), syscall.EINVAL)
			l.change(kev(event.Delete, 0, 0), syscall.ENOENT)
			l.change(kev(event.Add, 0, 0), nil)
			l.expect()
			p.Set(l.td, 1)
			l.expect(kev(0, 0, 1))
			p.Add(l.td, 4)
			l.expect(kev(0, 0, 5))
			p.Add(l.td, -5)
			l.expect()
			p.Add(l.td, -5)
			l.expect()
			p.Set(l.td, math.MaxInt64)
			l.expect(kev(0, 0, math.MaxInt64))
			l.change(kev(event.Add, event.NoteLowat, 7), nil)
			p.Set(l.td, 6)
			l.expect()
			p.Set(l.td, 7)
			l.expect(kev(0, 0, 7))
			l.change(kev(event.Add, 0, 7), nil) // without NOTE_LOWAT data is ignored
			p.Set(l.td, 1)
			l.expect(kev(0, 0, 1))
			l.change(kev(event.Delete, 0, 0), nil)
		}
		l.change(event.Kevent{Ident: fd, Filter: event.Except, Flags: event.Add}, syscall.EINVAL)
		l.change(event.Kevent{Ident: fd, Filter: event.Vnode, Flags: event.Add}, syscall.EINVAL)
	})
}

// at is the change of a probe's Read knote.
func at(fd uint64, flags event.Flags, data int64) event.Kevent {
	return event.Kevent{Ident: fd, Filter: event.Read, Flags: flags, Data: data}
}

// gated runs f with a gated probe of either kind.
func gated(t *testing.T, f func(l *lab, p *device.Probe, fd uint64)) {
	for _, unsafe := range []bool{false, true} {
		t.Run(fmt.Sprintf("unsafe %t", unsafe), func(t *testing.T) {
			each(t, func(l *lab) {
				p := device.NewProbe(l.td, l.k, device.ProbeConfig{Unsafe: unsafe, Gated: true})
				f(l, p, l.open(p))
			})
		})
	}
}

// spawn runs f as a thread of its own; the function returned waits for its end.
func (l *lab) spawn(cpu int, f func(td *machine.Thread) error) (wait func() error) {
	over := make(chan error, 1)
	go func() {
		td := l.m.Attach("other", cpu)
		defer td.Detach()
		over <- f(td)
	}()
	return func() error { return <-over }
}

// A held call blocks until it is let on, and meanwhile the rest of the kernel
// goes on: another probe is set and harvested.
func TestHold(t *testing.T) {
	calls := []struct {
		call device.Call
		set  func(l *lab, fd uint64) // before it is held
		do   func(l *lab, td *machine.Thread, p *device.Probe, fd uint64) error
		want []event.Kevent // afterwards
	}{
		{device.InAttach, func(l *lab, fd uint64) {},
			func(l *lab, td *machine.Thread, p *device.Probe, fd uint64) error {
				_, err := l.q.Kevent(td, []event.Kevent{at(fd, event.Add, 0)}, nil, 0)
				return err
			}, []event.Kevent{at(0, 0, 3)}},
		{device.InDetach, func(l *lab, fd uint64) { l.change(at(fd, event.Add, 0), nil) },
			func(l *lab, td *machine.Thread, p *device.Probe, fd uint64) error {
				_, err := l.q.Kevent(td, []event.Kevent{at(fd, event.Delete, 0)}, nil, 0)
				return err
			}, nil},
		{device.InEvent, func(l *lab, fd uint64) { l.change(at(fd, event.Add|event.Clear, 0), nil) },
			func(l *lab, td *machine.Thread, p *device.Probe, fd uint64) error { p.Set(td, 3); return nil },
			[]event.Kevent{at(0, event.Clear, 3)}},
	}
	for _, c := range calls {
		t.Run(c.call.String(), func(t *testing.T) {
			gated(t, func(l *lab, p *device.Probe, fd uint64) {
				c.set(l, fd)
				if c.call == device.InAttach {
					p.Set(l.td, 3)
				}
				p.Hold(l.td, c.call)
				over := l.spawn(1, func(td *machine.Thread) error { return c.do(l, td, p, fd) })
				p.Waiting(l.td, c.call, 1)

				free := device.NewProbe(l.td, l.k, device.ProbeConfig{})
				ffd := l.open(free)
				q := l.k.NewQueue(l.td, l.p)
				events := make([]event.Kevent, 2)
				n, err := q.Kevent(l.td, []event.Kevent{at(ffd, event.Add, 0)}, events, 0)
				if n != 0 || err != nil {
					t.Errorf("beside a blocked filter: %d, %v", n, err)
				}
				free.Set(l.td, 1)
				n, err = q.Kevent(l.td, nil, events, 0)
				if n != 1 || err != nil || events[0] != at(ffd, 0, 1) {
					t.Errorf("beside a blocked filter: %v, %v", events[:n], err)
				}
				l.must(q.Close(l.td))

				p.Let(l.td, c.call)
				l.must(over())
				for i := range c.want {
					c.want[i].Ident = fd
				}
				l.expect(c.want...)
			})
		})
	}
}

// Let lets on who waits although the next Hold follows at once; Waiting does
// not count those any more.
func TestLetThenHold(t *testing.T) {
	gated(t, func(l *lab, p *device.Probe, fd uint64) {
		p.Hold(l.td, device.InAttach)
		add := func(td *machine.Thread) error {
			q := l.k.NewQueue(td, l.p)
			defer q.Close(td)
			_, err := q.Kevent(td, []event.Kevent{at(fd, event.Add, 0)}, nil, 0)
			return err
		}
		first := l.spawn(1, add)
		second := l.spawn(0, add)
		p.Waiting(l.td, device.InAttach, 2)
		p.Let(l.td, device.InAttach)
		p.Hold(l.td, device.InAttach)
		l.must(first())
		l.must(second())
		third := l.spawn(1, add)
		p.Waiting(l.td, device.InAttach, 1)
		p.Let(l.td, device.InAttach)
		l.must(third())
	})
}

func TestFailAttach(t *testing.T) {
	gated(t, func(l *lab, p *device.Probe, fd uint64) {
		p.Set(l.td, 1)
		p.FailAttach(l.td, syscall.ENOMEM)
		l.change(at(fd, event.Add, 0), syscall.ENOMEM)
		l.expect()
		l.change(at(fd, event.Delete, 0), syscall.ENOENT)
		p.Hold(l.td, device.InAttach)
		over := l.spawn(1, func(td *machine.Thread) error {
			_, err := l.q.Kevent(td, []event.Kevent{at(fd, event.Add, 0)}, nil, 0)
			return err
		})
		p.Waiting(l.td, device.InAttach, 1)
		p.FailAttach(l.td, nil)
		p.Let(l.td, device.InAttach)
		l.must(over())
		l.expect(at(fd, 0, 1))
	})
}

// A callout, which must not sleep, passes a held gate.
func TestCalloutPassesTheGate(t *testing.T) {
	gated(t, func(l *lab, p *device.Probe, fd uint64) {
		l.change(at(fd, event.Add, 0), nil)
		p.Hold(l.td, device.InEvent)
		c := l.m.NewCallout("setter", l.m.CPU(1), func(td *machine.Thread) { p.Set(td, 2) })
		c.Reset(l.td, 0)
		var n int
		var e [1]event.Kevent
		over := l.spawn(0, func(td *machine.Thread) (err error) {
			n, err = l.q.Kevent(td, nil, e[:], kqueue.Forever)
			return err
		})
		p.Waiting(l.td, device.InEvent, 1) // posted by the callout, asked by the scan
		p.Let(l.td, device.InEvent)
		l.must(over())
		if n != 1 || e[0] != at(fd, 0, 2) {
			t.Errorf("events %v", e[:n])
		}
	})
}

func TestUngatedProbeHasNoGate(t *testing.T) {
	l := newLab(t, strategies.All[0])
	defer l.end()
	p := device.NewProbe(l.td, l.k, device.ProbeConfig{})
	defer func() {
		if recover() == nil {
			t.Error("Hold on a probe without a gate did not panic")
		}
	}()
	p.Hold(l.td, device.InEvent)
}

// Notifiers, scanners and registrars of one probe at once. The last level is
// reported, edge-triggered, or a scanner sleeps for ever, which is a deadlock;
// and no scanner is told a level after a later one.
func TestProbeStorm(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	eachProbe(t, func(l *lab, p *device.Probe, fd uint64) {
		const notifiers, scanners = 3, 2
		l.change(at(fd, event.Add|event.Clear, 0), nil)
		for i := range notifiers {
			l.m.Go(fmt.Sprintf("notifier %d", i), i%2, func(td *machine.Thread) {
				for range rounds {
					p.Add(td, 1)
				}
			})
		}
		for i := range scanners {
			l.m.Go(fmt.Sprintf("scanner %d", i), i%2, func(td *machine.Thread) {
				var e [2]event.Kevent
				for last := int64(0); last < int64(notifiers*rounds); {
					n, err := l.q.Kevent(td, nil, e[:], kqueue.Forever)
					if err != nil || n != 1 {
						t.Errorf("Kevent: %d, %v", n, err)
						return
					}
					if e[0].Data < last {
						t.Errorf("level %d after %d", e[0].Data, last)
					}
					last = e[0].Data
				}
				p.Add(td, 1) // for the other scanners
			})
		}
		for i := range 2 {
			l.m.Go(fmt.Sprintf("registrar %d", i), i%2, func(td *machine.Thread) {
				q := l.k.NewQueue(td, l.p)
				var e [2]event.Kevent
				for range rounds {
					n, err := q.Kevent(td, []event.Kevent{at(fd, event.Add, 0)}, e[:], 0)
					if err != nil || n > 1 {
						t.Errorf("Kevent: %d, %v", n, err)
					}
					if _, err := q.Kevent(td, []event.Kevent{at(fd, event.Delete, 0)}, nil, 0); err != nil {
						t.Error(err)
					}
				}
				if err := q.Close(td); err != nil {
					t.Error(err)
				}
			})
		}
		l.run()
	})
}

// Each call of a filter that Blocks sleeps once, whoever calls it; in a callout,
// which must not, none does.
func TestProbeBlocks(t *testing.T) {
	for _, unsafe := range []bool{false, true} {
		each(t, func(l *lab) {
			p := device.NewProbe(l.td, l.k, device.ProbeConfig{Unsafe: unsafe, Blocks: true})
			fd := l.open(p)
			sleeps := func(what string, want uint64, do func()) {
				before := l.td.Stats.Sleeps
				do()
				if n := l.td.Stats.Sleeps - before; n != want {
					t.Errorf("unsafe %t: %s: %d sleeps, want %d", unsafe, what, n, want)
				}
			}
			sleeps("attach, event", 2, func() { l.change(at(fd, event.Add|event.Clear, 0), nil) })
			sleeps("event on Set", 1, func() { p.Set(l.td, 3) })
			sleeps("event on retrieval", 1, func() { l.expect(at(fd, event.Clear, 3)) })
			c := l.m.NewCallout("setter", l.m.CPU(1), func(td *machine.Thread) { p.Set(td, 2) })
			c.Reset(l.td, 0)
			var e [1]event.Kevent
			if n, err := l.q.Kevent(l.td, nil, e[:], kqueue.Forever); n != 1 || err != nil || e[0] != at(fd, event.Clear, 2) {
				t.Errorf("unsafe %t: after the callout: %v, %v", unsafe, e[:n], err)
			}
			sleeps("detach", 1, func() { l.change(at(fd, event.Delete, 0), nil) })
		})
	}
}

// A level that a harvest has seen before its knote was told of it is not
// returned again when it is.
func TestProbeIsSeenOnce(t *testing.T) {
	gated(t, func(l *lab, p *device.Probe, fd uint64) {
		l.change(at(fd, event.Add|event.Clear, 0), nil)
		early := 0
		for range 50 {
			p.Set(l.td, 1)
			p.Hold(l.td, device.InEvent)
			var e [1]event.Kevent
			harvest := l.spawn(1, func(td *machine.Thread) error {
				_, err := l.q.Kevent(td, nil, e[:], 0)
				return err
			})
			p.Waiting(l.td, device.InEvent, 1)
			set := l.spawn(0, func(td *machine.Thread) error { p.Set(td, 5); return nil })
			time.Sleep(100 * time.Microsecond) // for Set to come to the knote, mostly
			p.Let(l.td, device.InEvent)
			l.must(harvest())
			l.must(set())
			switch e[0] {
			case at(fd, event.Clear, 5):
				early++
				l.expect()
			case at(fd, event.Clear, 1):
				l.expect(at(fd, event.Clear, 5))
			default:
				l.Fatalf("the harvest has %v", e[0])
			}
		}
		if early == 0 {
			t.Error("no harvest saw a level that its knote had not been told of")
		}
	})
}
