package linearizability

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// A key names a knote: any descriptor of its kqueue, see groups, and what the
// kqueue knows it by.
type key struct {
	queue  int
	ident  uint64
	filter event.Filter
}

// none is in a key that names no knote: descriptors that no knote watches are
// checked by themselves, and so is a kqueue without knotes.
const none = -1

func (k key) String() string {
	switch {
	case k == processes:
		return "the processes"
	case k.queue == none && k.ident == theFiles:
		return "the file system"
	case k.queue == none && k.ident == theMounts:
		return "what is mounted"
	case k.queue == none:
		return fmt.Sprintf("descriptor %d", k.ident)
	case k.filter == event.Proc:
		return fmt.Sprintf("%v of any process on kqueue %d", k.filter, k.queue)
	case k.filter == 0:
		return fmt.Sprintf("kqueue %d", k.queue)
	case k.filter == spec.Item:
		return fmt.Sprintf("item %d of epoll %d", k.ident, k.queue)
	}
	return fmt.Sprintf("%v %d on kqueue %d", k.filter, k.ident, k.queue)
}

// tied reports whether the knote's ident is a descriptor.
func (k key) tied() bool {
	switch k.filter {
	case event.Proc, event.Signal:
		return false
	}
	return k.queue == none || k.filter != event.User && k.filter != event.Timer && k.filter != event.FS && k.filter != 0
}

func (k key) is(kev event.Kevent) bool {
	return kev.Filter == k.filter && (kev.Ident == k.ident || k.filter == event.Proc)
}

// What a part of an operation is.
type does uint8

const (
	whole      does = iota // an operation that is one step
	first                  // of the making of a pipe or the like: there is the first end
	second                 // and the other, with which another thread may have ended the first
	opened                 // of what opens a file by another: it has a descriptor
	unlink                 // of a close or dup2: the number is free
	reap                   // its knotes are gone
	release                // its file too; a kqueue is closed
	empty                  // and has no knotes any more
	refuse                 // one who waited for it to accept has been turned away
	found                  // it looked up a descriptor, which another thread may end
	begun                  // it did a part of what it does to what it found
	act                    // it did it, or the rest of it
	enter                  // of a kevent(2): it found its kqueue
	change                 // it applied a change
	took                   // it returned the knote
	passed                 // it did not, though there was room
	asleep                 // at the end it sleeps
	leave                  // it returned without having looked
	looked                 // it reported what holds of a descriptor, of one entry of a poll
	unready                // it sleeps at the end, and so this entry has nothing to report
	foundEpoll             // of an epoll_ctl: it looked up the epoll
	proceeds               // of what is done to a process: it took a step
	followed               // of a fork: a knote that follows the child is there
)

var doesNames = [...]string{first: "first end made", opened: "opened", unlink: "number free", reap: "knotes gone", release: "file released", refuse: "somebody turned away", begun: "done in part", empty: "no knotes left", enter: "began",
	found:  "found the descriptor",
	passed: "not returned, though there was room", asleep: "asleep at the end", leave: "returned without looking", unready: "asleep at the end", foundEpoll: "found the epoll",
	proceeds: "took a step", followed: "a knote follows the child"}

// A part is one step of an operation as a knote sees it. A call is its parts in
// order.
type part struct {
	does  does
	call  int // index of the record
	id    int // of what is done in this order: a call, or an entry of a poll
	index int // among the parts that have the id
	last  bool
	rec   *Record

	polled event.Polled // took, of an item: what was returned
	fd     int          // found, looked, unready: of an entry, or an epoll_ctl
	entry  int          // looked, unready: which
	says   event.PollEvents
	weak   bool         // looked: it may have missed something
	kev    event.Kevent // change: it; took: the event
	// What the call has said of changes to this knote, and whether there was no
	// room for more.
	records []event.Kevent
	full    bool

	blocks event.Sigset // proceeds: what the thread blocks
}

func (p *part) String() string {
	switch p.does {
	case whole, act, second, opened:
		return fmt.Sprintf("%v => %v", p.rec.Op, p.rec.Result)
	case change:
		return "change " + p.kev.String()
	case took:
		return "returned " + p.event()
	case looked:
		return fmt.Sprintf("%v: said %v of %d", p.rec.Op, p.says, p.fd)
	}
	return fmt.Sprintf("%v: %s", p.rec.Op, doesNames[p.does])
}

// event is what a call has taken, as text.
func (p *part) event() string {
	if p.rec.Op.Call == event.CallEpollWait {
		return p.polled.String()
	}
	return p.kev.String()
}

// groups says which descriptor numbers have to do with each other: the two ends
// of a pipe, and what dup and dup2 join. That a number is used again for
// something else joins too much, which costs time and no more.
type groups map[int]int

func (g groups) of(fd int) int {
	for {
		up, ok := g[fd]
		if !ok || up == fd {
			return fd
		}
		fd = up
	}
}

func (g groups) join(a, b int) {
	if a, b = g.of(a), g.of(b); a != b {
		g[max(a, b)] = min(a, b)
	}
}

// A plan is a history with what projections need to know of the whole of it.
type plan struct {
	h      History
	groups groups
	queues map[int]int  // groups that have a kqueue, and how many
	ends   map[int]bool // groups of which a number is closed or given a new life
	udata  map[udata]key
	keys   []key
	end    int64 // later than everything

	alone    map[event.Device]int // of devices of which there can be one, a descriptor of each
	doubtful map[key]bool         // items that share their udata with others
	meetings map[int]*meeting     // groups of sockets that find each other by ports
}

func newPlan(h History) *plan {
	p := &plan{h: h, groups: groups{}, queues: map[int]int{}, ends: map[int]bool{}, udata: map[udata]key{}, doubtful: map[key]bool{}, alone: map[event.Device]int{}, meetings: map[int]*meeting{}}
	for _, r := range h {
		p.end = max(p.end, r.Call)
		if r.Return != Never {
			p.end = max(p.end, r.Return)
		}
		if r.Result.Errno != 0 || r.Result.Pending {
			continue
		}
		switch {
		case r.Op.Call.Makes() == 2:
			p.groups.join(int(r.Result.N), int(r.Result.N2))
		case r.Op.Call == event.CallDup || opens(r.Op.Call):
			p.groups.join(subject(&r.Op), int(r.Result.N))
		case r.Op.Call == event.CallDup2:
			p.groups.join(r.Op.FD, r.Op.To)
		case r.Op.Call == event.CallDevice && spec.Alone(r.Op.Device):
			if fd, ok := p.alone[r.Op.Device]; ok {
				p.groups.join(fd, int(r.Result.N))
			}
			p.alone[r.Op.Device] = int(r.Result.N)
		}
	}
	p.meet()
	p.end++
	for _, r := range h {
		if r.Op.Call == event.CallClose || r.Op.Call == event.CallDup2 {
			p.ends[p.groups.of(r.Op.FD)] = true
		}
	}
	keys := map[key]bool{}
	for _, r := range h {
		p.items(keys, &r)
		if polls(&r.Op) {
			p.polled(keys, &r)
		}
		if (r.Op.Call == event.CallKqueue || r.Op.Call == event.CallEpoll) && r.Result.Errno == 0 && !r.Result.Pending {
			p.queues[p.groups.of(int(r.Result.N))]++
		}
		if r.Op.Call != event.CallKevent {
			continue
		}
		q := p.groups.of(r.Op.FD)
		for _, list := range [][]event.Kevent{r.Op.Changes, r.Result.Events} {
			for _, kev := range list {
				keys[keyOf(q, kev)] = true
			}
		}
	}
	if p.hasDeeds() {
		keys[processes] = true
	}
	p.cover(keys)
	p.keys = slices.SortedFunc(maps.Keys(keys), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.queue, b.queue), cmp.Compare(a.ident, b.ident), cmp.Compare(b.filter, a.filter))
	})
	return p
}

// cover adds keys for what no knote has to do with.
func (p *plan) cover(keys map[key]bool) {
	seen := map[int]bool{}
	for k := range keys {
		seen[k.queue] = true
		seen[theMounts] = seen[theMounts] || k.filter == event.FS
		if k.tied() && k.ident < 1<<31 {
			seen[p.groups.of(int(k.ident))] = true
		}
	}
	for _, r := range p.h {
		if deeds(r.Op.Call) || disposes(r.Op.Call) {
			continue
		}
		fd := subject(&r.Op)
		if makes(r.Op.Call) {
			fd = p.made(&r)
		}
		if g := p.groups.of(fd); g < 0 || seen[g] || r.Result.Pending {
			continue
		} else if seen[g] = true; p.queues[g] > 0 {
			keys[key{queue: g}] = true
		} else {
			keys[key{queue: none, ident: uint64(g)}] = true
		}
	}
}

// made returns the descriptor that a call has made. One that has failed since there can
// be only one of a device has to do with that one.
func (p *plan) made(r *Record) int {
	if fd, ok := p.alone[r.Op.Device]; ok && r.Result.Errno != 0 {
		return fd
	}
	return int(r.Result.N)
}

// makes reports whether a call makes a file, or two, of nothing.
func makes(c event.Call) bool { return c.Makes() > 0 && c != event.CallDup && !opens(c) }

// opens reports whether a call makes a file by another, or takes one, which it finds
// first, by a descriptor or a name.
func opens(c event.Call) bool {
	return c == event.CallReopen || c == event.CallAccept || c == event.CallAIO || c == event.CallCreat || c == event.CallOpen
}

// nested reports whether a knote may watch a kqueue.
func (p *plan) nested(k key) bool {
	return k.queue != none && (k.filter == event.Read || k.filter == spec.Item) && k.ident < 1<<31 && p.queues[p.groups.of(int(k.ident))] > 0
}

// project returns the steps that knote k sees of the history.
//
// Where several kqueues have to do with each other it is a projection of a knote of
// each. A device tells them one after another, in no step that is the same for
// all, so what such a call has missed is left to the commit points.
func (p *plan) project(k key, weak bool) []porcupine.Operation {
	weak = weak || p.queues[k.queue] > 1
	var ops []porcupine.Operation
	add := func(call, id int, parts []part) {
		r := &p.h[call]
		for j := range parts {
			x := &parts[j]
			x.call, x.id, x.index, x.last, x.rec = call, id, j, j == len(parts)-1, r
			op := porcupine.Operation{ClientId: r.Thread, Input: x, Call: r.Call, Return: min(r.Return, p.end+1)}
			if x.does == asleep || x.does == unready {
				op.Call = p.end
			}
			ops = append(ops, op)
		}
	}
	concerns := func(fd int) bool { return p.sees(k, fd) }
	for i := range p.h {
		r := &p.h[i]
		var parts []part
		switch c := r.Op.Call; {
		case polls(&r.Op):
			for j, parts := range p.looks(k, r, weak) {
				add(i, (j+1)*len(p.h)+i, parts)
			}
			continue
		case deeds(c) || disposes(c):
			parts = p.deed(k, r)
		case c == event.CallEpollCtl:
			parts = p.control(k, r)
		case c == event.CallEpollWait:
			parts = p.waits(k, r, weak)
		case makes(c):
			if !concerns(p.made(r)) {
				continue
			}
			parts = []part{{does: whole}}
			if r.Op.Call.Makes() == 2 && r.Result.Errno == 0 && !r.Result.Pending {
				parts = []part{{does: first}, {does: second}}
			}
		case c == event.CallKevent:
			if p.groups.of(r.Op.FD) != k.queue {
				continue
			}
			parts = p.poll(k, r, weak)
		case c == event.CallClose || c == event.CallDup2:
			if !concerns(r.Op.FD) && (r.Op.Call == event.CallClose || !concerns(r.Op.To)) {
				continue
			}
			parts = []part{{does: whole}}
			if r.Result.Errno == 0 {
				parts = []part{{does: unlink}, {does: reap}, {does: release}}
				for range p.turnedAway(r) {
					parts = append(parts, part{does: refuse})
				}
				parts = append(parts, part{does: empty})
			}
		default:
			if !concerns(subject(&r.Op)) {
				continue
			}
			parts = []part{{does: whole}}
			acts := p.acts(r)
			if r.Op.Call != event.CallDup && (acts > 1 || p.ends[p.groups.of(r.Op.FD)]) && !r.Result.Pending {
				parts = []part{{does: found}}
				for range acts - 1 {
					parts = append(parts, part{does: begun})
				}
				parts = append(parts, part{does: act})
				if opens(r.Op.Call) && r.Result.Errno == 0 {
					parts = append(parts, part{does: opened})
				}
			}
		}
		add(i, i, parts)
	}
	return ops
}

// poll returns the parts of a kevent(2), none if the knote sees nothing of it.
func (p *plan) poll(k key, r *Record, weak bool) []part {
	parts := []part{{does: enter}}
	var records []event.Kevent
	said, returned := 0, []event.Kevent{}
	for _, kev := range r.Result.Events {
		switch {
		case kev.Flags&event.Error != 0:
			said++
			if k.is(kev) {
				records = append(records, kev)
			}
		case k.is(kev):
			returned = append(returned, kev)
		}
	}
	for _, kev := range r.Op.Changes {
		if k.is(kev) {
			if k.tied() && k.ident < 1<<31 && p.ends[p.groups.of(int(k.ident))] {
				parts = append(parts, part{does: found, kev: kev})
			} else if k.filter == event.Proc {
				parts = append(parts, part{does: found, kev: kev})
			}
			parts = append(parts, part{does: change, kev: kev, records: records, full: said == r.Op.Room})
		}
	}
	for _, kev := range returned {
		parts = append(parts, part{does: took, kev: kev, records: records})
	}
	switch {
	case r.Result.Errno != 0 && !interrupted(r) || said > 0 || r.Op.Room == 0:
		parts = append(parts, part{does: leave, records: records})
	case len(returned) > 0:
	case r.Result.Pending:
		parts = append(parts, part{does: asleep})
	case len(r.Result.Events) < r.Op.Room && !weak && !p.claimedMeanwhile(k, r):
		parts = append(parts, part{does: passed})
	}
	// That it has found the kqueue says something only if it may be closed.
	if !p.ends[k.queue] && (len(parts) == 1 || len(parts) == 2 && parts[1].does == leave && r.Result.Errno == 0) {
		return nil
	}
	return parts
}
