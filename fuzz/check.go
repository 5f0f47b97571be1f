package fuzz

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/model/spec"
)

// The properties of a history that [Check] knows, in the words of findings.
const (
	afterTheEnd  = "nothing after the end"
	atMostOnce   = "at most once"
	conservation = "conservation"
	fullAnswer   = "an answer to every wait"
	completeness = "completeness"
)

// Check looks for what no order of the operations explains, as far as that can
// be told by counting and by who came before whom, and returns the first, or
// nil. In what it finds it is never wrong; but it looks at each property where
// the history leaves no doubt, and passes over the rest:
//
//   - nothing after the end: a call that began when EV_DELETE, EV_DISABLE or
//     close had returned, with nothing since or meanwhile that brings the knote
//     back, does not return it;
//   - at most once: an EV_ONESHOT with a udata of its own comes once, an
//     EV_DISPATCH once for each time that it is enabled, an EVFILT_USER with
//     EV_CLEAR once for each trigger, and no event twice in a call;
//   - conservation: a pipe gives no more bytes than it was given, a device no more than
//     was brought to it, a signal is not
//     counted more often than it was sent, and an event has a udata that it was given;
//   - who waits for as long as it takes with room is answered with something;
//   - completeness: a call that returns nothing has not missed a queue that it
//     watches, and that has had something all the time.
func Check(history linearizability.History) *Finding {
	l := newLedger(history)
	for i := range history {
		if f := l.answer(&history[i]); f != nil {
			return f
		}
	}
	for _, check := range []func() *Finding{l.ends, l.counts, l.bytes, l.watches} {
		if f := check(); f != nil {
			return f
		}
	}
	return nil
}

// A key names a knote, as far as the queue's number stands for one queue.
type key struct {
	kq     int
	filter event.Filter
	ident  uint64
}

// A change is one of a call, a return one event of a call.
type change struct {
	in *linearizability.Record
	event.Kevent
}

// A ledger is a history by knotes.
type ledger struct {
	history linearizability.History
	keys    []key // of changes, in the order in which they were first made
	changes map[key][]change
	seen    []key            // of events, in the order in which they first came
	events  map[key][]change // no records with Error
	closes  map[int][]*linearizability.Record
	doubts  map[int]bool // numbers that may have meant several things
	udata   map[uint64]int
	made    map[int]event.Call // numbers, and the call that made them first
}

func newLedger(history linearizability.History) *ledger {
	l := &ledger{
		history: history, changes: map[key][]change{}, events: map[key][]change{}, closes: map[int][]*linearizability.Record{},
		doubts: map[int]bool{}, udata: map[uint64]int{}, made: map[int]event.Call{},
	}
	for i := range history {
		r := &history[i]
		op := &r.Op
		if made := op.Call.Makes(); made > 0 && op.Call != event.CallDup && !r.Result.Pending && r.Result.Errno == 0 {
			for _, n := range []int64{r.Result.N, r.Result.N2}[:made] {
				l.doubts[int(n)] = l.doubts[int(n)] || l.made[int(n)] != 0
				l.made[int(n)] = op.Call
			}
		}
		switch op.Call {
		case event.CallClose:
			l.closes[op.FD] = append(l.closes[op.FD], r)
			l.doubts[op.FD] = true
		case event.CallDup:
			l.doubts[op.FD], l.doubts[int(r.Result.N)] = true, true
		case event.CallDup2:
			l.closes[op.To] = append(l.closes[op.To], r)
			l.doubts[op.FD], l.doubts[op.To] = true, true
		case event.CallKevent:
			for _, kev := range op.Changes {
				k := key{op.FD, kev.Filter, kev.Ident}
				if l.changes[k] == nil {
					l.keys = append(l.keys, k)
				}
				l.changes[k] = append(l.changes[k], change{r, kev})
				l.udata[kev.Udata]++
			}
			for _, kev := range r.Result.Events {
				if kev.Flags&event.Error == 0 {
					k := key{op.FD, kev.Filter, kev.Ident}
					if l.events[k] == nil {
						l.seen = append(l.seen, k)
					}
					l.events[k] = append(l.events[k], change{r, kev})
				}
			}
		}
	}
	return l
}

// before reports whether a had returned when b was called.
func before(a, b *linearizability.Record) bool { return !a.Result.Pending && a.Return < b.Call }

// answer looks at one call by itself.
func (l *ledger) answer(r *linearizability.Record) *Finding {
	if r.Op.Call != event.CallKevent || r.Result.Pending {
		return nil
	}
	res := r.Result
	if len(res.Events) > r.Op.Room {
		return found(fullAnswer, r, "room for %d", r.Op.Room)
	}
	if r.Op.Wait == event.Forever && r.Op.Room > 0 && res.Errno == 0 && len(res.Events) == 0 {
		return found(fullAnswer, r, "it was to wait until there is something")
	}
	seen := map[key]bool{}
	for _, kev := range res.Events {
		k := key{r.Op.FD, kev.Filter, kev.Ident}
		if kev.Flags&event.Error != 0 {
			continue
		}
		if seen[k] && !l.doubts[k.kq] && !l.revived(k, event.Add, r, r) {
			return found(atMostOnce, r, "%v %d twice in one call", kev.Filter, kev.Ident)
		}
		seen[k] = true
		if !l.doubts[r.Op.FD] && !l.given(k, kev.Udata) {
			return found(conservation, r, "udata %d, which %v %d was never given", kev.Udata, kev.Filter, kev.Ident)
		}
	}
	return nil
}

func found(property string, r *linearizability.Record, format string, args ...any) *Finding {
	return &Finding{property, fmt.Sprintf("%s; %v", fmt.Sprintf(format, args...), *r)}
}

// given reports whether a knote has been given a udata; one of a process by a change of
// its own, or of another's, which it has come of.
func (l *ledger) given(k key, udata uint64) bool {
	if k.filter == event.Proc {
		for o, changes := range l.changes {
			if o.kq == k.kq && o.filter == k.filter && slices.ContainsFunc(changes, func(c change) bool { return c.Udata == udata }) {
				return true
			}
		}
		return false
	}
	for _, c := range l.changes[k] {
		if c.Udata == udata {
			return true
		}
	}
	return false
}

// revived reports whether a change with one of the flags may have happened
// after end began and before last returned. Those of end itself count, since
// they may stand behind it; those of others that end came after do not.
func (l *ledger) revived(k key, flags event.Flags, end, last *linearizability.Record) bool {
	for _, c := range l.changes[k] {
		if c.Flags&flags != 0 && !before(c.in, end) && !before(last, c.in) {
			return true
		}
	}
	return false
}

// ends checks that nothing comes after its end.
func (l *ledger) ends() *Finding {
	for _, k := range l.seen {
		events := l.events[k]
		if l.doubts[k.kq] || k.filter == event.Proc { // fork makes such knotes too
			continue
		}
		for _, e := range events {
			for _, c := range l.changes[k] {
				revive := event.Add
				switch {
				case c.Flags&(event.Add|event.Enable) != 0 || !c.went() || !before(c.in, e.in):
					continue
				case c.Flags&event.Delete != 0:
				case c.Flags&event.Disable != 0:
					revive |= event.Enable
				default:
					continue
				}
				if !l.revived(k, revive, c.in, e.in) {
					return found(afterTheEnd, e.in, "%v had returned from %v", c.Kevent, *c.in)
				}
			}
			if k.filter == event.User || k.filter == event.Timer || k.filter == event.Signal {
				continue
			}
			for _, c := range l.closes[int(k.ident)] {
				if c.Result.Errno == 0 && c.Op.FD != c.Op.To && before(c, e.in) && !l.ending(int(k.ident), c, e.in) && !l.revived(k, event.Add, c, e.in) {
					return found(afterTheEnd, e.in, "it came after %v", *c)
				}
			}
		}
	}
	return nil
}

// ending reports whether, when last was called, an end of number fd may have
// been under way that is not that of end: a number is free for its next life
// before the knotes of the one before are gone.
//
//	close 1                     another thread
//	frees the number
//	                            kqueue: 1
//	                            close 1: it had no knotes
//	                            kevent: READ 1, of the file before
//	ends its knotes
func (l *ledger) ending(fd int, end, last *linearizability.Record) bool {
	for _, c := range l.closes[fd] {
		if c != end && c.Call < end.Return && !before(c, last) {
			return true
		}
	}
	return false
}

// went reports whether it is sure that the change was applied.
func (c *change) went() bool {
	if c.in.Result.Errno != 0 || c.in.Result.Pending {
		return false
	}
	for _, e := range c.in.Result.Events {
		if e.Flags&event.Error != 0 && e.Data != 0 && e.Ident == c.Ident && e.Filter == c.Filter {
			return false
		}
	}
	return true
}

// counts checks that what comes once does.
func (l *ledger) counts() *Finding {
	for _, k := range l.seen {
		events := l.events[k]
		if l.doubts[k.kq] || k.filter == event.Proc {
			continue
		}
		all, triggers, enables := ^event.Flags(0), 0, 0 // flags that each EV_ADD has
		for _, c := range l.changes[k] {
			if c.Flags&event.Add != 0 {
				all &= c.Flags
			}
			if c.Flags&(event.Add|event.Enable) != 0 {
				enables++
			}
			if c.Fflags&event.NoteTrigger != 0 {
				triggers++
			}
		}
		byUdata := map[uint64]int{}
		for _, e := range events {
			byUdata[e.Udata]++
			if n := byUdata[e.Udata]; all&event.OneShot != 0 && l.udata[e.Udata] == 1 && n > 1 {
				return found(atMostOnce, e.in, "EV_ONESHOT with udata %d came %d times", e.Udata, n)
			}
		}
		last := events[len(events)-1].in
		if k.filter == event.Signal {
			if sent, n := l.sent(k.ident), total(events); n > sent {
				return found(conservation, last, "signal %d was counted %d times on kqueue %d, and was sent at most %d times", k.ident, n, k.kq, sent)
			}
		}
		switch n := len(events); {
		case all&event.Dispatch != 0 && n > enables:
			return found(atMostOnce, last, "EV_DISPATCH came %d times and was enabled %d times", n, enables)
		case k.filter == event.User && all&event.Clear != 0 && n > triggers:
			return found(atMostOnce, last, "EV_CLEAR came %d times and was triggered %d times", n, triggers)
		}
	}
	return nil
}

// sent returns how often a signal may have come to the process of the threads. A child that
// ends sends SIGCHLD, and once more if it had children that have ended.
func (l *ledger) sent(sig uint64) (n int64) {
	for i := range l.history {
		r := &l.history[i]
		switch c := r.Op.Call; {
		case r.Result.Errno != 0:
		case c == event.CallKill && r.Op.Pid == proc.Init && uint64(r.Op.Sig) == sig:
			n++
		case sig == uint64(syscall.SIGCHLD) && (c == event.CallExit || c == event.CallKill):
			n += 2
		}
	}
	return n
}

// total returns the sum of the data of events.
func total(events []change) (n int64) {
	for _, e := range events {
		n += e.Data
	}
	return n
}

// bytes checks that pipes, pairs of sockets and devices give what they were given. Only numbers
// that mean one from the beginning to the end of the history count.
func (l *ledger) bytes() *Finding {
	gave, given, brought := map[int]int64{}, map[int]int64{}, map[int]int64{}
	var last *linearizability.Record
	for i := range l.history {
		r := &l.history[i]
		switch r.Op.Call {
		case event.CallRead, event.CallRecv:
			gave[r.Op.FD] += r.Result.N
			last = r
		case event.CallWrite, event.CallSend:
			given[r.Op.FD] += r.Result.N
		case event.CallInput:
			brought[r.Op.FD] += r.Result.N
		}
	}
	for i := range l.history {
		r := &l.history[i]
		a, b := int(r.Result.N), int(r.Result.N2)
		if unit := spec.Unit(r.Op.Device); unit != 0 && r.Result.Errno == 0 && !r.Result.Pending && !l.doubts[a] && gave[a] > unit*brought[a] {
			return found(conservation, last, "device %v %d gave %d bytes, and was brought %d of %d", r.Op.Device, a, gave[a], brought[a], unit)
		}
		if r.Op.Call != event.CallPipe && r.Op.Call != event.CallSocketpair || r.Result.Errno != 0 || r.Result.Pending || l.doubts[a] || l.doubts[b] {
			continue
		}
		for _, x := range [][2]int{{a, b}, {b, a}} {
			if gave[x[0]] > given[x[1]] {
				return found(conservation, last, "%v %d gave %d bytes, and was given %d", r.Op.Call, x[0], gave[x[0]], given[x[1]])
			}
		}
	}
	return nil
}
