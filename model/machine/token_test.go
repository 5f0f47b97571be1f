package machine

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

func TestTokenIsRecursive(t *testing.T) {
	m := Native(1)
	td := m.Attach("a", 0)
	var x, y Token
	td.Get(&x)
	td.Get(&y)
	td.Get(&x)
	td.Put(&x)
	if !td.Holds(&x) || free(&x) {
		t.Error("x is free after one Put for two Gets")
	}
	td.Put(&y)
	if td.Holds(&y) || !free(&y) {
		t.Error("y is not free after its Put")
	}
	td.Put(&x)
	if td.Holds(&x) || !free(&x) {
		t.Error("x is not free after its last Put")
	}
}

// TestBlockLetsGo: a block of any kind lets go of all tokens and of the CPU,
// and has every one of them back, as often as it was held, before it returns.
func TestBlockLetsGo(t *testing.T) {
	for _, kind := range []string{"sleep", "token", "mutex", "cpu"} {
		t.Run(kind, func(t *testing.T) {
			m := Native(2)
			var x, y, other Token
			var mu Mutex
			var wc WaitChan
			all := []*Token{&x, m.MPLock(), &y}
			ready := make(chan struct{})
			finish(t, attached(m, "blocker", 0, func(td *Thread) {
				if kind != "cpu" {
					td.Migrate(m.CPU(0))
				}
				for _, tok := range append(all, &x) {
					td.Get(tok)
				}
				<-ready
				switch kind {
				case "sleep":
					td.Interlock(&wc)
					ready <- struct{}{}
					td.Sleep(Forever)
				case "token":
					ready <- struct{}{}
					td.Get(&other)
				case "mutex":
					ready <- struct{}{}
					mu.Lock(td)
				case "cpu":
					ready <- struct{}{}
					td.Migrate(m.CPU(0))
				}
				if td.On() != m.CPU(0) || m.CPU(0).held.Load() != 1 {
					t.Error("came back without its CPU")
				}
				for _, tok := range all {
					if !td.Holds(tok) || free(tok) {
						t.Error("came back without its tokens")
					}
				}
				if kind == "token" {
					if !td.Holds(&other) {
						t.Error("came back without the token it waited for")
					}
					td.Put(&other)
				}
				td.Put(&x)
				if !td.Holds(&x) || free(&x) {
					t.Error("x was held twice, and is gone after one Put")
				}
				for _, tok := range []*Token{&y, m.MPLock(), &x} {
					td.Put(tok)
				}
				if kind != "sleep" && td.Stats.Contended == 0 {
					t.Error("the wait is not counted as contended")
				}
				td.Leave()
			}), attached(m, "taker", 1, func(td *Thread) {
				switch kind {
				case "token":
					td.Get(&other)
				case "mutex":
					mu.Lock(td)
				case "cpu":
					td.Migrate(m.CPU(0))
				}
				ready <- struct{}{}
				<-ready
				for _, tok := range all {
					until(func() bool { return free(tok) })
				}
				if kind != "cpu" {
					until(func() bool { return m.CPU(0).held.Load() == 0 })
				}
				switch kind {
				case "sleep":
					td.Wakeup(&wc)
				case "token":
					td.Put(&other)
				case "mutex":
					mu.Unlock(td)
				case "cpu":
					td.Leave()
				}
			}))
			for _, tok := range all {
				if !free(tok) {
					t.Error("a token is held at the end")
				}
			}
		})
	}
}

// TestTokenStress: four threads take tokens in any order, with recursion, on
// CPUs, inside a mutex, and sleep in between. Nothing deadlocks, and between
// two blocks a thread is alone with what it holds.
func TestTokenStress(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d (the interleaving is the machine's own)", seed)
	m := Native(2)
	const threads = 4
	var toks [4]*Token
	for i := range toks[1:] {
		toks[i+1] = &Token{Name: fmt.Sprint(i + 1)}
	}
	toks[0] = m.MPLock()
	var (
		count [4]int // guarded by toks
		owner [4]int // guarded by toks
		cpus  [2]int // guarded by the CPU
		inMu  int
		mu    Mutex
		wc    WaitChan
		sum   atomic.Int64
		inCPU atomic.Int64
	)
	var fs []func()
	for id := 1; id <= threads; id++ {
		rng := rand.New(rand.NewPCG(seed, uint64(id)))
		fs = append(fs, attached(m, fmt.Sprint("t", id), id%2, func(td *Thread) {
			var held []int
			alone := func() {
				for _, i := range held {
					if owner[i] != 0 && owner[i] != id {
						t.Errorf("token %d has two owners, %d and %d", i, id, owner[i])
					}
					owner[i] = id
				}
				if td.on != nil {
					cpus[td.on.id]++
					inCPU.Add(1)
				}
				for _, i := range held {
					count[i]++
					sum.Add(1)
				}
				for _, i := range held {
					owner[i] = 0
				}
			}
			for range rounds(4000) {
				locked := rng.IntN(4) == 0
				if locked {
					mu.Lock(td)
					inMu++
				}
				if rng.IntN(2) == 0 {
					td.Migrate(m.CPU(rng.IntN(2)))
				}
				for range 1 + rng.IntN(6) {
					i := rng.IntN(len(toks))
					td.Get(toks[i])
					held = append(held, i)
					alone()
				}
				switch rng.IntN(8) {
				case 0:
					td.Interlock(&wc)
					td.Sleep(td.Now())
					alone()
				case 1:
					td.Migrate(m.CPU(rng.IntN(2)))
					alone()
				case 2:
					td.Wakeup(&wc)
				}
				for len(held) > 0 {
					alone()
					td.Put(toks[held[len(held)-1]])
					held = held[:len(held)-1]
				}
				td.Leave()
				if locked {
					mu.Unlock(td)
				}
			}
		}))
	}
	finish(t, fs...)
	total := 0
	for _, n := range count {
		total += n
	}
	if total != int(sum.Load()) || cpus[0]+cpus[1] != int(inCPU.Load()) {
		t.Errorf("tokens counted %d of %d, CPUs %v of %d", total, sum.Load(), cpus, inCPU.Load())
	}
	if n := m.live.Load(); n != 0 {
		t.Errorf("%d threads live at the end, want 0", n)
	}
}

// TestRetakeIsNotStarved: a thread that must have a token and a CPU back gets
// them although another is on the CPU all the time, leaving it only to who
// waits for it.
func TestRetakeIsNotStarved(t *testing.T) {
	m := Native(2)
	var x Token
	var stop atomic.Bool
	waits := make(chan struct{})
	const retakes = 200
	finish(t, func() {
		m.Go("hot", 0, func(td *Thread) {
			for !stop.Load() {
				td.Migrate(m.CPU(0))
				td.Leave()
			}
		})
		if err := m.Run(); err != nil {
			t.Error(err)
		}
	}, attached(m, "holder", 1, func(td *Thread) {
		for range retakes {
			td.Get(&x)
			waits <- struct{}{}
			until(func() bool { return m.CPU(0).held.Load() == 1 })
			td.Put(&x)
			waits <- struct{}{}
		}
	}), attached(m, "cold", 1, func(td *Thread) {
		for range retakes {
			<-waits
			td.Migrate(m.CPU(0))
			td.Get(&x)
			<-waits
			if td.On() != m.CPU(0) || !td.Holds(&x) {
				t.Error("came back without CPU and token")
			}
			td.Put(&x)
			td.Leave()
		}
		stop.Store(true)
		// To arrive, to get x, and to have the CPU back: a wait each. More
		// would mean that it had the CPU and gave it away.
		if n := td.Stats.Contended; n > 3*retakes {
			t.Errorf("waited %d times in %d rounds, want 3 a round at most", n, retakes)
		}
	}))
}
