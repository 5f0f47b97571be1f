package kqueue

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A Filter decides whether the condition of a knote holds (struct filterops).
// Its functions run in the domain of the knote's source, one at a time for a
// knote: after Attach has succeeded, Event and Touch any number of times, then
// Detach once. They may enter no domain, so they notify no source.
type Filter struct {
	Name string

	// Attach begins to watch; its error is the answer to EV_ADD. The knote is
	// on its source's list already. Nil means nothing to do. (f_attach)
	Attach func(td *machine.Thread, kn *Knote) error

	// Detach ends it. (f_detach)
	Detach func(td *machine.Thread, kn *Knote)

	// Event reports whether the condition holds, and sets Data, Fflags and
	// Cond of the knote to what is to be reported. Hint is what the notifier
	// gave; it is 0 when a scan or a change asks. (f_event)
	Event func(td *machine.Thread, kn *Knote, hint int64) bool

	// Told is asked in place of Event by a Post, and reports whether its news is any to
	// the knote. A knote that stands for several conditions of a file needs it: that
	// one of them holds is no news because another has changed. Nil is Event.
	Told func(td *machine.Thread, kn *Knote, hint int64) bool

	// Next is called by whoever has retrieved an event of a knote with EV_CLEAR, after its
	// state was reset, and reports whether there is another at once, which it has set as
	// Event does. So what two pieces of news say with one and the same field comes as two
	// events, in two calls. Nil is never. It must not block.
	Next func(td *machine.Thread, kn *Knote) bool

	// Count stands for an Event that counts: Pending grows by the hint of each
	// notify, and the condition holds while it is over 0, with it as Data.
	Count bool

	// Level stands for an Event that compares: it returns a number that the
	// source's domain guards, and the condition holds while that is WantData at
	// least, with it as Data. It is called once, after Attach, which sets
	// WantData as Touch does.
	Level func(kn *Knote) *int64

	// Touch is told of an EV_ADD to a knote that exists; its error is the
	// answer, and must leave the knote as it was. Nil replaces Want and
	// WantData. With Commands it is told of changes without EV_ADD too.
	// (f_touch of FreeBSD; filt_usertouch, filt_timerreset)
	Touch func(td *machine.Thread, kn *Knote, kev *event.Kevent) error

	// Commands: the fflags of any change are commands to the filter, as
	// NOTE_TRIGGER is.
	Commands bool

	// Clear forces EV_CLEAR, OneShot forces EV_ONESHOT.
	Clear, OneShot bool

	// Unsafe: not MP-safe. It touches state that the mplock guards, so it
	// runs under the mplock, and to wait for that is a block. (Without
	// FILTEROP_MPSAFE.)
	Unsafe bool

	// Blocks: it may block, and so lose its domain (a token's, a CPU's).
	Blocks bool

	// counts: the source is a queue, and must be pruned before it is asked.
	counts bool
}

// A kind is how the core asks a filter. What it can do itself it does without a
// call: two calls are a fifth of the cost of an event.
type kind uint8

const (
	guarded kind = iota // by Knote.event: it may lose the domain, or is a queue
	serial              // Event, and Next by who has retrieved one
	called              // Event
	counted             // Count
	leveled             // Level
	told                // Event, and Told by a Post
)

func (f *Filter) kind() kind {
	switch {
	case f.slow() || f.counts:
		return guarded
	case f.Next != nil:
		return serial
	case f.Count:
		return counted
	case f.Level != nil:
		return leveled
	case f.Told != nil:
		return told
	}
	return called
}

// slow reports whether calls must be fenced by busy.
func (f *Filter) slow() bool { return f.Blocks || f.Unsafe }

// event asks the filter. Unless it can block this is just a call. If it can,
// the knote is busy meanwhile: others wait for the owner to end, and a callout,
// which must not wait, leaves word and a count.
func (kn *Knote) event(td *machine.Thread, hint int64) bool {
	if kn.kind != guarded {
		return kn.ask(td, hint)
	}
	kn.state |= busy
	hit := kn.askSlow(td, hint)
	kn.unbusy(td)
	return hit
}

// hear is event for a Post.
func (kn *Knote) hear(td *machine.Thread, hint int64) bool {
	if kn.ops.Told == nil {
		return kn.event(td, hint)
	}
	kn.state |= busy
	hit := kn.fenced(td, func() bool { return kn.ops.Told(td, kn, hint) })
	if len(kn.again) > 0 { // word that was left meanwhile
		hit = kn.askSlow(td, 0) || hit
	}
	kn.unbusy(td)
	return hit
}

// ask asks the filter, whatever its kind.
func (kn *Knote) ask(td *machine.Thread, hint int64) bool {
	switch {
	case kn.ops.Count:
		kn.Pending += hint
		kn.Data = kn.Pending
		return kn.Data > 0
	case kn.ops.Level != nil:
		kn.Data = *kn.level
		return kn.Data >= kn.WantData
	}
	return kn.ops.Event(td, kn, hint)
}

// askSlow asks a filter that may block, of a busy knote, then once more for
// each callout that came meanwhile.
func (kn *Knote) askSlow(td *machine.Thread, hint int64) bool {
	hit := kn.fenced(td, func() bool { return kn.ask(td, hint) })
	for len(kn.again) > 0 {
		hint := kn.again[0]
		kn.again = append(kn.again[:0], kn.again[1:]...)
		hit = kn.fenced(td, func() bool { return kn.ask(td, hint) })
	}
	return hit
}

// fenced runs f under the mplock if the filter is not MP-safe.
func (kn *Knote) fenced(td *machine.Thread, f func() bool) bool {
	if kn.ops.slow() {
		defer kn.lend(td)()
	}
	if !kn.ops.Unsafe {
		return f()
	}
	mp := td.Machine().MPLock()
	td.Get(mp)
	ok := f()
	td.Put(mp)
	return ok
}

// unbusy lets in those who waited for a busy knote.
func (kn *Knote) unbusy(td *machine.Thread) {
	kn.state &^= busy
	kn.src.wake(td)
}

// attach and detach call the filter's functions, if it has them.

func (kn *Knote) attach(td *machine.Thread) (err error) {
	if kn.desc != nil && kn.desc.over {
		// What it would be attached to is gone, or may go any time (bug D9).
		panic(fmt.Sprintf("kqueue: I3: %v is attached to a descriptor whose close has found no knote", kn))
	}
	if kn.ops.Attach != nil {
		kn.fenced(td, func() bool { err = kn.ops.Attach(td, kn); return true })
	}
	if err == nil && kn.ops.Level != nil {
		kn.level = kn.ops.Level(kn)
	}
	return err
}

func (kn *Knote) detach(td *machine.Thread) {
	if kn.state&hooked != 0 && kn.ops.Detach != nil {
		kn.fenced(td, func() bool { kn.ops.Detach(td, kn); return true })
	}
}

func (kn *Knote) touch(td *machine.Thread, kev *event.Kevent) (err error) {
	if kn.ops.Touch == nil {
		kn.Want, kn.WantData = kev.Fflags, kev.Data
		return nil
	}
	kn.fenced(td, func() bool { err = kn.ops.Touch(td, kn, kev); return true })
	return err
}
