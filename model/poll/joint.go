package poll

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A joint is knotes of several filters of one file, of which one speaks for all: the
// main, that of the first filter that the file has. So what holds of a file is told
// once, and is what held at one instant, as if the file had a poll function.
//
// Only the main knote is ever returned. The others hear of news as any knote does,
// fire the main one, and say no themselves. Mostly there are none, and what the main
// one's own filter says is all there is to say: it is asked as if there were no joint,
// and its report is put into words when it has been returned (see answered). Else the
// main one, asked by a scan, asks the others' filters too, and says itself which
// conditions hold at that one instant.
//
// That needs sources in one domain, as all files' are. The state of a joint is
// guarded by it.
type joint struct {
	mask  event.PollEvents // guarded by the file's domain, as what follows is: conditions asked for
	also  uint8            // parts, a bit each, that the main one asks besides its own filter
	main  uint8            // of parts
	class event.PollClass
	ahead bool         // it is told of news before those who watch the file already
	twin  event.Filter // what the file has the main part's filter for besides; 0 if there is no such
	sides [len(filters)]side
	parts [len(filters)]part

	// Functions of the main part's filter, made once.
	ask  func(*machine.Thread, *kqueue.Knote, int64) bool
	told func(*machine.Thread, *kqueue.Knote, int64) bool
}

// A side is what a joint looks at to ask one filter of its file. All of them lie
// together, since ten thousand joints are as fast as their memory.
type side struct {
	own   *kqueue.Filter   // the file's, nil if it has none
	kn    *kqueue.Knote    // while it is attached
	level *int64           // of an own filter with Level
	plain event.PollEvents // what the filter's yes stands for if it has no more to say
}

// A part is a joint's interest in one filter of its file.
type part struct {
	j   *joint
	i   int           // in filters
	ops kqueue.Filter // asked in the place of the file's own

	// Functions of ops, made once.
	attach  func(*machine.Thread, *kqueue.Knote) error
	detach  func(*machine.Thread, *kqueue.Knote)
	touch   func(*machine.Thread, *kqueue.Knote, *event.Kevent) error
	forward func(*machine.Thread, *kqueue.Knote, int64) bool
}

// Of the numbers of Pollers; items have their own.
var joints = machine.NewStock(func(j *joint) { j.clean() })

// clean makes a joint as it was, but for its functions.
func (j *joint) clean() { *j = joint{parts: j.parts, ask: j.ask, told: j.told} }

// join makes j, which has no knotes, the joint of a file.
//
// Error: EPERM if a condition of the file is of another domain than the first, or
// has a filter that may lose it: no one instant could be spoken of. Filters that are
// not MP-safe may lose it for the mplock alone, and if the first is one it has that
// while it asks the others.
func (j *joint) join(f kqueue.File) error {
	if j.ask == nil {
		j.ask, j.told = j.onAsk, j.onTold
		for i := range j.parts {
			p := &j.parts[i]
			p.j, p.i = j, i
			p.attach, p.detach, p.touch, p.forward = p.onAttach, p.onDetach, p.onTouch, p.onNews
		}
	}
	j.class, j.twin, j.also = classOf(f), 0, 0
	var first *kqueue.Source
	for i := range j.parts {
		p := &j.parts[i]
		j.sides[i] = side{}
		s, own, err := f.Source(filters[i])
		if err != nil {
			continue
		}
		p.ops = *own
		switch {
		case first == nil:
			j.main, first = uint8(i), s
			p.ops.Event, p.ops.Told = j.ask, j.told
		case own == j.sides[j.main].own && s == first:
			j.twin = filters[i] // one condition by two names, which says both
			continue
		case own.Blocks || own.Unsafe && !j.sides[j.main].own.Unsafe || !s.Shares(first):
			return syscall.EPERM
		default:
			p.ops.Event, p.ops.Told = p.forward, nil
		}
		j.sides[i].own = own
		p.ops.Attach, p.ops.Detach, p.ops.Touch = p.attach, p.detach, p.touch
		p.ops.Count, p.ops.Level, p.ops.Commands = false, nil, false
	}
	for i := range j.sides {
		if j.sides[i].own != nil && filters[i] != event.Except {
			j.sides[i].plain = j.report(i, 0, 0, 0)
		}
	}
	return nil
}

// filter returns what is asked in the place of a filter of the file.
func (j *joint) filter(f event.Filter) *kqueue.Filter {
	for i := range filters {
		if filters[i] == f {
			return &j.parts[i].ops
		}
	}
	return nil
}

// needs reports whether the joint needs a knote of its part i to see the conditions
// asked for. The main one also sees those that are told without asking.
func (j *joint) needs(i int, asked event.PollEvents) bool {
	switch {
	case j.sides[i].own == nil:
		return false
	case i == int(j.main):
		return true
	case filters[i] == event.Write:
		return asked&(event.PollOut|event.PollWrNorm|event.PollWrBand) != 0
	}
	return asked&event.PollPri != 0
}

// look asks the file's own filter of part i, and returns the conditions that it tells of.
func (j *joint) look(td *machine.Thread, i int, kn *kqueue.Knote, hint int64) event.PollEvents {
	s := &j.sides[i]
	kn.Cond, kn.Fflags = 0, 0
	var hit bool
	switch own := s.own; {
	case s.level != nil:
		kn.Data = *s.level
		hit = kn.Data >= kn.WantData
	case own.Count:
		kn.Pending += hint
		kn.Data = kn.Pending
		hit = kn.Data > 0
	default:
		hit = own.Event(td, kn, hint)
	}
	switch {
	case !hit:
		return 0
	case kn.Cond == 0 && kn.Fflags == 0 && s.plain != 0:
		return s.plain
	}
	return j.report(i, kn.Cond, kn.Fflags, kn.Data)
}

// report puts a report of the file's own filter of part i into words.
func (j *joint) report(i int, flags event.Flags, fflags event.Fflags, data int64) event.PollEvents {
	c := &classes[j.class]
	m := c.report(filters[i], flags, fflags, data)
	if j.twin != 0 && i == int(j.main) {
		m |= c.report(j.twin, flags, fflags, data)
	}
	return m
}

// onAsk is Event of the main part.
func (j *joint) onAsk(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	bits := j.look(td, int(j.main), kn, 0)
	for i, also := 0, j.also; also != 0; i, also = i+1, also>>1 {
		if also&1 != 0 {
			bits |= j.look(td, i, j.sides[i].kn, 0)
		}
	}
	bits &= j.mask
	kn.Fflags = event.Fflags(bits)
	return bits != 0
}

// onTold is Told of the main part: whether news of its own filter is any to the joint.
// What holds besides is not: with EV_CLEAR it has been told. (ep_poll_callback, key)
func (j *joint) onTold(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	return j.look(td, int(j.main), kn, hint)&j.mask != 0
}

// onNews is Event of the other parts.
func (p *part) onNews(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	j := p.j
	if main := j.sides[j.main].kn; main != nil && j.needs(p.i, j.mask) && j.look(td, p.i, kn, hint)&j.mask != 0 {
		main.Fire(td)
	}
	return false
}

// onAttach is Attach of any part. The conditions asked for come as the main knote's
// data, which no filter looks at without NOTE_LOWAT.
func (p *part) onAttach(td *machine.Thread, kn *kqueue.Knote) error {
	s := &p.j.sides[p.i]
	mask := p.j.mask
	if p.i == int(p.j.main) {
		mask = event.PollEvents(kn.WantData)
		kn.WantData = 0
	}
	if s.own.Attach != nil {
		if err := s.own.Attach(td, kn); err != nil {
			return err
		}
	}
	if s.own.Level != nil {
		s.level = s.own.Level(kn)
	}
	s.kn = kn
	if p.j.ahead {
		kn.MoveFirst()
	}
	p.j.asks(mask)
	return nil
}

func (p *part) onDetach(td *machine.Thread, kn *kqueue.Knote) {
	s := &p.j.sides[p.i]
	s.kn = nil
	p.j.asks(p.j.mask)
	if s.own.Detach != nil {
		s.own.Detach(td, kn)
	}
}

// onTouch is Touch of any part: of the main one a new mask.
func (p *part) onTouch(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	if p.i == int(p.j.main) {
		p.j.asks(event.PollEvents(kev.Data))
	}
	return nil
}

// asks has the joint ask for the conditions of mask, in the file's domain. The main
// part's own filter is asked without it if no other is needed, and whatever makes that
// say yes is asked for.
func (j *joint) asks(mask event.PollEvents) {
	main := &j.sides[j.main]
	j.mask, j.also = mask, 0
	direct := main.plain&mask != 0 && j.twin == 0 && main.own.Event != nil && !main.own.Count && main.own.Level == nil
	for i := int(j.main) + 1; i < len(j.sides); i++ {
		if !j.needs(i, mask) {
			continue
		}
		direct = false
		if j.sides[i].kn != nil {
			j.also |= 1 << i
		}
	}
	kn, ops := main.kn, &j.parts[j.main].ops
	if kn == nil {
		return
	}
	kn.Cond, kn.Fflags, kn.Answer = 0, 0, 0
	kn.Called(j.ask)
	ops.Told = j.told
	if direct {
		kn.Called(main.own.Event)
		ops.Told = main.own.Event
		kn.Answer = reported | event.Fflags(j.class)<<classShift | event.Fflags(main.plain&mask)<<plainShift
		for i, b := range askable {
			if mask&b != 0 {
				kn.Answer |= 1 << (askedShift + i)
			}
		}
	}
}

// What a joint's knote returns in its fflags are the conditions that hold; or, with
// reported, what its file's filter has said and what is needed to put that into words:
//
//	bit 31      reported
//	bits 17-30  the conditions that a mere yes stands for, of those asked for
//	bits 11-16  the conditions asked for, a bit for each of askable
//	bits 8-10   the class of the file
//	bits 0-7    the errno that the filter reports
const (
	reported   = event.Fflags(1) << 31
	plainShift = 17
	plainBits  = 1<<14 - 1
	askedShift = 11
	classShift = 8
	errnos     = event.Fflags(1)<<classShift - 1

	_ = uint(plainBits) - uint(event.PollRdHup<<1-1)
	_ = uint(8) - uint(event.PollClasses)

	// ends are flags without which a yes is no more than that.
	ends = event.EOF | event.HUP | event.NoData
)

// askable are the conditions that may be asked for and that a report of Read or Write
// can speak of.
var askable = [...]event.PollEvents{
	event.PollIn, event.PollRdNorm, event.PollOut, event.PollWrNorm, event.PollWrBand, event.PollRdHup,
}

// answered returns the conditions that a joint's knote has returned.
func answered(kev *event.Kevent) event.PollEvents {
	w := kev.Fflags
	if w&reported == 0 {
		return event.PollEvents(w)
	}
	mask := always
	for i, b := range askable {
		if w>>(askedShift+i)&1 != 0 {
			mask |= b
		}
	}
	return classes[w>>classShift&7].report(kev.Filter, kev.Flags, w&errnos, kev.Data) & mask
}
