package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// racy has this binary run the racy program that it names, in a process of its own:
// a race makes the whole of it fail.
const racy = "KQLAB_MACHINE_RACY"

// runRacy reports whether the environment names a program, and has explored it.
func runRacy() bool {
	name := os.Getenv(racy)
	for _, p := range races {
		if p.name == name {
			for seed := range uint64(200) {
				m := Virtual(2, sched.NewRandom(seed))
				p.program(m)
				m.Run()
				m.Abandon()
			}
			return true
		}
	}
	if name != "" {
		fmt.Println("no such program:", name)
	}
	return name != ""
}

func TestMain(m *testing.M) {
	if runRacy() {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A field is plain: nothing orders those who touch it.
type field struct{ n int }

func (f *field) byOne() { f.n++ }

func (f *field) byOther() { f.n += 2 }

// races are programs in which two threads touch a field that only one of them, or
// neither, guards: each with a primitive that gives no order for it.
var races = []struct {
	name    string
	program func(m *Machine)
}{
	{"nothing", func(m *Machine) {
		f := &field{}
		m.Go("one", 0, func(td *Thread) { f.byOne() })
		m.Go("other", 1, func(td *Thread) { f.byOther() })
	}},
	{"points alone", func(m *Machine) {
		f := &field{}
		m.Go("one", 0, func(td *Thread) { new(Uint32).Load(td); f.byOne(); new(Uint32).Load(td) })
		m.Go("other", 1, func(td *Thread) { new(Uint32).Load(td); f.byOther(); new(Uint32).Load(td) })
	}},
	{"two tokens", func(m *Machine) {
		f, a, b := &field{}, &Token{}, &Token{}
		m.Go("one", 0, func(td *Thread) { td.Get(a); f.byOne(); td.Put(a) })
		m.Go("other", 1, func(td *Thread) { td.Get(b); f.byOther(); td.Put(b) })
	}},
	{"two CPUs", func(m *Machine) {
		f := &field{}
		m.Go("one", 0, func(td *Thread) { td.Migrate(m.CPU(0)); f.byOne(); td.Leave() })
		m.Go("other", 1, func(td *Thread) { td.Migrate(m.CPU(1)); f.byOther(); td.Leave() })
	}},
	{"one with the mutex", func(m *Machine) {
		f, mu := &field{}, &Mutex{}
		m.Go("one", 0, func(td *Thread) { mu.Lock(td); f.byOne(); mu.Unlock(td) })
		m.Go("other", 1, func(td *Thread) { f.byOther() })
	}},
	{"after the wakeup", func(m *Machine) {
		f, wc := &field{}, &WaitChan{}
		m.Go("one", 0, func(td *Thread) { td.Interlock(wc); td.Sleep(5); f.byOne() })
		m.Go("other", 1, func(td *Thread) { td.Wakeup(wc); f.byOther() })
	}},
	{"two wait channels", func(m *Machine) {
		f := &field{}
		var wcs [2]WaitChan
		for i, touch := range []func(){f.byOne, f.byOther} {
			m.Go("sleeper", i, func(td *Thread) { td.Interlock(&wcs[i]); td.Sleep(Forever); touch() })
			m.Go("waker", i, func(td *Thread) { td.Wakeup(&wcs[i]) })
		}
	}},
	{"callout", func(m *Machine) {
		f := &field{}
		c := m.NewCallout("c", m.CPU(0), func(td *Thread) { f.byOne() })
		m.Go("other", 1, func(td *Thread) { c.Reset(td, 1); f.byOther(); td.Interlock(&WaitChan{}); td.Sleep(2) })
	}},
	{"mail", func(m *Machine) {
		f := &field{}
		m.Go("other", 1, func(td *Thread) {
			m.CPU(0).Send(td, &Mail{To: receiver(func(*Thread) { f.byOne() })})
			f.byOther()
		})
		m.Go("owner", 0, func(td *Thread) { td.Migrate(m.CPU(0)); new(Uint32).Load(td); td.Leave() })
	}},
	{"start", func(m *Machine) {
		f := &field{}
		m.Go("one", 0, func(td *Thread) {
			m.Go("other", 1, func(td *Thread) { f.byOther() })
			f.byOne()
		})
	}},
	{"ends", func(m *Machine) { // of other threads, before and between
		f := &field{}
		m.Go("one", 0, func(td *Thread) { f.byOne() })
		for range 3 {
			m.Go("none", 0, func(td *Thread) { m.Go("none", 1, func(td *Thread) {}) })
		}
		m.Go("first", 1, func(td *Thread) { m.Go("other", 1, func(td *Thread) { f.byOther() }) })
	}},
}

// The race detector sees, on a virtual machine, what no primitive puts in order.
func TestVirtualRaces(t *testing.T) {
	if !raceEnabled {
		t.Skip("only a build with the race detector sees races: go test -race")
	}
	for _, p := range races {
		t.Run(p.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), racy+"="+p.name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 66 {
				t.Fatalf("ends with %v, want the exit status of a race\n%s", err, out)
			}
			for _, want := range []string{"DATA RACE", "byOne", "byOther"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "virtual.go:") && strings.Contains(string(out), "(*virtual)") {
				t.Errorf("the machine's own books are in\n%s", out)
			}
		})
	}
}

// guarded are programs in which a field is touched by two threads, in an order that
// one primitive gives.
var guarded = []struct {
	name    string
	program func(m *Machine)
}{
	{"token", func(m *Machine) {
		f, tok := &field{}, &Token{}
		for i, touch := range []func(){f.byOne, f.byOther} {
			m.Go("t", i, func(td *Thread) {
				td.Get(tok)
				touch()
				td.Interlock(&WaitChan{})
				td.Sleep(td.Now() + 1)
				touch()
				td.Put(tok)
			})
		}
	}},
	{"token, with others", func(m *Machine) {
		f, tok, more := &field{}, &Token{}, &Token{}
		for i, touch := range []func(){f.byOne, f.byOther} {
			m.Go("t", i, func(td *Thread) {
				td.Migrate(m.CPU(i))
				td.Get(more)
				td.Get(tok)
				touch()
				td.Put(tok)
				td.Put(more)
				td.Leave()
			})
		}
	}},
	{"mutex", func(m *Machine) {
		f, mu := &field{}, &Mutex{}
		for i, touch := range []func(){f.byOne, f.byOther} {
			m.Go("t", i, func(td *Thread) {
				mu.Lock(td)
				touch()
				mu.Unlock(td)
				if mu.TryLock(td) {
					touch()
					mu.Unlock(td)
				}
			})
		}
	}},
	{"CPU", func(m *Machine) {
		f := &field{}
		for i, touch := range []func(){f.byOne, f.byOther, f.byOne} {
			m.Go("t", i%2, func(td *Thread) {
				td.Migrate(m.CPU(0))
				touch()
				new(Uint32).Load(td)
				touch()
				td.Leave()
			})
		}
	}},
	{"critical section", func(m *Machine) {
		f := &field{}
		for _, touch := range []func(){f.byOne, f.byOther} {
			m.Go("t", 0, func(td *Thread) {
				td.EnterCritical()
				touch()
				td.ExitCritical()
			})
		}
	}},
	{"atomic word", func(m *Machine) {
		f, u := &field{}, &Uint32{}
		m.Go("one", 0, func(td *Thread) { f.byOne(); u.Store(td, 1) })
		m.Go("other", 1, func(td *Thread) {
			if u.Load(td) == 1 {
				f.byOther()
			}
		})
	}},
	{"wakeup", func(m *Machine) {
		f, wc := &field{}, &WaitChan{}
		m.Go("one", 0, func(td *Thread) {
			td.Interlock(wc)
			if td.Sleep(5) == nil {
				f.byOne()
			}
		})
		m.Go("other", 1, func(td *Thread) {
			if wc.count() == 0 {
				return
			}
			f.byOther()
			td.WakeupOne(wc)
		})
	}},
	{"mail", func(m *Machine) {
		f := &field{}
		m.Go("sender", 1, func(td *Thread) {
			f.byOther()
			m.CPU(0).Send(td, &Mail{To: receiver(func(*Thread) { f.byOne() })})
		})
		m.Go("owner", 0, func(td *Thread) { td.Migrate(m.CPU(0)); new(Uint32).Load(td); td.Leave() })
	}},
	{"mail, of two", func(m *Machine) {
		f := &field{} // of CPU 0
		for range 2 {
			m.Go("sender", 1, func(td *Thread) {
				m.CPU(0).Send(td, &Mail{To: receiver(func(*Thread) { f.byOne() })})
			})
		}
		m.Go("owner", 0, func(td *Thread) { td.Migrate(m.CPU(0)); f.byOther(); td.Leave() })
	}},
	{"inbox", func(m *Machine) {
		f, box := &field{}, &Inbox{}
		m.Go("sender", 1, func(td *Thread) {
			f.byOther()
			box.Push(td, &Mail{To: receiver(func(*Thread) { f.byOne() })})
		})
		m.Go("reader", 0, func(td *Thread) {
			if !box.Empty(td) {
				box.Drain(td)
			}
		})
	}},
	{"callout", func(m *Machine) {
		f := &field{}
		var c *Callout
		again := true
		c = m.NewCallout("c", m.CPU(0), func(td *Thread) {
			f.byOne()
			if again { // what one run leaves the next may see
				again = false
				c.Reset(td, td.Now()+1)
			}
		})
		m.Go("t", 1, func(td *Thread) {
			f.byOther()
			c.Reset(td, 1)
			td.Interlock(&WaitChan{})
			td.Sleep(2)
			c.Stop(td)
			for c.Running(td) {
				td.Interlock(&c.Ended)
				if c.Running(td) {
					td.Sleep(Forever)
				}
				td.Uninterlock()
			}
			f.byOther()
		})
	}},
	{"start", func(m *Machine) {
		f := &field{}
		f.byOne()
		m.Go("one", 0, func(td *Thread) {
			f.byOne()
			m.Go("other", 1, func(td *Thread) { f.byOther() })
		})
	}},
	{"end", func(m *Machine) { // and the sleep of those who do not end
		f, g := &field{}, &field{}
		m.Go("one", 0, func(td *Thread) { f.byOne() })
		m.Go("sleeper", 0, func(td *Thread) { g.byOne(); td.Interlock(&WaitChan{}); td.Sleep(Forever) })
		m.Run()
		f.byOther()
		g.byOther()
		m.Go("next", 0, func(td *Thread) { f.byOne(); g.byOther() })
	}},
	{"abandoned", func(m *Machine) {
		f := &field{}
		for i, touch := range []func(){f.byOne, f.byOther} {
			m.Go("t", i, func(td *Thread) {
				defer touch()
				td.Interlock(&WaitChan{})
				td.Sleep(Forever)
			})
		}
	}},
}

// What a primitive puts in order is no race, on whatever schedule; nor is what one
// execution leaves to the next.
func TestVirtualGuarded(t *testing.T) {
	for _, p := range guarded {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(seeds(400)) {
				m := Virtual(2, sched.NewRandom(seed))
				p.program(m)
				m.Run()
				m.Abandon()
			}
		})
	}
}

// A panic of a thread comes out of Run, and what the test calls to end ends it.
func TestVirtualThrows(t *testing.T) {
	m := Virtual(1, sched.NewRandom(1))
	m.Go("t", 0, func(td *Thread) { panic("thrown") })
	defer func() {
		if e := recover(); e != "thrown" {
			t.Errorf("Run panics with %v", e)
		}
	}()
	m.Run()
}
