package poll

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// settle looks up what has been touched, and registers what is not yet. age is
// that of the table at the beginning of the call: what it was when those that are
// not touched were looked up, or has been since without the end of a life.
func (p *Poller) settle(td *machine.Thread, age proc.Age) error {
	p.age = age
	if len(p.touched) == 0 {
		return nil
	}
	p.numbers = p.numbers[:0]
	for _, slot := range p.touched {
		p.numbers = append(p.numbers, slot-1)
	}
	for len(p.lives) < len(p.numbers) {
		p.lives = append(p.lives, nil)
	}
	lives := p.lives[:len(p.numbers)]
	p.proc.Descs(td, p.numbers, lives)
	var failed error
	left := p.touched[:0]
	for i, slot := range p.touched {
		w := &p.watch[slot]
		w.touched = false
		if !w.linked() {
			w.asks, w.told, w.need, w.fixed = 0, 0, 0, 0 // what it has is left over, and dropped when it fires
			w.settled = false
			continue
		}
		p.live(td, slot, lives[i])
		err := p.register(td, slot)
		for err == syscall.EBADF {
			// It has been closed since it was looked up. But by dup2 it may be
			// another's number already, and has never been nobody's.
			p.proc.Descs(td, p.numbers[i:i+1], lives[i:i+1])
			if lives[i] == w.desc {
				break // not it, but the queue
			}
			p.live(td, slot, lives[i])
			err = p.register(td, slot)
		}
		if err != nil {
			failed = err
			w.touched = true // the next call tries again
			left = append(left, slot)
		}
		w.age, w.settled = age.Ended, err == nil && w.fixed == 0
		if w.fixed != 0 && !w.listed {
			w.listed = true
			p.fixed = append(p.fixed, slot)
		}
	}
	p.touched = left
	clear(lives)
	if p.notes > len(p.events) {
		p.events = make([]event.Kevent, max(p.notes, 2*len(p.events)))
	}
	return failed
}

// live says which life a number has now. What is registered for another goes.
func (p *Poller) live(td *machine.Thread, slot int32, d *kqueue.Desc) {
	w := &p.watch[slot]
	if w.desc == d {
		return
	}
	p.forget(td, slot, w.have)
	w.desc, w.joint, w.exact = d, nil, false
	if d != nil {
		w.class = classOf(d.File)
	}
}

// register registers what a linked number needs for what it is asked: the knote of
// one filter, or a joint where one would not do. A joint stays one.
func (p *Poller) register(td *machine.Thread, slot int32) error {
	w := &p.watch[slot]
	w.need, w.fixed, w.stale = 0, 0, 0
	if p.kind == polls {
		w.asks = p.union(w)
		w.told = w.asks | always
	} else {
		w.asks, w.told = asked(w.in)
	}
	if w.desc == nil {
		w.fixed = event.PollNval
		return nil
	}
	if w.class == event.PollAlways {
		w.fixed = ready
		return nil
	}
	if w.joint != nil {
		return p.registerJoint(td, slot)
	}
	need, whole := w.needs()
	switch {
	case need == 0:
		if len(w.desc.File.Sources()) == 0 {
			w.fixed = ready
		}
		return nil
	case !whole:
		joined, err := p.join(td, slot)
		if joined || err != nil {
			return err
		}
	}
	w.need = need
	for n := reads; n <= excepts; n <<= 1 {
		if need&n == 0 || w.have&n != 0 {
			continue
		}
		p.kev = event.Kevent{Ident: uint64(slot - 1), Filter: n.filter(), Flags: event.Add}
		if n == excepts {
			p.kev.Fflags = event.NoteOOB
		}
		if err := p.add(td, w, n); err != nil {
			return err
		}
	}
	return nil
}

// needs returns which filters tell of what a number is asked, of those that its file
// has, and whether they say that and no more, each by itself. Every file that can
// hang up has Except, which tells of that where neither of the others is needed.
func (w *watch) needs() (need notes, whole bool) {
	c := &classes[w.class]
	asks := w.asks &^ always
	if asks&(c.in|c.inEOF&event.PollRdHup) != 0 && w.has(reads) {
		need |= reads
	}
	if asks&c.out != 0 && w.has(writes) {
		need |= writes
	}
	if (asks&event.PollPri != 0 || need == 0) && w.has(excepts) {
		need |= excepts
	}
	switch need {
	case reads:
		whole = asks&c.in != 0
	case writes:
		whole = true
	case excepts:
		whole = asks&event.PollPri != 0 && w.told&event.PollHup != 0
	}
	return need, whole && !w.exact
}

// has reports whether the file knows a filter.
func (w *watch) has(n notes) bool {
	if w.have&n != 0 {
		return true
	}
	_, _, err := w.desc.File.Source(n.filter())
	return err == nil
}

// join makes the knotes of a number a joint, if its file can have one.
func (p *Poller) join(td *machine.Thread, slot int32) (joined bool, err error) {
	w := &p.watch[slot]
	j := joints.New(td)
	if j.join(w.desc.File) != nil {
		return false, nil
	}
	p.forget(td, slot, w.have)
	w.joint = j
	return true, p.registerJoint(td, slot)
}

// registerJoint has the joint of a number ask for what it is asked. The main knote,
// which is the one that is returned, comes last.
func (p *Poller) registerJoint(td *machine.Thread, slot int32) error {
	w := &p.watch[slot]
	j := w.joint
	for i := len(j.parts) - 1; i >= 0; i-- {
		n := notes(1 << i)
		if !j.needs(i, w.asks) || i != int(j.main) && w.have&n != 0 {
			continue
		}
		p.kev = event.Kevent{Ident: uint64(slot - 1), Filter: n.filter(), Flags: event.Add}
		if n == excepts {
			p.kev.Fflags = event.NoteOOB
		}
		if i == int(j.main) {
			p.kev.Data = int64(w.told)
		}
		if err := p.add(td, w, n); err != nil {
			return err
		}
	}
	w.need = notes(1 << j.main)
	return nil
}

// add makes the change of p.kev, which is for the knote n.
func (p *Poller) add(td *machine.Thread, w *watch, n notes) error {
	if err := p.q.Register(td, &p.kev); err != nil {
		return err
	}
	if w.have&n == 0 {
		w.have |= n
		p.notes++
	}
	return nil
}

// forget deletes knotes of a number, as far as they have not gone with its life.
func (p *Poller) forget(td *machine.Thread, slot int32, ns notes) {
	w := &p.watch[slot]
	for n := reads; n <= excepts; n <<= 1 {
		if w.have&ns&n == 0 {
			continue
		}
		p.kev = event.Kevent{Ident: uint64(slot - 1), Filter: n.filter(), Flags: event.Delete}
		p.q.Register(td, &p.kev)
		w.have &^= n
		w.settled = false
		p.notes--
	}
}

// patience is how often a knote that is left over may fire before it is deleted.
// Who polls two arrays in turn would delete and register all of both else.
const patience = 3

// drop has knotes that fired for nothing not do so again. One that nobody needs is
// deleted: at once, or if there is something else to return, after some patience. One
// that is needed, but for less than its filter says, becomes a joint, which says what
// is asked and no more; or if its file can have none is deleted, for this call.
func (p *Poller) drop(td *machine.Thread, atOnce bool) error {
	for _, s := range p.spent {
		w := &p.watch[s.slot]
		switch {
		case !w.linked() || w.need&s.note == 0:
			if w.stale++; w.stale <= patience && !atOnce {
				continue
			}
			w.stale = 0
			if !w.linked() || w.need == 0 {
				p.forget(td, s.slot, w.have)
				w.joint = nil
			} else {
				p.forget(td, s.slot, s.note)
			}
		case w.joint == nil:
			w.exact = true
			if joined, err := p.join(td, s.slot); joined || err != nil {
				if err != nil && err != syscall.EBADF { // it has been closed: so it is not watched any more
					return err
				}
				continue
			}
			p.forget(td, s.slot, s.note)
			p.touch(s.slot)
		}
	}
	p.spent = p.spent[:0]
	if p.notes > len(p.events) {
		p.events = make([]event.Kevent, max(p.notes, 2*len(p.events)))
	}
	return nil
}
