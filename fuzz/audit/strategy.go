package audit

import (
	"time"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// apart is the strategy of the audit: each source and each queue has a domain of its
// own. One that they shared would order what a filter does outside of its source after
// what another does there, and nothing would be seen.
//
// A source's domain is a token, which its holder loses when it blocks: a filter that
// blocks finds that others have been there meanwhile. A queue's is a mutex, since who
// delivers must not wait, and leaves mail where somebody is in.
type apart struct{ l *lab } // nil if nobody looks

func newApart(*machine.Machine) kqueue.Strategy { return apart{} }

// Source implements [kqueue.Strategy].
func (a apart) Source(td *machine.Thread) *kqueue.Place {
	d := sources.New(td)
	if d.place.Domain == nil {
		d.place.Domain, d.token.Name = d, "domain of a source"
	}
	d.l = a.l
	return &d.place
}

// Queue implements [kqueue.Strategy].
func (a apart) Queue(td *machine.Thread) *kqueue.Place {
	d := queues.New(td)
	if d.place.Domain == nil {
		d.place.Domain, d.mu.Name = d, "domain of a queue"
	}
	d.l = a.l
	return &d.place
}

// Reset implements [kqueue.Resetter]: the domains come from stocks.
func (apart) Reset() {}

// Of domains that have been used all can be used again: nobody is in, and no mail lies
// there.
var (
	sources = machine.NewStock(func(*source) {})
	queues  = machine.NewStock(func(*queue) {})
)

type source struct {
	place kqueue.Place
	token machine.Token
	l     *lab
}

func (d *source) Enter(td *machine.Thread) {
	d.l.enters(td)
	td.Get(&d.token)
}

func (d *source) Exit(td *machine.Thread) { td.Put(&d.token) }

func (d *source) Sleep(td *machine.Thread, until time.Duration) error { return td.Sleep(until) }

// Deliver is never called: no queue is here.
func (d *source) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	panic("audit: a delivery to the domain of a source")
}

type queue struct {
	place kqueue.Place
	mu    machine.Mutex
	mail  machine.Inbox
	l     *lab
}

func (d *queue) Enter(td *machine.Thread) {
	d.l.enters(td)
	d.mu.Lock(td)
	d.mail.Drain(td)
}

func (d *queue) Exit(td *machine.Thread) {
	d.mu.Unlock(td)
	d.work(td)
}

func (d *queue) Sleep(td *machine.Thread, until time.Duration) error {
	d.Exit(td)
	err := td.Sleep(until)
	d.mu.Lock(td)
	d.mail.Drain(td)
	return err
}

func (d *queue) Deliver(td *machine.Thread, kn *kqueue.Knote) {
	d.mail.Push(td, kn.Mail())
	d.work(td)
}

// work works off the mail unless somebody is in, who will look again on leaving.
func (d *queue) work(td *machine.Thread) {
	for !d.mail.Empty(td) && d.mu.TryLock(td) {
		d.mail.Drain(td)
		d.mu.Unlock(td)
	}
}
