package sched

import "math"

// A Recorded is a scheduler whose decisions are kept: the schedule of the
// execution under way, from which [Replay] makes it again. The scheduler within may
// be changed before Begin.
type Recorded struct {
	Scheduler
	Schedule []int // of each decision the index chosen

	observer Observer // the scheduler within, if it is one
	steady   Steady   // likewise
	forced   bool     // the last step was
	last     int      // the last decision of Next
}

// Begin implements [Scheduler].
func (r *Recorded) Begin() bool {
	r.Schedule = r.Schedule[:0]
	r.observer, _ = r.Scheduler.(Observer)
	r.steady, _ = r.Scheduler.(Steady)
	return r.Scheduler.Begin()
}

// Unseen implements [Unseen].
func (r *Recorded) Unseen() bool { return unseen(r.Scheduler) }

// Next implements [Scheduler].
//
//go:norace
func (r *Recorded) Next(can []int, current int, v View) int {
	i := r.Scheduler.Next(can, current, v)
	r.Schedule = append(r.Schedule, i)
	r.forced, r.last = false, i
	return i
}

// Forced implements [Observer]; a scheduler within that is none is not told. A step
// that is forced is no decision.
//
//go:norace
func (r *Recorded) Forced(thread int, v View) {
	r.forced = true
	if r.observer != nil {
		r.observer.Forced(thread, v)
	}
}

// Lasts implements [Steady]; behind Next, if the scheduler within does.
//
//go:norace
func (r *Recorded) Lasts() int {
	switch {
	case r.forced && r.observer == nil:
		return math.MaxInt
	case r.steady != nil:
		return r.steady.Lasts()
	}
	return 0
}

// Passed implements [Steady]. Each decision that was left out is in the schedule.
//
//go:norace
func (r *Recorded) Passed(n int) {
	if r.steady != nil && (!r.forced || r.observer != nil) {
		r.steady.Passed(n)
	}
	if r.forced {
		return
	}
	for range n {
		r.Schedule = append(r.Schedule, r.last)
	}
}

// Witnesses implements [Witness].
//
//go:norace
func (r *Recorded) Witnesses() bool { return Witnesses(r.Scheduler) }

// Touched implements [Witness].
//
//go:norace
func (r *Recorded) Touched(object int, how Access) {
	if w, ok := r.Scheduler.(Witness); ok {
		w.Touched(object, how)
	}
}

// Choose implements [Scheduler].
//
//go:norace
func (r *Recorded) Choose(n int) int {
	i := r.Scheduler.Choose(n)
	r.Schedule = append(r.Schedule, i)
	return i
}

// A Replay makes the decisions of a schedule, and where that ends or does not fit
// goes on with the thread that runs, or the first. It makes one execution, or as
// many as it is told to begin.
type Replay struct {
	schedule []int
	at       int
	misfit   int // the first decision that did not fit, from 1; 0 if all did
}

// NewReplay returns a scheduler that makes the decisions of a schedule.
func NewReplay(schedule []int) *Replay { return &Replay{schedule: schedule} }

// Begin implements [Scheduler].
func (r *Replay) Begin() bool {
	r.at, r.misfit = 0, 0
	return true
}

// Misfit returns the number of the first decision, from 1, that the schedule
// could not make in the execution that was begun last, since there were not as
// many possibilities, or since the schedule had ended; 0 if there was none.
func (r *Replay) Misfit() int { return r.misfit }

// Left returns how many decisions of the schedule have not been asked for.
func (r *Replay) Left() int { return max(0, len(r.schedule)-r.at) }

// Next implements [Scheduler].
func (r *Replay) Next(can []int, current int, v View) int { return r.decide(len(can), max(0, current)) }

// Choose implements [Scheduler].
func (r *Replay) Choose(n int) int { return r.decide(n, 0) }

func (r *Replay) decide(n, otherwise int) int {
	r.at++
	if r.at <= len(r.schedule) {
		if i := r.schedule[r.at-1]; i < n {
			return i
		}
	}
	if r.misfit == 0 {
		r.misfit = r.at
	}
	return otherwise
}
