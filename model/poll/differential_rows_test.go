//go:build linux

package poll_test

import (
	"cmp"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A difference is one between Linux and us that is meant to be. It is told by the
// narrowest that can be said of the calls that make it.
type difference struct {
	name    string
	reason  string
	example string // a script that makes it, its operations separated by ;;

	// call reports whether the answers of the last call differ in this way as a whole.
	call func(d *divergence) bool
	// entry reports whether what is said of one entry, or one item, of a poll does:
	// o is what it stands for, here and there are what holds.
	entry func(d *divergence, o *object, here, there event.PollEvents) bool

	// goesOn: a call that makes it leaves both sides in the same state, so that the
	// script goes on. Poll and select always do.
	goesOn bool
}

const (
	inBits  = event.PollIn | event.PollRdNorm
	outBits = event.PollOut | event.PollWrNorm
	anyBits = inBits | outBits | event.PollWrBand | event.PollHup | event.PollRdHup
)

func (o *object) isSocket() bool { return o.kind >= unixStream && o.kind <= udp }

func (o *object) isFifo() bool     { return o.kind >= fifoBoth && o.kind <= fifoWrite }
func (o *object) isTerminal() bool { return o.kind == ptyMaster || o.kind == ptySlave }

// differences are all that there are.
var differences = []difference{
	{
		name:    "full-without-readers",
		reason:  "the write end of a pipe that is full and has no readers is POLLOUT here: a write does not wait, it fails (see package poll)",
		example: "pipe;;write 1 131072;;close 0;;poll: 1 OUT",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return (o.kind == writeEnd || o.kind == fifoWrite) && here&^there&^outBits == 0 && there&^here == 0
		},
	},
	{
		name:    "refused-write-is-news",
		reason:  "on Linux a write that is refused since a pipe is full tells the readers once more (pipe_write, poll_usage), so an ET item is returned again; here only bytes are news",
		example: "pipe;;write 1 131072;;epoll;;epoll_ctl 2 add 0 IN|ET udata=100;;epoll_wait 2 room=8;;write 1 4096;;epoll_wait 2 room=2",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.refused && (o.kind == readEnd || o.kind == fifoRead || o.kind == fifoBoth || o.kind == epollKind) && here == 0 && there&inBits != 0
		},
	},
	{
		name:    "epoll-tells-IN",
		reason:  "Linux tells those who watch an epoll of POLLIN (ep_poll_safewake), and an item of it that asks for POLLRDNORM alone hears nothing; here they are the same",
		example: "pipe;;epoll;;epoll;;epoll_ctl 3 add 2 RDNORM udata=102;;write 1 65536;;epoll_ctl 2 add 0 IN udata=200;;epoll_wait 3 room=1",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.normOnly && o.kind == epollKind && here&^inBits == 0 && there == 0
		},
	},
	{
		name:    "order-after-a-look",
		reason:  "who asks Linux whether an epoll is readable has it take off its list what is no longer ready, up to the first that is; here all or, if nobody asks for POLLIN, none",
		example: "pipe;;epoll;;epoll_ctl 2 add 1 OUT|ET udata=301;;write 1 131072;;epoll_ctl 2 add 0 IN udata=500;;poll: 2 PRI;;read 0 65536;;write 1 4096;;epoll_wait 2 room=8",
		call: func(d *divergence) bool {
			return d.op().Call == event.CallEpollWait && d.looked && samePolled(d.here.Polled, d.there.Polled)
		},
	},
	{
		name:    "peer-first",
		reason:  "of the two ends of a connection of TCP that is shut Linux tells the peer first, and here the end that has shut it is, so items come in another order",
		example: "socket stream;;listen 0 1 4;;socket stream;;connect 1 1;;accept 0;;epoll;;epoll_ctl 3 add 1 RDHUP udata=101;;epoll_ctl 3 add 2 0 udata=202;;shutdown 2 both;;epoll_wait 3 room=1",
		call:    func(d *divergence) bool { return d.swaps(tcp) },
	},
	{
		name:    "own-shutdown-has-a-place",
		reason:  "a shutdown of a UNIX socket tells on Linux also who watches the end that has shut it; that is no news here, but there it has put the item into the line, before what came later",
		example: "socketpair stream;;epoll;;dup2 1 3;;epoll_ctl 2 add 3 RDHUP|ET udata=303;;epoll_ctl 2 add 0 IN|RDHUP|ET udata=400;;shutdown 0 write;;write 1 2;;epoll_wait 2 room=8",
		call: func(d *divergence) bool {
			return d.swaps(unixStream) && samePolled(d.here.Polled, d.there.Polled)
		},
	},
	{
		name:    "urgent-is-news",
		reason:  "on Linux an urgent byte that comes tells who waits for others too, so an ET item reports the bytes that were there again; here it is news to POLLPRI alone",
		example: "socket stream;;listen 0 1 4;;socket stream;;connect 1 1;;accept 0;;epoll;;epoll_ctl 3 add 2 IN|RDBAND|ET udata=202;;write 1 7;;epoll_wait 3 room=8;;send 1 1 oob;;epoll_wait 3 room=3",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.oob && d.edgy() && o.kind == tcp && here == 0 && there&^inBits == 0
		},
	},
	{
		name:    "state-is-news",
		reason:  "on Linux a shutdown or a close, of either end, tells those who watch a socket, a terminal or a fifo without saying of what, so an ET item reports all that holds; here only what it changes is news",
		example: "socketpair stream;;epoll;;epoll_ctl 2 add 1 OUT|ET udata=101;;epoll_wait 2 room=8;;shutdown 1 read;;epoll_wait 2 room=8",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.edgy() && here == 0 && (d.over && (o.isSocket() || o.kind == epollKind) && there&^anyBits == 0 ||
				(o.isTerminal() || o.isFifo()) && there&(event.PollHup|event.PollErr) != 0)
		},
	},
	{
		name:    "room-is-news",
		reason:  "on Linux whatever leaves the buffer of a socket or a terminal is news of room, to an ET item too; here it is if there was too little",
		example: "socketpair stream;;epoll;;epoll_ctl 2 add 1 OUT|ET udata=101;;epoll_wait 2 room=8;;write 1 5;;read 0 5;;epoll_wait 2 room=8",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.edgy() && here == 0 && ((o.isSocket() || o.isTerminal()) && there&(outBits|event.PollWrBand) != 0 || o.kind == epollKind && there&^inBits == 0)
		},
	},
	{
		name:    "peer-shut-is-news",
		reason:  "a socket of a datagram pair, or of TCP, is told here that its peer has shut reading, or is gone, since a write fails now, or goes to nobody; on Linux it is not told",
		example: "socketpair dgram;;epoll;;epoll_ctl 2 add 1 WRNORM|ET udata=101;;epoll_wait 2 room=1;;shutdown 0 read;;epoll_wait 2 room=1",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.edgy() && ((o.kind == unixDatagram || o.kind == tcp && d.over) && here&^anyBits == 0 || o.kind == epollKind && here&^inBits == 0) && there == 0
		},
	},
	{
		name:    "room-after-the-end",
		reason:  "a socket that has shut writing is told here of each read of its peer, since it is ready to write, that is to fail, for good; on Linux of those that empty a buffer",
		example: "socketpair stream;;epoll;;epoll_ctl 2 add 1 IN|OUT|ET udata=101;;write 1 13;;shutdown 1 write;;epoll_wait 2 room=1;;read 0 5;;epoll_wait 2 room=8",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.over && d.edgy() && (o.kind == unixStream || o.kind == tcp || o.kind == epollKind) && here&^anyBits == 0 && there == 0
		},
	},
	{
		name:    "modes-are-news",
		reason:  "a change of the modes of a terminal is news here to all that watch it, so an ET item reports what holds; on Linux to readers only",
		example: "pty;;termios 1 raw;;epoll;;epoll_ctl 2 add 0 OUT|ET udata=100;;epoll_wait 2 room=8;;termios 1 canon;;epoll_wait 2 room=8",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.moded && d.edgy() && (o.isTerminal() || o.kind == epollKind) && there == 0
		},
	},
	{
		name:    "read-is-room",
		reason:  "what is written to one end of a terminal takes room here until the other end reads it, and that is news; on Linux it goes on to the other end's buffer at once",
		example: "pty;;epoll;;epoll_ctl 2 add 1 WRNORM|ET udata=101;;write 1 1;;epoll_wait 2 room=8;;read 0 1;;epoll_wait 2 room=8",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.edgy() && (o.isTerminal() && here&^(outBits|event.PollWrBand) == 0 || o.kind == epollKind && here&^inBits == 0) && there == 0
		},
	},
	{
		name:    "modes-end-a-line",
		reason:  "what has come to a terminal before it becomes canonical is a line on Linux at once (n_tty_set_termios), here when a line ends",
		example: "pty;;termios 1 raw;;write 0 8;;poll: 1 IN;;termios 1 canon;;read 1 20",
		call: func(d *divergence) bool {
			return d.moded && calls(event.CallRead, func(o *object, here, there event.Result) bool {
				return o.kind == ptySlave
			})(d)
		},
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.moded && (o.kind == ptySlave || o.kind == epollKind) && (here^there)&^inBits == 0
		},
	},
	{
		name:    "not-connected",
		reason:  "a stream socket that has never been connected cannot be written to, nor is it hung up, here; on Linux it is POLLOUT and POLLHUP",
		example: "socket stream;;poll: 0 OUT",
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return here == 0 && (o.kind == tcp && !o.connected && there&^(inBits|outBits|event.PollHup) == 0 ||
				o.kind == epollKind && d.idle && there&^inBits == 0)
		},
	},
	{
		name:    "OOB-until-the-mark",
		reason:  "out-of-band data is pending here while its mark is ahead or has just been reached, as POSIX has it; on Linux until it is taken or passed, and a close resets if it has not been",
		example: "socket stream;;listen 0 1 4;;socket stream;;connect 1 1;;accept 0;;send 1 1 oob;;recv 2 1 oob;;poll: 2 PRI",
		call: func(d *divergence) bool {
			is := func(o *object, here, there event.Result) bool { return o.kind == tcp }
			return d.oob && (calls(event.CallRead, is)(d) || calls(event.CallSockErr, is)(d))
		},
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.oob && (o.kind == tcp && (here^there == event.PollPri || !d.alive(o.peer) && (here^there)&^(event.PollErr|event.PollHup) == 0) ||
				o.kind == epollKind && (here^there)&^inBits == 0)
		},
	},
	{
		name:    "shut-reading-throws-away",
		reason:  "a shutdown of reading throws away what has come here; on Linux it can still be read, what comes after is taken too, and a close resets if any of it is left",
		example: "socketpair stream;;write 0 19;;shutdown 1 both;;read 1 14",
		call: func(d *divergence) bool {
			return d.shut && calls(event.CallRead, func(o *object, here, there event.Result) bool {
				return o.isSocket() && here.N == 0 && here.Errno == 0 && (there.N > 0 || there.Errno == syscall.EAGAIN || there.Errno == syscall.ECONNRESET)
			})(d) || d.shut && calls(event.CallSockErr, func(o *object, here, there event.Result) bool {
				return o.isSocket() && !d.alive(o.peer) && here.N == 0 && (there.N == int64(syscall.ECONNRESET) || there.N == int64(syscall.EPIPE))
			})(d)
		},
		entry: func(d *divergence, o *object, here, there event.PollEvents) bool {
			return d.shut && (o.kind == unixStream || o.kind == tcp) && (o.shut || !d.alive(o.peer)) &&
				here&^there == 0 && there&^here&^(event.PollErr|event.PollHup|inBits|event.PollRdHup) == 0
		},
	},
	{
		name:    "connected-at-once",
		reason:  "connect answers that it is done here, when it is; on Linux it is too, and EINPROGRESS",
		example: "socket stream;;listen 0 1 4;;socket stream;;connect 1 1",
		call: calls(event.CallConnect, func(o *object, here, there event.Result) bool {
			return o.kind == tcp && here.Errno == 0 && there.Errno == syscall.EINPROGRESS
		}),
		goesOn: true,
	},
	{
		name:    "refused-at-once",
		reason:  "connect to a port where nobody listens answers ECONNREFUSED here; on Linux it is EINPROGRESS, and the error is pending",
		example: "socket stream;;connect 0 1",
		call: calls(event.CallConnect, func(o *object, here, there event.Result) bool {
			return o.kind == tcp && here.Errno == syscall.ECONNREFUSED && there.Errno == syscall.EINPROGRESS
		}),
	},
	{
		name:    "not-connected-EPIPE",
		reason:  "a write to a TCP socket that has never been connected answers ENOTCONN here, EPIPE on Linux",
		example: "socket stream;;write 0 5",
		call: calls(event.CallWrite, func(o *object, here, there event.Result) bool {
			return (o.kind == tcp || o.kind == listener) && here.Errno == syscall.ENOTCONN && there.Errno == syscall.EPIPE
		}),
		goesOn: true,
	},
	{
		name:    "error-before-bytes",
		reason:  "the pending error of a socket of datagrams is told on Linux before a read looks at what has come, or a write at a shutdown; here after it",
		example: "socket dgram;;listen 0 1 4;;socket dgram;;listen 1 2 4;;connect 1 1;;connect 0 2;;write 0 3;;close 0;;write 1 17;;read 1 7",
		call: func(d *divergence) bool {
			return calls(event.CallRead, func(o *object, here, there event.Result) bool {
				return o.kind == udp && here.N > 0 && there.Errno == syscall.ECONNREFUSED
			})(d) || calls(event.CallWrite, func(o *object, here, there event.Result) bool {
				return o.kind == udp && here.Errno == syscall.EPIPE && there.Errno == syscall.ECONNREFUSED
			})(d)
		},
	},
	{
		name:    "reset-is-ECONNRESET",
		reason:  "a reset that comes after the end of what the peer sends is a pending ECONNRESET here; on Linux EPIPE, which a read does not take",
		example: "socket stream;;listen 0 1 4;;socket stream;;connect 1 1;;accept 0;;shutdown 1 write;;write 2 15;;close 1;;read 2 3",
		call: func(d *divergence) bool {
			return calls(event.CallRead, func(o *object, here, there event.Result) bool {
				return o.kind == tcp && here.Errno == syscall.ECONNRESET && there.Errno == 0 && there.N == 0
			})(d) || calls(event.CallSockErr, func(o *object, here, there event.Result) bool {
				return o.kind == tcp && here.N == int64(syscall.ECONNRESET) && there.N == int64(syscall.EPIPE)
			})(d)
		},
	},
	{
		name:    "master-without-slave",
		reason:  "a write to the master of a terminal whose slave is closed fails here with EIO; Linux takes the bytes, for nobody",
		example: "pty;;close 1;;write 0 5",
		call: calls(event.CallWrite, func(o *object, here, there event.Result) bool {
			return o.kind == ptyMaster && here.Errno == syscall.EIO && there.Errno == 0
		}),
	},
	{
		name:    "EOF-is-EIO",
		reason:  "a read of a master whose slave is closed finds the end of the file here, EIO on Linux",
		example: "pty;;close 1;;read 0 5",
		call: calls(event.CallRead, func(o *object, here, there event.Result) bool {
			return o.kind == ptyMaster && here.Errno == 0 && here.N == 0 && there.Errno == syscall.EIO
		}),
		goesOn: true,
	},
}

// explain returns the row that a divergence is one of, nil if there is none. A call that
// says something of several things may differ in several ways; then it is the first.
func explain(d *divergence) *difference {
	for i := range differences {
		if row := &differences[i]; row.call != nil && row.call(d) {
			return row
		}
	}
	return explainEntries(d)
}

func explainEntries(d *divergence) (first *difference) {
	if d.here.Errno != 0 || d.there.Errno != 0 {
		return nil
	}
	var of func(id uint64) *object
	var ids []uint64
	var asks []event.PollEvents // of each; nothing else is said of it
	room := -1
	switch op := d.op(); op.Call {
	case event.CallPoll, event.CallSelect:
		of = func(id uint64) *object { return d.objs[int(id)] }
		for _, f := range op.FDs {
			ids = append(ids, uint64(f.FD))
			asks = append(asks, f.Events|event.PollErr|event.PollHup|event.PollNval)
		}
	case event.CallEpollWait:
		of = func(id uint64) *object { return d.items[id] }
		room = op.Room
		for _, p := range slices.Concat(d.here.Polled, d.there.Polled) {
			if !slices.Contains(ids, p.ID) {
				ids = append(ids, p.ID)
				asks = append(asks, ^event.PollEvents(0))
			}
		}
		if !sameOrder(d.here.Polled, d.there.Polled) {
			return nil
		}
	default:
		return nil
	}
	here, there := d.here.Polled, d.there.Polled
	for i, id := range ids {
		h, t := take(&here, id, asks[i]), take(&there, id, asks[i])
		d.id = id
		if h == t {
			continue
		}
		row := explainEntry(d, of(id), h, t)
		// Else there was perhaps no more room, on one side.
		if row == nil && !(t == 0 && len(d.there.Polled) == room || h == 0 && len(d.here.Polled) == room) {
			return nil
		}
		if first == nil {
			first = row
		}
	}
	if len(here) > 0 || len(there) > 0 {
		return nil
	}
	return first
}

func explainEntry(d *divergence, o *object, here, there event.PollEvents) *difference {
	for i := range differences {
		if row := &differences[i]; o != nil && row.entry != nil && row.entry(d, o, here, there) {
			return row
		}
	}
	return nil
}

// edgy reports whether the item that is looked at is ET; or, of a poll of an epoll,
// whether there has been such an item.
func (d *divergence) edgy() bool {
	if d.op().Call == event.CallEpollWait && d.items[d.id] != nil && d.items[d.id].kind != epollKind {
		return d.edges[d.id]
	}
	for _, et := range d.edges {
		if et {
			return d.op().Call == event.CallEpollWait || d.objs[int(d.id)] != nil && d.objs[int(d.id)].kind == epollKind
		}
	}
	return false
}

// calls is a difference in what a call upon a kind of descriptor answers, apart from
// how it is polled. A send is a write, and a recv a read.
func calls(call event.Call, is func(o *object, here, there event.Result) bool) func(*divergence) bool {
	return func(d *divergence) bool {
		op := d.op()
		same := op.Call == call || call == event.CallWrite && op.Call == event.CallSend || call == event.CallRead && op.Call == event.CallRecv
		return same && d.objs[op.FD] != nil && is(d.objs[op.FD], d.here, d.there)
	}
}

// take takes what is said of id, who asks for no more than that, off a list, and returns it.
func take(from *[]event.Polled, id uint64, asks event.PollEvents) event.PollEvents {
	i := slices.IndexFunc(*from, func(p event.Polled) bool { return p.ID == id && p.Events&^asks == 0 })
	if i < 0 {
		return 0
	}
	e := (*from)[i].Events
	*from = slices.Delete(slices.Clone(*from), i, i+1)
	return e
}

// samePolled reports whether two lists are the same but for their order.
func samePolled(a, b []event.Polled) bool {
	sorted := func(l []event.Polled) []event.Polled {
		l = slices.Clone(l)
		slices.SortFunc(l, func(a, b event.Polled) int { return cmp.Compare(a.ID, b.ID) })
		return l
	}
	return slices.Equal(sorted(a), sorted(b))
}

// sameOrder reports whether what is in both lists is in the same order.
func sameOrder(a, b []event.Polled) bool {
	common := func(a, b []event.Polled) (ids []uint64) {
		for _, p := range a {
			if slices.ContainsFunc(b, func(q event.Polled) bool { return q.ID == p.ID }) {
				ids = append(ids, p.ID)
			}
		}
		return ids
	}
	return slices.Equal(common(a, b), common(b, a))
}

// swaps reports whether an epoll tells of the two ends of connections of a kind that has
// been shut in another order, and of nothing else.
func (d *divergence) swaps(k kind) bool {
	if d.op().Call != event.CallEpollWait || !d.over || len(d.here.Polled) != len(d.there.Polled) {
		return false
	}
	var moved []*object // whose place is another
	for i, p := range d.here.Polled {
		if q := d.there.Polled[i]; p.ID != q.ID {
			moved = append(moved, d.items[p.ID], d.items[q.ID])
		}
	}
	return len(moved) > 0 && !slices.ContainsFunc(moved, func(o *object) bool {
		return o == nil || o.kind != k || !slices.Contains(moved, o.peer)
	})
}
