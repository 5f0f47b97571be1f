package fuzz

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A memory is what a run leaves to the next.
type memory struct {
	rec   *linearizability.Recorder
	lanes [2*script.MaxThreads + 1]lane // of setup, the threads, and the audit
	n     atomic.Int32                  // those that are in use, the first ones
	turn  int64                         // of the clock of a virtual machine

	closer  func(td *machine.Thread) // run.closeAll
	waiters []*lane                  // scratch of run.end
}

// used returns the lanes that are in use.
func (m *memory) used() []lane { return m.lanes[:m.n.Load()] }

// memories are those of runs of native machines that are over; a lab keeps its own.
var memories = sync.Pool{New: func() any { return &memory{rec: linearizability.NewRecorder(nil)} }}

// tick counts a turn on a virtual machine, where one thread runs at a time. That is
// no order of theirs, so the race detector must not look.
//
//go:norace
func (m *memory) tick() int64 {
	m.turn++
	return m.turn
}

// A lane is one thread. The thread alone writes its log; others read what the
// two counts say is there, and so can tell how far a thread came that hangs.
type lane struct {
	r      *run
	main   func(td *machine.Thread) // do
	name   string
	cpu    int
	ops    []event.Op
	log    *linearizability.Log
	begun  atomic.Int32 // operations whose call is logged
	ended  atomic.Int32 // operations whose return and result are logged
	last   event.Result // of the operation that ended last
	caller call.Caller
	thread int
	joins  bool // if others do; who looks at what is left does not
}

func (r *run) lane(thread int, t *script.Thread) *lane {
	l := &r.lanes[r.n.Load()]
	l.name, l.cpu, l.ops, l.log = threadNames[thread], t.CPU, t.Ops, r.rec.Log(thread)
	l.thread, l.joins = thread, true
	l.begun.Store(0)
	l.ended.Store(0)
	l.log.Grow(len(t.Ops))
	if l.r = r; l.main == nil {
		l.main = l.do
	}
	l.caller.Begin(r.w, r.s.Seed, uint64(thread), !r.virtual)
	r.n.Add(1)
	return l
}

var threadNames = func() (names [script.MaxThreads + 1]string) {
	for i := range names {
		names[i] = fmt.Sprint("thread ", i)
	}
	return names
}()

// laneNamed returns the lane of the script's thread of that name, nil if it is another's.
func (r *run) laneNamed(name string) *lane {
	used := r.used()
	for i := range used {
		if used[i].name == name {
			return &used[i]
		}
	}
	return nil
}

// running says which operations have not ended.
func (r *run) running() string {
	text := ""
	for i := range r.used() {
		l := &r.lanes[i]
		if ended := int(l.ended.Load()); ended < int(l.begun.Load()) {
			text += fmt.Sprintf("; %s is in %v", l.name, l.ops[ended])
		}
	}
	return text
}

// soFar returns the history as far as it is known of threads that may still
// run.
func (r *run) soFar() (all linearizability.History) {
	for i := range r.used() {
		l := &r.lanes[i]
		ended := int(l.ended.Load())
		all = append(all, l.log.Records(int(l.begun.Load()), ended)...)
	}
	slices.SortStableFunc(all, func(a, b linearizability.Record) int { return cmp.Compare(a.Call, b.Call) })
	return all
}
