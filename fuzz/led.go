package fuzz

import (
	"math/rand/v2"
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A led scheduler tries to bring about a history that another strategy had: it has
// that thread go on whose call, commit point or return came next there. Where the
// strategies have different locks that thread may have to wait for another, and then
// lots are drawn, as they are now and then in any case. So it proves that a strategy
// can do something, and never that it cannot.
type led struct {
	sched.Scheduler
	rng   *rand.Rand
	noise int    // one in so many decisions is drawn all the same; 0: none
	stay  bool   // where the thread that is to go on cannot, the one that runs does
	owner []int  // of each turn of the clock: the thread, as the script counts
	turn  *int64 // of the machine's clock

	threads map[int]int // by number of the machine: as the script counts
}

// leadTries is how many executions are made to bring one history about.
const leadTries = 150

func newLed(h linearizability.History, seed uint64) *led {
	l := &led{Scheduler: sched.NewRandom(seed), noise: []int{0, 64, 16, 5}[seed%4], stay: seed/4%2 == 0, rng: rand.New(rand.NewPCG(seed, 0)), threads: map[int]int{}}
	at := func(turn int64, thread int) {
		if turn == linearizability.Never {
			return
		}
		for int(turn) >= len(l.owner) {
			l.owner = append(l.owner, 0)
		}
		l.owner[turn] = thread
	}
	for _, r := range h {
		at(r.Call, r.Thread)
		for _, s := range r.Steps {
			at(s.At, r.Thread)
		}
		at(r.Return, r.Thread)
	}
	return l
}

// follow implements onlooker.
func (l *led) follow(r *run) { l.turn = &r.turn }

// Begin implements [sched.Scheduler].
func (l *led) Begin() bool {
	clear(l.threads)
	return l.Scheduler.Begin()
}

// Next implements [sched.Scheduler].
func (l *led) Next(can []int, current int, v sched.View) int {
	look, ok := v.(machine.Look)
	if next := int(*l.turn) + 1; ok && next < len(l.owner) && (l.noise == 0 || l.rng.IntN(l.noise) > 0) {
		want := l.owner[next]
		if i := slices.IndexFunc(can, func(thread int) bool { return l.thread(thread, look) == want }); i >= 0 {
			return i
		}
		if l.stay && l.rng.IntN(8) > 0 {
			return usual(can, current)
		}
	}
	return l.Scheduler.Next(can, current, v)
}

// thread returns which thread of the script one of the machine is, or -1.
func (l *led) thread(thread int, look machine.Look) int {
	n, known := l.threads[thread]
	if !known {
		n = -1
		if thread != sched.Clock {
			n = slices.Index(threadNames[:], look.Name(thread))
		}
		l.threads[thread] = n
	}
	return n
}

// reaches reports whether a strategy can be led to an outcome, by the number that all
// have which differ only in ticks, and in how many executions it was or was not.
func reaches(s *script.Script, o Options, h linearizability.History, alike uint64) (executions int, yes bool) {
	for try := range uint64(leadTries) {
		l := newLed(h, try)
		l.Begin()
		o.Scheduler, o.onlookers = l, []onlooker{l}
		r := Run(s, o)
		executions++
		if r.Finding == nil && outcome(withoutTicks(r.History)) == alike {
			return executions, true
		}
	}
	return executions, false
}
