package fuzz

import (
	"slices"
	"time"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/fuzz/races"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A lab is a virtual machine on which scripts are carried out, one after another,
// under one strategy. It keeps all that an execution needs for the next: to make it
// anew costs more than a small script. What it keeps is as new; what it cannot make
// so, after a finding say, it leaves behind.
type lab struct {
	o       Options // Scheduler decides in all of them
	r       *run    // nil if the next execution is to begin with a new machine
	checker linearizability.Checker
	known   known
	report  Report
	order   machine.LockOrder // of the execution, if the options have none
}

func newLab(o Options) *lab { return &lab{o: o} }

// run carries out a script, as [Run] does. The report, unless it has a finding, is
// good until the next call or close.
func (l *lab) run(s *script.Script) *Report {
	raced := races.Alone()
	defer raced()
	if l.r == nil || !l.r.again() {
		l.close()
		l.r = newVirtual(l.o)
	}
	r := l.r
	if r.s != s {
		r.s, r.plan = s, planOf(s)
	}
	if r.tracer != nil {
		r.tracer.follow(r)
	}
	for _, x := range l.o.onlookers {
		x.follow(r)
	}
	order := l.o.order
	if order == nil {
		order = &l.order
		order.Reset()
	}
	r.m.OrderLocks(order)
	r.m.Unscheduled(true)
	r.carryOut()
	if circle := order.Circle(); circle != "" {
		r.fail(oneOrder, "%s", circle)
	}
	report := &l.report
	*report = Report{Script: s, Strategy: l.o.Strategy, History: r.history, Trace: l.o.Trace, Finding: r.finding.Load()}
	if r.history == nil {
		report.History = r.rec.View()
	}
	if n, said := raced(); n > 0 && report.Finding == nil {
		report.Finding = &Finding{noRace, said}
	} else if n > 0 {
		report.Finding.Detail += "; and there is a data race: " + said
	}
	if report.Finding == nil {
		l.verify(report)
	}
	if report.Finding == nil && report.Trace == nil {
		return report
	}
	found := *report
	found.History = detached(found.History)
	if kept, ok := l.o.Scheduler.(*sched.Recorded); ok {
		found.schedule(kept, &l.o)
	}
	l.close()
	return &found
}

// verify holds the history against the specification, unless that has been done.
func (l *lab) verify(report *Report) {
	if l.known.has(report.Script, report.History) {
		return
	}
	if report.verify(&l.checker); report.Finding == nil && report.Linear.Replayed {
		l.known.add()
	}
}

// reached returns the places that the last execution came by, of one without a finding.
func (l *lab) reached() []string {
	if l.r == nil {
		return nil
	}
	return l.r.m.Reached()
}

// close leaves the machine behind. There may be executions after it.
func (l *lab) close() {
	if l.r != nil {
		l.r.m.Abandon()
		l.r = nil
	}
}

// detached returns a history that shares no memory with h but what is of the script.
func detached(h linearizability.History) linearizability.History {
	h = slices.Clone(h)
	for i := range h {
		h[i].Steps = slices.Clone(h[i].Steps)
		h[i].Result.Events = slices.Clone(h[i].Result.Events)
		h[i].Result.Polled = slices.Clone(h[i].Result.Polled)
	}
	return h
}

// newVirtual makes a machine with a kernel and a process, and whatever else a run
// needs.
func newVirtual(o Options) *run {
	r := &run{o: o, virtual: true, memory: &memory{}}
	r.rec = linearizability.NewRecorder(r.tick)
	s := o.Scheduler
	if o.Trace != nil {
		r.tracer = &tracer{Scheduler: s, to: o.Trace}
		s = r.tracer
	}
	r.m = machine.Virtual(script.MaxCPU+1, s)
	if o.Placement {
		r.m.DrawPlacement()
	}
	r.m.AllowSpurious(o.Spurious)
	r.boot()
	return r
}

// again makes everything as newVirtual does, and reports whether that could be.
func (r *run) again() bool {
	if !r.m.Reset() {
		return false
	}
	r.rec.Reset()
	r.turn, r.history, r.mask = 0, nil, 0
	r.n.Store(0)
	r.leave.Store(false)
	strategy, ok := r.strategy.(kqueue.Resetter)
	if !ok {
		r.boot()
		return true
	}
	strategy.Reset()
	r.w.Reset()
	return true
}

// A plan is what a run wants to know of a script.
type plan struct {
	periodic bool
	joins    bool // threads join the process, since the script speaks of signals
	forks    int
	top      int // one more than the highest descriptor that can have been made
}

func planOf(s *script.Script) (p plan) {
	p.periodic = s.Periodic()
	made := 0
	for _, list := range [][]script.Thread{s.Setup, s.Threads} {
		for _, t := range list {
			for _, op := range t.Ops {
				made += op.Call.Makes()
				p.joins = p.joins || call.Joins(&op)
				if op.Call == event.CallFork {
					p.forks++
				}
				if op.Call == event.CallDup2 {
					made++
					p.top = max(p.top, op.To+1)
				}
			}
		}
	}
	p.top = max(p.top, made)
	return p
}

// schedule makes the decisions of an execution a part of its script.
func (r *Report) schedule(kept *sched.Recorded, o *Options) {
	s := *r.Script
	s.Schedule = &script.Schedule{Strategy: r.Strategy, Choices: o.Choices, Decisions: slices.Clone(kept.Schedule)}
	r.Script = &s
}

// stopTicking has periodic timers stop after a while, so that the machine comes
// to rest, and returns what calls that off.
func (r *run) stopTicking() (cancel func()) {
	if !r.virtual {
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
