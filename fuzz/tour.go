package fuzz

import (
	"slices"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// A tour is a scheduler that notes where an execution leaves the usual way, in
// which the thread that runs goes on as long as it can.
type tour struct {
	sched.Scheduler // who decides; if nil, plan does, and elsewhere the usual way is taken
	plan            []detour
	planned         bool // choices are made by the plan, whoever decides

	made        []detour
	preemptions int

	steps []int // by thread, made so far
	here  milestone
	nth   int // choices made here
}

// A milestone is behind so many steps of the thread that ran last.
//
// The number of a decision would not do: leave out one detour, or an operation,
// and all that comes later has another number. The steps of a thread are
// counted from its own beginning, so that what the others leave out moves none of
// its own. A [place] would do as well, and takes longer to find.
type milestone struct{ thread, step int }

// A detour is a decision against the usual one: at that milestone, another thread went
// on, or something else was chosen than 0.
type detour struct {
	milestone
	nth int // the how manieth choice there, from 1; 0 if it is about threads
	to  int
}

// usual is what is decided where nothing speaks against it: nobody is preempted,
// then the first thread comes, and the time passes when no thread can go on.
func usual(can []int, current int) int {
	switch {
	case current >= 0 && can[current] != sched.Clock:
		return current
	case can[0] == sched.Clock:
		return 1
	}
	return 0
}

// Begin implements [sched.Scheduler].
func (t *tour) Begin() bool {
	t.made, t.preemptions, t.here = nil, 0, milestone{}
	t.nth = 0
	clear(t.steps)
	return t.Scheduler == nil || t.Scheduler.Begin()
}

// Next implements [sched.Scheduler].
func (t *tour) Next(can []int, current int, v sched.View) int {
	straight := usual(can, current)
	i := straight
	if t.Scheduler != nil {
		i = t.Scheduler.Next(can, current, v)
	} else if p := slices.IndexFunc(t.plan, func(d detour) bool { return d.milestone == t.here && d.nth == 0 }); p >= 0 {
		if there := slices.Index(can, t.plan[p].to); there >= 0 {
			i = there
		}
	}
	if i != straight {
		t.made = append(t.made, detour{t.here, 0, can[i]})
		if straight == current {
			t.preemptions++
		}
	}
	t.step(can[i])
	return i
}

// Forced implements [sched.Observer].
func (t *tour) Forced(thread int, v sched.View) {
	if o, ok := t.Scheduler.(sched.Observer); ok {
		o.Forced(thread, v)
	}
	t.step(thread)
}

// Witnesses implements [sched.Witness].
func (t *tour) Witnesses() bool { return sched.Witnesses(t.Scheduler) }

// Touched implements [sched.Witness].
func (t *tour) Touched(object int, how sched.Access) {
	if o, ok := t.Scheduler.(sched.Witness); ok {
		o.Touched(object, how)
	}
}

func (t *tour) step(thread int) {
	for thread >= len(t.steps) {
		t.steps = append(t.steps, 0)
	}
	t.steps[thread]++
	t.here, t.nth = milestone{thread, t.steps[thread]}, 0
}

// Choose implements [sched.Scheduler].
func (t *tour) Choose(n int) int {
	t.nth++
	i := 0
	if t.Scheduler != nil && !t.planned {
		i = t.Scheduler.Choose(n)
	} else if p := slices.IndexFunc(t.plan, func(d detour) bool { return d.milestone == t.here && d.nth == t.nth }); p >= 0 {
		i = min(t.plan[p].to, n-1)
	}
	if i != 0 {
		t.made = append(t.made, detour{t.here, t.nth, i})
	}
	return i
}
