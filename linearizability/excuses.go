package linearizability

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
)

// claimedMeanwhile: a call that returns other events may miss one that another
// call, which overlaps it, has claimed. Completeness is of a call that "ended
// before anybody else took it", and who is at it may be held up on its way to the
// source, and find then that the condition has passed; or has put it back to the
// tail, behind the mark that bounds this scan. To wait for that with an event in
// hand would be to wait to fill up. Nobody is answered what was claimed, so it
// may be by any call that looks for events. A call that returns nothing has no
// such excuse: it has seen an empty list that was not empty.
//
//	kevent 0 room=8             kevent 0 room=1
//	                            claims READ 3, waits for its source
//	returns USER 1: READ 3 is
//	claimed
//	                            READ 3 is not ready any more
func (p *plan) claimedMeanwhile(k key, r *Record) bool {
	return len(r.Result.Events) > 0 && slices.ContainsFunc(p.h, func(o Record) bool {
		return p.groups.of(o.Op.FD) == k.queue && mayClaim(&o, r)
	})
}

// mayClaim reports whether o may claim something while r, another call on the
// same queue, looks for events.
func mayClaim(o, r *Record) bool {
	return (o.Op.Call == event.CallKevent || o.Op.Call == event.CallEpollWait) && o.Op.Room > 0 && overlap(o, r)
}

// mayOweVisit reports whether r, a call that returns other events, may miss a
// kqueue that it watches since o, which overlaps it, has yet to tell of what that
// has. Completeness is of a call that looks everywhere, and one with something in
// hand does not. A call that returns nothing has no such excuse: before it says so
// it looks at the kqueues that it watches.
//
//	kevent 2 room=8             set 1 5, where kqueue 0 watches 1, and 2 watches 0
//	                            puts READ 1 on the list of 0
//	returns USER 1
//	                            visits 0: tells READ 0 on 2
func mayOweVisit(o, r *Record) bool { return overlap(o, r) }

// twoItems is twoLives for an item: that was removed and added anew, or asks anew,
// or its file is another's, while the call was under way.
func (h History) twoItems(r *Record) bool {
	return slices.ContainsFunc(h, func(o Record) bool {
		return overlap(&o, r) && o.Op.Call == event.CallEpollCtl && o.Op.Ctl != event.EpollDel
	})
}

// overlap reports whether two calls of different threads were under way at once.
func overlap(a, b *Record) bool {
	return a.Thread != b.Thread && a.Call < b.Return && b.Call < a.Return
}

// twoLives: a call may return an event twice if there were two of it: the number
// was given another life, or the knote was added anew, while the call was under
// way.
//
//	kevent 0 room=8             dup2 2 1
//	                            1 has its new life
//	returns READ 1, of the old
//	                            (another thread: kevent 0: READ 1 ADD)
//	returns READ 1, of the new
//	                            the old one's knotes are gone
func (h History) twoLives(r *Record, kev event.Kevent) bool {
	return slices.ContainsFunc(h, func(o Record) bool {
		if o.Call >= r.Return || r.Call >= o.Return {
			return false
		}
		switch o.Op.Call {
		case event.CallClose:
			return uint64(o.Op.FD) == kev.Ident
		case event.CallDup2:
			return uint64(o.Op.To) == kev.Ident
		case event.CallKevent:
			return slices.ContainsFunc(o.Op.Changes, func(c event.Kevent) bool {
				return c.Flags&event.Add != 0 && c.Ident == kev.Ident && c.Filter == kev.Filter
			}) && o.Thread != r.Thread
		}
		return false
	})
}
