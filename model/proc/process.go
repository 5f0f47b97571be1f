package proc

import (
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// MaxOpen is how many descriptors a process can have: numbers are below it.
// (RLIMIT_NOFILE)
const MaxOpen = 1 << 20

// A Process has a table of descriptors. Any number of threads may use it at
// once, as the threads of one process do. It implements [kqueue.Files].
//
// Its methods are system calls: they are called in no domain, and all but
// Desc, File, Open and Dup may block for as long as a filter does. Threads are the
// callers' own, see [Process.Join]: a process whose last thread has gone is one still,
// until its Exit.
type Process struct {
	k     *kqueue.Kernel
	limit int // immutable: numbers are below it

	mu    machine.Mutex
	slots []slot // guarded by mu
	free  int    // guarded by mu: no number below it is free
	age   Age    // guarded by mu
	shut  bool   // guarded by mu: it has ended, and will have no descriptor again

	sig signals
	kin
}

// An Age counts what has been done to a table of descriptors. While two ages are
// the same no number has begun a life in between, or none has ended one; neither
// count ever wraps. So whoever has kept what numbers stand for need not look again.
type Age struct {
	Made  uint64 // lives that have begun
	Ended uint64 // lives that have ended
}

// A slot is what a number stands for at present; desc is nil if it is free.
type slot struct {
	desc    *kqueue.Desc
	file    *Description
	cloexec bool // exec closes it
}

// A Description is a file that is open, and how many descriptors it has. One that
// is being closed counts until its knotes are gone: if it counted no more once it is
// out of the table, the file could go before they do. (struct file, f_count)
//
//	close(a)                    close(b), a dup of a
//	takes a out: one left
//	                            takes b out: none left
//	                            b's knotes; releases the file
//	a's knotes                  <- detached from what is gone
type Description struct {
	kqueue.File
	p     *Process // immutable: which opened it
	refs  machine.Uint32
	holds machine.Uint32   // calls that work with the file: see Hold
	idle  machine.WaitChan // the last of them has ended, of a file without descriptors
	tied  machine.Uint32   // changed with mu: how many ties it has
	ties  *Tie             // guarded by mu
	found uint32           // of Audit: descriptors found in the table
}

var opens = machine.NewStock[Description](nil)

// New returns the first process of a kernel, number [Init], without descriptors, and with
// it a table of processes that has no other.
func New(k *kqueue.Kernel) *Process {
	t := &Table{k: k, procs: map[int]*Process{}}
	t.mu.Name = "process table"
	t.first = &Process{}
	t.reset()
	return t.first
}

// Reset makes p, which New has made, a process without descriptors, whatever it had, and
// the only one, on a virtual machine that has been reset.
func (p *Process) Reset() { p.table.reset() }

// init makes p, of which nothing is left but memory, a process.
func (p *Process) init(t *Table, pid int) {
	p.k, p.limit = t.k, MaxOpen
	p.mu.Name, p.sig.mu.Name = "descriptor table", "signals"
	p.table, p.pid = t, pid
}

// Limit returns how many descriptors the process can have: numbers are below it.
func (p *Process) Limit() int { return p.limit }

// Open makes a descriptor for f, with the lowest number that is free, and
// takes f over: it will be released after the last close. A file is opened
// once, in one process; its further descriptors are made by Dup. (falloc)
//
// Errors: EINVAL if f is nil; EMFILE if the table is full; ESRCH if the process has
// ended, or is about to. Then f is still the caller's.
func (p *Process) Open(td *machine.Thread, f kqueue.File) (fd int, err error) {
	return p.open(td, f, false)
}

// OpenCloseOnExec is Open of a descriptor that exec closes, in one step: between Open and
// SetCloseOnExec another thread could fork, and the child have it after its exec.
// (O_CLOEXEC)
func (p *Process) OpenCloseOnExec(td *machine.Thread, f kqueue.File) (fd int, err error) {
	return p.open(td, f, true)
}

func (p *Process) open(td *machine.Thread, f kqueue.File, cloexec bool) (fd int, err error) {
	if f == nil {
		return -1, syscall.EINVAL
	}
	p.mu.Lock(td)
	fd, err = p.lowest()
	if err == nil {
		o := opens.New(td)
		o.File = f
		o.p, o.idle.Name = p, "a call that works with a file"
		p.slots[fd] = slot{file: o}.again(td)
		p.slots[fd].cloexec = cloexec
		p.age.Made++
		td.Commit(event.Made)
	}
	p.mu.Unlock(td)
	return fd, err
}

// Kqueue makes a kqueue whose changes speak of this process's descriptors,
// and a descriptor for it. Errors: EMFILE, ESRCH as of Open. (kqueue(2))
func (p *Process) Kqueue(td *machine.Thread) (fd int, err error) {
	q := p.k.NewQueue(td, p)
	fd, err = p.Open(td, q)
	if err != nil {
		q.Close(td)
	}
	return fd, err
}

// Kevent applies changes to the kqueue that descriptor kq stands for, and
// takes events from it, waiting up to timeout: see [kqueue.Queue.Kevent] for
// what it returns and for the other errors.
//
// Error: EBADF if kq is not open, and also if it is open but no kqueue. The
// manual page says of EBADF "the specified descriptor is invalid", and every
// BSD answers both with it (kern_event.c: sys_kevent, f_type != DTYPE_KQUEUE),
// where a reader used to Linux expects EINVAL.
//
// If the last descriptor of the kqueue is closed meanwhile the call returns
// EBADF too, sleeping or not (decision 10). If only kq is closed, and the
// kqueue has another descriptor, the call goes on.
//
// Error: EINTR if the thread has joined, see Join, and has caught a signal instead of
// waiting any longer. The changes are made then.
func (p *Process) Kevent(td *machine.Thread, kq int, changes, events []event.Kevent, timeout time.Duration) (int, error) {
	f, err := p.File(td, kq)
	if err != nil {
		return 0, err
	}
	q, ok := f.(*kqueue.Queue)
	if !ok {
		return 0, syscall.EBADF
	}
	if td.Lwp == nil {
		return q.Kevent(td, changes, events, timeout)
	}
	return p.kevent(td, q, changes, events, timeout)
}

// File returns the file that fd stands for, or EBADF. The file may be released
// as soon as another thread closes fd; its methods must bear that.
func (p *Process) File(td *machine.Thread, fd int) (kqueue.File, error) {
	d, err := p.Desc(td, uint64(fd)) // a negative number is too large
	if err != nil {
		return nil, err
	}
	return d.File, nil
}

// Desc returns the life that number fd has now, or EBADF. It is what a change
// of a kqueue of this process finds its file by.
func (p *Process) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	var d *kqueue.Desc
	p.mu.Lock(td)
	if fd < uint64(len(p.slots)) {
		d = p.slots[fd].desc
	}
	td.Commit(event.Found)
	p.mu.Unlock(td)
	if d == nil {
		return nil, syscall.EBADF
	}
	return d, nil
}

// Age returns the age of the table of descriptors.
func (p *Process) Age(td *machine.Thread) Age {
	p.mu.Lock(td)
	age := p.age
	p.mu.Unlock(td)
	return age
}

// Descs looks up what each of fds stands for, all at one instant, and leaves it in
// lives, which is as long: nil for one that is not open. It returns the age of the
// table at that instant.
func (p *Process) Descs(td *machine.Thread, fds []int32, lives []*kqueue.Desc) Age {
	p.mu.Lock(td)
	for i, fd := range fds {
		lives[i] = nil
		if uint(fd) < uint(len(p.slots)) { // a negative number is too large
			lives[i] = p.slots[fd].desc
		}
	}
	td.Commit(event.Found)
	age := p.age
	p.mu.Unlock(td)
	return age
}

// Dup makes another descriptor for the file of fd, with the lowest number that
// is free. Knotes of fd are not the new number's, and exec does not close it. (dup(2))
//
// Errors: EBADF, EMFILE.
func (p *Process) Dup(td *machine.Thread, fd int) (int, error) {
	p.mu.Lock(td)
	defer p.mu.Unlock(td)
	td.Commit(event.Made)
	from, err := p.at(fd)
	if err != nil {
		return -1, err
	}
	to, err := p.lowest()
	if err != nil {
		return -1, err
	}
	p.slots[to] = from.again(td)
	p.age.Made++
	return to, nil
}

// Dup2 makes number to a descriptor for the file of fd. If to is open it is
// closed, in one step with its new use, so that no other open can have the
// number in between; its knotes are gone when Dup2 returns (decision 9; without
// that they would answer for the new file: DragonFly bug D11). If to is fd
// nothing happens. (dup2(2))
//
// Error: EBADF if fd is not open, or if to is no number that a descriptor can
// have.
func (p *Process) Dup2(td *machine.Thread, fd, to int) error {
	p.mu.Lock(td)
	td.Commit(event.Unlinked)
	from, err := p.at(fd)
	if err != nil || to < 0 || to >= p.limit {
		p.mu.Unlock(td)
		return syscall.EBADF
	}
	if fd == to {
		p.mu.Unlock(td)
		return nil
	}
	p.grow(to)
	old := p.slots[to]
	p.slots[to] = from.again(td)
	p.age.Made++
	if old.desc != nil {
		p.age.Ended++
	}
	p.mu.Unlock(td)
	old.end(td)
	return nil
}

// Close ends the life of fd: when it returns no kqueue has a knote of it, and
// if it was the file's last descriptor the file has been released (decision
// 9). The number is free at once. Of two threads that close the same number
// one gets EBADF. (close(2), knote_fdclose)
//
// The table's lock is let go of first. Desc.Close waits for filters, and a
// filter may wait for a thread that looks up a descriptor:
//
//	close(fd)                   another thread
//	locks the table
//	waits for a busy knote of fd
//	                            is asking that knote's filter
//	                            looks up a descriptor: waits for ever
func (p *Process) Close(td *machine.Thread, fd int) error {
	p.mu.Lock(td)
	td.Commit(event.Unlinked)
	old, err := p.at(fd)
	if err != nil {
		p.mu.Unlock(td)
		return err
	}
	p.slots[fd] = slot{}
	p.free = min(p.free, fd)
	p.age.Ended++
	p.mu.Unlock(td)
	old.end(td)
	return nil
}

// at returns the slot of an open number, with mu held.
func (p *Process) at(fd int) (slot, error) {
	if fd < 0 || fd >= len(p.slots) || p.slots[fd].desc == nil {
		return slot{}, syscall.EBADF
	}
	return p.slots[fd], nil
}

// lowest returns the lowest free number, with mu held.
func (p *Process) lowest() (int, error) {
	if p.shut {
		return -1, syscall.ESRCH
	}
	fd := p.free
	for fd < len(p.slots) && p.slots[fd].desc != nil {
		fd++
	}
	if fd >= p.limit {
		return -1, syscall.EMFILE
	}
	p.grow(fd)
	p.free = fd
	return fd, nil
}

// grow makes the table large enough for number fd, with mu held.
func (p *Process) grow(fd int) {
	for fd >= len(p.slots) {
		if p.slots = p.slots[:cap(p.slots)]; fd >= len(p.slots) {
			p.slots = append(p.slots, make([]slot, fd+1-len(p.slots))...)
		}
	}
}

// again makes one more descriptor for the file of s, with mu held.
func (s slot) again(td *machine.Thread) slot {
	s.file.refs.Add(td, 1)
	return slot{desc: kqueue.NewDesc(td, s.file.File), file: s.file}
}

// end ends the life of a number that is out of the table, and the file's with
// its last. A number that was free has none.
func (s slot) end(td *machine.Thread) {
	if s.desc == nil {
		return
	}
	s.desc.Close(td)
	td.Commit(event.Reaped)
	// If another thread ends the last of the file's descriptors, it does so
	// after this; if this is the last, the file says itself when it is gone.
	td.Commit(event.Released)
	if s.file.refs.Add(td, ^uint32(0)) == 0 {
		s.file.last(td)
		s.file.Release(td)
	}
}
