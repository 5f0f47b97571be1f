package kqueue

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	errEBADF  = syscall.EBADF
	errEINVAL = syscall.EINVAL
	errENOENT = syscall.ENOENT
	errELOOP  = syscall.ELOOP
)

// Events returns room for n events, which is td's until it asks again. What is in it
// is of no account.
func Events(td *machine.Thread, n int) []event.Kevent {
	sc := scratchOf(td)
	if n > cap(sc.events) {
		sc.events = make([]event.Kevent, n)
	}
	return sc.events[:n]
}

// batch is how many knotes a scan claims before it visits their sources. More
// would lengthen what other scans skip; fewer would pay more visits an event.
const batch = 64

// depth is the longest chain of queues that watch queues (decision 11).
const depth = 10

// A scratch is what a thread's calls need and would otherwise allocate. It
// belongs to the thread, so nothing guards it.
type scratch struct {
	frames []*frame       // at most depth+1; most threads need none, and a frame is large
	level  int            // frames in use: a scan, and the prunings inside it
	marks  []*Knote       // each keeps the place of a walk of a source's list; at most depth+1
	walks  int            // marks in use: a walk that waits, and the visits paid meanwhile
	debts  []*Queue       // watched queues posted to and not visited yet
	below  []*Queue       // queues that are visited before a call says that there is nothing
	edges  []edge         // watches that have ended and are still in the graph
	events []event.Kevent // see Events
	ends   []*Knote       // one-shots that the scan has ended and must clean
	pool   *Knote         // freed knotes, by hnext
	pooled int
}

// A frame is the working space of one pass.
type frame struct {
	end     Knote // a mark: the pass ends here
	cursor  Knote // a mark: it goes on from here
	claims  [batch]claim
	claimed int
}

// push takes the next frame: passes nest as deep as queues do.
func (sc *scratch) push() *frame {
	if sc.level == len(sc.frames) {
		f := &frame{}
		f.end.link, f.cursor.link = marker, marker
		sc.frames = append(sc.frames, f)
	}
	sc.level++
	return sc.frames[sc.level-1]
}

// mark takes the next mark: a walk that waits pays visits, which walk too.
func (sc *scratch) mark() *Knote {
	if sc.walks == len(sc.marks) {
		sc.marks = append(sc.marks, &Knote{state: marked})
	}
	sc.walks++
	return sc.marks[sc.walks-1]
}

// A claim is a knote that a scan is evaluating, and what it found.
type claim struct {
	kn *Knote
	v  verdict
}

// An edge says that one queue watches another.
type edge struct{ outer, inner *Queue }

func scratchOf(td *machine.Thread) *scratch {
	if sc, ok := td.Scratch.(*scratch); ok {
		return sc
	}
	sc := scratches.New(td)
	td.Scratch = sc
	return sc
}

// What a call leaves is clean, and so is the next thread's, but for the pool: its
// knotes are in their own stock.
var (
	scratches = machine.NewStock(func(sc *scratch) { sc.pool, sc.pooled = nil, 0 })
	knotes    = machine.NewStock(func(kn *Knote) { *kn = Knote{again: kn.again[:0]} })
)

// poolMax bounds what a thread that only deletes can gather.
const poolMax = 1024

func (sc *scratch) free(kn *Knote) {
	if sc.pooled == poolMax {
		return
	}
	kn.Hook, kn.level, kn.src, kn.q, kn.desc = nil, nil, nil, nil, nil
	kn.qprev, kn.qnext = nil, nil
	kn.hnext = sc.pool
	sc.pool = kn
	sc.pooled++
}

func (sc *scratch) alloc(td *machine.Thread) *Knote {
	kn := sc.pool
	if kn == nil {
		kn = knotes.New(td)
		kn.mail.To = kn
		return kn
	}
	sc.pool = kn.hnext
	sc.pooled--
	kn.hnext = nil
	kn.state, kn.link = 0, 0
	kn.left, kn.used, kn.again = 0, 0, kn.again[:0]
	kn.Cond, kn.Fflags, kn.Answer, kn.Data, kn.Pending = 0, 0, 0, 0, 0
	return kn
}

// owe notes that td has posted to a watched queue and must visit it.
func owe(td *machine.Thread, q *Queue) {
	sc := scratchOf(td)
	for _, d := range sc.debts {
		if d == q {
			return
		}
	}
	sc.debts = append(sc.debts, q)
	td.Debt = len(sc.debts)
}

// pay visits the watched queues that td has posted to, and those that the
// visits post to in turn, in no domain before and after. The duty is the
// poster's, not that of whoever activates the knote: that may be any thread
// that works off a mailbox on its own way to sleep (trap 8).
func pay(td *machine.Thread) {
	sc := scratchOf(td)
	for len(sc.debts) > 0 {
		q := sc.debts[0]
		sc.debts = append(sc.debts[:0], sc.debts[1:]...)
		td.Debt = len(sc.debts)
		q.enter(td)
		q.tell(td)
		q.place.Exit(td)
	}
}

// finish does at the end of a call, in no domain, what could not be done inside
// one: it cleans the one-shots that a scan has ended, pays visits, and takes
// watches that have ended out of the graph.
func finish(td *machine.Thread) {
	sc := scratchOf(td)
	for len(sc.ends) > 0 {
		last := len(sc.ends) - 1
		kn := sc.ends[last]
		sc.ends = sc.ends[:last]
		clean(td, kn, nil)
	}
	if td.Debt != 0 {
		pay(td)
	}
	for len(sc.edges) > 0 {
		last := len(sc.edges) - 1
		e := sc.edges[last]
		sc.edges = sc.edges[:last]
		unwatch(td, e)
	}
}
