package machine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// A perturbation makes the threads of a native machine wait where they would
// run on: two that come by the same words within nanoseconds of each other meet
// in few of all the ways in which they could.
type perturbation struct {
	seed    uint64
	rate    uint64
	streams atomic.Uint64 // given out
}

// Perturb makes each thread, at each point and with a probability of 1 in rate,
// let others run, or else spin for up to some microseconds as if it were on a
// slow CPU. Each thread has a stream of random numbers of its own, drawn from
// the seed and the thread's place in the order of their making; so a seed says
// how often each is held up, but no interleaving: the threads run in parallel
// all the same. [Stats] has a count of it.
//
// It is for a native machine, and called before there are threads or callouts.
// Perturb panics if rate < 1, and on a virtual machine.
func (m *Machine) Perturb(seed uint64, rate int) {
	if rate < 1 || m.vm != nil {
		panic(fmt.Sprintf("machine: Perturb with rate %d, want at least 1 and a native machine", rate))
	}
	m.perturb = &perturbation{seed: seed, rate: uint64(rate)}
	for _, c := range m.cpus {
		c.attn.Or(closer)
	}
}

func (p *perturbation) stream() *stream {
	return &stream{rng: rand.NewPCG(p.seed, p.streams.Add(1)), rate: p.rate}
}

// A stream is what a perturbation has in store for one thread.
type stream struct {
	rng    *rand.PCG
	rate   uint64
	yields [len(pointNames)]uint64 // by Point
}

// longest is how long a thread spins at most: enough for another to do several
// calls, and less than a trip through the scheduler when that is busy.
const longest = 4 * time.Microsecond

func (s *stream) step(td *Thread, at Point, _ any) {
	r := s.rng.Uint64()
	if r%s.rate != 0 {
		return
	}
	td.Stats.Yields++
	s.yields[at]++
	// To yield moves a thread only where another waits for its processor; who
	// spins is late in any case.
	if r>>60 != 0 {
		runtime.Gosched()
		return
	}
	for end := td.Now() + time.Duration(s.rng.Uint64()%uint64(longest)); td.Now() < end; {
	}
}
