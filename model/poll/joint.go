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
	class event.PollClass
	main  int              // of parts
	ahead bool             // it is told of news before those who watch the file already
	mask  event.PollEvents // guarded by the file's domain: conditions asked for
	parts [len(filters)]part
}

// A part is a joint's interest in one filter of its file.
type part struct {
	j     *joint
	i     int              // in filters
	plain event.PollEvents // what the filter's yes stands for if it has no more to say; 0 if it always has
	twin  event.Filter     // what the file has the same filter for besides; 0 if there is no such
	own   *kqueue.Filter   // the file's, nil if it has none
	ops   kqueue.Filter    // asked in its place
	kn    *kqueue.Knote    // guarded by the file's domain: while it is attached
	level *int64           // of an own filter with Level

	// Functions of ops, made once.
	attach  func(*machine.Thread, *kqueue.Knote) error
	detach  func(*machine.Thread, *kqueue.Knote)
	touch   func(*machine.Thread, *kqueue.Knote, *event.Kevent) error
	ask     func(*machine.Thread, *kqueue.Knote, int64) bool
	told    func(*machine.Thread, *kqueue.Knote, int64) bool
	forward func(*machine.Thread, *kqueue.Knote, int64) bool
}

// Of the numbers of Pollers; items have their own.
var joints = machine.NewStock(func(j *joint) { *j = joint{parts: j.parts} })

// join makes j, which has no knotes, the joint of a file.
//
// Error: EPERM if a condition of the file is of another domain than the first, or
// has a filter that may lose it: no one instant could be spoken of.
func (j *joint) join(f kqueue.File) error {
	j.main, j.class = -1, classOf(f)
	var first *kqueue.Source
	for i := range j.parts {
		p := &j.parts[i]
		if p.j == nil {
			p.j, p.i = j, i
			p.attach, p.detach, p.touch = p.onAttach, p.onDetach, p.onTouch
			p.ask, p.told, p.forward = p.onAsk, p.onTold, p.onNews
		}
		p.own, p.kn, p.level, p.plain, p.twin = nil, nil, nil, 0, 0
		s, own, err := f.Source(filters[i])
		if err != nil {
			continue
		}
		p.ops = *own
		switch {
		case j.main < 0:
			j.main, first = i, s
			p.ops.Event, p.ops.Told = p.ask, p.told
		case own == j.parts[j.main].own && s == first:
			j.parts[j.main].twin = filters[i] // one condition by two names, which says both
			continue
		case own.Blocks || own.Unsafe || !s.Shares(first):
			return syscall.EPERM
		default:
			p.ops.Event, p.ops.Told = p.forward, nil
		}
		p.own = own
		p.ops.Attach, p.ops.Detach, p.ops.Touch = p.attach, p.detach, p.touch
		p.ops.Count, p.ops.Level, p.ops.Commands = false, nil, false
	}
	for i := range j.parts {
		p := &j.parts[i]
		if own := p.own; own != nil && own.Event != nil && !own.Count && own.Level == nil && p.twin == 0 && filters[i] != event.Except {
			p.plain = p.report(0, 0, 0)
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
	case j.parts[i].own == nil:
		return false
	case i == j.main:
		return true
	case filters[i] == event.Write:
		return asked&(event.PollOut|event.PollWrNorm|event.PollWrBand) != 0
	}
	return asked&event.PollPri != 0
}

// look asks the file's own filter, and returns the conditions that it tells of.
func (p *part) look(td *machine.Thread, kn *kqueue.Knote, hint int64) event.PollEvents {
	kn.Cond, kn.Fflags = 0, 0
	var hit bool
	switch own := p.own; {
	case p.level != nil:
		kn.Data = *p.level
		hit = kn.Data >= kn.WantData
	case own.Count:
		kn.Pending += hint
		kn.Data = kn.Pending
		hit = kn.Data > 0
	default:
		hit = own.Event(td, kn, hint)
	}
	if !hit {
		return 0
	}
	return p.report(kn.Cond, kn.Fflags, kn.Data)
}

// report puts a report of the file's own filter into words.
func (p *part) report(flags event.Flags, fflags event.Fflags, data int64) event.PollEvents {
	c := &classes[p.j.class]
	m := c.report(filters[p.i], flags, fflags, data)
	if p.twin != 0 {
		m |= c.report(p.twin, flags, fflags, data)
	}
	return m
}

// onAsk is Event of the main part.
func (p *part) onAsk(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	j := p.j
	bits := p.look(td, kn, 0)
	for i := j.main + 1; i < len(j.parts); i++ {
		if o := &j.parts[i]; o.kn != nil && j.needs(i, j.mask) {
			bits |= o.look(td, o.kn, 0)
		}
	}
	bits &= j.mask
	kn.Fflags = event.Fflags(bits)
	return bits != 0
}

// onTold is Told of the main part: whether news of its own filter is any to the joint.
// What holds besides is not: with EV_CLEAR it has been told. (ep_poll_callback, key)
func (p *part) onTold(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	return p.look(td, kn, hint)&p.j.mask != 0
}

// onNews is Event of the other parts.
func (p *part) onNews(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	j := p.j
	if main := j.parts[j.main].kn; main != nil && j.needs(p.i, j.mask) && p.look(td, kn, hint)&j.mask != 0 {
		main.Fire(td)
	}
	return false
}

// onAttach is Attach of any part. The conditions asked for come as the main knote's
// data, which no filter looks at without NOTE_LOWAT.
func (p *part) onAttach(td *machine.Thread, kn *kqueue.Knote) error {
	mask := event.PollEvents(kn.WantData)
	kn.WantData = 0
	if p.own.Attach != nil {
		if err := p.own.Attach(td, kn); err != nil {
			return err
		}
	}
	if p.own.Level != nil {
		p.level = p.own.Level(kn)
	}
	p.kn = kn
	if p.j.ahead {
		kn.MoveFirst()
	}
	if p.i == p.j.main {
		p.asks(mask)
	}
	return nil
}

func (p *part) onDetach(td *machine.Thread, kn *kqueue.Knote) {
	p.kn = nil
	if p.own.Detach != nil {
		p.own.Detach(td, kn)
	}
}

// onTouch is Touch of any part: of the main one a new mask.
func (p *part) onTouch(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
	if p.i == p.j.main {
		p.asks(event.PollEvents(kev.Data))
	}
	return nil
}

// asks has the main part ask for the conditions of mask, in the file's domain. Its own
// filter is asked without it if no other is needed, and whatever makes that say
// yes is asked for.
func (p *part) asks(mask event.PollEvents) {
	j, kn := p.j, p.kn
	j.mask = mask
	direct := p.plain&mask != 0
	for i := j.main + 1; i < len(j.parts); i++ {
		direct = direct && !j.needs(i, mask)
	}
	kn.Cond, kn.Fflags = 0, 0
	if direct {
		p.ops.Event, p.ops.Told = p.own.Event, p.own.Event
		kn.Answer = reported | event.Fflags(j.class)<<classShift | event.Fflags(p.plain&mask)<<plainShift
		for i, b := range askable {
			if mask&b != 0 {
				kn.Answer |= 1 << (askedShift + i)
			}
		}
	} else {
		p.ops.Event, p.ops.Told = p.ask, p.told
		kn.Answer = 0
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
