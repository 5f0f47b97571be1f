// Package sched decides what a virtual machine does wherever it could do several
// things: which thread goes on at a point, and what else is left open. A
// [Scheduler] is three methods; each policy is a file, which cites the paper that
// it is from and says where it departs.
//
// A schedule is the list of the decisions that were not the only ones possible,
// so [Replay] of it makes the same execution again.
package sched

// A Scheduler makes the decisions of one execution after another. Its methods are
// called by one goroutine at a time.
type Scheduler interface {
	// Begin begins an execution. It reports false if there is none left to
	// make: what was to be searched has been.
	Begin() bool

	// Next returns the index in can of the thread that goes on. Can has the
	// numbers of those that may, ascending, two at least. Current is the index
	// of the one that has just come to a point, or -1 if that one may not go
	// on: to choose any other than current is a preemption. What a thread will
	// do when it goes on is in v.
	Next(can []int, current int, v View) int

	// Choose returns a number from 0 to n-1, where something else than a thread
	// is open; n is 2 at least.
	Choose(n int) int
}

// An Observer is a Scheduler that is also told of the steps at which nothing was to
// be decided, since one thread alone could go on. Who counts the steps of threads
// or follows the order of operations needs to know of them. A machine asks of its
// scheduler whether it is one.
type Observer interface {
	Scheduler

	// Forced tells that thread, or [Clock], goes on as the only one that may.
	// It is called where Next would be if there were more.
	Forced(thread int, v View)
}

// A Witness is an Observer that is also told what each step has touched, once it
// has been made: what a thread is about to do is one operation on one object, and
// on its way to the next point it may look at others, or be looked at. So who
// asks which steps depend on each other asks what they did, and not what was said
// of them before.
type Witness interface {
	Observer

	// Witnesses reports whether Touched is of any use: who hands decisions on to
	// another scheduler asks that one. It is always the same.
	Witnesses() bool

	// Touched tells of an object that the step touched that was decided last, of
	// the same one perhaps several times. It is numbered as those of [View] are,
	// or is [Time].
	Touched(object int, how Access)
}

// Witnesses reports whether a scheduler is a [Witness] that wants to be told.
func Witnesses(s Scheduler) bool {
	w, ok := s.(Witness)
	return ok && w.Witnesses()
}

// An Access is how a step touches an object. Two accesses to one object may matter
// to each other unless both are reads, or both are additions.
type Access uint8

// The accesses.
const (
	Write Access = iota // changes it, or may
	Read                // changes nothing
	Add                 // changes it so that the order of several additions does not matter
)

// Conflicts reports whether the order of two accesses to one object may matter.
func (a Access) Conflicts(b Access) bool { return a == Write || a != b }

// Time is the object that a step of [Clock] writes. Who looks what time it is, or
// adds an instant at which the clock will stop, or takes one away, reads it: such
// steps need no order among themselves.
const Time = -1

// A Steady is a Scheduler of whose decisions many only repeat the one before. A
// machine asks of its scheduler whether it is one, and then spares itself those.
type Steady interface {
	Scheduler

	// Lasts returns how many of the next decisions would be the one that Next has
	// just made, provided that the same may go on, and the one chosen is each
	// time who has come to a point; or, behind Forced, how often Forced need not be
	// called for the same thread. So many may then be left out, or fewer.
	Lasts() int

	// Passed tells, before anything else is asked or told, that n have been left
	// out since the last Next or Forced; n is 1 at least.
	Passed(n int)
}

// An Unseen is a Scheduler that the race detector does not see: in a race build each
// thread of a machine may then ask for the decision itself, which saves switches. All
// that is called in the course of an execution is go:norace, and calls nothing that
// is not; the detector would otherwise take the decisions for races of the threads.
type Unseen interface {
	Scheduler

	// Unseen reports whether it is so: who hands decisions on to another scheduler
	// asks that one.
	Unseen() bool
}

// unseen reports whether a scheduler is one that the race detector does not see.
func unseen(s Scheduler) bool {
	u, ok := s.(Unseen)
	return ok && u.Unseen()
}

// A Search is a Scheduler that makes the executions of a space one after another,
// each once, until Begin reports false. That the space has been searched may be
// said only if Err then returns nil.
type Search interface {
	Scheduler

	// Err returns why the search is worth nothing: an execution that was made
	// again up to its last decision did not come by what it came by before, so
	// that something decides that no scheduler sees. Begin reports false from
	// then on; decisions that are asked for until then are made, somehow.
	Err() error
}

// Clock is the number of the thread that is none: to let it go on is to let the
// time pass until the next instant at which something is due. It may go on
// whenever there is such an instant.
const Clock = 0

// A View shows what threads are about to do.
type View interface {
	// Pending returns the operation that a thread will do when it goes on: a
	// point of the machine by number, and the object, numbered in the order in
	// which objects are met in an execution, from 1; 0 if there is none. That
	// of [Clock] is 0, 0. It is asked of threads that may go on, and of no other.
	Pending(thread int) Op
}

// An Op is an operation on an object of the machine.
type Op struct {
	Point  uint8
	Object int
	// Reads says that it changes nothing: two such are independent.
	Reads bool
}

// Dependent reports whether the order of two operations of different threads may
// matter: they are on the same object, and not both only read it.
func (o Op) Dependent(p Op) bool {
	return o.Object == p.Object && o.Object != 0 && !(o.Reads && p.Reads)
}
