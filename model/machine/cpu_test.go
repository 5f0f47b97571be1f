package machine

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

func TestCPUExcludes(t *testing.T) {
	m := Native(2)
	var n [2]int
	for i := range 4 {
		m.Go(fmt.Sprint("stays", i), i%2, func(td *Thread) {
			for j := range rounds(10000) {
				if i == 3 && j%3 == 0 {
					td.EnterCritical()
					td.EnterCritical()
					n[td.On().ID()]++
					td.ExitCritical()
					td.ExitCritical()
				} else {
					td.Migrate(m.CPU(j % 2))
					n[j%2]++
				}
				td.Leave()
			}
		})
	}
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	}, attached(m, "visits", 0, func(td *Thread) {
		for j := range rounds(10000) {
			td.Migrate(m.CPU(j % 2))
			n[j%2]++
			td.Leave()
			if td.On() != nil {
				t.Error("an attached thread stays")
			}
		}
	}))
	if want := 5 * rounds(10000); n[0]+n[1] != want {
		t.Errorf("counted %v on the CPUs, want %d", n, want)
	}
}

// waitingFor is how many threads wait for c.
func (c *CPU) waitingFor() uint32 { return c.attn.Load() / waiting }

func TestCPUIsHandedOverInOrder(t *testing.T) {
	m := Native(1)
	c := m.CPU(0)
	holder := m.Attach("holder", 0)
	holder.Migrate(c)
	const n = 5
	var order []int // guarded by c
	fs := []func(){func() {
		until(func() bool { return c.waitingFor() == n })
		holder.Leave()
	}}
	for i := range n {
		fs = append(fs, attached(m, fmt.Sprint(i), 0, func(td *Thread) {
			until(func() bool { return c.waitingFor() == uint32(i) })
			td.Migrate(c)
			order = append(order, i)
			td.Leave()
		}))
	}
	finish(t, fs...)
	if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
		t.Errorf("the CPU went to %v, want 0 to 4 in order", order)
	}
}

// TestLazyStay: a thread of Go stays on its home CPU, and nowhere else, until
// another waits, who has it at the next Leave.
func TestLazyStay(t *testing.T) {
	m := Native(2)
	c := m.CPU(0)
	waiter := m.Attach("waiter", 1)
	got := make(chan struct{})
	finish(t, func() {
		m.Go("a", 0, func(td *Thread) {
			td.Migrate(c)
			td.Leave()
			if td.On() != c {
				t.Error("does not stay at home though nobody waits")
			}
			td.Migrate(m.CPU(1))
			td.Leave()
			if td.On() != nil {
				t.Error("stays on another CPU than its own")
			}
			td.Migrate(c)
			td.Leave()
			go func() {
				waiter.Migrate(c)
				if waiter.On() != c {
					t.Error("Migrate does not arrive")
				}
				waiter.Leave()
				close(got)
			}()
			until(func() bool { return c.waitingFor() == 1 })
			td.Migrate(c) // it is here, and may go on until it leaves
			select {
			case <-got:
				t.Error("the waiter is on a CPU that another is on")
			default:
			}
			td.Leave()
			if td.On() != nil {
				t.Error("stays although another waits")
			}
			<-got
			if len(m.all) == 0 || waiter.Stats.Contended != 1 {
				t.Errorf("the wait counts as %d contended, want 1", waiter.Stats.Contended)
			}
		})
		if err := m.Run(); err != nil {
			t.Error(err)
		}
		if c.held.Load() != 0 {
			t.Error("a thread that has ended holds its CPU")
		}
	})
}

func TestMail(t *testing.T) {
	m := Native(2)
	a, b := m.Attach("a", 0), m.Attach("b", 1)
	c := m.CPU(0)
	var got []string
	letter := func(s string) *Mail {
		return &Mail{To: receiver(func(td *Thread) {
			if td.On() != c || c.held.Load() != 1 {
				t.Errorf("%s is received elsewhere than on its CPU", s)
			}
			got = append(got, s+" by "+td.Name)
		})}
	}
	want := func(when string, w ...string) {
		t.Helper()
		if !slices.Equal(got, w) {
			t.Errorf("%s: received %q, want %q", when, got, w)
		}
		got = nil
	}
	b.Migrate(m.CPU(1))
	c.Send(b, letter("1"))
	want("sent to an idle CPU", "1 by b")
	if b.On() != m.CPU(1) || c.held.Load() != 0 {
		t.Error("the sender does not come back from the CPU it interrupted")
	}
	a.Migrate(c)
	c.Send(b, letter("2"))
	c.Send(b, letter("3"))
	want("sent to a held CPU")
	a.Migrate(c)
	want("the holder enters", "2 by a", "3 by a")
	c.Send(b, letter("4"))
	a.Leave()
	want("the holder leaves", "4 by a")
	a.EnterCritical()
	c.Send(b, letter("5"))
	a.Leave()
	want("in a critical section")
	a.ExitCritical()
	want("the critical section ends", "5 by a")
	a.Migrate(c)
	a.EnterCritical()
	a.ExitCritical()
	if a.On() != c {
		t.Error("a critical section ends the visit that it is in")
	}
	c.Send(a, letter("6"))
	want("sent to itself")
	a.Leave()
	want("leaving", "6 by a")
	c.mail.Push(b, letter("7")) // as if it had come while the CPU was let go of
	c.attn.Or(mailed)
	a.Migrate(c)
	want("arriving", "7 by a")
	a.Leave()
	if b.Stats.IPIs != 5 || a.Stats.IPIs != 1 {
		t.Errorf("counted %d and %d messages, want 5 and 1", b.Stats.IPIs, a.Stats.IPIs)
	}
}

// TestCriticalGivesWay: a thread that does nothing but critical sections does
// not keep its CPU between them.
func TestCriticalGivesWay(t *testing.T) {
	m := Native(1)
	var stop atomic.Bool
	m.Go("a", 0, func(td *Thread) {
		for !stop.Load() {
			td.EnterCritical()
			td.ExitCritical()
		}
	})
	finish(t, func() {
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	}, attached(m, "b", 0, func(td *Thread) {
		for range 100 {
			td.Migrate(m.CPU(0))
			td.Leave()
		}
		stop.Store(true)
	}))
}

// TestSecondLook: a message is received although nobody comes by after the
// leaver and the sender.
func TestSecondLook(t *testing.T) {
	m := Native(2)
	c := m.CPU(0)
	leaver, sender := m.Attach("leaver", 0), m.Attach("sender", 1)
	got := 0
	mail := Mail{To: receiver(func(*Thread) { got++ })}
	var round, left, sent atomic.Int32
	n := rounds(5000)
	finish(t, func() {
		for i := range int32(n) {
			until(func() bool { return round.Load() == i+1 })
			leaver.Migrate(c)
			leaver.Leave()
			left.Add(1)
		}
	}, func() {
		for i := range int32(n) {
			round.Store(i + 1)
			if i%3 == 0 {
				for spins := 0; spins < 200 && c.held.Load() == 0 && left.Load() == i; spins++ {
				}
			}
			c.Send(sender, &mail)
			sent.Add(1)
			until(func() bool { return left.Load() == i+1 })
			if got != int(i)+1 {
				t.Errorf("round %d: received %d messages, want %d", i, got, i+1)
				got = int(i) + 1
				for j := i + 1; j < int32(n); j++ { // let the leaver end
					round.Store(j + 1)
					until(func() bool { return left.Load() == j+1 })
				}
				return
			}
		}
	})
}

// TestMailOnArrival: what was sent before Migrate was called has been received
// when it returns.
func TestMailOnArrival(t *testing.T) {
	m := Native(2)
	c := m.CPU(0)
	var fs []func()
	for i := range 3 {
		fs = append(fs, attached(m, fmt.Sprint(i), i%2, func(td *Thread) {
			got := 0 // guarded by c
			mail := Mail{To: receiver(func(*Thread) { got++ })}
			for j := range rounds(10000) {
				c.Send(td, &mail)
				td.Migrate(c)
				if got != j+1 {
					t.Errorf("on arrival %d messages are received, want %d", got, j+1)
				}
				td.Leave()
			}
		}))
	}
	finish(t, fs...)
}

// A numbered is the nth message of a sender to a desk.
type numbered struct {
	Mail
	from, n int
	desk    *desk
}

// A desk is where numbered messages are read.
type desk struct {
	t    *testing.T
	box  Inbox
	seen [4]int // next number of each sender
	last int
	met  atomic.Int32 // how often a message followed another sender's
}

func (d *desk) post(td *Thread, from, n int) {
	l := &numbered{from: from, n: n, desk: d}
	l.To = l
	d.box.Push(td, &l.Mail)
}

func (l *numbered) Receive(td *Thread) {
	d := l.desk
	if l.n != d.seen[l.from] {
		d.t.Errorf("sender %d's message %d arrives as its number %d", l.from, l.n, d.seen[l.from])
	}
	d.seen[l.from] = l.n + 1
	if l.from != d.last {
		d.last = l.from
		d.met.Add(1)
	}
	if l.from == 3 && l.n == 0 { // received, it may be posted again at once
		l.n = 1
		d.box.Push(td, &l.Mail)
	}
}

// TestInbox: every message arrives, once, in the order of its sender.
func TestInbox(t *testing.T) {
	m := Native(2)
	d := &desk{t: t}
	var want [4]int
	var left atomic.Int32
	left.Store(3)
	var fs []func()
	for i := range 3 {
		fs = append(fs, attached(m, fmt.Sprint(i), i%2, func(td *Thread) {
			// Until they have come between each other often enough.
			n := 0
			for ; n < 1000 || n < 300_000 && d.met.Load() < 2000; n++ {
				d.post(td, i, n)
			}
			want[i] = n
			left.Add(-1)
		}))
	}
	fs = append(fs, attached(m, "reader", 0, func(td *Thread) {
		d.post(td, 3, 0)
		want[3] = 2
		for left.Load() > 0 {
			d.box.Drain(td)
			runtime.Gosched()
		}
		for !d.box.Empty(td) {
			d.box.Drain(td)
		}
	}))
	finish(t, fs...)
	if d.seen != want {
		t.Errorf("received %v, want %v", d.seen, want)
	}
}
