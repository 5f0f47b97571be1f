package machine

import "sync/atomic"

// A Mail is one message, linked into at most one [Inbox] at a time. It is
// embedded in what it speaks of, so that posting allocates nothing. To is set
// before it is posted and not changed while it is under way.
type Mail struct {
	To   Receiver
	next *Mail
}

// A Receiver acts on a message where it arrives.
type Receiver interface {
	// Receive runs in the domain that the inbox belongs to, on whichever
	// thread works it off. It must not block.
	Receive(td *Thread)
}

// An Inbox is an intrusive queue with many senders and one reader at a time:
// a CPU's queue of interprocessor messages, or the box of a domain. Senders
// push onto a Treiber stack; the reader takes all and reverses it, so messages
// arrive in the order of their pushes. The zero value is empty.
//
// (Treiber, "Systems Programming: Coping with Parallelism", 1986. A stack that
// is only ever taken whole has no ABA problem.)
type Inbox struct{ first atomic.Pointer[Mail] }

// Push posts m.
func (b *Inbox) Push(td *Thread, m *Mail) {
	if td.stops != nil {
		td.stops.step(td, PointPush, b)
	}
	for {
		first := b.first.Load()
		m.next = first
		if b.first.CompareAndSwap(first, m) {
			return
		}
	}
}

// Empty reports whether nothing has been posted since the last Drain.
func (b *Inbox) Empty(td *Thread) bool {
	if td.stops != nil {
		td.stops.step(td, PointLoad, b)
	}
	return b.first.Load() == nil
}

// Drain takes all messages and hands them to their receivers, oldest first.
func (b *Inbox) Drain(td *Thread) {
	if td.stops != nil {
		td.stops.step(td, PointTake, b)
	}
	m := b.first.Swap(nil)
	var last *Mail
	if m != nil && td.vm != nil {
		td.vm.touch(b, Writes)
	}
	for m != nil {
		m, m.next, last = m.next, last, m
	}
	for last != nil {
		// Received, it may be posted again at once: read the link first.
		m, last = last, last.next
		m.next = nil
		m.To.Receive(td)
	}
}
