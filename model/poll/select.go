package poll

import (
	"math/bits"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// What a number is asked for in each of the three sets, which come in the order of
// the arguments, and what puts it into the answer. (POLLIN_SET, POLLOUT_SET,
// POLLEX_SET)
var (
	setAsks = [3]event.PollEvents{in | event.PollRdBand, out | event.PollWrBand, event.PollPri}
	setTold = [3]event.PollEvents{setAsks[0] | event.PollHup | event.PollErr, setAsks[1] | event.PollErr, setAsks[2]}
)

// asked returns what the sets that a number is in ask for, and what puts it into one.
func asked(in uint8) (asks, told event.PollEvents) {
	for i := range setAsks {
		if in&(1<<i) != 0 {
			asks |= setAsks[i]
			told |= setTold[i]
		}
	}
	return asks, told
}

// Select waits until a number below nfds is ready that one of the sets has, to
// read, to write, or for an exceptional condition; or for *timeout. It leaves in
// the sets what is ready, and returns how many numbers that is, one in two sets
// counted twice. A set that is nil asks for nothing; a timeout that is nil is as
// long as it takes, one of 0 not at all. What is left of the timeout is written
// there, as on Linux. (select(2))
//
// At the end of the file, and with an error pending, a number is ready to read,
// with an error to write too.
//
// It may block. Errors, with the sets as they were: EINVAL if nfds or the timeout is
// negative; EBADF if a number in the sets is no open descriptor, or the Poller is
// closed; EINTR if a signal was caught; ELOOP as of [Poller.Poll].
func (p *Poller) Select(td *machine.Thread, nfds int, read, write, except *FDSet, timeout *time.Duration) (int, error) {
	until, err := deadline(td, timeout)
	if err != nil {
		return 0, err
	}
	n, err := p.selectUntil(td, nfds, [3]*FDSet{read, write, except}, until, nil)
	if until != 0 && until != machine.Forever {
		*timeout = max(0, until-td.Now())
	}
	return n, err
}

// PSelect is Select, but that it does not change the timeout, and that the thread's
// mask of signals is mask while it waits, as [Poller.PPoll] has it. (pselect(2))
func (p *Poller) PSelect(td *machine.Thread, nfds int, read, write, except *FDSet, timeout *time.Duration, mask *proc.Sigset) (int, error) {
	until, err := deadline(td, timeout)
	if err != nil {
		return 0, err
	}
	return p.selectUntil(td, nfds, [3]*FDSet{read, write, except}, until, mask)
}

func (p *Poller) selectUntil(td *machine.Thread, nfds int, sets [3]*FDSet, until time.Duration, mask *proc.Sigset) (int, error) {
	if nfds < 0 {
		return 0, syscall.EINVAL
	}
	return p.proc.Waiting(td, mask, func() (int, error) { return p.choose(td, nfds, &sets, until) })
}

// choose is Select until an instant; 0 is not to wait.
func (p *Poller) choose(td *machine.Thread, nfds int, sets *[3]*FDSet, until time.Duration) (int, error) {
	p.begin(td)
	defer p.end()
	if beyond(nfds, p.proc.Limit(), sets) {
		return 0, syscall.EBADF
	}
	p.turn(selects)
	age := p.proc.Age(td)
	p.compareSets(nfds, sets, age)
	p.aged(age)
	if err := p.settle(td, age); err != nil {
		return 0, err
	}
	if p.unopened() {
		return 0, syscall.EBADF
	}
	for i := range p.answers {
		clear(p.answers[i])
	}
	n, err := p.wait(td, p.certain(), until)
	if err != nil {
		return 0, err
	}
	for i, s := range sets {
		if s != nil {
			copy(s.words, p.answers[i])
		}
	}
	return n, nil
}

// compareSets takes over what the sets ask for.
func (p *Poller) compareSets(nfds int, sets *[3]*FDSet, age proc.Age) {
	words := 0
	for _, s := range sets {
		if s != nil {
			words = max(words, min(len(s.words), (nfds+63)>>6))
		}
	}
	for i := range p.sets {
		for len(p.sets[i]) < words {
			p.sets[i] = append(p.sets[i], 0)
		}
		for len(p.answers[i]) < len(p.sets[i]) {
			p.answers[i] = append(p.answers[i], 0)
		}
	}
	for i := range p.sets[0] {
		var changed uint64
		for j, s := range sets {
			now := s.word(i, nfds)
			changed |= now ^ p.sets[j][i]
			p.sets[j][i] = now
		}
		if changed != 0 {
			p.choseWord(i, changed, age)
		}
	}
	for i := range p.sets {
		// What they are longer than asked for is empty now.
		p.sets[i], p.answers[i] = p.sets[i][:words], p.answers[i][:words]
	}
}

// choseWord takes over some bits of word i, which are in other sets than before. It
// does for them what link and unlink do for the entries of an array: a number that
// leaves stays as it is, and one that was asked for the same before is as it was then.
func (p *Poller) choseWord(i int, word uint64, age proc.Age) {
	for ; word != 0; word &= word - 1 {
		bit := bits.TrailingZeros64(word)
		slot := p.slot(int32(i<<6 + bit))
		w := &p.watch[slot]
		var in uint8
		for j := range p.sets {
			in |= uint8(p.sets[j][i]>>bit&1) << j
		}
		same := w.settled
		if in != 0 {
			asks, told := asked(in)
			same = same && w.age == age.Ended && w.asks == asks && w.told == told
			w.stale = 0
		}
		w.in = in
		if !same {
			p.touch(slot)
		}
	}
}

// touchSets has all numbers in the sets settled.
func (p *Poller) touchSets() {
	for i := range p.sets[0] {
		for word := p.sets[0][i] | p.sets[1][i] | p.sets[2][i]; word != 0; word &= word - 1 {
			p.touch(p.slot(int32(i<<6 + bits.TrailingZeros64(word))))
		}
	}
}

func (p *Poller) unselectAll() {
	for i := range p.sets[0] {
		was := p.sets[0][i] | p.sets[1][i] | p.sets[2][i]
		p.sets[0][i], p.sets[1][i], p.sets[2][i] = 0, 0, 0
		p.choseWord(i, was, p.age)
	}
	for i := range p.sets {
		p.sets[i] = p.sets[i][:0]
	}
}

// beyond reports whether a number is in the sets that no descriptor can have.
func beyond(nfds, limit int, sets *[3]*FDSet) bool {
	for _, s := range sets {
		if s == nil {
			continue
		}
		for i := limit >> 6; i < min(len(s.words), (nfds+63)>>6); i++ {
			w := s.word(i, nfds)
			if i == limit>>6 {
				w &^= 1<<(limit&63) - 1
			}
			if w != 0 {
				return true
			}
		}
	}
	return false
}

// unopened reports whether a number in the sets is not open.
func (p *Poller) unopened() bool {
	for _, slot := range p.fixed {
		if w := &p.watch[slot]; w.in != 0 && w.fixed&event.PollNval != 0 {
			return true
		}
	}
	return false
}

// mark is answer for the sets.
func (p *Poller) mark(slot int32, w *watch, holds event.PollEvents) (n int, hit bool) {
	i, bit := (slot-1)>>6, uint64(1)<<((slot-1)&63)
	for j := range setTold {
		if w.in&(1<<j) == 0 || holds&setTold[j] == 0 {
			continue
		}
		if p.answers[j][i]&bit == 0 {
			p.answers[j][i] |= bit
			n++
		}
		hit = true
	}
	return n, hit
}
