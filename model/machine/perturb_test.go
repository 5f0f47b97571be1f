package machine

import (
	"runtime"
	"slices"
	"testing"
)

// TestPerturb: at a rate of 1 a thread is held up at every point that it passes,
// and the primitives do what they do elsewhere.
func TestPerturb(t *testing.T) {
	all := map[Point]bool{}
	for _, c := range passages() {
		m := Native(2)
		m.Perturb(1, 1)
		td := m.Attach("a", 0)
		c.f(td)
		var got []Point
		n := uint64(0)
		for p, yields := range td.stops.(*stream).yields {
			if n += yields; yields > 0 {
				got = append(got, Point(p))
				all[Point(p)] = true
			}
		}
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s is held up at %v, want %v", c.primitive, got, c.want)
		}
		if td.Stats.Yields != n {
			t.Errorf("%s: Stats say %d yields, want %d", c.primitive, td.Stats.Yields, n)
		}
	}
	for p := range pointNames {
		if !all[Point(p)] && Point(p) != PointVisit { // of a virtual machine only
			t.Errorf("nobody is held up at %v", Point(p))
		}
	}
}

// TestPerturbRate: it is 1 in rate, what one thread does is in the seed, no two
// threads do the same, and without Perturb there is nothing of it.
func TestPerturbRate(t *testing.T) {
	const points, rate = 20000, 8
	// held returns which of so many points the threads of a machine were held
	// up at.
	held := func(perturb func(m *Machine)) (by [2][]int) {
		m := Native(1)
		perturb(m)
		var u Uint32
		for i := range by {
			td := m.Attach("a", 0)
			for n := range points {
				before := td.Stats.Yields
				if u.Load(td); td.Stats.Yields != before {
					by[i] = append(by[i], n)
				}
			}
			td.Detach()
		}
		if n := m.Stats().Yields; n != uint64(len(by[0])+len(by[1])) {
			t.Errorf("Stats say %d yields, want %d and %d", n, len(by[0]), len(by[1]))
		}
		return by
	}
	seeded := func(seed uint64) func(m *Machine) { return func(m *Machine) { m.Perturb(seed, rate) } }
	a, again, other := held(seeded(7)), held(seeded(7)), held(seeded(8))
	for i := range a {
		if n := len(a[i]); n < points/rate*9/10 || n > points/rate*11/10 {
			t.Errorf("thread %d is held up %d times in %d points, want about 1 in %d", i, n, points, rate)
		}
		if !slices.Equal(a[i], again[i]) || slices.Equal(a[i], other[i]) {
			t.Errorf("thread %d is not held up as the seed says", i)
		}
	}
	if slices.Equal(a[0], a[1]) {
		t.Error("two threads are held up at the same points")
	}
	for i, n := range held(func(*Machine) {}) {
		if len(n) > 0 {
			t.Errorf("thread %d is held up %d times without a perturbation", i, len(n))
		}
	}
}

// TestPerturbedMixture: whatever the perturbation, the locks exclude, the tokens
// come back and nobody sleeps for ever.
func TestPerturbedMixture(t *testing.T) {
	for seed := range uint64(rounds(300)) {
		m := Native(2)
		m.Perturb(seed, 1+int(seed%4))
		check := mixture(m)
		finish(t, func() {
			if err := m.Run(); err != nil {
				t.Errorf("seed %d (the interleaving is the machine's own): %v", seed, err)
			}
		})
		m.StopCallouts() // it may be running, or armed, still
		until(func() bool { return m.live.Load()%armed == 0 })
		if err := check(); err != nil {
			t.Errorf("seed %d (the interleaving is the machine's own): %v", seed, err)
		}
	}
}

func TestPerturbRefuses(t *testing.T) {
	for _, m := range []*Machine{Native(1), NewVirtual(1, 1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("Perturb takes a rate of 0, or a virtual machine")
				}
			}()
			rate := 0
			if m.vm != nil {
				rate = 1
			}
			m.Perturb(1, rate)
		}()
	}
}

// TestPerturbMatters: two threads add to a word in two steps. On one processor
// they run one after another and lose nothing; perturbed, they come between each
// other's steps.
func TestPerturbMatters(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const threads, times = 2, 100
	lost := func(perturb func(m *Machine, seed uint64)) (n int) {
		for seed := range uint64(50) {
			m := Native(threads)
			perturb(m, seed)
			var u Uint32
			for i := range threads {
				m.Go("adder", i, func(td *Thread) {
					for range times {
						x := u.Load(td)
						u.Store(td, x+1)
					}
				})
			}
			if err := m.Run(); err != nil {
				t.Fatal(err)
			}
			n += threads*times - int(u.v.Load())
		}
		return n
	}
	without := lost(func(*Machine, uint64) {})
	with := lost(func(m *Machine, seed uint64) { m.Perturb(seed, 8) })
	// The runtime may take the processor from a thread at any time, but seldom does.
	if with < 100 || without*10 > with {
		t.Errorf("%d additions lost when perturbed and %d when not: want many more, and 100 at least", with, without)
	}
	t.Logf("of %d additions %d were lost when perturbed, and %d when not", 50*threads*times, with, without)
}
