package machine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// placed returns on which CPUs two threads place three objects each, and the decisions
// that led to it.
func placed(s sched.Scheduler, draw bool) (cpus []int, schedule []int) {
	r := &sched.Recorded{Scheduler: s}
	r.Begin()
	m := Virtual(2, r)
	defer m.Abandon()
	if draw {
		m.DrawPlacement()
	}
	cpus = make([]int, 6)
	for i := range 2 {
		m.Go(fmt.Sprint("t", i), i, func(td *Thread) {
			for j := range 3 {
				new(Uint32).Load(td)
				cpus[3*i+j] = td.Home().ID()
			}
		})
	}
	if err := m.Run(); err != nil {
		panic(err)
	}
	return cpus, slices.Clone(r.Schedule)
}

// The scheduler says where objects are, each way is taken, and a replay goes the same.
// Undrawn, they are at home, and so they are if always the first possibility is chosen.
func TestDrawPlacement(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(400) {
		cpus, schedule := placed(sched.NewRandom(seed), true)
		seen[fmt.Sprint(cpus)] = true
		again := sched.NewReplay(schedule)
		if got, _ := placed(again, true); !slices.Equal(got, cpus) || again.Misfit() != 0 || again.Left() != 0 {
			t.Fatalf("seed %d: replayed %v, want %v", seed, got, cpus)
		}
		if got, _ := placed(sched.NewRandom(seed), false); got[0]+got[1]+got[2]+got[3]+got[4]+got[5] != 3 {
			t.Fatalf("seed %d: undrawn %v", seed, got)
		}
	}
	if len(seen) != 1<<6 {
		t.Errorf("%d placements of six objects, want all 64", len(seen))
	}
	if got, _ := placed(sched.NewReplay(nil), true); !slices.Equal(got, []int{0, 0, 0, 1, 1, 1}) {
		t.Errorf("by the first possibility each: %v", got)
	}
}

// trusting is a program in which a sleeper waits for a flag. One that trusts its wakeup
// does not look again.
func trusting(trust bool) func(m *Machine) func() error {
	return func(m *Machine) func() error {
		m.AllowSpurious(2)
		flag, seen := false, false
		mu, wc := &Mutex{Name: "mu"}, &WaitChan{Name: "flag"}
		wake := func(td *Thread) {
			mu.Lock(td)
			flag = true
			td.Wakeup(wc)
			mu.Unlock(td)
		}
		m.Go("waiter", 0, func(td *Thread) {
			mu.Lock(td)
			for !flag {
				td.Interlock(wc)
				mu.Unlock(td)
				if err := td.Sleep(Forever); err != nil {
					panic(err)
				}
				mu.Lock(td)
				if trust {
					break
				}
			}
			seen = flag
			mu.Unlock(td)
			if wc.first != nil {
				panic("still on the wait channel")
			}
		})
		m.Go("waker", 1, wake)
		return func() error {
			if !seen {
				return fmt.Errorf("the waiter has not seen the flag")
			}
			return nil
		}
	}
}

// A sleep that ends with no wakeup is survived by who looks again, and found in who does
// not: by it alone.
func TestAllowSpurious(t *testing.T) {
	none(t, explore(t, seeds(1000), 2, trusting(false)))
	if errs := explore(t, 200, 2, trusting(true)); len(errs) == 0 {
		t.Error("200 seeds do not find who trusts its wakeup")
	}
	none(t, explore(t, seeds(1000), 2, func(m *Machine) func() error {
		check := trusting(true)(m)
		m.AllowSpurious(0)
		return check
	}))
}

// There are no more than were allowed, in each execution anew, so who waits for what
// never comes is asleep in the end; and each of them is a decision, which a replay makes
// again.
func TestSpuriousBounded(t *testing.T) {
	const most = 3
	s := &sched.Recorded{Scheduler: sched.NewRandom(1)}
	var counts [most + 1]int
	play := func(m *Machine) (ends int) {
		m.Go("waiter", 0, func(td *Thread) {
			for {
				td.Interlock(&WaitChan{Name: "never"})
				td.Sleep(Forever)
				ends++
			}
		})
		if err := m.Run(); err == nil || !strings.Contains(err.Error(), "waiter waits for never") {
			t.Fatalf("Run returns %v, want a deadlock", err)
		}
		m.Abandon()
		return ends
	}
	for range 200 {
		s.Begin()
		m := Virtual(1, s)
		m.AllowSpurious(most)
		ends := play(m)
		counts[ends]++
		again := sched.NewReplay(slices.Clone(s.Schedule))
		m = Virtual(1, again)
		m.AllowSpurious(most)
		again.Begin()
		if got := play(m); got != ends || again.Misfit() != 0 {
			t.Fatalf("replayed, %d sleeps end, want %d", got, ends)
		}
	}
	if slices.Contains(counts[:], 0) {
		t.Errorf("of 200 executions so many had 0, 1, 2, 3 of them: %v", counts)
	}

	// A machine that is kept begins each execution with as many as it was allowed.
	m := Virtual(1, sched.NewReplay([]int{1, 1, 1, 1, 1, 1}))
	m.AllowSpurious(1)
	defer m.Abandon()
	for range 2 {
		ends := 0
		m.Go("waiter", 0, func(td *Thread) {
			for range 2 {
				td.Interlock(&WaitChan{Name: "nap"})
				if td.Sleep(td.Now()+1) == nil {
					ends++
				}
			}
		})
		if err := m.Run(); err != nil || ends != 1 {
			t.Fatalf("%d sleeps of one allowed end with no wakeup, %v", ends, err)
		}
		if !m.Reset() {
			t.Fatal("the machine cannot be kept")
		}
	}
}

// What makes no sense is said at once.
func TestChooseMisuse(t *testing.T) {
	for what, f := range map[string]func(){
		"DrawPlacement of a machine":        func() { Native(1).DrawPlacement() },
		"AllowSpurious of a machine":        func() { Native(1).AllowSpurious(1) },
		"AllowSpurious of -1 wakeups, want": func() { Virtual(1, sched.NewRandom(1)).AllowSpurious(-1) },
	} {
		func() {
			defer func() {
				if e := fmt.Sprint(recover()); !strings.Contains(e, what) {
					t.Errorf("panic %q, want %q in it", e, what)
				}
			}()
			f()
		}()
	}
}
