package fuzz

import (
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
)

// mostWatches bounds a chain of queues that watch queues: there is none longer.
const mostWatches = 10

// watches checks that a call which returned nothing has missed no queue that it
// watches and that had something all the time. A search leaves such knotes out,
// so this is looked at wherever nothing can have taken the event away: no
// descriptor of the chain is closed or made twice, its knotes are added, without
// EV_CLEAR and the like, and nothing else, and the probe at its end is never
// again at 0.
func (l *ledger) watches() *Finding {
	for i := range l.history {
		r := &l.history[i]
		if r.Op.Call != event.CallKevent || r.Op.Room == 0 || r.Result.Pending || r.Result.Errno != 0 || len(r.Result.Events) > 0 {
			continue
		}
		for _, k := range l.keys {
			if k.kq == r.Op.FD && l.made[int(k.ident)] == event.CallKqueue && l.readyAll(k, r, mostWatches) {
				return found(completeness, r, "READ %d was ready before it began, and nobody took that away", k.ident)
			}
		}
	}
	return nil
}

// readyAll reports whether knote k was ready, without a doubt, from before r was
// called until it had returned.
func (l *ledger) readyAll(k key, r *linearizability.Record, most int) bool {
	if most == 0 || k.filter != event.Read || l.doubts[k.kq] || l.doubts[int(k.ident)] || !l.kept(k, r) {
		return false
	}
	switch l.made[int(k.ident)] {
	case event.CallKqueue:
		for _, inner := range l.keys {
			if inner.kq == int(k.ident) && l.readyAll(inner, r, most-1) {
				return true
			}
		}
	case event.CallProbe:
		for _, e := range l.events[k] {
			if l.raised(int(k.ident), e.in, r) {
				return true
			}
		}
		for i := range l.history {
			if w := &l.history[i]; w.Op.Call == event.CallSet && w.Op.FD == int(k.ident) && w.Op.N > 0 && w.Result.Errno == 0 &&
				l.raised(w.Op.FD, w, r) {
				return true
			}
		}
	}
	return false
}

// kept reports whether knote k had been added when r was called, and nothing else
// is ever done to it.
func (l *ledger) kept(k key, r *linearizability.Record) bool {
	added := false
	for _, c := range l.changes[k] {
		if c.Flags&^event.Receipt != event.Add || c.Fflags != 0 {
			return false
		}
		added = added || c.went() && before(c.in, r)
	}
	return added
}

// raised reports whether by, which has seen or put probe fd above 0, is a reason
// to say that it was so until r had returned.
func (l *ledger) raised(fd int, by, r *linearizability.Record) bool {
	if !before(by, r) {
		return false
	}
	for i := range l.history {
		if s := &l.history[i]; s.Op.Call == event.CallSet && s.Op.FD == fd && s.Op.N == 0 && !before(s, by) && !before(r, s) {
			return false
		}
	}
	return true
}
