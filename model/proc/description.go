package proc

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Kernel returns the kernel that the process runs on.
func (p *Process) Kernel() *kqueue.Kernel { return p.k }

// Hold returns the description of the file that fd stands for, and keeps the file
// from being released until Drop: who closes its last descriptor waits for that. It
// is for calls that do more with a file than its own methods bear, which may find
// it released at any time, and that end soon. (fdget)
//
// Error: EBADF.
func (p *Process) Hold(td *machine.Thread, fd int) (*Description, error) {
	p.mu.Lock(td)
	s, err := p.at(fd)
	if err == nil {
		s.file.holds.Add(td, 1)
	}
	td.Commit(event.Found)
	p.mu.Unlock(td)
	return s.file, err
}

// Drop ends a Hold. (fdput)
//
//	Drop                        close, of the last descriptor
//	holds: none
//	                            refs: none
//	refs: some, so nobody waits
//	                            holds: none, so it does not wait
func (d *Description) Drop(td *machine.Thread) {
	if d.holds.Add(td, ^uint32(0)) == 0 && d.refs.Load(td) == 0 {
		td.Wakeup(&d.idle)
	}
}

// A Tie says who is told when a file goes. It belongs to one Description at a time.
type Tie struct {
	// Gone is called when the last descriptor of the file is closed, before the
	// file is released, in no domain, with no lock held. The tie is undone then.
	Gone func(td *machine.Thread)

	to         *Description
	next, prev *Tie // guarded by the process's mu
}

// Tie has t told when the file goes. Whoever calls it holds the file.
func (d *Description) Tie(td *machine.Thread, t *Tie) {
	d.p.mu.Lock(td)
	t.to, t.prev, t.next = d, nil, d.ties
	if t.next != nil {
		t.next.prev = t
	}
	d.ties = t
	d.tied.Add(td, 1)
	d.p.mu.Unlock(td)
}

// Untie undoes a tie, and reports whether it was the caller who did: else Gone is
// being called, or has been.
func (t *Tie) Untie(td *machine.Thread) bool {
	p := t.to.p
	p.mu.Lock(td)
	mine := t.to.ties == t || t.prev != nil
	if mine {
		t.undo(td)
	}
	p.mu.Unlock(td)
	return mine
}

// undo takes t off the list, with mu held.
func (t *Tie) undo(td *machine.Thread) {
	if t.prev == nil {
		t.to.ties = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	t.to.tied.Add(td, ^uint32(0))
}

// last is called when the last descriptor is gone. It waits until no call works
// with the file any more; then none can be tied to it. The two counts are looked at
// without a point: mostly they have never been anything but 0.
func (d *Description) last(td *machine.Thread) {
	td.Touch(&d.holds, machine.Reads)
	for d.holds.Look() != 0 {
		td.Interlock(&d.idle)
		if d.holds.Load(td) != 0 {
			td.Sleep(machine.Forever)
		}
		td.Uninterlock()
	}
	for d.tied.Look() != 0 {
		d.p.mu.Lock(td)
		t := d.ties
		if t != nil {
			t.undo(td)
		}
		d.p.mu.Unlock(td)
		if t != nil {
			t.Gone(td)
		}
	}
}
