package proc

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	// Init is the number of the first process, which never ends. (initproc)
	Init = 1
	// Any is any child, to [Process.Wait]. (WAIT_ANY)
	Any = -1
	// MaxProcesses is how many processes there can be, if [Table.SetMax] says nothing else.
	// (kern.maxproc)
	MaxProcesses = 1 << 16
)

// A Table is the processes of a kernel, those that have ended and were not waited for
// included. [New] makes it, with the first. (allproc, zombproc)
//
// No number is given twice. A kernel that does so has knotes of the process that was
// before answer for the one that is now, as it has with descriptors (bug F16): whoever
// has not retrieved the NOTE_EXIT of the old finds its knote by the number of the new.
type Table struct {
	k     *kqueue.Kernel
	first *Process // immutable

	mu    machine.Mutex
	procs map[int]*Process // guarded by mu: by number
	last  int              // guarded by mu: the number given last

	max       int // immutable once there is a second process
	maxKnotes uint32
	knotes    machine.Uint32 // that watch processes
}

// SetMax says how many processes there can be, the first and the zombies included, and
// how many knotes can watch processes, all queues together. It is called before the first
// fork; 0 is what there is without it. It panics if either is negative.
func (t *Table) SetMax(processes, knotes int) {
	if processes < 0 || knotes < 0 || knotes > maxKnotes {
		panic("proc: SetMax of a number that is negative, or too large")
	}
	t.max, t.maxKnotes = processes, uint32(knotes)
	if processes == 0 {
		t.max = MaxProcesses
	}
	if knotes == 0 {
		t.maxKnotes = maxKnotes
	}
}

const maxKnotes = 1 << 30

// reset leaves the table with the first process and nothing else.
//
//go:norace
func (t *Table) reset() {
	clear(t.procs)
	clearProcess(t.first)
	t.first.init(t, Init)
	t.procs[Init], t.last = t.first, Init
	t.SetMax(0, 0)
}

// Find returns a process by its number, a zombie too. (pfind, zpfind)
//
// Error: ESRCH if there is none.
func (t *Table) Find(td *machine.Thread, pid int) (*Process, error) {
	t.mu.Lock(td)
	p := t.procs[pid]
	td.Commit(event.Found)
	t.mu.Unlock(td)
	if p == nil {
		return nil, syscall.ESRCH
	}
	return p, nil
}

// Kill sends a signal to the process of that number: see [Process.Kill]. 0 sends nothing,
// and says whether there is one. (kill(2))
//
// Errors: ESRCH if there is no such process; EINVAL if sig does not exist.
func (t *Table) Kill(td *machine.Thread, pid int, sig syscall.Signal) error {
	if sig != 0 && !exists(sig) {
		return syscall.EINVAL
	}
	p, err := t.Find(td, pid)
	if err != nil {
		return err
	}
	return p.Kill(td, sig)
}

// A life says how far a process has come.
type life uint8

const (
	alive  life = iota // also once an exit has begun that is closing descriptors
	zombie             // it has ended, and was not waited for
	reaped             // it is out of the table
)

// kin is what a process is in the table of processes. All is guarded by the table's mu
// but what is immutable.
type kin struct {
	table *Table // immutable
	pid   int    // immutable
	life  life
	dying bool // Exit has been called

	parent        *Process // nil of the first
	children      family   // alive, oldest first
	zombies       family   // those who ended first come first
	elder, junior *Process // on the parent's list

	status Status // of a zombie
	w      *watch // nil if nobody has watched it

	followers []follower // while it is being forked
}

// A family is a list of children, oldest first.
type family struct{ first, last *Process }

func (f *family) append(p *Process) {
	p.elder, p.junior = f.last, nil
	if f.last == nil {
		f.first = p
	} else {
		f.last.junior = p
	}
	f.last = p
}

func (f *family) remove(p *Process) {
	if p.elder == nil {
		f.first = p.junior
	} else {
		p.elder.junior = p.junior
	}
	if p.junior == nil {
		f.last = p.elder
	} else {
		p.junior.elder = p.elder
	}
	p.elder, p.junior = nil, nil
}

var processes = machine.NewStock(clearProcess)

// clearProcess makes a process as good as new, which keeps its memory. Who uses it next
// comes after those who have.
//
//go:norace
func clearProcess(p *Process) {
	clear(p.slots)
	p.sig.reset()
	clear(p.followers[:cap(p.followers)])
	*p = Process{slots: p.slots[:0], sig: signals{lwps: p.sig.lwps}, kin: kin{followers: p.followers[:0]}}
}

// Table returns the table that the process is in.
func (p *Process) Table() *Table { return p.table }

// Pid returns the number of the process. (getpid(2))
func (p *Process) Pid() int { return p.pid }

// Parent returns the number of the process's parent: of the one that forked it, or of
// [Init] if that one has ended; 0 of Init. (getppid(2))
func (p *Process) Parent(td *machine.Thread) (pid int) {
	t := p.table
	t.mu.Lock(td)
	if p.parent != nil {
		pid = p.parent.pid
	}
	td.Commit(event.Found)
	t.mu.Unlock(td)
	return pid
}

// Fork makes a child of p. (fork(2))
//
// It has a descriptor of each number that p has, for the same description, each a life of
// its own: knotes of p's are not the child's. It has none for a kqueue, which is not
// inherited (decision 15). It has p's actions for signals, but none that are
// pending, and its first thread, see [Process.Join], blocks what td does, if td has
// joined p.
//
// Who watches p with NOTE_FORK is told; who does with NOTE_TRACK has a knote of the
// child when this returns, of which the first event is NOTE_CHILD, or NOTE_TRACKERR.
// The table of processes is locked meanwhile: nobody finds the child by its number, and p
// does not end, before all is told.
//
//	fork                        the child
//	the parent's knotes are told
//	                            exits: told to nobody
//	the child's are made        <- NOTE_EXIT is lost
//
// Which knotes track p is seen in its domain, at one instant, in which they are told. To
// make a knote is to enter the queue's domain, so that one is left then; they are kept
// from becoming others (bug F6), though they may end. In a queue that has been closed
// meanwhile no knote is made (bug F5).
//
// It may block. Errors: EAGAIN if there are too many processes; ESRCH if p has ended, or is
// about to.
func (p *Process) Fork(td *machine.Thread) (*Process, error) {
	t := p.table
	t.mu.Lock(td)
	if p.dying || len(t.procs) >= t.max {
		err := syscall.EAGAIN
		if p.dying {
			err = syscall.ESRCH
		}
		td.Commit(event.Acted)
		t.mu.Unlock(td)
		return nil, err
	}
	t.last++
	c := processes.New(td)
	c.init(t, t.last)
	p.copyDescriptors(td, c)
	p.copySignals(td, c)
	if w := p.w; w != nil {
		w.src.Enter(td)
		w.forked = c
		w.src.Post(td, hintFork)
		w.forked = nil
		td.Commit(event.Acted)
		w.src.Exit(td)
		c.follow(td, w)
	} else {
		td.Commit(event.Acted)
	}
	c.parent = p
	p.children.append(c)
	t.procs[c.pid] = c
	c.tell(td, hintBorn, event.Made)
	return c, nil
}

// copyDescriptors is called with the table's mu held, so that an exit of p has not begun to
// close any of them.
func (p *Process) copyDescriptors(td *machine.Thread, c *Process) {
	p.mu.Lock(td)
	for fd := len(p.slots) - 1; fd >= 0; fd-- { // so the child's table grows once
		s := &p.slots[fd]
		if s.desc == nil {
			continue
		}
		if _, is := s.file.File.(*kqueue.Queue); is {
			continue
		}
		c.grow(fd)
		c.slots[fd] = s.again(td)
		c.slots[fd].cloexec = s.cloexec
		c.age.Made++
	}
	c.limit = p.limit
	td.Commit(event.Made)
	p.mu.Unlock(td)
}

func (p *Process) copySignals(td *machine.Thread, c *Process) {
	s := &p.sig
	s.mu.Lock(td)
	c.sig.actions, c.sig.mask = s.actions, s.mask
	if l := lwpOf(td); l != nil && l.p == p {
		c.sig.mask = l.mask
	}
	td.Commit(event.Made)
	s.mu.Unlock(td)
}

// tell ends what was begun with the table's mu: it tells those who watch p, names the
// commit point, and lets go of mu.
func (p *Process) tell(td *machine.Thread, hint int64, step event.Step) {
	t, w := p.table, p.w
	if w == nil {
		td.Commit(step)
		t.mu.Unlock(td)
		return
	}
	w.src.Enter(td)
	switch hint {
	case hintBorn:
		w.born = true
	case hintExit:
		w.ended, w.status = true, p.status
	}
	w.src.Post(td, hint)
	td.Commit(step)
	t.mu.Unlock(td)
	w.src.Exit(td) // pays what is owed, and may wait for that
}

// Exec is what becomes of a process that begins another program: signals that it caught
// have their default action, others stay as they are, the pending and the blocked too;
// descriptors that are marked by SetCloseOnExec are closed. Who watches it with NOTE_EXEC is
// told, after that. It may block. (execve(2))
//
// Error: ESRCH if p has ended, or is about to.
func (p *Process) Exec(td *machine.Thread) error {
	t := p.table
	t.mu.Lock(td)
	if p.dying {
		td.Commit(event.Acted)
		t.mu.Unlock(td)
		return syscall.ESRCH
	}
	s := &p.sig
	s.mu.Lock(td)
	for i := range s.actions {
		if s.actions[i].Catch != nil {
			s.actions[i] = Action{}
		}
	}
	td.Commit(event.Acted)
	s.mu.Unlock(td)
	t.mu.Unlock(td)
	p.closeAll(td, true)
	t.mu.Lock(td)
	if p.life != alive { // it has been killed: nobody is told that it has begun anything
		td.Commit(event.Acted)
		t.mu.Unlock(td)
		return syscall.ESRCH
	}
	p.tell(td, hintExec, event.Acted)
	return nil
}

// Exit ends p: its descriptors are closed, who watches it is told by NOTE_EXIT, with its
// status, its children are given to [Init], and its parent has SIGCHLD. It is a zombie
// then, until its parent waits for it; or is gone, if that ignores SIGCHLD. It may block,
// as closing may. (exit1)
//
// Threads of p go on, since they are the caller's own, but with a process of which every
// descriptor is closed: who waits in Kevent has EBADF.
//
// Errors: ESRCH if p has ended, or is about to; EPERM if it is the first process.
func (p *Process) Exit(td *machine.Thread, status Status) error {
	t := p.table
	t.mu.Lock(td)
	if p.dying || p == t.first {
		err := syscall.EPERM
		if p.dying {
			err = syscall.ESRCH
		}
		td.Commit(event.Acted)
		t.mu.Unlock(td)
		return err
	}
	p.dying = true
	p.sig.end(td)
	t.mu.Unlock(td)
	p.closeAll(td, false)

	t.mu.Lock(td)
	p.life, p.status = zombie, status
	// Its zombies are for Init to wait for, which has SIGCHLD as if they ended now.
	orphaned := p.zombies.first != nil
	for c := p.children.first; c != nil; c = p.children.first {
		p.children.remove(c)
		c.parent = t.first
		t.first.children.append(c)
	}
	for c := p.zombies.first; c != nil; c = p.zombies.first {
		p.zombies.remove(c)
		c.parent = t.first
		t.first.zombies.append(c)
	}
	parent := p.parent
	parent.children.remove(p)
	parent.zombies.append(p)
	if parent.sig.ignoresChildren(td) {
		t.reap(p)
	}
	p.tell(td, hintExit, event.Acted)
	parent.Kill(td, syscall.SIGCHLD) // it may have ended: then Init has had one for its zombies
	if orphaned {
		t.first.Kill(td, syscall.SIGCHLD)
	}
	return nil
}

// closeAll closes all descriptors of a process that is ending, or those that exec does.
// It goes by numbers, and what is opened meanwhile has one of its own: an ending process
// opens nothing.
func (p *Process) closeAll(td *machine.Thread, exec bool) {
	p.mu.Lock(td)
	p.shut = p.shut || !exec
	for fd := 0; fd < len(p.slots); fd++ {
		old := p.slots[fd]
		if old.desc == nil || exec && !old.cloexec {
			continue
		}
		p.slots[fd] = slot{}
		p.free = min(p.free, fd)
		p.age.Ended++
		td.Commit(event.Unlinked)
		p.mu.Unlock(td)
		old.end(td)
		p.mu.Lock(td)
	}
	p.mu.Unlock(td)
}

// SetCloseOnExec says whether exec closes fd. A new descriptor is not closed, nor is one
// that dup has made; what fork copies is as it was. (fcntl(2), FD_CLOEXEC)
//
// Error: EBADF.
func (p *Process) SetCloseOnExec(td *machine.Thread, fd int, on bool) error {
	p.mu.Lock(td)
	_, err := p.at(fd)
	if err == nil {
		p.slots[fd].cloexec = on
	}
	td.Commit(event.Acted)
	p.mu.Unlock(td)
	return err
}

// Wait takes the status of a child of p that has ended, the one of that number, or of
// [Any] the one that ended first; there is no such process any more then. It never waits.
// (wait4(2) with WNOHANG, which says of EAGAIN that it was 0 children)
//
// Errors: ECHILD if p has no such child, or none; EAGAIN if it has, and that has not ended.
func (p *Process) Wait(td *machine.Thread, pid int) (int, Status, error) {
	t := p.table
	t.mu.Lock(td)
	c := t.procs[pid]
	if pid == Any {
		if c = p.zombies.first; c == nil {
			c = p.children.first
		}
	}
	var err error
	switch {
	case c == nil || c.parent != p:
		err = syscall.ECHILD
	case c.life != zombie:
		err = syscall.EAGAIN
	default:
		t.reap(c)
	}
	td.Commit(event.Acted)
	t.mu.Unlock(td)
	if err != nil {
		return 0, 0, err
	}
	return c.pid, c.status, nil
}

// reap takes a zombie out of the table, with mu held.
func (t *Table) reap(p *Process) {
	p.parent.zombies.remove(p)
	p.parent, p.life = nil, reaped
	delete(t.procs, p.pid)
}
