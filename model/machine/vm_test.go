package machine

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// explore runs a program under n seeds, and returns for each the error of Run.
// The program starts threads; check looks at what they left.
func explore(t *testing.T, n int, ncpu int, program func(m *Machine) (check func() error)) (errs []error) {
	t.Helper()
	for seed := range uint64(n) {
		m := Virtual(ncpu, sched.NewRandom(seed))
		check := program(m)
		err := m.Run()
		if err == nil && check != nil {
			err = check()
		}
		if err != nil {
			err = fmt.Errorf("seed %d: %w", seed, err)
			errs = append(errs, err)
		}
		m.Abandon()
	}
	return errs
}

func none(t *testing.T, errs []error) {
	t.Helper()
	if len(errs) > 0 {
		t.Errorf("%d findings, want none; the first: %v", len(errs), errs[0])
	}
}

// A passage is a primitive, and the points that it passes.
type passage struct {
	primitive string
	f         func(td *Thread)
	want      []Point
}

// passages returns all primitives.
func passages() []passage {
	var (
		tok Token
		mu  Mutex
		u   Uint32
		wc  WaitChan
		box Inbox
	)
	return []passage{
		{"Get, Put", func(td *Thread) { td.Get(&tok); td.Put(&tok) }, []Point{PointTryLock, PointUnlock}},
		{"Mutex.Lock, Unlock", func(td *Thread) { mu.Lock(td); mu.Unlock(td) }, []Point{PointLock, PointUnlock}},
		{"Mutex.TryLock", func(td *Thread) { mu.TryLock(td) }, []Point{PointTryLock}},
		{"Uint32.Load", func(td *Thread) { u.Load(td) }, []Point{PointLoad}},
		{"Uint32.Store", func(td *Thread) { u.Store(td, 1) }, []Point{PointStore}},
		{"Uint32.CompareAndSwap", func(td *Thread) { u.CompareAndSwap(td, 0, 1) }, []Point{PointCompareAndSwap}},
		{"Uint32.Add", func(td *Thread) { u.Add(td, 1) }, []Point{PointAdd}},
		{"Migrate", func(td *Thread) { td.Migrate(td.m.CPU(0)) }, []Point{PointTryLock, PointMigrate}},
		{"Leave, attached", func(td *Thread) { td.on = td.m.CPU(0); td.on.held.Store(1); td.lazy = nowhere; td.Leave() }, []Point{PointLeave}},
		{"Inbox.Push", func(td *Thread) { box.Push(td, &Mail{}) }, []Point{PointPush}},
		{"Inbox.Empty", func(td *Thread) { box.Empty(td) }, []Point{PointLoad}},
		{"Inbox.Drain", func(td *Thread) { new(Inbox).Drain(td) }, []Point{PointTake}},
		{"CPU.Send", func(td *Thread) { td.m.CPU(1).Send(td, &Mail{To: receiver(func(*Thread) {})}) },
			[]Point{PointPush, PointTake, PointTryLock, PointLeave}},
		{"Interlock", func(td *Thread) { td.Interlock(&wc); td.Uninterlock() }, []Point{PointInterlock}},
		{"Sleep", func(td *Thread) { td.Interlock(&wc); td.Sleep(1) }, []Point{PointInterlock, PointSleep}},
		{"Wakeup", func(td *Thread) { td.Wakeup(&wc) }, []Point{PointWakeup}},
		{"Unsleep", func(td *Thread) { td.Unsleep(td) }, []Point{PointWakeup}},
		{"Signaled", func(td *Thread) { td.Catch(&u); td.Signaled() }, []Point{PointLoad}},
		{"Signaled, catching nothing", func(td *Thread) { td.Signaled() }, nil},
		{"WakeupOne", func(td *Thread) { td.WakeupOne(&wc) }, []Point{PointWakeup}},
		{"Callout", func(td *Thread) {
			td.m.NewCallout("c", td.m.CPU(0), func(*Thread) {}).Reset(td, Forever)
		}, []Point{PointCallout}},
		{"Callout.Stop", func(td *Thread) { td.m.NewCallout("c", td.m.CPU(0), nil).Stop(td) }, []Point{PointCallout}},
		{"Callout.Running", func(td *Thread) { td.m.NewCallout("c", td.m.CPU(0), nil).Running(td) }, []Point{PointCallout}},
	}
}

// TestPoints: each primitive passes its point before it acts.
func TestPoints(t *testing.T) {
	for _, c := range passages() {
		m := Virtual(2, sched.NewRandom(1))
		points := map[Point]bool{}
		var ended atomic.Bool
		m.vm.trace = func(t *vthread) {
			if !ended.Load() {
				points[t.at] = true
			}
		}
		m.Go("a", 0, func(td *Thread) {
			c.f(td)
			ended.Store(true)
		})
		if err := m.Run(); err != nil {
			t.Error(c.primitive, err)
		}
		var got []Point
		for p := range points {
			got = append(got, p)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s passes the points %v, want %v", c.primitive, got, c.want)
		}
		m.Abandon()
	}
}

// mixture uses all primitives from several threads.
func mixture(m *Machine) (check func() error) {
	var (
		t1, t2  = Token{Name: "t1"}, Token{Name: "t2"}
		mu      = Mutex{Name: "mu"}
		wc      = WaitChan{Name: "wc"}
		n       Uint32
		ticks   int // guarded by t1
		perCPU  [2]int
		inside  [2]int // threads inside a visit
		overlap error
		fired   int
		c       *Callout
	)
	c = m.NewCallout("tick", m.CPU(1), func(td *Thread) {
		td.Get(&t1)
		ticks++
		td.Put(&t1)
		if fired++; fired < 3 {
			c.Reset(td, td.Now()+2)
		}
		td.Wakeup(&wc)
	})
	const threads, rounds = 3, 3
	for i := range threads {
		m.Go(fmt.Sprint("a", i), i%2, func(td *Thread) {
			if i == 0 {
				c.Reset(td, 1)
			}
			for range rounds {
				mu.Lock(td)
				first, second := &t1, &t2
				if i%2 == 1 {
					first, second = second, first
				}
				td.Get(first)
				td.Get(second)
				ticks++
				td.Put(second)
				td.Put(first)
				mu.Unlock(td)

				cpu := m.CPU(int(n.Add(td, 1)) % 2)
				td.Migrate(cpu)
				if inside[cpu.ID()]++; inside[cpu.ID()] != 1 {
					overlap = fmt.Errorf("%d threads on CPU %d", inside[cpu.ID()], cpu.ID())
				}
				n.Load(td) // a point, where others may come in if they can
				perCPU[cpu.ID()]++
				inside[cpu.ID()]--
				td.Leave()

				td.Get(&t1)
				td.Interlock(&wc)
				td.Sleep(td.Now() + 5)
				if !td.Holds(&t1) {
					overlap = fmt.Errorf("woken without its token")
				}
				td.Put(&t1)
			}
			c.Stop(td)
			for c.Running(td) {
				td.Interlock(&c.Ended)
				if c.Running(td) {
					td.Sleep(Forever)
				}
				td.Uninterlock()
			}
		})
	}
	return func() error {
		if overlap != nil {
			return overlap
		}
		if want := threads*rounds + fired; ticks != want {
			return fmt.Errorf("counted %d under the token, want %d", ticks, want)
		}
		if perCPU[0]+perCPU[1] != threads*rounds {
			return fmt.Errorf("counted %v on the CPUs, want %d", perCPU, threads*rounds)
		}
		return nil
	}
}

func TestVirtualMixture(t *testing.T) {
	none(t, explore(t, seeds(400), 2, mixture))
}

// seeds is how many seeds to try.
func seeds(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

func TestVirtualReplays(t *testing.T) {
	trace := func(seed uint64) string {
		m := NewVirtual(2, seed)
		defer m.Abandon()
		mixture(m)
		if err := m.Run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return strings.Join(m.Trace(), "\n")
	}
	different := map[string]bool{}
	for seed := range uint64(20) {
		first := trace(seed)
		for range 3 {
			if again := trace(seed); again != first {
				t.Fatalf("seed %d ran differently the second time", seed)
			}
		}
		different[first] = true
	}
	if len(different) < 15 {
		t.Errorf("20 seeds gave %d traces, want nearly as many", len(different))
	}
}

// lostWakeup is the program that every text warns of. With recheck it
// interlocks first and looks then.
func lostWakeup(recheck bool) func(m *Machine) (check func() error) {
	return func(m *Machine) func() error {
		flag := &Uint32{}
		wc := &WaitChan{Name: "flag"}
		m.Go("waiter", 0, func(td *Thread) {
			for flag.Load(td) == 0 {
				td.Interlock(wc)
				if !recheck || flag.Load(td) == 0 {
					td.Sleep(Forever)
				}
				td.Uninterlock()
			}
		})
		m.Go("setter", 1, func(td *Thread) {
			flag.Store(td, 1)
			td.Wakeup(wc)
		})
		return nil
	}
}

func TestVirtualFindsLostWakeup(t *testing.T) {
	errs := explore(t, 200, 2, lostWakeup(false))
	if len(errs) == 0 {
		t.Fatal("200 seeds do not find the lost wakeup")
	}
	if want := "deadlock: all threads are asleep; waiter waits for flag"; !strings.Contains(errs[0].Error(), want) {
		t.Errorf("got %q, want %q in it", errs[0], want)
	}
	none(t, explore(t, seeds(2000), 2, lostWakeup(true)))
}

// TestVirtualConsumesWakeup: a wakeup that Uninterlock takes back must not end
// the next sleep.
func TestVirtualConsumesWakeup(t *testing.T) {
	none(t, explore(t, seeds(400), 1, func(m *Machine) func() error {
		var first, second WaitChan
		var err error
		m.Go("a", 0, func(td *Thread) {
			td.Interlock(&first)
			new(Uint32).Load(td) // a point, where b may come in
			td.Uninterlock()
			td.Interlock(&second)
			if err = td.Sleep(3); err != ErrTimeout {
				err = fmt.Errorf("Sleep on a channel that nobody wakes returns %v", err)
			} else {
				err = nil
			}
			if second.first != nil {
				err = fmt.Errorf("still on the channel after the sleep")
			}
		})
		m.Go("b", 0, func(td *Thread) { td.Wakeup(&first) })
		return func() error { return err }
	}))
}

// TestVirtualMutexDeadlock: a real deadlock of mutexes is found, and names
// what each waits for; tokens in opposite orders have none.
func TestVirtualMutexDeadlock(t *testing.T) {
	errs := explore(t, 200, 2, func(m *Machine) func() error {
		x, y := &Mutex{Name: "x"}, &Mutex{Name: "y"}
		for i, order := range [][2]*Mutex{{x, y}, {y, x}} {
			m.Go(fmt.Sprint("t", i), i, func(td *Thread) {
				order[0].Lock(td)
				order[1].Lock(td)
				order[1].Unlock(td)
				order[0].Unlock(td)
			})
		}
		return nil
	})
	if len(errs) == 0 {
		t.Fatal("200 seeds do not find the deadlock of two mutexes")
	}
	if want := "t0 waits for y; t1 waits for x"; !strings.Contains(errs[0].Error(), want) {
		t.Errorf("got %q, want %q in it", errs[0], want)
	}
	none(t, explore(t, seeds(1000), 2, func(m *Machine) func() error {
		x, y := &Token{Name: "x"}, &Token{Name: "y"}
		n := 0
		for i, order := range [][2]*Token{{x, y}, {y, x}, {m.MPLock(), y}, {x, m.MPLock()}} {
			m.Go(fmt.Sprint("t", i), i%2, func(td *Thread) {
				td.Migrate(m.CPU(0)) // the CPU is one more thing to have back
				td.Get(order[0])
				td.Get(order[1])
				n++
				td.Put(order[1])
				td.Put(order[0])
				td.Leave()
			})
		}
		return func() error {
			if n != 4 {
				return fmt.Errorf("%d of 4 threads came through", n)
			}
			return nil
		}
	}))
}

// TestVirtualMail: mail is worked off without another visitor (seam.md's trap
// of the second look): the leaver has seen an empty box when the sender posts,
// and the sender a held CPU.
func TestVirtualMail(t *testing.T) {
	none(t, explore(t, seeds(2000), 2, func(m *Machine) func() error {
		got := 0
		m.Go("leaver", 1, func(td *Thread) {
			td.Migrate(m.CPU(0))
			td.Leave()
		})
		m.Go("sender", 1, func(td *Thread) {
			m.CPU(0).Send(td, &Mail{To: receiver(func(*Thread) { got++ })})
		})
		return func() error {
			if got != 1 {
				return fmt.Errorf("the message was received %d times, want 1", got)
			}
			return nil
		}
	}))
}

// TestVirtualCallout: of Stop and expiry one wins, and after Stop and a wait
// for its end the function runs no more.
func TestVirtualCallout(t *testing.T) {
	ran, stopped := 0, 0
	none(t, explore(t, seeds(1000), 2, func(m *Machine) func() error {
		var fires, stops int
		freed := false
		var late error
		c := m.NewCallout("c", m.CPU(1), func(td *Thread) {
			td.Migrate(m.CPU(1))
			if freed {
				late = fmt.Errorf("runs after it was stopped and waited for")
			}
			fires++
			td.Leave()
		})
		m.Go("a", 0, func(td *Thread) {
			c.Reset(td, 1)
			for td.Now() == 0 && td.m.steps() < 40 {
				c.Running(td)
			}
			if c.Stop(td) {
				stops++
			}
			for c.Running(td) {
				td.Interlock(&c.Ended)
				if c.Running(td) {
					td.Sleep(Forever)
				}
				td.Uninterlock()
			}
			freed = true
		})
		return func() error {
			ran += fires
			stopped += stops
			if late != nil {
				return late
			}
			if fires+stops != 1 {
				return fmt.Errorf("%d runs and %d stops of one arming", fires, stops)
			}
			return nil
		}
	}))
	if ran == 0 || stopped == 0 {
		t.Errorf("%d runs, %d stops: one of the orders was never met", ran, stopped)
	}
}

// TestVirtualStepLimit: a livelock ends as a finding.
func TestVirtualStepLimit(t *testing.T) {
	m := Virtual(1, sched.NewRandom(1))
	defer m.Abandon()
	m.Go("spinner", 0, func(td *Thread) {
		for u := new(Uint32); u.Load(td) == 0; {
		}
	})
	if err := m.Run(); err == nil || !strings.Contains(err.Error(), "livelock") {
		t.Errorf("Run of an endless loop returns %v", err)
	}
}
