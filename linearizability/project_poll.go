package linearizability

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// polled adds keys for the descriptors that a poll or a select looks at: a key
// that names no knote has what they saw.
func (p *plan) polled(keys map[key]bool, r *Record) {
	for _, x := range r.Op.FDs {
		if spec.Counts(r.Op, x) {
			keys[key{queue: none, ident: uint64(p.groups.of(int(x.FD)))}] = true
		}
	}
}

// items adds keys for the items of epolls. In what epoll_wait(2) returns an item
// has no name but its udata.
func (p *plan) items(keys map[key]bool, r *Record) {
	if r.Op.Call != event.CallEpollCtl {
		return
	}
	k := key{p.groups.of(r.Op.FD), uint64(r.Op.To), spec.Item}
	keys[k] = true
	if r.Op.Ctl == event.EpollDel {
		return
	}
	u := udata{k.queue, r.Op.Udata}
	if o, ok := p.udata[u]; ok && o != k {
		p.doubtful[k], p.doubtful[o] = true, true
	}
	p.udata[u] = k
}

// An udata is what epoll_wait(2) returns of an item.
type udata struct {
	queue int
	udata uint64
}

// looks returns the parts of each entry of a poll or a select that looks at a
// descriptor of the key's group. Entries that name the same descriptor are left to
// the commit points, since nobody is told which of them has answered; and so is a
// select that has failed.
func (p *plan) looks(k key, r *Record, weak bool) (entries [][]part) {
	left := r.Result.Polled
	for i, x := range r.Op.FDs {
		var says event.PollEvents
		if len(left) > 0 && left[0].ID == uint64(x.FD) {
			says, left = left[0].Events, left[1:]
		}
		if k.queue != none || !spec.Counts(r.Op, x) || p.groups.of(int(x.FD)) != int(k.ident) || p.twice(r, x.FD) ||
			r.Result.Errno != 0 && !interrupted(r) {
			continue
		}
		does := looked
		if r.Result.Pending {
			does = unready
		}
		fd := int(x.FD)
		entries = append(entries, []part{{does: found, fd: fd}, {does: does, fd: fd, entry: i, says: says, weak: weak}})
	}
	return entries
}

// twice reports whether several entries of a poll name a descriptor.
func (p *plan) twice(r *Record, fd int32) bool {
	n := 0
	for _, x := range r.Op.FDs {
		if x.FD == fd {
			n++
		}
	}
	return n > 1
}

// control returns the parts of an epoll_ctl(2).
func (p *plan) control(k key, r *Record) []part {
	if p.groups.of(r.Op.FD) != k.queue || k.filter != spec.Item && k.filter != 0 || k.filter == spec.Item && uint64(r.Op.To) != k.ident {
		return nil
	}
	if k.filter == 0 {
		return nil // the descriptor that it speaks of is another's
	}
	return []part{{does: foundEpoll}, {does: found, fd: r.Op.To}, {does: act}}
}

// waits returns the parts of an epoll_wait(2), none if the item sees nothing of it.
func (p *plan) waits(k key, r *Record, weak bool) []part {
	if p.groups.of(r.Op.FD) != k.queue || k.filter != spec.Item && k.filter != 0 {
		return nil
	}
	parts := []part{{does: enter}}
	for _, x := range r.Result.Polled {
		if o, ok := p.udata[udata{k.queue, x.ID}]; ok && o == k {
			parts = append(parts, part{does: took, polled: x})
		}
	}
	switch {
	case r.Result.Errno != 0 && !interrupted(r):
		parts = append(parts, part{does: leave})
	case len(parts) > 1:
	case r.Result.Pending:
		parts = append(parts, part{does: asleep})
	case len(r.Result.Polled) < r.Op.Room && !weak && !p.claimedMeanwhile(k, r):
		parts = append(parts, part{does: passed})
	}
	if len(parts) == 1 && !p.ends[k.queue] {
		return nil
	}
	return parts
}

// unprojected reports whether the key is left to the commit points.
func (p *plan) unprojected(k key) bool {
	if k.queue == none && p.queues[int(k.ident)] > 0 {
		return true // what a kqueue has is known of the whole world only
	}
	return p.nested(k) || p.doubtful[k]
}

// strays finds what no item has given: the udata of an event of an epoll.
func (p *plan) strays(r *Record) bool {
	return r.Op.Call == event.CallEpollWait && slices.ContainsFunc(r.Result.Polled, func(x event.Polled) bool {
		_, ok := p.udata[udata{p.groups.of(r.Op.FD), x.ID}]
		return !ok
	})
}
