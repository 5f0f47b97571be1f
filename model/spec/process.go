package spec

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// first is the process of the descriptors that operations speak of. It has always been
// there and does not end.
const first = 1

// AnyChild is any child, to wait(2).
const AnyChild = -1

// A process is a child of the first, or of another. It is known until somebody has waited
// for it, and its number is never used again.
type process struct {
	pid, parent int32
	course      course
	status      int64 // as of wait(2), of one that has ended
	nth         int32 // among the zombies in order of their coming to their parent
	orphans     bool  // when it ended it had children that had, too
	has         dispositions
}

// A course is how far a process is.
type course uint8

const (
	unborn  course = iota // fork is at work on it: nobody finds it
	running               // whoever looks for it does
	ending                // exit is at work on it: it does nothing more, but can be watched
	zombie                // it has ended, and nobody has waited for it
	waited                // somebody has, or nobody ever will
)

// A birth is a child's knote that fork is still to make, because the parent's is to be
// followed.
type birth struct {
	child  int32
	failed bool // it was tried, and the kqueue was closed
	knote  knote
}

// child returns the entry of a child that can be found, nil if there is none.
func (s *State) child(pid int) *process {
	if p := s.entry(pid); p != nil && p.course != unborn && p.course != waited {
		return p
	}
	return nil
}

// entry returns the entry of a child, nil if there is none of that number.
func (s *State) entry(pid int) *process {
	for i := range s.procs {
		if p := &s.procs[i]; int(p.pid) == pid {
			return p
		}
	}
	return nil
}

// there reports whether process pid can be found.
func (s *State) there(pid int) bool { return pid == first || s.child(pid) != nil }

// runs reports whether process pid has not begun to end.
func (s *State) runs(pid int) bool {
	p := s.entry(pid)
	return pid == first || p != nil && p.course == running
}

// A Deed is an operation on a process under way: how far it is, and what has come of it.
type Deed struct {
	N, N2  int64
	Errno  syscall.Errno
	next   event.Step
	part   deedPart
	pid    int32        // of an exit, or of a kill that has come to one
	status int64        // of that
	blocks event.Sigset // of a fork: what the thread blocks that calls it
	child  int32        // of a fork; of an exit the parent, once that is to be told
	life   int32        // of an exit: the descriptor that ends
	file   int32        // of an exit: what that has released, or -1
}

// A deedPart says what of an operation comes next, where the name of the step does not.
type deedPart uint8

const (
	begins deedPart = iota
	copies
	copiesSignals
	tells
	bears
	dies
	isGone
	toldParent
	tellsOrphans
)

// Start is what an operation on a process is before its first step. Blocks are the
// signals that the thread blocks that calls it.
func Start(op event.Op, blocks event.Sigset) Deed {
	d := Deed{next: event.Found, file: -1, pid: int32(op.Pid), status: op.N << 8, blocks: blocks}
	switch {
	case op.Call == event.CallWait:
		d.next = event.Acted
	case op.Call == event.CallKill && (op.Sig < 0 || op.Sig > event.MaxSignal):
		d.fails(syscall.EINVAL)
	}
	return d
}

// Done reports whether there is no step left.
func (d *Deed) Done() bool { return d.next == 0 }

// Next returns the step that comes next, 0 if there is none; of a fork that has
// conceived, see Births, those come before.
func (d *Deed) Next() event.Step { return d.next }

func (d *Deed) then(next event.Step, part deedPart) { d.next, d.part = next, part }

func (d *Deed) fails(errno syscall.Errno) { d.N, d.N2, d.Errno, d.next = 0, 0, errno, 0 }

func (d *Deed) ends(n, n2 int64) { d.N, d.N2, d.next = n, n2, 0 }

// Go takes the next step of an operation on a process, none if there is none.
func (s *State) Go(d *Deed, op *event.Op) {
	switch {
	case d.next == 0:
	case op.Call == event.CallWait:
		s.wait(d, op)
	case d.part == begins && d.next == event.Found:
		if !s.there(op.Pid) {
			d.fails(syscall.ESRCH)
		} else if op.Call == event.CallKill && op.Sig == 0 {
			d.ends(0, 0)
		} else if d.next = event.Acted; op.Call == event.CallFork && s.runs(op.Pid) {
			d.then(event.Made, copies)
		}
	case op.Call == event.CallFork:
		s.fork(d, op)
	case op.Call == event.CallExec:
		s.exec(d, op)
	case op.Call == event.CallKill && d.part == begins:
		s.kill(d, op)
	default:
		s.exit(d)
	}
}

// GoAs is Go where it is known which step it was, false if it cannot have been that one.
func (s *State) GoAs(d *Deed, op *event.Op, step event.Step) bool {
	switch {
	case op.Call == event.CallFork && d.part == tells && step == event.Made: // nobody watches it
		s.Go(d, op)
		s.Go(d, op)
	case d.part == bears && d.next != 0 && step == event.Changed:
		if s.Births(d) == 0 {
			return false
		}
		s.Bear(d)
	case d.part == bears && d.next != 0 && step == event.Acted:
		s.Miscarried(d)
	case d.part == copies && d.next == event.Made && step == event.Acted && !s.runs(op.Pid):
		s.Go(d, op) // it has begun to end since it was found
	case step == event.Acted && d.file >= 0 && s.Refuse(d.file):
	case step != d.next:
		return false
	default:
		s.Go(d, op)
	}
	return true
}

// fork: the child has the parent's descriptors but those of kqueues, "a kqueue is not
// inherited", and what the parent does with signals. Knotes that are to follow it are made
// before anybody can find the child, and have nothing to tell until somebody can.
func (s *State) fork(d *Deed, op *event.Op) {
	switch d.part {
	case begins: // it had begun to end
		d.fails(syscall.ESRCH)
	case copies:
		if !s.runs(op.Pid) {
			d.fails(syscall.ESRCH)
			return
		}
		d.child = s.number()
		s.procs = append(s.procs, process{pid: d.child})
		s.inherit(op.Pid, d.child)
		d.then(event.Made, copiesSignals)
	case copiesSignals:
		has := s.disposed(op.Pid)
		if op.Pid == first {
			has.blocked = d.blocks
		}
		s.entry(int(d.child)).has = *has
		d.then(event.Acted, tells)
	case tells:
		s.conceive(op.Pid, d.child)
		s.tellProcess(op.Pid, event.NoteFork|event.NoteTrack)
		d.then(event.Made, bears)
	case bears:
		for s.Births(d) > 0 {
			s.Bear(d)
		}
		s.Miscarried(d)
		c := s.entry(int(d.child))
		c.parent, c.course = first, running
		if p := s.entry(op.Pid); p != nil && p.course <= ending {
			c.parent = p.pid
		}
		for i := range s.knotes {
			if kn := &s.knotes[i]; kn.watches(int(d.child)) && kn.born != 0 {
				kn.bits, kn.data, kn.born = kn.bits|event.NoteChild, int64(kn.born), 0
				s.tell(i)
			}
		}
		s.visit()
		d.ends(int64(d.child), 0)
	}
}

// number returns the number of the next child.
func (s *State) number() int32 {
	n := int32(first + 1)
	for _, p := range s.procs {
		n = max(n, p.pid+1)
	}
	return n
}

// exec: signals that the process catches have their default action. No descriptor is
// closed by it. Who is ending while it is under way may have come first or last.
func (s *State) exec(d *Deed, op *event.Op) {
	switch d.part {
	case begins:
		if !s.runs(op.Pid) {
			d.fails(syscall.ESRCH)
			return
		}
		s.disposed(op.Pid).caught = 0
		d.then(event.Acted, tells)
	case tells:
		if p := s.entry(op.Pid); p != nil && p.course > ending {
			d.fails(syscall.ESRCH)
			return
		}
		s.tellProcess(op.Pid, event.NoteExec)
		d.ends(0, 0)
	}
}

// exit: the descriptors end one after another, then the process is a zombie and its
// knotes are told, then its parent has SIGCHLD. Its children are those of the first
// process from then on.
func (s *State) exit(d *Deed) {
	p := s.entry(int(d.pid))
	switch {
	case d.part == begins || d.part == dies:
		switch {
		case p != nil && p.course == running:
			p.course = ending
			s.nextToEnd(d)
		case d.part == dies: // whom a signal was to end ends already
			d.ends(0, 0)
		case p == nil:
			d.fails(syscall.EPERM)
		default:
			d.fails(syscall.ESRCH)
		}
	case d.next == event.Unlinked:
		s.let(d)
		for i := range s.slots {
			if x := &s.slots[i]; x.life == d.life {
				x.ending = true
			}
		}
		d.next = event.Reaped
	case d.next == event.Reaped:
		s.Reap(d.life)
		d.next = event.Released
	case d.next == event.Released:
		d.file, _ = s.Shut(d.life)
		s.nextToEnd(d)
	case d.next == event.Found:
		s.let(d)
		d.life = 0
		if s.disposed(int(p.parent)).ignored.Has(int(syscall.SIGCHLD)) {
			d.life = 1
		}
		d.then(event.Acted, isGone)
	case d.part == isGone:
		s.gone(d, p)
		d.then(event.Acted, toldParent)
	case d.part == toldParent:
		if d.child == first { // if it was another, that may have ended: see orphans
			s.signal(int(syscall.SIGCHLD))
		}
		if d.ends(0, 0); p.orphans {
			d.then(event.Acted, tellsOrphans)
		}
	default:
		s.signal(int(syscall.SIGCHLD))
		d.ends(0, 0)
	}
}

// gone makes a process a zombie, or nothing if its parent ignores that.
func (s *State) gone(d *Deed, p *process) {
	for _, i := range s.zombies(p.pid) {
		p.orphans = true
		s.procs[i].parent = first
		s.joinZombies(&s.procs[i])
	}
	p.course, p.status, d.child = zombie, d.status, p.parent
	s.joinZombies(p)
	for i := range s.procs {
		if o := &s.procs[i]; o.parent == p.pid && o.course != unborn {
			o.parent = first
		}
	}
	if d.life != 0 {
		p.course = waited
	}
	for i := range s.knotes {
		if s.knotes[i].watches(int(p.pid)) {
			s.knotes[i].end(p.status)
			s.tell(i)
		}
	}
	s.visit()
}

// joinZombies makes a process the last of its parent's zombies.
func (s *State) joinZombies(p *process) {
	n := int32(0)
	for _, o := range s.procs {
		n = max(n, o.nth)
	}
	p.nth = n + 1
}

// zombies returns the indices of a process's zombies, in order.
func (s *State) zombies(parent int32) (all []int) {
	for i := range s.procs {
		if p := &s.procs[i]; p.parent == parent && p.course == zombie {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b int) int { return int(s.procs[a].nth - s.procs[b].nth) })
	return all
}

// nextToEnd has an exit go on with the next descriptor, or past them.
func (s *State) nextToEnd(d *Deed) {
	d.then(event.Found, isGone)
	fd := -1
	for _, x := range s.slots {
		if x.owner == d.pid && !x.ending && (fd < 0 || x.fd < fd) {
			fd, d.life = x.fd, x.life
			d.next = event.Unlinked
		}
	}
}

// let does what is left of the end of a descriptor of an exit: see Release.
func (s *State) let(d *Deed) {
	for s.Refuse(d.file) {
	}
	if d.file >= 0 && s.collects(d.file) {
		s.Empty(d.file)
	}
	s.Untie(d.file)
	d.file = -1
}

// wait: the first process waits for a child of its own, or for any: for the one then
// that has ended first.
func (s *State) wait(d *Deed, op *event.Op) {
	var p *process
	if op.Pid != AnyChild {
		p = s.child(op.Pid)
	} else if all := s.zombies(first); len(all) > 0 {
		p = &s.procs[all[0]]
	} else {
		for i := range s.procs {
			if o := &s.procs[i]; o.parent == first && o.course != unborn && o.course < zombie {
				p = o
			}
		}
	}
	switch {
	case p == nil || p.parent != first:
		d.fails(syscall.ECHILD)
	case p.course != zombie:
		d.fails(syscall.EAGAIN)
	default:
		p.course = waited
		d.ends(int64(p.pid), p.status)
	}
}

// inherit gives a child the descriptors of its parent.
func (s *State) inherit(parent int, child int32) {
	owner := int32(parent)
	if parent == first {
		owner = 0
	}
	for _, x := range slices.Clone(s.slots) {
		if x.owner == owner && !x.ending && s.files[x.file].kind != queue {
			s.lives++
			s.files[x.file].refs++
			s.slots = append(s.slots, slot{fd: x.fd, life: s.lives, file: x.file, owner: child})
		}
	}
}

// processWords are sentences as of Words.
func (s *State) processWords() (out []string) {
	for _, p := range s.procs {
		text := ""
		switch p.course {
		case unborn:
			text = "is about to be there"
		case running:
			text = "runs"
		case ending:
			text = "is about to end"
		case zombie:
			text = fmt.Sprintf("has ended with status %d, and nobody has waited for it", p.status)
		case waited:
			text = "has ended, and nobody can wait for it any more"
		}
		out = append(out, fmt.Sprintf("process %d, a child of process %d, %s", p.pid, p.parent, text))
	}
	return out
}
