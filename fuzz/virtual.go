package fuzz

import (
	"slices"
	"time"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A stage is the scheduler of a run: setup and the end are played in one order,
// and what the threads do between them as another decides.
type stage struct {
	sched.Scheduler
	up bool
}

// Next implements [sched.Scheduler].
func (s *stage) Next(can []int, current int, v sched.View) int {
	if s.up {
		return s.Scheduler.Next(can, current, v)
	}
	return usual(can, current)
}

// Forced implements [sched.Observer].
func (s *stage) Forced(thread int, v sched.View) {
	if o, ok := s.Scheduler.(sched.Observer); ok && s.up {
		o.Forced(thread, v)
	}
}

// Witnesses implements [sched.Witness].
func (s *stage) Witnesses() bool { return sched.Witnesses(s.Scheduler) }

// Touched implements [sched.Witness].
func (s *stage) Touched(object int, how sched.Access) {
	if o, ok := s.Scheduler.(sched.Witness); ok && s.up {
		o.Touched(object, how)
	}
}

// end says that the threads have played.
func (s *stage) end() {
	s.up = false
	if t, ok := s.Scheduler.(*tracer); ok {
		t.down()
	}
}

// virtually is Run on a virtual machine.
func (r *run) virtually() *Report {
	r.stage = &stage{Scheduler: r.o.Scheduler}
	if r.o.Trace != nil {
		r.stage.Scheduler = newTracer(r, r.o.Scheduler)
	}
	r.m = machine.Virtual(script.MaxCPU+1, r.stage)
	r.memory = virtualMemories.Get().(*memory)
	r.turn = 0
	r.boot()
	for _, x := range r.o.onlookers {
		x.follow(r)
	}
	r.carryOut()
	report := &Report{Script: r.s, Strategy: r.o.Strategy, History: r.history, Trace: r.o.Trace, Finding: r.finding.Load()}
	if r.history == nil {
		report.History = r.rec.History()
	}
	r.m.Abandon()
	r.rec.Reset()
	virtualMemories.Put(r.memory)
	if report.Finding == nil {
		report.verify()
	}
	if kept, ok := r.o.Scheduler.(*sched.Recorded); ok && (report.Finding != nil || report.Trace != nil) {
		report.schedule(kept)
	}
	return report
}

// schedule makes the decisions of an execution a part of its script.
func (r *Report) schedule(kept *sched.Recorded) {
	s := *r.Script
	s.Schedule = &script.Schedule{Strategy: r.Strategy, Decisions: slices.Clone(kept.Schedule)}
	r.Script = &s
}

// stopTicking has periodic timers stop after a while, so that the machine comes
// to rest, and returns what calls that off.
func (r *run) stopTicking() (cancel func()) {
	if r.stage == nil {
		timer := time.AfterFunc(ticking, r.m.StopCallouts)
		return func() { timer.Stop() }
	}
	c := &machine.WaitChan{Name: "the end of ticking"}
	r.m.Go("stopper", 0, func(td *machine.Thread) {
		td.Interlock(c)
		td.Sleep(td.Now() + virtualTicking)
		r.m.StopCallouts()
	})
	return func() {}
}

// virtualTicking is how long, on a clock that jumps from one expiry to the next,
// timers may expire again and again: each costs some decisions.
const virtualTicking = 200 * time.Microsecond
