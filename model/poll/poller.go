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
	desc  *kqueue.Desc // the life that was looked up last; nil if there was none
	joint *joint       // what its knotes are, if they are more than one; else nil

	first int32            // poll: 1 more than the index of the first entry with the number; 0 none
	asks  event.PollEvents // what the call asks for
	told  event.PollEvents // what it is to be told, asked for or not
	fixed event.PollEvents // what holds and no knote tells of: POLLNVAL, and all of a file that is always ready

	class event.PollClass
	in    uint8 // select: the sets that the number is in, a bit each
	need  notes // knotes whose reports are the answer
	have  notes // knotes that are registered, or have gone with a life that ended
	stale uint8 // how often what it has fired since it was linked last
	exact bool  // it needs a joint, though one knote would do

	touched, listed bool // in Poller.touched, .fixed

	// While no life has ended since the table was of this age, desc and need are what
	// the number and asks call for, linked or not, if it is settled.
	settled bool
	age     uint64 // proc.Age.Ended
}

// notes is a set of filters.
type notes uint8

const (
	reads notes = 1 << iota
	writes
	excepts
)

var filters = [...]event.Filter{event.Read, event.Write, event.Except}

// filter returns the filter of a set that has one.
func (n notes) filter() event.Filter { return filters[n>>1] }

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
		touched: p.touched[:0], fixed: p.fixed[:0], spent: p.spent[:0],
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

// Wrap implements [kqueue.Wrapper].
func (p *descs) Wrap(fd uint64, f event.Filter, own *kqueue.Filter) *kqueue.Filter {
	if j := p.watch[fd+1].joint; j != nil {
		return j.filter(f)
	}
	return own
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

// wait waits until something that the call asks for holds. n is what does already.
// It returns how much does.
func (p *Poller) wait(td *machine.Thread, n int, until time.Duration) (int, error) {
	for {
		timeout := time.Duration(0)
		if n == 0 {
			timeout = left(td, until)
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
// sets, have thereby their first condition. What a knote says that is left over is
// no answer, true or not: the others of its file might say more at the same instant.
func (p *Poller) take(e *event.Kevent) int {
	slot := int32(e.Ident) + 1
	w := &p.watch[slot]
	n := noteOf(e.Filter)
	if w.linked() && w.need&n != 0 {
		var holds event.PollEvents
		if w.joint != nil {
			holds = answered(e)
		} else {
			holds = classes[w.class].mask(e)
		}
		if n, hit := p.answer(slot, w, holds); hit {
			return n
		}
	}
	p.spent = append(p.spent, spent{slot, n})
	return 0
}
