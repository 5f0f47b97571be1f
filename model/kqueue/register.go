package kqueue

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	actions    = event.Add | event.Delete | event.Enable | event.Disable
	persistent = event.OneShot | event.Clear | event.Dispatch
	accepted   = actions | persistent | event.Receipt
	// system is what only the kernel sets. It is ignored in a change, so that
	// an event can be handed back as one. (EV_SYSFLAGS)
	system = event.EOF | event.NoData | event.HUP | event.Error
)

// Register applies one change, as Kevent does, for a caller inside the kernel that
// needs its answer and no events. Its errors are those of a change; EBADF also if the
// queue is nil or closed. It may block. (kqueue_register)
func (q *Queue) Register(td *machine.Thread, kev *event.Kevent) error {
	if q == nil || q.closed.Load(td) != 0 {
		return errEBADF
	}
	td.Commit(event.Change)
	err := q.register(td, kev)
	finish(td)
	return err
}

// RegisterAt is Register for a filter whose ident is not a descriptor, with the source
// and the filter given that its opener would have to find. A knote that there is
// already is changed, whatever it watches.
func (q *Queue) RegisterAt(td *machine.Thread, kev *event.Kevent, src *Source, f *Filter) error {
	if q == nil || q.closed.Load(td) != 0 {
		return errEBADF
	}
	_, err := q.apply(td, kev, &target{src: src, ops: f})
	finish(td)
	return err
}

// register applies one change.
func (q *Queue) register(td *machine.Thread, kev *event.Kevent) error {
	if !valid(kev.Filter) || kev.Flags&^(accepted|system) != 0 {
		return errEINVAL
	}
	const both, either = event.Enable | event.Disable, event.Add | event.Delete
	if kev.Flags&both == both || kev.Flags&either == either {
		return errEINVAL // they contradict each other
	}
	t, err := q.target(td, kev)
	if err != nil {
		return err
	}
	inner, nested := t.watched(kev)
	if !nested {
		_, err = q.apply(td, kev, &t)
		return err
	}
	q.k.nest.Lock(td)
	err = q.watch(td, inner)
	if err != nil {
		td.Commit(event.Changed)
	} else {
		var made bool
		if made, err = q.apply(td, kev, &t); !made {
			q.forget(td, inner)
		}
	}
	q.k.nest.Unlock(td)
	return err
}

// A target is what a change speaks of.
type target struct {
	desc *Desc   // for filters of descriptors
	open Opener  // for the others
	src  *Source // known at once for a descriptor, else once opened
	ops  *Filter
}

// watched returns the queue that a change is going to watch.
func (t *target) watched(kev *event.Kevent) (*Queue, bool) {
	if t.ops == nil || !t.ops.counts || kev.Flags&event.Add == 0 {
		return nil, false
	}
	return queueOf(t.desc.File), true
}

// target resolves the ident of a change.
func (q *Queue) target(td *machine.Thread, kev *event.Kevent) (t target, err error) {
	if t.open = q.k.open[-kev.Filter]; t.open != nil {
		return t, nil
	}
	switch kev.Filter {
	case event.Read, event.Write, event.Except, event.Vnode, event.AIO:
	default:
		return t, errEINVAL // not installed
	}
	if q.files == nil {
		return t, errEBADF
	}
	if t.desc, err = q.files.Desc(td, kev.Ident); err != nil {
		return t, err
	}
	t.src, t.ops, err = t.desc.File.Source(kev.Filter)
	if err == nil && q.wrap != nil {
		t.ops = q.wrap.Wrap(kev.Ident, kev.Filter, t.ops)
	}
	return t, err
}

// apply finds the knote that the change speaks of and changes it, or makes it.
// It starts over whenever the knote it found is on its way out.
func (q *Queue) apply(td *machine.Thread, kev *event.Kevent, t *target) (made bool, err error) {
	for {
		q.enter(td)
		if q.closed.Load(td) != 0 {
			td.Commit(event.Changed)
			q.place.Exit(td)
			return false, errEBADF
		}
		if kn := q.table.find(kev.Ident, kev.Filter, t.desc); kn != nil {
			if again, err := q.change(td, kn, kev); !again {
				return false, err
			}
			continue
		}
		if kev.Flags&event.Add == 0 {
			td.Commit(event.Changed)
			q.place.Exit(td)
			return false, errENOENT
		}
		if t.src == nil {
			// An opener may do anything: leave, open, and look again.
			q.place.Exit(td)
			if t.src, t.ops, err = t.open(td, q.files, kev.Ident); err != nil {
				return false, err
			}
			continue
		}
		return true, q.make(td, kev, t)
	}
}

// make adds a knote. td is in the queue's domain, and in none on return. The
// knote is busy from before anybody can find it until its filter is attached
// and has been asked once (bug D6); it is on its source's list before the
// descriptor is looked at, with no wait between (trap 10), and attached after
// that. Whoever ends it detaches it only if it was attached (trap 7).
func (q *Queue) make(td *machine.Thread, kev *event.Kevent, t *target) error {
	kn := scratchOf(td).alloc(td)
	kn.q, kn.src, kn.ops, kn.desc = q, t.src, t.ops, t.desc
	kn.id, kn.filt, kn.udata = kev.Ident, kev.Filter, kev.Udata
	kn.Want, kn.WantData = kev.Fflags, kev.Data
	kn.keep = kev.Flags & persistent
	if t.ops.Clear {
		kn.keep |= event.Clear
	}
	if t.ops.OneShot {
		kn.keep |= event.OneShot
	}
	kn.place, kn.kind, kn.called = t.src.place, t.ops.kind(), t.ops.Event
	kn.state = busy
	if kev.Flags&event.Disable != 0 {
		kn.state |= disabled
	}
	kn.link = hashed
	q.table.insert(kn)
	if t.ops.counts {
		q.inner = append(q.inner, queueOf(t.desc.File))
	}

	s := kn.src
	if s.place != q.place {
		reach(kn, 1)
	}
	move(td, q.place, s.place)
	s.notes.append(kn)
	var err error
	if kn.desc != nil && kn.desc.closed.Load(td) != 0 {
		err = errEBADF
	} else if err = kn.attach(td); err == nil {
		kn.state |= hooked
		if kn.askSlow(td, 0) && kn.state.fire() {
			s.deliver(td, kn)
		}
	}
	td.Commit(event.Changed)
	kn.unbusy(td)
	if err != nil {
		kn.state.end()
		clean(td, kn, s.place)
		return err
	}
	s.place.Exit(td)
	return nil
}

// change applies a change to a knote that was found. td is in the queue's
// domain, and in none on return. Again means that the knote was on its way
// out, and is gone now: look anew.
func (q *Queue) change(td *machine.Thread, kn *Knote, kev *event.Kevent) (again bool, err error) {
	s := kn.src
	kn.used++
	move(td, q.place, s.place)
	for kn.state&busy != 0 {
		s.await(td, kn)
	}
	switch {
	case kn.state&gone != 0:
		// Its end has been committed, so for the user it exists no more. A
		// new one can be made when the old one is out of the way.
		for kev.Flags&event.Add != 0 && kn.state&done == 0 {
			s.await(td, kn)
		}
		// If the queue has closed meanwhile, that is why it is gone.
		again, err = kev.Flags&event.Add != 0, errENOENT
		if !again {
			if q.closed.Load(td) != 0 {
				err = errEBADF
			}
			td.Commit(event.Changed)
		}
	case kev.Flags&event.Delete != 0:
		kn.state.end()
		td.Commit(event.Changed)
		kn.left++
		clean(td, kn, s.place)
		return false, nil
	default:
		err = kn.modify(td, kev)
	}
	kn.left++
	s.place.Exit(td)
	return again, err
}

// modify applies EV_ADD, EV_ENABLE, EV_DISABLE or a command in one visit to
// the source: first the values, then the state, then the filter. In any other
// order a scan could return the knote enabled with its old udata, or disabled
// (trap 6).
func (kn *Knote) modify(td *machine.Thread, kev *event.Kevent) error {
	add := kev.Flags&event.Add != 0
	touch := add || kn.ops.Commands
	if touch {
		slow := kn.kind == guarded
		if slow {
			kn.state |= busy
		}
		err := kn.touch(td, kev)
		if slow {
			kn.unbusy(td)
		}
		if err != nil {
			td.Commit(event.Changed)
			if len(kn.again) > 0 { // callouts, that came while the filter said no
				kn.tell(td)
			}
			return err
		}
	}
	if add {
		kn.udata = kev.Udata
		if kn.q.items {
			kn.keep = kev.Flags & persistent
			if kn.state&posted == 0 { // news from before: the filter is asked anew
				kn.state &^= fired
			}
		}
	}
	switch {
	case kev.Flags&event.Disable != 0:
		kn.state.disable()
	case kev.Flags&(event.Enable|event.Add) != 0 && kn.state.enable():
		kn.src.deliver(td, kn)
	}
	if touch && kn.kind != guarded {
		kn.tell(td)
		touch = false
	}
	td.Commit(event.Changed)
	if touch { // the filter may block: the change is seen before it has answered
		kn.tell(td)
	}
	return nil
}

// tell asks the filter and delivers the knote if it says yes.
func (kn *Knote) tell(td *machine.Thread) {
	if kn.event(td, 0) && kn.state.fire() {
		kn.src.deliver(td, kn)
	}
}
