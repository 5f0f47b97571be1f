package sched_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// drawn returns a random small program: two to four threads over a few objects,
// locks that may be held together and so deadlock, threads that are started by
// others, sleep, wait and choose; so small that all executions can be made.
func drawn(rng *rand.Rand) program {
	n := 2 + rng.IntN(3)
	objs, locks := 1+rng.IntN(3), 1+rng.IntN(2)
	left := [...]int{2: 11, 3: 9, 4: 9}[n] // operations
	p := make(program, n)
	const starts, sleeps, chooses, nests, parks = 1, 2, 3, 4, 5 // besides locks and memory
	extra := rng.IntN(6)
	if extra == starts {
		p[rng.IntN(n-1)] = []op{{start, n}}
	}
	for left > 0 {
		t := rng.IntN(n)
		add := func(ops ...op) {
			p[t] = append(p[t], ops...)
			left -= len(ops)
		}
		inside := op{kind(rng.IntN(3)), 1 + rng.IntN(objs)}
		switch k := rng.IntN(8); {
		case k < 5 && left > 4 && extra == nests:
			l := 1 + rng.IntN(2)
			add(op{lock, l}, op{lock, 3 - l}, inside, op{unlock, 3 - l}, op{unlock, l})
		case k < 3 && left > 2:
			l := 1 + rng.IntN(locks)
			add(op{[]kind{lock, lock, try}[rng.IntN(3)], l}, inside, op{unlock, l})
		case k < 7 && extra == parks:
			add(op{[]kind{wake, wake, park, nap}[rng.IntN(4)], 1})
		case k < 6 && extra == sleeps:
			add(op{sleep, 1 + rng.IntN(2)})
			left--
		case k < 6 && extra == chooses:
			add(op{choose, 2})
			left--
		default:
			add(inside)
		}
	}
	return p
}

// On a thousand random programs the executions that are left out come to nothing
// that is not come to by one that is made, and no more are made than there are.
func TestDPOR(t *testing.T) {
	const seed = 14
	programs := 1000
	if testing.Short() {
		programs = 200
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	naive, reduced, redundant, stuck := 0, 0, 0, 0
	for i := range programs {
		p := drawn(rng)
		if err := agree(p, nil, func(n, r int, d *sched.DPOR, finals map[final]int) {
			naive, reduced, redundant = naive+n, reduced+r, redundant+d.Redundant()
			for f := range finals {
				if f.pc != ends(p) {
					stuck++
					break
				}
			}
		}); err != nil {
			t.Fatalf("seed %d, program %d: %v\n%v", seed, i, err, p)
		}
	}
	t.Logf("seed %d: %d programs, %d of which may end with somebody waiting: %d executions instead of %d, of which %d redundant",
		seed, programs, stuck, reduced, naive, redundant)
	if stuck < programs/20 || reduced*2 > naive {
		t.Error("the programs drawn show little")
	}
}

// all makes every execution that there is, at most limit, and counts what they
// come to.
func (m *sim) all(s sched.Scheduler, limit int) (executions int, finals map[final]int) {
	finals = map[final]int{}
	for executions < limit && s.Begin() {
		executions++
		finals[m.run(s)]++
	}
	return executions, finals
}

func ends(p program) (pc [threads + 1]int) {
	for i, th := range p {
		pc[i+1] = len(th)
	}
	return pc
}

// agree compares what DPOR finds with what there is.
func agree(p program, lie func(sched.Op) sched.Op, tell func(naive, reduced int, d *sched.DPOR, finals map[final]int)) error {
	const limit = 200_000
	m := sim{prog: p}
	naive, want := m.all(sched.NewDFS(-1), limit)
	if naive == limit {
		return fmt.Errorf("more than %d executions: too large for this test", limit)
	}
	d := sched.NewDPOR()
	m.lie = lie
	reduced, got := m.all(d, limit)
	switch {
	case d.Err() != nil:
		return d.Err()
	case reduced > naive:
		return fmt.Errorf("%d executions where there are only %d", reduced, naive)
	}
	for f := range want {
		if got[f] == 0 {
			return fmt.Errorf("%d executions of %d miss %+v", reduced, naive, f)
		}
	}
	for f := range got {
		if want[f] == 0 {
			return fmt.Errorf("there is no %+v", f)
		}
	}
	tell(naive, reduced, d, want)
	return nil
}

// The control: told that operations do not touch what they do, DPOR must miss
// something, and the comparison must say so.
func TestDPORMisled(t *testing.T) {
	const seed = 15
	for what, lie := range map[string]func(sched.Op) sched.Op{
		"no objects":      func(o sched.Op) sched.Op { return sched.Op{Point: o.Point} },
		"no locks":        func(o sched.Op) sched.Op { return without(o, o.Object > objects) },
		"all only read":   func(o sched.Op) sched.Op { o.Reads = true; return o },
		"writes of one":   func(o sched.Op) sched.Op { return without(o, o.Object == 1 && !o.Reads) },
		"writes are read": func(o sched.Op) sched.Op { o.Reads = o.Reads || kind(o.Point) == write; return o },
	} {
		rng := rand.New(rand.NewPCG(seed, 0))
		missed := 0
		for range 30 {
			if agree(drawn(rng), lie, func(int, int, *sched.DPOR, map[final]int) {}) != nil {
				missed++
			}
		}
		t.Logf("seed %d: %s: %d of 30 programs are found wrong", seed, what, missed)
		if missed == 0 {
			t.Errorf("seed %d: %s: nothing is missed", seed, what)
		}
	}
}

func without(o sched.Op, hide bool) sched.Op {
	if hide {
		o.Object = 0
	}
	return o
}

// Programs of which it is known how many executions are needed, and no more.
func TestDPORCounts(t *testing.T) {
	for _, c := range []struct {
		prog string
		want int
		why  string
	}{
		{"+1 +1 | +2 +2 | +3 +3", 1, "nothing depends on anything"},
		{"r1 r1 | r1 r1 | r1", 1, "reads do not"},
		{"+1 | +1 | +1", 6, "each order is another"},
		{"+1 +1 | +1 +1", 6, "each order is another"},
		{"w1 | r1 | r1", 4, "each read is before or after the write"},
		{"+1 +2 | +2 +1", 4 - 1, "the orders on 1 and 2, but for the one that is a cycle"},
		{"?2 +1 | +2 ?3", 6, "every choice, in one order"},
		{"s2 +1 | +1", 2, "what is started comes after its start"},
		{"+1 s2 | +1 | +2", 1, "what is started comes after what came before its start, too"},
		{"p1 +2 | +2 k1 | +3", 2, "who was woken comes after what came before, or is never woken"},
		{"z1 | z1", 3, "the clock may come between, after both, and the other way round"},
	} {
		d := sched.NewDPOR()
		m := sim{prog: prog(c.prog)}
		if got, _ := m.all(d, 1000); got != c.want || d.Redundant() != 0 || d.Err() != nil {
			t.Errorf("%s: %d executions, %d redundant, want %d, since %s; %v", c.prog, got, d.Redundant(), c.want, c.why, d.Err())
		}
	}
}

// More threads than fit a word, and executions of many steps, are no matter.
func TestDPORManyThreads(t *testing.T) {
	d := sched.NewDPOR()
	n := 0
	for ; d.Begin() && n < 100; n++ {
		can := make([]int, 200)
		for i := range can {
			can[i] = i + 1
		}
		for len(can) > 1 {
			i := d.Next(can, -1, own{})
			d.Touched(own{}.Pending(can[i]).Object, sched.Write)
			can = slices.Delete(can, i, i+1)
		}
		d.Forced(can[0], own{})
		d.Touched(own{}.Pending(can[0]).Object, sched.Write)
	}
	if n != 2 || d.Err() != nil {
		t.Errorf("%d executions, want 2: %v", n, d.Err())
	}
}

// A search that nobody tells what steps touch must not say that it has seen all.
func TestDPORUntold(t *testing.T) {
	d := sched.NewDPOR()
	for d.Begin() {
		d.Next([]int{1, 2}, -1, own{})
		d.Forced(1, own{})
	}
	if d.Err() == nil {
		t.Error("told nothing, it has seen all")
	}
}
