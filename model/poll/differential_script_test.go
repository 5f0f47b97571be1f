//go:build linux

package poll_test

import (
	"math/rand/v2"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// A kind is what a descriptor stands for, as far as scripts go by it.
type kind uint8

const (
	closed kind = iota
	readEnd
	writeEnd
	unixStream
	unixDatagram
	tcp
	listener
	udp
	fifoBoth
	fifoRead
	fifoWrite
	ptyMaster
	ptySlave
	epollKind
)

// An object is what descriptors stand for.
type object struct {
	kind
	connected bool    // of sockets: it is, or has been
	peer      *object // of a connection; of the slave of a terminal the master
	echo      bool    // of a master
	set       bool    // of a master: its modes have been
	over      bool    // of a connection: a direction has been shut
	port      int64   // of one that listens
	shut      bool    // for reading
}

// alive reports whether a descriptor of o is open.
func (w *table) alive(o *object) bool {
	for _, x := range w.objs {
		if x == o {
			return true
		}
	}
	return false
}

// kindOf returns what a descriptor stands for.
func (w *table) kindOf(fd int) kind {
	if o := w.objs[fd]; o != nil {
		return o.kind
	}
	return closed
}

// slave reports whether a slave of a master is open.
func (w *table) slave(master *object) bool {
	for _, x := range w.objs {
		if x.kind == ptySlave && x.peer == master {
			return true
		}
	}
	return false
}

// A table is what is known of the descriptors of a script under way.
type table struct {
	objs     map[int]*object     // by descriptor
	items    map[uint64]*object  // by udata: what they watch
	waits    map[int64][]*object // by port: who waits to be accepted
	edges    map[uint64]bool     // by udata: whether that item is ET
	rows     map[string]int      // differences that made none to what came after
	made     []int               // descriptors, in order
	oob      bool                // out-of-band data has been sent
	idle     bool                // an item is of a socket that is not connected
	moded    bool                // the modes of a terminal have been changed after it was made
	over     bool                // a shutdown has gone well
	shut     bool                // a shutdown of reading has gone well
	normOnly bool                // an item of an epoll asks for POLLRDNORM, and not for POLLIN
	refused  bool                // a write has been, since there was no room
	looked   bool                // somebody has asked whether an epoll is readable
	done     int                 // operations
	used     []string            // calls
}

// learn takes in what an operation has done, which went as it did on both sides.
func (w *table) learn(op *event.Op, r event.Result) {
	w.done++
	if r.Errno == 0 && op.Call.Makes() > 0 {
		w.made = append(w.made, int(r.N))
		if op.Call.Makes() > 1 {
			w.made = append(w.made, int(r.N2))
		}
	}
	w.used = append(w.used, op.Call.String())
	for _, f := range op.FDs {
		w.looked = w.looked || w.kindOf(int(f.FD)) == epollKind
	}
	if op.Call == event.CallEpollCtl && op.Ctl != event.EpollDel && w.kindOf(op.To) == epollKind {
		w.looked = true
		w.normOnly = w.normOnly || op.Events&inBits == event.PollRdNorm
	}
	w.refused = w.refused || op.Call == event.CallWrite && r.Errno == syscall.EAGAIN
	if r.Errno != 0 {
		return
	}
	n := int(r.N)
	switch op.Call {
	case event.CallPipe:
		w.objs[n], w.objs[int(r.N2)] = &object{kind: readEnd}, &object{kind: writeEnd}
	case event.CallSocketpair:
		k := unixStream
		if op.Sock == event.Datagram {
			k = unixDatagram
		}
		a, b := &object{kind: k, connected: true}, &object{kind: k, connected: true}
		a.peer, b.peer = b, a
		w.objs[n], w.objs[int(r.N2)] = a, b
	case event.CallSocket:
		w.objs[n] = &object{kind: tcp}
		if op.Sock == event.Datagram {
			w.objs[n] = &object{kind: udp}
		}
	case event.CallListen:
		if o := w.objs[op.FD]; o.kind == tcp {
			o.kind = listener
			o.port = op.N
		}
	case event.CallConnect:
		w.objs[op.FD].connected = true
		w.waits[op.N] = append(w.waits[op.N], w.objs[op.FD])
	case event.CallAccept:
		o := &object{kind: tcp, connected: true}
		w.objs[n] = o
		if l := w.objs[op.FD].port; len(w.waits[l]) > 0 {
			o.peer = w.waits[l][0]
			o.peer.peer = o
			w.waits[l] = w.waits[l][1:]
		}
	case event.CallShutdown:
		w.over = true
		w.objs[op.FD].over = true
		w.shut = w.shut || op.Side.Reads()
		w.objs[op.FD].shut = w.objs[op.FD].shut || op.Side.Reads()
	case event.CallSend:
		w.oob = w.oob || op.OOB
	case event.CallFifo:
		w.objs[n] = &object{kind: fifoBoth}
	case event.CallReopen:
		w.objs[n] = &object{kind: w.kindOf(op.FD)}
		if k := w.kindOf(op.FD); k >= fifoBoth && k <= fifoWrite {
			w.objs[n].kind = [...]kind{event.ReadSide: fifoRead, event.WriteSide: fifoWrite, event.BothSides: fifoBoth}[op.Side]
		} else if k == ptyMaster {
			w.objs[n].kind, w.objs[n].peer = ptySlave, w.objs[op.FD]
		} else if k == ptySlave {
			w.objs[n].peer = w.objs[op.FD].peer
		}
	case event.CallPty:
		m := &object{kind: ptyMaster}
		w.objs[n], w.objs[int(r.N2)] = m, &object{kind: ptySlave, peer: m}
	case event.CallTermios:
		o := w.objs[op.FD]
		if o.kind == ptySlave {
			o = o.peer
		}
		w.moded = w.moded || o.set
		o.set, o.echo = true, op.Modes&event.Echo != 0
	case event.CallEpoll:
		w.objs[n] = &object{kind: epollKind}
	case event.CallEpollCtl:
		w.items[op.Udata] = w.objs[op.To]
		w.edges[op.Udata] = op.Events&event.EpollET != 0
		w.idle = w.idle || w.kindOf(op.To) == tcp && !w.objs[op.To].connected
	case event.CallDup:
		w.objs[n] = w.objs[op.FD]
	case event.CallDup2:
		w.objs[op.To] = w.objs[op.FD]
	case event.CallClose:
		delete(w.objs, op.FD)
	}
}

// of returns the descriptors of any of the kinds; of none that are open.
func (w *table) of(kinds ...kind) (fds []int) {
	for fd := range maxFD {
		k := w.kindOf(fd)
		if k == closed {
			continue
		}
		is := len(kinds) == 0
		for _, want := range kinds {
			is = is || k == want
		}
		if is {
			fds = append(fds, fd)
		}
	}
	return fds
}

// A generator draws scripts.
type generator struct {
	rng     *rand.Rand
	length  int
	makes   []event.Op                 // objects of this script
	sizes   []int64                    // of reads and writes
	pending []func(w *table) *event.Op // what comes next in any case
	ports   int64
	adds    uint64
}

// sets are the objects that scripts are about.
var sets = [][]event.Op{
	{{Call: event.CallPipe}},
	{{Call: event.CallSocketpair, Sock: event.Stream}},
	{{Call: event.CallSocketpair, Sock: event.Datagram}},
	{{Call: event.CallSocketpair, Sock: event.Stream}, {Call: event.CallPipe}},
	{{Call: event.CallFifo}},
	{{Call: event.CallPty}},
	{{Call: event.CallSocket, Sock: event.Stream}},
	{{Call: event.CallSocket, Sock: event.Datagram}},
	{
		{Call: event.CallPipe}, {Call: event.CallSocketpair, Sock: event.Stream}, {Call: event.CallSocketpair, Sock: event.Datagram},
		{Call: event.CallFifo}, {Call: event.CallPty}, {Call: event.CallSocket, Sock: event.Stream}, {Call: event.CallSocket, Sock: event.Datagram},
	},
}

func newGenerator(seed uint64) *generator {
	rng := rand.New(rand.NewPCG(seed, 0x6c696e7578))
	g := &generator{rng: rng, length: 8 + rng.IntN(40), makes: sets[rng.IntN(len(sets))]}
	// The buffer of a pipe is of pages on Linux: with pages only, or so little that
	// none is filled, that makes no difference.
	g.sizes = []int64{4096, 4096, 8192, 65536, bulk}
	if rng.IntN(2) == 0 {
		g.sizes = []int64{1, 1, 2, 5, 100}
	}
	return g
}

// one returns one of fds, mostly; sometimes any number.
func (g *generator) one(fds []int) int {
	if len(fds) == 0 || g.rng.IntN(50) == 0 {
		return g.rng.IntN(maxFD+3) - 1
	}
	return fds[g.rng.IntN(len(fds))]
}

func (g *generator) size() int64 { return g.sizes[g.rng.IntN(len(g.sizes))] }

var (
	conditionBits = []event.PollEvents{
		event.PollIn, event.PollIn, event.PollIn, event.PollOut, event.PollOut, event.PollPri, event.PollErr, event.PollHup, event.PollNval,
		event.PollRdNorm, event.PollRdBand, event.PollWrNorm, event.PollWrBand, event.PollRdHup, event.PollRdHup,
	}
)

func (g *generator) conditions() (e event.PollEvents) {
	for range g.rng.IntN(4) {
		e |= conditionBits[g.rng.IntN(len(conditionBits))]
	}
	return e
}

func (g *generator) wait() event.Wait {
	if g.rng.IntN(200) == 0 {
		return event.Finite
	}
	return event.NoWait
}

// next draws the next operation.
func (g *generator) next(w *table) *event.Op {
	if len(g.pending) > 0 {
		op := g.pending[0](w)
		g.pending = g.pending[1:]
		return op
	}
	if g.length--; g.length < 0 {
		return nil
	}
	for {
		if op := g.draw(w); op != nil {
			return op
		}
	}
}

func (g *generator) draw(w *table) *event.Op {
	open := w.of()
	room := len(open) < maxFD-5
	switch r := g.rng.IntN(100); {
	case r < 8 || len(open) < 2:
		if !room {
			return nil
		}
		return g.make()
	case r < 12:
		if !room || len(w.of(epollKind)) > 3 {
			return nil
		}
		return &event.Op{Call: event.CallEpoll}
	case r < 16:
		return &event.Op{Call: event.CallClose, FD: g.one(open)}
	case r < 18:
		if !room {
			return nil
		}
		return &event.Op{Call: event.CallDup, FD: g.one(open)}
	case r < 20:
		return &event.Op{Call: event.CallDup2, FD: g.one(open), To: g.one(open)}
	case r < 40:
		return g.transfer(w)
	case r < 60:
		return g.ctl(w)
	case r < 78:
		return &event.Op{Call: event.CallEpollWait, FD: g.one(w.of(epollKind)), Room: [...]int{1, 2, 3, 8, 8, 8, 0}[g.rng.IntN(7)], Wait: g.wait()}
	case r < 92:
		op := &event.Op{Call: event.CallPoll, Wait: g.wait()}
		for range g.rng.IntN(6) {
			op.FDs = append(op.FDs, event.PollFD{FD: int32(g.one(open)), Events: g.conditions()})
		}
		return op
	default:
		op := &event.Op{Call: event.CallSelect, Wait: g.wait(), N: int64(maxFD)}
		if g.rng.IntN(4) == 0 {
			op.N = int64(g.rng.IntN(maxFD))
		}
		seen := map[int]bool{}
		for range g.rng.IntN(6) {
			fd := g.one(open)
			if fd < 0 || fd >= maxFD || seen[fd] {
				continue
			}
			seen[fd] = true
			op.FDs = append(op.FDs, event.PollFD{FD: int32(fd), Events: event.PollEvents(g.rng.IntN(7) + 1)})
		}
		return op
	}
}

// make draws an object, and what makes it fit for use.
func (g *generator) make() *event.Op {
	op := g.makes[g.rng.IntN(len(g.makes))]
	then := func(f func(fd int) event.Op, at int) {
		g.pending = append(g.pending, func(w *table) *event.Op { op := f(w.made[len(w.made)-at]); return &op })
	}
	g.ports++
	port := g.ports
	switch {
	case op.Call == event.CallPty:
		then(func(fd int) event.Op {
			return event.Op{Call: event.CallTermios, FD: fd, Modes: event.Termios(g.rng.IntN(4))}
		}, 1)
	case op.Call == event.CallSocket && g.rng.IntN(8) > 0:
		second := op
		then(func(fd int) event.Op { return event.Op{Call: event.CallListen, FD: fd, N: port, Backlog: 4} }, 1)
		then(func(int) event.Op { return second }, 1)
		if op.Sock == event.Datagram {
			g.ports++
			then(func(fd int) event.Op { return event.Op{Call: event.CallListen, FD: fd, N: port + 1, Backlog: 4} }, 1)
			then(func(fd int) event.Op { return event.Op{Call: event.CallConnect, FD: fd, N: port} }, 1)
			then(func(fd int) event.Op { return event.Op{Call: event.CallConnect, FD: fd, N: port + 1} }, 2)
			break
		}
		then(func(fd int) event.Op { return event.Op{Call: event.CallConnect, FD: fd, N: port} }, 1)
		then(func(fd int) event.Op { return event.Op{Call: event.CallAccept, FD: fd} }, 2)
	}
	return &op
}

// transfer draws what moves bytes, or does something else to an object.
func (g *generator) transfer(w *table) *event.Op {
	fds := w.of(readEnd, writeEnd, unixStream, unixDatagram, tcp, listener, udp, fifoBoth, fifoRead, fifoWrite, ptyMaster, ptySlave)
	fd := g.one(fds)
	k := w.kindOf(fd)
	socket := k >= unixStream && k <= udp
	o := w.objs[fd]
	// What becomes of what is sent to nobody is another matter, and not of polls.
	heard := !socket || o.peer != nil && w.alive(o.peer) && !o.peer.shut
	if k == udp {
		heard = o.connected
	} else if k == tcp && !o.connected {
		heard = true
	}
	switch r := g.rng.IntN(100); {
	case socket && o.connected && r < 12 && heard && (k != tcp || !o.over && !o.peer.over):
		return &event.Op{Call: event.CallShutdown, FD: fd, Side: event.Side(g.rng.IntN(3) + 1)}
	case socket && r < 18:
		return &event.Op{Call: event.CallSockErr, FD: fd}
	case k == tcp && !o.connected && r < 20:
		return &event.Op{Call: event.CallConnect, FD: fd, N: int64(g.rng.IntN(6) + 1)}
	case k == listener && r < 90:
		if len(w.of()) >= maxFD-3 {
			return nil
		}
		return &event.Op{Call: event.CallAccept, FD: fd}
	case k == tcp && r < 30 && heard:
		if g.rng.IntN(2) == 0 {
			return &event.Op{Call: event.CallSend, FD: fd, N: 1, OOB: true}
		}
		return &event.Op{Call: event.CallRecv, FD: fd, N: 1, OOB: true}
	case k >= fifoBoth && k <= fifoWrite && r < 25 || k >= ptyMaster && k <= ptySlave && r < 8:
		if len(w.of()) >= maxFD-3 {
			return nil
		}
		side := event.Side(g.rng.IntN(3) + 1)
		if k >= ptyMaster {
			side = event.BothSides
			if k == ptyMaster && !w.slave(o) { // the modes of one whose slave has gone are other ones here and there
				return nil
			}
		}
		return &event.Op{Call: event.CallReopen, FD: fd, Side: side}
	case k == ptySlave && r < 16:
		return &event.Op{Call: event.CallTermios, FD: fd, Modes: event.Termios(g.rng.IntN(4))}
	}
	op := &event.Op{Call: event.CallRead, FD: fd, N: g.size()}
	if socket && o.shut {
		return nil
	}
	if k == writeEnd || k == fifoWrite || k != readEnd && k != fifoRead && g.rng.IntN(2) == 0 {
		op.Call = event.CallWrite
		if !heard {
			return nil
		}
	}
	if k >= unixStream && k <= ptySlave && k < fifoBoth || k >= ptyMaster {
		op.N = int64(g.rng.IntN(20) + 1) // their buffers are not of one size here and there
		if k >= ptyMaster && op.Call == event.CallWrite && g.rng.IntN(2) == 0 {
			op.Key = event.Key(g.rng.IntN(4) + 1)
			if k == ptyMaster && o.echo && op.Key > event.KeyEOF { // how these are echoed is a matter of more modes
				op.Key = event.KeyNL
			}
		}
	}
	return op
}

// ctl draws an epoll_ctl. The udata is the number, and how many there have been.
func (g *generator) ctl(w *table) *event.Op {
	op := &event.Op{Call: event.CallEpollCtl, FD: g.one(w.of(epollKind)), To: g.one(w.of()), Events: g.conditions()}
	op.Ctl = [...]event.EpollOp{event.EpollAdd, event.EpollAdd, event.EpollAdd, event.EpollMod, event.EpollMod, event.EpollDel}[g.rng.IntN(6)]
	if g.rng.IntN(3) == 0 {
		op.Events |= event.EpollET
	}
	if g.rng.IntN(4) == 0 {
		op.Events |= event.EpollOneShot
	}
	if g.rng.IntN(20) == 0 {
		op.Events |= event.EpollExclusive
	}
	g.adds++
	op.Udata = g.adds*100 + uint64(max(op.To, 0))
	if op.Ctl == event.EpollDel {
		op.Events, op.Udata = 0, 0
	}
	return op
}
