// Mystrategy is a locking strategy in a module of its own: this file is the
// strategy, mystrategy_test.go tries it, main.go compares it with the others.
//
// What shares a domain: nothing. A source has a token of its own, a queue a
// mutex and a letter box, so two CPUs meet only where they use one object.
//
// Lock order: none is needed. Nobody waits for a lock while holding another:
// who delivers to a queue drops a letter in its box, and looks after the box
// only if the mutex is free; if it is not, its holder will.
//
// What it costs: two locks for an event where one around everything needs one,
// and a letter. Alone it is slower; it is meant for two CPUs and more.
//
// Source: the tokens are as in DragonFly BSD since e2b148c60d (2011), which has
// one for each list of knotes; the letter box is this example's own.
package main

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// New returns the strategy for machine m.
func New(m *machine.Machine) kqueue.Strategy { return mystrategy{} }

type mystrategy struct{}

func (mystrategy) Source(*machine.Thread) *kqueue.Place { return &kqueue.Place{Domain: new(source)} }
func (mystrategy) Queue(*machine.Thread) *kqueue.Place  { return &kqueue.Place{Domain: new(queue)} }

// A source is where filters run. They may block, and a token is then let go.
type source struct{ token machine.Token }

func (s *source) Enter(td *machine.Thread)                            { td.Get(&s.token) }
func (s *source) Exit(td *machine.Thread)                             { td.Put(&s.token) }
func (s *source) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }
func (s *source) Deliver(td *machine.Thread, kn *kqueue.Knote)        { panic("no queue lives here") }

// A queue is where what is ready is linked.
type queue struct {
	mu  machine.Mutex
	box machine.Inbox // read by the holder of mu
}

// Enter reads the letters that came before.
func (q *queue) Enter(td *machine.Thread) {
	q.mu.Lock(td)
	q.box.Drain(td)
}

// Exit looks after the box again once the mutex is free:
//
//	who leaves                  who delivers
//	reads the box: empty
//	                            drops a letter; the mutex is taken
//	lets go of the mutex        <- the letter would lie until somebody comes
func (q *queue) Exit(td *machine.Thread) {
	q.mu.Unlock(td)
	q.look(td)
}

func (q *queue) look(td *machine.Thread) {
	for !q.box.Empty(td) && q.mu.TryLock(td) {
		q.box.Drain(td)
		q.mu.Unlock(td)
	}
}

// Sleep lets go of the mutex, which a block alone would keep. A wakeup in
// between is not lost: the kernel has interlocked td before.
func (q *queue) Sleep(td *machine.Thread, until time.Duration) error {
	q.Exit(td)
	err := td.Sleep(until)
	q.Enter(td)
	return err
}

// Deliver drops the knote's letter. Read, it activates the knote.
func (q *queue) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	q.box.Push(td, kn.Mail())
	q.look(td)
}
