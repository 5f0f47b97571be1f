package proc

import (
	"math"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Install makes the filters Proc and Signal known to the kernel, before any queue is
// made. They speak of the process by which a queue finds its descriptors, and of those in
// its table. Errors of EV_ADD: ESRCH if the queue has no process.
func Install(k *kqueue.Kernel) {
	k.Install(event.Proc, openProcess)
	k.Install(event.Signal, openSignal)
}

// process is how an opener knows a process, also one that is a part of something else.
func (p *Process) process() *Process { return p }

func of(files kqueue.Files) (*Process, error) {
	if p, ok := files.(interface{ process() *Process }); ok {
		return p.process(), nil
	}
	return nil, syscall.ESRCH
}

// A watch is what knotes see of a process. It outlives the process, if they do.
type watch struct {
	src    kqueue.Source
	table  *Table   // immutable
	born   bool     // guarded by src: tracking has made its knotes, and others may
	ended  bool     // guarded by src
	status Status   // guarded by src: once it has ended
	forked *Process // guarded by src: during hintFork, the child
}

// A note is what the filter keeps of a knote besides what it reports. All is guarded by
// the watch's source.
type note struct {
	w      *watch
	parent int          // of a knote that tracking has made: the parent's number, until fork is finished
	exit   event.Fflags // NOTE_EXIT, if that was asked for when it ended
	ended  bool         // the end is to be reported when NOTE_CHILD has been
	failed bool         // a child cannot be tracked, which is to be reported
}

// A follower is a knote that tracks a process, which has forked.
type follower struct {
	kn  *kqueue.Knote // held
	q   *kqueue.Queue
	kev event.Kevent // what is to be made in it
	err error        // what came of that
}

var (
	watches = machine.NewStock[watch](nil)
	notes   = machine.NewStock[note](nil)
)

// newWatch makes what knotes will see of a process.
func newWatch(td *machine.Thread, t *Table) *watch {
	w := watches.New(td)
	w.table = t
	w.src.Init(td, t.k)
	w.src.Owner = w
	return w
}

// watch returns what knotes see of p, with the table's mu held.
func (p *Process) watch(td *machine.Thread) *watch {
	if p.w == nil {
		p.w = newWatch(td, p.table)
		p.w.born, p.w.ended, p.w.status = true, p.life >= zombie, p.status
	}
	return p.w
}

// Hints. None carries data: who a child is, and what a status, is in what the filter
// looks at. So who is asked twice has been told once.
const (
	hintFork   = 1 + iota // it has forked, which the watch says of whom
	hintExec              // it has begun another program
	hintBorn              // fork is finished: it is there
	hintExit              // it has ended, and the watch says how
	hintFailed            // a child cannot be tracked, which the note says
)

// procFilter is EVFILT_PROC: the ident is the number of a process, fflags say what of it
// is reported. EV_CLEAR is forced. (filt_proc)
//
//	NOTE_FORK      it has forked: once, for all forks since the last event
//	NOTE_EXEC      it has begun another program
//	NOTE_EXIT      it has ended: data is its status, as of wait(2), flags EV_EOF, EV_NODATA
//	               and EV_ONESHOT; reported whether asked for or not, then with fflags 0
//	NOTE_TRACK     its children are watched too, by knotes of the same fflags, flags and
//	               udata, and theirs. Reported when it has forked, as the manual page
//	               says; DragonFly's code never does
//	NOTE_CHILD     of such a knote: here it is, data is its parent's number
//	NOTE_TRACKERR  a child is not watched, for want of room for one more knote
//
// One event says all that has happened since the last, but NOTE_CHILD and NOTE_EXIT come in
// two, in this order, since data can be only one of both (FreeBSD PR 180385; in DragonFly
// the status replaces the parent's number). A zombie is reported as soon as it is watched.
//
// EV_ADD to a knote that exists replaces the fflags that are asked for; what has happened
// is reported as it was asked for then. Data of a change means nothing. A disabled knote
// tracks, and those that it makes are enabled. There are no users here, so anybody may
// watch any process ("if a process can normally see another process").
//
// Errors of EV_ADD: ESRCH if there is no such process, or it was waited for; EINVAL for
// fflags that cannot be asked for; ENOMEM if there are too many knotes, see [Table.SetMax].
var procFilter = &kqueue.Filter{
	Name:  "proc",
	Clear: true,
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		return kn.Source().Owner.(*watch).attach(td, kn)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		if kev.Fflags&^askable != 0 {
			return syscall.EINVAL
		}
		kn.Want, kn.WantData = kev.Fflags, kev.Data
		return nil
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		kn.Hook.(*note).hear(kn, hint)
		return kn.Fflags != 0 || kn.Pending != 0
	},
	Next: func(td *machine.Thread, kn *kqueue.Knote) bool {
		kn.Hook.(*note).report(kn)
		return kn.Pending != 0
	},
	Detach: func(td *machine.Thread, kn *kqueue.Knote) {
		kn.Hook.(*note).w.table.knotes.Add(td, ^uint32(0))
	},
}

// askable are the fflags that can be asked for.
const askable = event.NoteExit | event.NoteFork | event.NoteExec | event.NoteTrack

// attach is the filter's Attach. Before fork is finished only tracking makes knotes, which
// say nothing until it is.
func (w *watch) attach(td *machine.Thread, kn *kqueue.Knote) error {
	if kn.Want&^askable != 0 {
		return syscall.EINVAL
	}
	if w.table.knotes.Add(td, 1) > w.table.maxKnotes {
		w.table.knotes.Add(td, ^uint32(0))
		return syscall.ENOMEM
	}
	n := notes.New(td)
	n.w = w
	kn.Hook = n
	if !w.born {
		n.parent = int(kn.WantData)
	}
	if w.ended {
		n.end(kn)
	}
	return nil
}

// hear is told of what has happened. What is reported is gathered in the knote, from
// where EV_CLEAR takes it: fflags, and Pending for an end that was not asked for.
func (n *note) hear(kn *kqueue.Knote, hint int64) {
	switch hint {
	case hintFork:
		kn.Fflags |= kn.Want & (event.NoteFork | event.NoteTrack)
		if c := n.w.forked; c != nil && kn.Want&event.NoteTrack != 0 {
			c.leads(kn)
		}
	case hintExec:
		kn.Fflags |= kn.Want & event.NoteExec
	case hintBorn:
		if n.parent != 0 {
			kn.Fflags |= event.NoteChild
			kn.Data = int64(n.parent)
			n.parent = 0
		}
	case hintExit:
		n.end(kn)
	case hintFailed:
		if n.failed {
			kn.Fflags |= event.NoteTrackErr
			n.failed = false
		}
	}
}

// end notes that the process has ended, and reports it unless NOTE_CHILD must be first.
func (n *note) end(kn *kqueue.Knote) {
	n.ended, n.exit = true, kn.Want&event.NoteExit
	if kn.Fflags&event.NoteChild == 0 {
		n.report(kn)
	}
}

// report puts the end, if there is one to be reported, in what the knote reports.
func (n *note) report(kn *kqueue.Knote) {
	if !n.ended {
		return
	}
	n.ended = false
	kn.Fflags |= n.exit
	kn.Data = int64(n.w.status)
	kn.Cond = event.EOF | event.NoData
	kn.Pending = 1
	kn.Last()
}

// leads notes a knote that tracks p's parent, which is to have one that watches p. td is in
// the parent's domain.
func (p *Process) leads(kn *kqueue.Knote) {
	kn.Hold()
	p.followers = append(p.followers, follower{kn: kn, q: kn.Queue(), kev: event.Kevent{
		Ident: uint64(p.pid), Filter: event.Proc, Flags: event.Add | kn.Keep(),
		Fflags: kn.Want, Data: int64(kn.Ident()), Udata: kn.Udata(),
	}})
}

// follow makes the knotes that are to watch p, with the table's mu held, and tells those of
// the parent, which w is of, if one could not be made.
func (p *Process) follow(td *machine.Thread, w *watch) {
	if len(p.followers) == 0 {
		return
	}
	p.w = newWatch(td, p.table)
	for i := range p.followers {
		f := &p.followers[i]
		f.err = f.q.RegisterAt(td, &f.kev, &p.w.src, procFilter)
	}
	failed := false
	w.src.Enter(td)
	for i := range p.followers {
		f := &p.followers[i]
		if f.kn.Drop() && f.err != nil {
			f.kn.Hook.(*note).failed = true
			failed = true
		}
	}
	if failed {
		w.src.Post(td, hintFailed)
		td.Commit(event.Acted)
	}
	w.src.Exit(td)
	clear(p.followers)
	p.followers = p.followers[:0]
}

// openProcess finds what watches a process. (kqueue.Opener)
func openProcess(td *machine.Thread, files kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
	mine, err := of(files)
	if err != nil {
		return nil, nil, err
	}
	t := mine.table
	var w *watch
	t.mu.Lock(td)
	if ident <= math.MaxInt32 {
		if p := t.procs[int(ident)]; p != nil {
			w = p.watch(td)
		}
	}
	td.Commit(event.Found)
	t.mu.Unlock(td)
	if w == nil {
		return nil, nil, syscall.ESRCH
	}
	return &w.src, procFilter, nil
}

// signalFilter is EVFILT_SIGNAL: the ident is a signal of the process by which the queue
// finds its descriptors, data is how often it was sent there since the event was retrieved
// last. Every attempt counts, whether the signal is ignored, blocked, caught, pending
// already or ends the process, and whether it was sent to the process or to a thread of it;
// handlers run all the same. It is counted after all that has been seen to. EV_CLEAR
// is forced. (filt_signal)
//
// EV_ADD to a knote that exists forgets nothing. Data of a change means nothing.
//
// Errors of EV_ADD: EINVAL if the signal does not exist, where DragonFly accepts what can
// never come, or for any fflags.
var signalFilter = &kqueue.Filter{
	Name:  "signal",
	Clear: true,
	Count: true,
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		if kn.Want != 0 {
			return syscall.EINVAL
		}
		return nil
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		if kev.Fflags != 0 {
			return syscall.EINVAL
		}
		return nil
	},
}

// openSignal finds what watches a signal. (kqueue.Opener)
func openSignal(td *machine.Thread, files kqueue.Files, ident uint64) (*kqueue.Source, *kqueue.Filter, error) {
	p, err := of(files)
	if err != nil {
		return nil, nil, err
	}
	if ident == 0 || ident > MaxSignal {
		return nil, nil, syscall.EINVAL
	}
	s := &p.sig
	s.mu.Lock(td)
	src := s.watched[ident-1]
	if src == nil {
		src = sources.New(td)
		if s.domain == nil {
			s.domain = src
			src.Init(td, p.k)
		} else {
			src.InitSibling(s.domain)
		}
		s.watched[ident-1] = src
	}
	td.Commit(event.Found)
	s.mu.Unlock(td)
	return src, signalFilter, nil
}

var sources = machine.NewStock[kqueue.Source](nil)

// count ends a sending: it tells those who watch the signal, and lets go of mu.
func (s *signals) count(td *machine.Thread, sig syscall.Signal) {
	src := s.watched[sig-1]
	if src == nil {
		td.Commit(event.Acted)
		s.mu.Unlock(td)
		return
	}
	src.Enter(td)
	src.Post(td, 1)
	td.Commit(event.Acted)
	s.mu.Unlock(td)
	src.Exit(td) // pays what is owed, and may wait for that
}

// end has no signal come any more.
func (s *signals) end(td *machine.Thread) {
	s.mu.Lock(td)
	s.over, s.pending = true, 0
	for _, l := range s.lwps {
		l.pending = 0
		l.recalc(td)
	}
	td.Commit(event.Acted)
	s.mu.Unlock(td)
}

// ignoresChildren reports whether the process has said that it ignores SIGCHLD: then those
// that end are waited for by nobody. (PS_CLDSIGIGN)
func (s *signals) ignoresChildren(td *machine.Thread) bool {
	s.mu.Lock(td)
	ignores := s.actions[syscall.SIGCHLD-1].Ignore
	td.Commit(event.Found)
	s.mu.Unlock(td)
	return ignores
}
