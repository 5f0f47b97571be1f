package poll

import (
	"fmt"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A Poller is what a thread has between its calls of select(2) and poll(2): a
// queue that nobody else sees, with the knotes of the descriptors that the last
// call named, and of earlier ones as far as they have not fired.
//
// It belongs to one thread, which is in no domain when it calls a method, and in
// one call at a time; on a virtual machine anything else is a panic. (lwp_kqueue)
type Poller struct {
	k    *kqueue.Kernel
	proc *proc.Process
	q    *kqueue.Queue

	watch []watch  // by slot
	kind  kind     // of the last call: what the slots are linked into
	age   proc.Age // of the table of descriptors, when all of them had been looked up

	// What the last call of poll asked for, and which entries have one number.
	kept  []entry
	links []link

	// What the last call of select asked for, and the answer to this one.
	sets    [3][]uint64
	answers [3][]uint64

	fds []event.PollFD // of the poll under way

	touched []int32 // slots to be settled
	fixed   []int32 // slots of which something holds that no knote tells of
	shy     []int32 // slots with knotes that have been returned and need to be asked again
	spent   []spent // knotes that have fired for nothing
	numbers []int32 // those of touched
	lives   []*kqueue.Desc
	notes   int // knotes at most
	events  []event.Kevent
	kev     event.Kevent // the change under way: one of its own would be allocated

	user *machine.Thread // of a virtual machine: who is in a call
}

// A kind is which family of calls the slots are linked for.
type kind uint8

const (
	none kind = iota
	polls
	selects
)

// A watch is what a Poller knows of one descriptor number. Slot 0 is that of all
// numbers that no descriptor can have.
type watch struct {
	desc *kqueue.Desc // the life that was looked up last; nil if there was none

	first int32            // poll: 1 more than the index of the first entry with the number; 0 none
	asks  event.PollEvents // what the call asks for
	fixed event.PollEvents // what holds and no knote tells of: POLLNVAL, and all of a file that cannot be watched

	class event.PollClass
	in    uint8 // select: the sets that the number is in, a bit each
	need  notes // what is to be registered for what is asked for
	have  notes // what is, or has gone with a life that ended
	clear notes // of those, what has EV_CLEAR

	stale uint8 // how often what it has fired since it was linked last

	touched, listed, again bool // in Poller.touched, .fixed, .shy
}

// notes is a set of filters.
type notes uint8

const (
	reads notes = 1 << iota
	writes
	excepts
)

var filters = [...]event.Filter{event.Read, event.Write, event.Except}

func noteOf(f event.Filter) notes {
	switch f {
	case event.Read:
		return reads
	case event.Write:
		return writes
	}
	return excepts
}

// A spent knote has fired and told nothing that was asked for.
type spent struct {
	slot int32
	note notes
}

var pollers = machine.NewStock(func(p *Poller) {
	clear(p.watch)
	clear(p.lives)
	*p = Poller{
		watch: p.watch[:0], kept: p.kept[:0], links: p.links[:0], sets: p.sets, answers: p.answers,
		touched: p.touched[:0], fixed: p.fixed[:0], shy: p.shy[:0], spent: p.spent[:0],
		numbers: p.numbers[:0], lives: p.lives[:0], events: p.events,
	}
	for i := range p.sets {
		p.sets[i] = p.sets[i][:0]
	}
})

// New makes a Poller for td, which speaks of the descriptors of process.
func New(td *machine.Thread, k *kqueue.Kernel, process *proc.Process) *Poller {
	p := pollers.New(td)
	p.k, p.proc = k, process
	p.q = k.NewQueue(td, (*descs)(p))
	if len(p.events) == 0 {
		p.events = make([]event.Kevent, 64)
	}
	return p
}

// Close ends the Poller and deletes its knotes. Any thread may call it, also while
// the one that it belongs to is in a call: that answers EBADF then, asleep or not, as
// every later one does. It may block.
func (p *Poller) Close(td *machine.Thread) error { return p.q.Close(td) }

// Queue returns the queue that the Poller has its knotes in, for who shows what a
// kernel does.
//
//go:norace
func (p *Poller) Queue() *kqueue.Queue { return p.q }

// descs is what the Poller's queue looks numbers up in: the lives that the call
// has found, so that a knote is of what the call speaks of, whatever others have
// done to the table since.
type descs Poller

// Desc implements [kqueue.Files].
func (p *descs) Desc(_ *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if d := p.watch[fd+1].desc; d != nil {
		return d, nil
	}
	return nil, syscall.EBADF
}

// begin and end are around a call. The race detector must not look: it would report
// these words before all that they protect.
//
//go:norace
func (p *Poller) begin(td *machine.Thread) {
	if !td.Virtual() {
		return
	}
	if p.user != nil {
		panic(fmt.Sprintf("poll: %s calls a Poller that %s is in a call of", td.Name, p.user.Name))
	}
	p.user = td
}

//go:norace
func (p *Poller) end() { p.user = nil }

// slot returns the slot of a number that is not negative.
func (p *Poller) slot(fd int32) int32 {
	if int(fd) >= p.proc.Limit() {
		fd = -1
	}
	if int(fd)+1 >= len(p.watch) {
		p.grow(int(fd) + 2)
	}
	return fd + 1
}

// grow makes room for n slots.
func (p *Poller) grow(n int) {
	if n <= cap(p.watch) {
		p.watch = p.watch[:cap(p.watch)]
		return
	}
	more := make([]watch, max(n, 2*len(p.watch), 64))
	copy(more, p.watch)
	p.watch = more
}

// linked reports whether the call under way names the number.
func (w *watch) linked() bool { return w.first != 0 || w.in != 0 }

// touch has the slot settled before the call goes on.
func (p *Poller) touch(slot int32) {
	if w := &p.watch[slot]; !w.touched {
		w.touched = true
		p.touched = append(p.touched, slot)
	}
}

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
			w.asks, w.need, w.fixed = 0, 0, 0 // what it has is left over, and dropped when it fires
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
	w.desc = d
	if d != nil {
		w.class = classOf(d.File)
	}
}

// register registers what a linked number needs for what it is asked.
func (p *Poller) register(td *machine.Thread, slot int32) error {
	w := &p.watch[slot]
	w.need, w.fixed, w.stale = 0, 0, 0
	if p.kind == polls {
		w.asks = p.union(w)
	} else {
		w.asks = asked(w.in)
	}
	if w.desc == nil {
		w.fixed = event.PollNval
		return nil
	}
	c := &classes[w.class]
	asks := w.asks &^ always
	if asks&(c.in|c.inEOF&event.PollRdHup) != 0 {
		mode := event.Flags(0)
		if asks&c.in == 0 {
			mode = event.Clear // its mark may be lower than it was asked for: then bytes are not to be told of again and again
		}
		if err := p.add(td, slot, reads, mode); err != nil {
			return err
		}
	}
	if asks&c.out != 0 {
		if err := p.add(td, slot, writes, 0); err != nil {
			return err
		}
	}
	if asks&event.PollPri != 0 || w.need == 0 {
		if err := p.add(td, slot, excepts, 0); err != nil {
			return err
		}
	}
	if w.need == 0 && len(w.desc.File.Sources()) == 0 {
		w.fixed = ready
	}
	return nil
}

// add registers one filter of a number, if it is not yet, or not so, and if the
// file knows it. Error: that of Register; EBADF if the life of the number is over.
func (p *Poller) add(td *machine.Thread, slot int32, n notes, mode event.Flags) error {
	w := &p.watch[slot]
	if w.have&n != 0 && (w.clear&n != 0) == (mode == event.Clear) {
		w.need |= n
		if mode == event.Clear {
			p.again(slot)
		}
		return nil
	}
	if _, _, err := w.desc.File.Source(filters[n>>1]); err != nil {
		return nil // it has no such condition
	}
	p.forget(td, slot, n)
	if err := p.q.Register(td, p.change(slot, n, mode)); err != nil {
		return err
	}
	w.need |= n
	w.have |= n
	if mode == event.Clear {
		w.clear |= n
	}
	p.notes++
	return nil
}

// change returns the change that registers a filter of a number. Who asks for
// POLLRDHUP and not for POLLIN is not to be told of bytes.
func (p *Poller) change(slot int32, n notes, mode event.Flags) *event.Kevent {
	w := &p.watch[slot]
	p.kev = event.Kevent{Ident: uint64(slot - 1), Filter: filters[n>>1], Flags: event.Add | mode}
	switch {
	case n == excepts:
		p.kev.Fflags = event.NoteOOB
	case n == reads && w.asks&classes[w.class].in == 0:
		p.kev.Fflags, p.kev.Data = event.NoteLowat, 1<<62
	}
	return &p.kev
}

// again has the knotes of a number that have EV_CLEAR asked before the next harvest.
func (p *Poller) again(slot int32) {
	if w := &p.watch[slot]; !w.again {
		w.again = true
		p.shy = append(p.shy, slot)
	}
}

// forget deletes knotes of a number, as far as they have not gone with its life.
func (p *Poller) forget(td *machine.Thread, slot int32, ns notes) {
	w := &p.watch[slot]
	for i, f := range filters {
		n := notes(1 << i)
		if w.have&ns&n == 0 {
			continue
		}
		p.kev = event.Kevent{Ident: uint64(slot - 1), Filter: f, Flags: event.Delete}
		p.q.Register(td, &p.kev)
		p.notes--
		w.have &^= n
		w.clear &^= n
	}
}

// wait waits until something that the call asks for holds. n is what does already.
// It returns how much does.
func (p *Poller) wait(td *machine.Thread, n int, until time.Duration) (int, error) {
	for {
		timeout := machine.Forever
		switch {
		case n > 0 || until == 0:
			timeout = 0
		case until != machine.Forever:
			timeout = max(0, until-td.Now())
		}
		got, err := p.q.Kevent(td, nil, p.events, timeout)
		if err != nil {
			return 0, err
		}
		for i := range got {
			n += p.take(&p.events[i])
		}
		if len(p.spent) > 0 {
			if err := p.drop(td, n == 0); err != nil {
				return 0, err
			}
		}
		switch {
		case n > 0:
			return n, nil
		case got == 0 && td.Signaled():
			return 0, syscall.EINTR // though its time is over: it may not have waited at all
		case got == 0:
			return 0, nil
		}
	}
}

// take answers with what an event tells, and returns how many entries, or bits of
// sets, have thereby their first condition.
func (p *Poller) take(e *event.Kevent) int {
	slot := int32(e.Ident) + 1
	w := &p.watch[slot]
	n, hit := p.answer(slot, w, classes[w.class].mask(e))
	if !hit {
		p.spent = append(p.spent, spent{slot, noteOf(e.Filter)})
	}
	if e.Flags&event.Clear != 0 {
		p.again(slot)
	}
	return n
}

// patience is how often a knote that is left over may fire before it is deleted.
// Who polls two arrays in turn would delete and register all of both else.
const patience = 3

// drop has knotes that fired for nothing not do so again: at once, or if there is
// something else to return, after some patience. One that nobody needs is deleted. One
// that is needed, but for a condition that does not hold beside one that does, is from
// now on told of changes only.
func (p *Poller) drop(td *machine.Thread, atOnce bool) error {
	for _, s := range p.spent {
		w := &p.watch[s.slot]
		if w.need&s.note == 0 {
			if w.stale++; w.stale > patience || atOnce {
				w.stale = 0
				p.forget(td, s.slot, s.note)
			}
		} else if w.clear&s.note == 0 {
			if err := p.add(td, s.slot, s.note, event.Clear); err != nil && err != syscall.EBADF {
				return err
			}
		}
	}
	p.spent = p.spent[:0]
	return nil
}

// askAgain asks the filters of knotes that have EV_CLEAR and have been returned once
// more: what they told of may hold still.
func (p *Poller) askAgain(td *machine.Thread) {
	for _, slot := range p.shy {
		w := &p.watch[slot]
		w.again = false
		for n := reads; n <= excepts; n <<= 1 {
			if w.clear&w.need&n == 0 {
				continue
			}
			p.q.Register(td, p.change(slot, n, 0))
		}
	}
	p.shy = p.shy[:0]
}
