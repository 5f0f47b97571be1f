package poll

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// An item is one of an epoll: knotes of the filters that its conditions are made of,
// tied to a life of its own, which ends with the file and not with a descriptor. The
// one of the first filter that its file has is its main.
//
// Only the main knote is ever returned, and what an item's modes are is that knote's:
// EV_CLEAR is ET, EV_DISPATCH is ONESHOT. The others hear of news as any knote does,
// fire the main one, and say no themselves. Mostly there are none, and what the main
// one's own filter says is all there is to say: it is asked as if there were no item,
// and its report is put into words when it has been returned (see answered). Else the
// main one, asked by a scan, asks the others' filters too, and says itself which
// conditions hold at that one instant.
//
// That needs sources in one domain, as all files' are. The state of an item is
// guarded by it.
type item struct {
	ep    *Epoll
	file  *proc.Description
	fd    int
	ident uint64
	desc  *kqueue.Desc
	tie   proc.Tie
	class event.PollClass
	main  int              // of parts
	modes event.PollEvents // guarded by ep.mu

	mask  event.PollEvents // guarded by the file's domain: conditions asked for
	parts [len(filters)]part
}

// A part is an item's interest in one filter of its file.
type part struct {
	it    *item
	i     int              // in filters
	plain event.PollEvents // what the filter's yes stands for if it has no more to say; 0 if it always has
	own   *kqueue.Filter   // the file's, nil if it has none
	twin  event.Filter     // what the file has the same filter for besides; 0 if there is no such
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

var items = machine.NewStock(func(it *item) {
	*it = item{tie: it.tie, parts: it.parts, ep: it.ep}
})

// newItem returns an item of file that has no knotes yet.
//
// Error: EPERM if a condition of the file is of another domain than the first, or
// has a filter that may lose it: no one instant could be spoken of.
func newItem(td *machine.Thread, ep *Epoll, file *proc.Description, fd int) (*item, error) {
	it := items.New(td)
	if it.ep == nil {
		it.tie.Gone = it.gone
	}
	it.ep, it.file, it.fd, it.main = ep, file, fd, -1
	it.class = classOf(file.File)
	it.desc = kqueue.NewDesc(td, file.File)
	it.desc.Wrap = it.wrap
	var first *kqueue.Source
	for i := range it.parts {
		p := &it.parts[i]
		if p.it == nil {
			p.it, p.i = it, i
			p.attach, p.detach, p.touch = p.onAttach, p.onDetach, p.onTouch
			p.ask, p.told, p.forward = p.onAsk, p.onTold, p.onNews
		}
		p.own, p.twin, p.kn, p.level, p.plain = nil, 0, nil, nil, 0
		s, own, err := file.Source(filters[i])
		if err != nil {
			continue
		}
		p.ops = *own
		switch {
		case it.main < 0:
			it.main, first = i, s
			p.ops.Event, p.ops.Told = p.ask, p.told
		case own == it.parts[it.main].own && s == first:
			main := &it.parts[it.main] // one condition by two names, which says both
			main.twin, main.plain = filters[i], 0
			continue
		case own.Blocks || own.Unsafe || !s.Shares(first):
			return nil, syscall.EPERM
		default:
			p.ops.Event, p.ops.Told = p.forward, nil
		}
		p.own = own
		p.ops.Attach, p.ops.Detach, p.ops.Touch = p.attach, p.detach, p.touch
		p.ops.Count, p.ops.Level, p.ops.Commands = false, nil, false
		if own.Event != nil && !own.Count && own.Level == nil && filters[i] != event.Except {
			p.plain = classes[it.class].report(filters[i], 0, 0, 0)
		}
	}
	return it, nil
}

// watchable reports whether any condition of a file can be waited for.
func watchable(f kqueue.File) bool {
	for _, filter := range filters {
		if _, _, err := f.Source(filter); err == nil {
			return true
		}
	}
	return false
}

// wrap has the item's parts asked by its knotes. (kqueue.Desc)
func (it *item) wrap(f event.Filter, own *kqueue.Filter) *kqueue.Filter {
	for i := range filters {
		if filters[i] == f {
			return &it.parts[i].ops
		}
	}
	return own
}

// gone is called when the file goes.
func (it *item) gone(td *machine.Thread) {
	ep := it.ep
	ep.mu.Lock(td)
	if ep.byKey[itemKey{it.file, it.fd}] == it {
		ep.drop(td, it)
	}
	ep.mu.Unlock(td)
}

// needs reports whether the item needs a knote of its part i to see the conditions
// asked for. The main one also sees those that are told without asking.
func (it *item) needs(i int, asked event.PollEvents) bool {
	switch {
	case it.parts[i].own == nil:
		return false
	case i == it.main:
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
	c := &classes[p.it.class]
	bits := c.report(filters[p.i], kn.Cond, kn.Fflags, kn.Data)
	if p.twin != 0 {
		bits |= c.report(p.twin, kn.Cond, kn.Fflags, kn.Data)
	}
	return bits
}

// onAsk is Event of the main part.
func (p *part) onAsk(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	it := p.it
	bits := p.look(td, kn, 0)
	for i := it.main + 1; i < len(it.parts); i++ {
		if o := &it.parts[i]; o.kn != nil && it.needs(i, it.mask) {
			bits |= o.look(td, o.kn, 0)
		}
	}
	bits &= it.mask
	kn.Fflags = event.Fflags(bits)
	return bits != 0
}

// onTold is Told of the main part: whether news of its own filter is any to the item.
// What holds besides is not: with EV_CLEAR it has been told. (ep_poll_callback, key)
func (p *part) onTold(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	return p.look(td, kn, hint)&p.it.mask != 0
}

// onNews is Event of the other parts.
func (p *part) onNews(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	it := p.it
	if main := it.parts[it.main].kn; main != nil && it.needs(p.i, it.mask) && p.look(td, kn, hint)&it.mask != 0 {
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
	if p.i == p.it.main {
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
	if p.i == p.it.main {
		p.asks(event.PollEvents(kev.Data))
	}
	return nil
}

// asks has the main part ask for the conditions of mask, in the file's domain. Its own
// filter is asked without it if no other is needed, and whatever makes that say
// yes is asked for.
func (p *part) asks(mask event.PollEvents) {
	it, kn := p.it, p.kn
	it.mask = mask
	direct := p.plain&mask != 0
	for i := it.main + 1; i < len(it.parts); i++ {
		direct = direct && !it.needs(i, mask)
	}
	kn.Cond, kn.Fflags = 0, 0
	if direct {
		p.ops.Event, p.ops.Told = p.own.Event, p.own.Event
		kn.Answer = reported | event.Fflags(it.class)<<classShift | event.Fflags(p.plain&mask)<<plainShift
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

// What an item's knote returns in its fflags are the conditions that hold; or, with
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

// answered returns the conditions that an item's knote has returned.
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
