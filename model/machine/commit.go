package machine

import "github.com/kqlab/kqlab/model/event"

// A Listener is told when a thread's operation takes effect. It is called by
// that thread, in whatever domain it is in, and must neither wait nor call the
// machine.
type Listener interface {
	// Commit is told of one step of the thread's operation, as it happens.
	Commit(event.Step)
}

// Listen has the thread's commit points told to l from now on; nil is nobody.
// It is called by the thread itself, between its operations.
func (td *Thread) Listen(l Listener) { td.listener = l }

// Commit names a commit point: the kernel calls it where one step of the
// operation under way takes effect, inside the domain or lock that makes the
// step indivisible. So the order of the commit points of all threads, on one
// clock, is an order in which the operations can be explained, which a checker
// need not search for. Nothing depends on it, and a point at the wrong place
// does no harm but that the checker has to search. When nobody listens it costs
// a comparison.
func (td *Thread) Commit(s event.Step) {
	if td.listener != nil {
		td.listener.Commit(s)
	}
}
