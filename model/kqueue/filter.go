package kqueue

import (
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

	// Touch is told of an EV_ADD to a knote that exists; its error is the
	// answer, and must leave the knote as it was. Nil replaces Want and
	// WantData. With Commands it is told of changes without EV_ADD too.
	// (f_touch of FreeBSD; filt_usertouch, filt_timerreset)
	Touch func(td *machine.Thread, kn *Knote, kev *event.Kevent) error

	// Commands: the fflags of any change are commands to the filter, as
	// NOTE_TRIGGER is.
	Commands bool

	// Clear forces EV_CLEAR.
	Clear bool

	// Unsafe: not MP-safe. It touches state that the mplock guards, so it
	// runs under the mplock, and to wait for that is a block. (Without
	// FILTEROP_MPSAFE.)
	Unsafe bool

	// Blocks: it may block, and so lose its domain (a token's, a CPU's).
	Blocks bool

	// counts: the source is a queue, and must be pruned before it is asked.
	counts bool
}

// slow reports whether calls must be fenced by busy.
func (f *Filter) slow() bool { return f.Blocks || f.Unsafe }

// event asks the filter. Unless it can block this is just a call. If it can,
// the knote is busy meanwhile: others wait for the owner to end, and a callout,
// which must not wait, leaves word and a count.
func (kn *Knote) event(td *machine.Thread, hint int64) bool {
	if kn.quick {
		return kn.ops.Event(td, kn, hint)
	}
	kn.state |= busy
	hit := kn.askSlow(td, hint)
	kn.unbusy(td)
	return hit
}

// askSlow asks a filter that may block, of a busy knote, then once more for
// each callout that came meanwhile.
func (kn *Knote) askSlow(td *machine.Thread, hint int64) bool {
	hit := kn.guarded(td, func() bool { return kn.ops.Event(td, kn, hint) })
	for len(kn.again) > 0 {
		hint := kn.again[0]
		kn.again = append(kn.again[:0], kn.again[1:]...)
		hit = kn.guarded(td, func() bool { return kn.ops.Event(td, kn, hint) })
	}
	return hit
}

// guarded runs f under the mplock if the filter is not MP-safe.
func (kn *Knote) guarded(td *machine.Thread, f func() bool) bool {
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
	if kn.ops.Attach != nil {
		kn.guarded(td, func() bool { err = kn.ops.Attach(td, kn); return true })
	}
	return err
}

func (kn *Knote) detach(td *machine.Thread) {
	if kn.state&hooked != 0 && kn.ops.Detach != nil {
		kn.guarded(td, func() bool { kn.ops.Detach(td, kn); return true })
	}
}

func (kn *Knote) touch(td *machine.Thread, kev *event.Kevent) (err error) {
	if kn.ops.Touch == nil {
		kn.Want, kn.WantData = kev.Fflags, kev.Data
		return nil
	}
	kn.guarded(td, func() bool { err = kn.ops.Touch(td, kn, kev); return true })
	return err
}
