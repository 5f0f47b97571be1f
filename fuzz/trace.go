package fuzz

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// A Trace is an execution on a virtual machine step by step, from the moment at which the
// threads begin until nothing runs any more. It is taken down only for who wants to look
// at it: see [Options.Trace].
type Trace struct {
	Threads []string // by lane: those of the script in its order, then others as they came
	CPUs    []int    // where each is at home; -1 if it is not one of the script
	Domains []Domain
	Knotes  []string // what each is called, as "READ 1 on kqueue 0"
	Steps   []TraceStep
	Cut     int // steps more that were made and are not here, for there are too many

	// Found is the step in which something was seen to be wrong; len(Steps) if that
	// was only when nothing ran any more, or it was the history that is wrong.
	Found int
}

// A Domain is what one thread at a time may be in.
type Domain struct {
	Queues []string // whose domain it is
	Knotes []string // whose sources'
}

// A TraceStep is what one thread did from a point to the next, or the clock's going on.
type TraceStep struct {
	Lane  int           // who; -1 is the clock
	Clock time.Duration // when, on the machine's clock
	Did   string        // the point that it had come to, with its object: that is done first; or what it has slept on; "" if it begins
	Could bool          // the thread of the step before could have gone on: that one was preempted

	// Then is what the thread has come to, and State why it stops there.
	Then  string
	State StepState
	Until time.Duration // if it sleeps for a time; else machine.Forever

	Woke   []int // lanes of those who sleep no more
	Freed  []int // lanes of those who waited for a lock, or a CPU, and may try again
	Turn   int64 // what happened in the history up to this instant has happened
	Inside []int // of each domain the lane of who is in it at the end; -1 if nobody is
	Halves []Halves
}

// Halves are those of one knote between two steps.
type Halves struct {
	Knote        int    // its number in the trace
	Source, Link string // the bits that are set, by name
}

// A StepState says how a step has ended.
type StepState uint8

const (
	StepReady   StepState = iota // at another point
	StepWaiting                  // it waits for a lock, or a CPU
	StepAsleep                   // it sleeps, until it is woken or its time is over
	StepEnded                    // it has ended
)

// traceMost is how many steps a trace has at most: an execution without an end has a
// million.
const traceMost = 2000

// A tracer is the scheduler that takes down a trace, and leaves the decisions to another.
type tracer struct {
	sched.Scheduler
	r     *run
	to    *Trace
	gaze  *kqueue.Gaze
	view  sched.View
	going bool // a step is under way
	last  int  // number of the thread whose step it is
	names map[*kqueue.Queue]string
	queue map[*kqueue.Queue]bool // in Domains
	saw   []machine.Shown        // before the step
	now   []machine.Shown
}

// follow implements onlooker: an execution is about to begin.
func (t *tracer) follow(r *run) {
	*t = tracer{Scheduler: t.Scheduler, to: t.to, r: r, names: map[*kqueue.Queue]string{}, queue: map[*kqueue.Queue]bool{}}
	*t.to = Trace{Found: -1}
	for i, th := range r.s.Threads {
		t.to.Threads, t.to.CPUs = append(t.to.Threads, threadNames[i+1]), append(t.to.CPUs, th.CPU)
	}
}

// Next implements [sched.Scheduler].
func (t *tracer) Next(can []int, current int, v sched.View) int {
	t.end(v)
	i := t.Scheduler.Next(can, current, v)
	t.begin(can[i], current >= 0 && i != current && can[current] != sched.Clock, v)
	return i
}

// Forced implements [sched.Observer].
func (t *tracer) Forced(thread int, v sched.View) {
	t.end(v)
	if o, ok := t.Scheduler.(sched.Observer); ok {
		o.Forced(thread, v)
	}
	t.begin(thread, false, v)
}

// begin begins a step.
func (t *tracer) begin(thread int, could bool, v sched.View) {
	if len(t.to.Steps) == traceMost {
		t.to.Cut++
		return
	}
	if t.gaze == nil {
		t.gaze = t.r.k.NewGaze()
	}
	s := TraceStep{Lane: -1, Clock: machine.ShowClock(v), Could: could, Until: machine.Forever}
	if shown, ok := machine.Show(v, thread); ok {
		s.Lane = t.lane(shown.Name)
		switch s.Did = t.pointOn(shown); shown.State {
		case machine.Asleep:
			s.Did = "has slept on " + s.Did
		case machine.Waiting:
			s.Did = "has waited for " + s.Did
		}
	}
	t.to.Steps = append(t.to.Steps, s)
	t.saw = machine.ShowAll(v, t.saw[:0])
	t.going, t.last, t.view = true, thread, v
}

// end ends the step that is under way, if one is.
func (t *tracer) end(v sched.View) {
	if !t.going {
		return
	}
	t.going = false
	n := len(t.to.Steps) - 1
	s := &t.to.Steps[n]
	s.Turn = t.r.turn
	t.now = machine.ShowAll(v, t.now[:0])
	s.State = StepEnded
	for _, shown := range t.now {
		before := slices.IndexFunc(t.saw, func(b machine.Shown) bool { return b.Number == shown.Number })
		switch {
		case shown.Number == t.last:
			s.Then = t.pointOn(shown)
			switch shown.State {
			case machine.Waiting:
				s.State = StepWaiting
			case machine.Asleep:
				s.State, s.Until = StepAsleep, shown.Until
			default:
				s.State = StepReady
			}
		case before < 0:
		case shown.Woken && !t.saw[before].Woken:
			s.Woke = append(s.Woke, t.lane(shown.Name))
		case shown.State == machine.Ready && t.saw[before].State == machine.Waiting:
			s.Freed = append(s.Freed, t.lane(shown.Name))
		}
	}
	if s.Lane < 0 {
		s.State, s.Clock = StepReady, machine.ShowClock(v)
	}
	t.look(s)
	if t.to.Found < 0 && t.r.failed() {
		t.to.Found = n
	}
}

// down ends the trace.
func (t *tracer) down() {
	if t.view != nil {
		t.end(t.view)
	}
	if t.to.Found < 0 {
		t.to.Found = len(t.to.Steps)
	}
}

// look takes down how the kernel stands. No thread runs, which the race detector is not
// to know.
//
//go:norace
func (t *tracer) look(s *TraceStep) {
	sight := t.gaze.Look()
	for fd := range t.r.plan.top {
		if d := t.r.p.Life(uint64(fd)); d != nil {
			if q, ok := d.File.(*kqueue.Queue); ok && t.names[q] == "" {
				t.names[q] = fmt.Sprint("kqueue ", fd)
			}
			if ep, ok := d.File.(kqueue.Nested); ok && t.names[ep.Inner()] == "" {
				t.names[ep.Inner()] = fmt.Sprint("epoll ", fd)
			}
		}
	}
	for i := range t.r.used() {
		l := &t.r.lanes[i]
		if q := l.caller.Polls(); q != nil && t.names[q] == "" {
			t.names[q] = "what " + l.name + " polls with"
		}
	}
	for len(t.to.Domains) < len(sight.Inside) {
		t.to.Domains = append(t.to.Domains, Domain{})
	}
	for _, in := range sight.Inside {
		lane := -1
		if in != "" && slices.ContainsFunc(t.now, func(s machine.Shown) bool { return s.Name == in }) {
			lane = t.lane(in) // and has not ended there, by a panic
		}
		s.Inside = append(s.Inside, lane)
	}
	for _, q := range t.gaze.Queues() {
		if !t.queue[q] && t.names[q] != "" {
			t.queue[q] = true
			d := &t.to.Domains[t.gaze.Domain(q)]
			d.Queues = append(d.Queues, t.names[q])
		}
	}
	for _, kn := range sight.Knotes {
		if kn.N == len(t.to.Knotes) {
			name := fmt.Sprintf("%v %d on %s", kn.Filter, kn.Ident, cmp.Or(t.names[kn.Queue], "a kqueue"))
			t.to.Knotes = append(t.to.Knotes, name)
			d := &t.to.Domains[kn.SourceDomain]
			d.Knotes = append(d.Knotes, fmt.Sprintf("%v %d", kn.Filter, kn.Ident))
		}
		s.Halves = append(s.Halves, Halves{kn.N, kn.Source, kn.Link})
	}
}

// lane returns the lane of a thread, by name.
func (t *tracer) lane(name string) int {
	i := slices.Index(t.to.Threads, name)
	if i < 0 {
		i = len(t.to.Threads)
		t.to.Threads, t.to.CPUs = append(t.to.Threads, name), append(t.to.CPUs, -1)
	}
	return i
}

// pointOn is what a thread does, or waits for.
func (t *tracer) pointOn(s machine.Shown) string {
	switch {
	case s.Object == nil:
		return ""
	case s.State != machine.Ready:
		return objectName(s.Object)
	case s.Point == machine.PointVisit:
		return s.Point.String()
	}
	if w, ok := s.Object.(*machine.Uint32); ok {
		if says, q := t.gaze.Word(w); q != nil {
			return fmt.Sprintf("%v %s of %s", s.Point, says, cmp.Or(t.names[q], "a kqueue"))
		} else if says != "" {
			return fmt.Sprintf("%v %s", s.Point, says)
		}
	}
	return s.Point.String() + " " + objectName(s.Object)
}
