package poll

import (
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// An entry is one of the array that Poll was given last.
type entry struct {
	fd   int32
	asks event.PollEvents
}

// A link chains the entries of one number: 1 more than an index, 0 for none.
type link struct{ next, prev int32 }

// Poll waits until a condition that fds asks for holds, or for timeout; if that is
// negative, or [kqueue.Forever], as long as it takes, and if it is 0 not at all. It
// sets Revents of each entry to what held, of Events and of POLLERR, POLLHUP and
// POLLNVAL, and returns in how many that is not 0. (poll(2))
//
// An entry whose FD is negative is passed over. One number may be in several
// entries. A file that is always ready, or cannot be watched, is ready for all.
//
// It may block. Errors, with every Revents 0 unless it is EINVAL: EINVAL if fds is
// longer than the process may have descriptors; EINTR if a signal was caught; EBADF
// if the Poller is closed; ELOOP if a kqueue in fds is at the end of a chain of as
// many as there may be.
func (p *Poller) Poll(td *machine.Thread, fds []event.PollFD, timeout time.Duration) (int, error) {
	if timeout < 0 {
		timeout = machine.Forever
	}
	return p.PPoll(td, fds, &timeout, nil)
}

// PPoll is Poll, but that a nil timeout is as long as it takes, a negative one EINVAL,
// and that the thread's mask of signals is mask, if that is not nil, from before it
// waits until it has: see [proc.Process.Waiting]. A thread that has not joined the
// process has no mask, and mask is ignored. (ppoll(2))
func (p *Poller) PPoll(td *machine.Thread, fds []event.PollFD, timeout *time.Duration, mask *proc.Sigset) (int, error) {
	if len(fds) > p.proc.Limit() {
		return 0, syscall.EINVAL
	}
	until, err := deadline(td, timeout)
	if err != nil {
		return 0, err
	}
	return p.proc.Waiting(td, mask, func() (int, error) { return p.poll(td, fds, until) })
}

// poll is Poll until an instant; 0 is not to wait.
func (p *Poller) poll(td *machine.Thread, fds []event.PollFD, until time.Duration) (int, error) {
	p.begin(td)
	defer p.end()
	p.turn(polls)
	age := p.proc.Age(td)
	p.compare(fds, age)
	p.aged(age)
	if err := p.settle(td, age); err != nil {
		return 0, err
	}
	p.fds = fds
	n, err := p.wait(td, p.certain(), until)
	p.fds = nil
	if err != nil {
		for i := range fds {
			fds[i].Revents = 0
		}
	}
	return n, err
}

// deadline turns a timeout into an instant; 0 is not to wait. Error: EINVAL.
func deadline(td *machine.Thread, timeout *time.Duration) (time.Duration, error) {
	switch {
	case timeout == nil || *timeout == machine.Forever:
		return machine.Forever, nil
	case *timeout < 0:
		return 0, syscall.EINVAL
	case *timeout == 0:
		return 0, nil
	}
	now := td.Now()
	if *timeout > machine.Forever-now {
		return machine.Forever, nil
	}
	return now + *timeout, nil
}

// left is the timeout until an instant that deadline has returned.
func left(td *machine.Thread, until time.Duration) time.Duration {
	if until == 0 || until == machine.Forever {
		return until
	}
	return max(0, until-td.Now())
}

// turn makes the slots those of another family of calls: none is linked then.
// What is registered stays, for the calls to come.
func (p *Poller) turn(k kind) {
	if p.kind == k {
		return
	}
	p.unlinkAll()
	p.unselectAll()
	p.kind = k
}

// compare takes over what fds asks for, and sets every Revents to 0. What has not
// changed costs no more than that.
func (p *Poller) compare(fds []event.PollFD, age proc.Age) {
	for i := len(fds); i < len(p.kept); i++ {
		p.unlink(int32(i))
	}
	if len(p.kept) > len(fds) {
		p.kept, p.links = p.kept[:len(fds)], p.links[:len(fds)]
	}
	kept := p.kept
	for i := range fds[:len(kept)] {
		f := &fds[i]
		f.Revents = 0
		if k := &kept[i]; k.fd != f.FD {
			p.unlink(int32(i))
			*k = entry{f.FD, f.Events}
			p.link(int32(i), age)
		} else if k.asks != f.Events {
			k.asks = f.Events
			if k.fd >= 0 {
				p.touch(p.slot(k.fd))
			}
		}
	}
	for i := len(kept); i < len(fds); i++ {
		f := &fds[i]
		f.Revents = 0
		p.kept = append(p.kept, entry{f.FD, f.Events})
		p.links = append(p.links, link{})
		p.link(int32(i), age)
	}
}

// link chains entry i to those of its number. A number that was in an earlier array
// and asked for the same is as it was then, unless some life has ended since.
func (p *Poller) link(i int32, age proc.Age) {
	fd := p.kept[i].fd
	if fd < 0 {
		return
	}
	slot := p.slot(fd)
	w := &p.watch[slot]
	p.links[i] = link{next: w.first}
	if w.first != 0 {
		p.links[w.first-1].prev = i + 1
	}
	again := w.first == 0 && w.settled && w.age == age.Ended && w.asks == p.kept[i].asks && w.told == w.asks|always
	w.first, w.stale = i+1, 0
	if !again {
		p.touch(slot)
	}
}

// unlink takes entry i out of the chain of its number. The last one leaves everything
// as it is, for another array that has the number, and what fires meanwhile is dropped.
func (p *Poller) unlink(i int32) {
	fd := p.kept[i].fd
	if fd < 0 {
		return
	}
	slot := p.slot(fd)
	w, l := &p.watch[slot], p.links[i]
	if l.next != 0 {
		p.links[l.next-1].prev = l.prev
	}
	if l.prev != 0 {
		p.links[l.prev-1].next = l.next
	} else {
		w.first = l.next
	}
	if w.first != 0 || !w.settled {
		p.touch(slot)
	}
}

func (p *Poller) unlinkAll() {
	for i := range p.kept {
		p.unlink(int32(i))
	}
	p.kept, p.links = p.kept[:0], p.links[:0]
}

// union returns what all entries of a number ask for together.
func (p *Poller) union(w *watch) (asks event.PollEvents) {
	for i := w.first; i != 0; i = p.links[i-1].next {
		asks |= p.kept[i-1].asks
	}
	return asks
}

// aged has looked up again what may have changed with the table of descriptors.
func (p *Poller) aged(age proc.Age) {
	if age.Ended != p.age.Ended {
		for i := range p.kept {
			if fd := p.kept[i].fd; fd >= 0 {
				p.touch(p.slot(fd))
			}
		}
		p.touchSets()
	} else if age.Made != p.age.Made {
		for _, slot := range p.fixed {
			p.touch(slot)
		}
	}
}

// certain answers with what holds and no knote tells of, and returns how many
// entries, or bits of sets, that makes.
func (p *Poller) certain() (n int) {
	fixed := p.fixed[:0]
	for _, slot := range p.fixed {
		w := &p.watch[slot]
		if !w.linked() || w.fixed == 0 {
			w.listed = false
			continue
		}
		fixed = append(fixed, slot)
		m, _ := p.answer(slot, w, w.fixed)
		n += m
	}
	p.fixed = fixed
	return n
}

// answer answers with conditions of a number that hold. It returns how many
// entries, or bits, have thereby their first, and whether any was asked for.
func (p *Poller) answer(slot int32, w *watch, holds event.PollEvents) (n int, hit bool) {
	if w.fixed&event.PollNval != 0 && holds&event.PollNval == 0 {
		return 0, true // told of a life that has been seen to end: its knotes go with it
	}
	if p.kind == selects {
		return p.mark(slot, w, holds)
	}
	for i := w.first; i != 0; i = p.links[i-1].next {
		f := &p.fds[i-1]
		if r := holds & (f.Events | always); r != 0 {
			if f.Revents == 0 {
				n++
			}
			f.Revents |= r
			hit = true
		}
	}
	return n, hit
}
