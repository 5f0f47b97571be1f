package poll

import (
	"math"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// An EpollEvent is what an item of an epoll asks for, and what is returned of it.
// (struct epoll_event)
type EpollEvent struct {
	Events event.PollEvents // conditions, and an item's modes
	Data   uint64           // the caller's own, handed back unchanged
}

const (
	// EpollCloexec is the one flag of EpollCreate1: exec closes the descriptor.
	EpollCloexec = 0x80000

	// epollDepth is how many epolls and kqueues may watch one another in a chain.
	// (EP_MAX_NESTS of Linux, counted in steps: 4)
	epollDepth = 5

	// exclusive is what an item that is EXCLUSIVE may ask for.
	exclusive = event.PollIn | event.PollOut | event.PollErr | event.PollHup |
		event.EpollWakeup | event.EpollET | event.EpollExclusive

	modes = event.EpollExclusive | event.EpollWakeup | event.EpollOneShot | event.EpollET
)

// An Epoll is the file of an epoll: a kqueue of its own, and the items that are its
// knotes. An item is the interest in one file by one number: (file, fd) is its name,
// it goes with the last descriptor of the file, whatever number that has, and until
// then reports by the number that it was added with, even if that is closed or stands
// for another file (decision 9).
//
// Whatever knows of kqueues knows of epolls: one can be watched by a kqueue, by
// another epoll or by poll and select, and is readable while it has events.
//
// Locks: mu comes before the lock over the graph of queues, before that of the
// process's table, and before any domain. A wait takes none of them: what is
// delivered, and to whom, is the kqueue's affair.
type Epoll struct {
	q *kqueue.Queue // immutable

	mu    machine.Mutex
	over  bool              // guarded by mu: released
	byKey map[itemKey]*item // guarded by mu
	items []*item           // guarded by mu, by ident: nil where one is free
	free  []uint64          // guarded by mu: idents
	kevs  [3]event.Kevent   // guarded by mu: changes of one call
}

// An itemKey is what an item is found by.
type itemKey struct {
	file *proc.Description
	fd   int
}

var epolls = machine.NewStock(func(ep *Epoll) {
	clear(ep.byKey)
	clear(ep.items)
	*ep = Epoll{byKey: ep.byKey, items: ep.items[:0], free: ep.free[:0]}
})

// EpollCreate is EpollCreate1 without flags. Size is of no account but that it must be
// positive, else EINVAL. (epoll_create(2))
func EpollCreate(td *machine.Thread, p *proc.Process, size int) (int, error) {
	if size <= 0 {
		return -1, syscall.EINVAL
	}
	return EpollCreate1(td, p, 0)
}

// EpollCreate1 makes an epoll without items, and a descriptor for it in p, whose
// descriptors its items will be of. (epoll_create1(2))
//
// Errors: EINVAL if flags has any but EpollCloexec; EMFILE.
func EpollCreate1(td *machine.Thread, p *proc.Process, flags int) (int, error) {
	if flags&^EpollCloexec != 0 {
		return -1, syscall.EINVAL
	}
	ep := epolls.New(td)
	if ep.byKey == nil {
		ep.byKey = map[itemKey]*item{}
	}
	ep.mu.Name = "epoll"
	ep.q = p.Kernel().NewItems(td, ep, epollDepth)
	open := p.Open
	if flags&EpollCloexec != 0 {
		open = p.OpenCloseOnExec
	}
	fd, err := open(td, ep)
	if err != nil {
		ep.q.Close(td)
	}
	return fd, err
}

// EpollCtl adds the file of fd to the epoll that epfd stands for, modifies its item
// there, or deletes it. Whoever waits there is told at once of what holds already. It
// may block, as long as conditions do. (epoll_ctl(2))
//
// A wait that begins after a deletion has returned returns nothing of the item; one
// that overlaps it may. A modification re-arms an item that is ONESHOT, and has one
// that is ET report again what holds.
//
// Errors, in the order in which they are looked for:
//
//	EFAULT  ev is nil, and op is not EpollDel
//	EBADF   epfd, or fd, is not open
//	EPERM   fd cannot be watched: none of its conditions can be waited for
//	EINVAL  epfd is no epoll, or fd is the same one; ev has EXCLUSIVE and op is EpollMod, or
//	        fd is an epoll, or ev asks for more than goes with it
//	ELOOP   fd is an epoll that watches epfd, over any number of steps, or the chain
//	        would be of more than five
//	EEXIST  EpollAdd, and there is an item
//	ENOENT  EpollDel or EpollMod, and there is none
//	EINVAL  EpollMod, and the item is EXCLUSIVE; op is none of the three
//
// An error of the file's own filter when it is added is returned as it is.
func EpollCtl(td *machine.Thread, p *proc.Process, epfd int, op event.EpollOp, fd int, ev *EpollEvent) error {
	if op != event.EpollDel && ev == nil {
		return syscall.EFAULT
	}
	outer, err := p.Hold(td, epfd)
	if err != nil {
		return err
	}
	defer outer.Drop(td)
	file, err := p.Hold(td, fd)
	if err != nil {
		return err
	}
	defer file.Drop(td)
	if !watchable(file.File) {
		return syscall.EPERM
	}
	ep, ok := outer.File.(*Epoll)
	if !ok || outer == file {
		return syscall.EINVAL
	}
	if op != event.EpollDel && ev.Events&event.EpollExclusive != 0 {
		_, nested := file.File.(*Epoll)
		if op == event.EpollMod || op == event.EpollAdd && (nested || ev.Events&^exclusive != 0) {
			return syscall.EINVAL
		}
	}
	ep.mu.Lock(td)
	defer ep.mu.Unlock(td)
	it := ep.byKey[itemKey{file, fd}]
	switch {
	case op == event.EpollAdd && it == nil:
		return ep.add(td, file, fd, ev)
	case op == event.EpollAdd:
		return syscall.EEXIST
	case op != event.EpollDel && op != event.EpollMod:
		return syscall.EINVAL
	case it == nil:
		return syscall.ENOENT
	case op == event.EpollDel:
		it.tie.Untie(td) // if the file is going it will find no item
		ep.drop(td, it)
		return nil
	case it.modes&event.EpollExclusive != 0:
		return syscall.EINVAL
	}
	return ep.watch(td, it, ev)
}

// EpollWait takes events from the epoll that epfd stands for, as many as there is room
// for, and waits for the first one up to timeout; a negative timeout, or Forever, is as
// long as it takes. Each item is returned once at most, with all the conditions asked
// for that hold at that instant. Those that are level-triggered come again, after
// all the others that are ready. (epoll_wait(2))
//
// It goes on if epfd is closed meanwhile and the epoll has another descriptor. If it
// was the last the call returns EBADF, sleeping or not, as kevent does (decision 10).
// On Linux it sleeps on: it still has the file, and waits for the files of items that
// nobody can change any more.
//
// Errors: EBADF; EINVAL if epfd is no epoll, or there is no room; EINTR if it would wait,
// or does, and a signal has been caught.
func EpollWait(td *machine.Thread, p *proc.Process, epfd int, events []EpollEvent, timeout time.Duration) (int, error) {
	return EpollPwait(td, p, epfd, events, timeout, nil)
}

// EpollPwait is EpollWait, but that the thread's mask of signals is mask, if that is not
// nil, while it waits, as [Poller.PPoll] has it. (epoll_pwait(2))
func EpollPwait(td *machine.Thread, p *proc.Process, epfd int, events []EpollEvent, timeout time.Duration, mask *proc.Sigset) (int, error) {
	f, err := p.File(td, epfd)
	if err != nil {
		return 0, err
	}
	ep, ok := f.(*Epoll)
	if !ok || len(events) == 0 || len(events) > math.MaxInt32 {
		return 0, syscall.EINVAL
	}
	if timeout < 0 {
		timeout = machine.Forever
	}
	if td.Lwp == nil {
		return ep.wait(td, events, timeout)
	}
	until, _ := deadline(td, &timeout)
	return p.Waiting(td, mask, func() (int, error) { return ep.wait(td, events, left(td, until)) })
}

func (ep *Epoll) wait(td *machine.Thread, events []EpollEvent, timeout time.Duration) (int, error) {
	kevs := kqueue.Events(td, len(events))
	n, err := ep.q.Kevent(td, nil, kevs, timeout)
	kevs, events = kevs[:n], events[:n]
	for i := 0; i < n; i++ {
		// Most have nothing to say but yes. They have a loop of their own: one that
		// calls, if seldom, keeps its variables in memory.
		for ; i < n; i++ {
			kev := &kevs[i]
			if kev.Fflags&(reported|errnos) != reported || kev.Flags&ends != 0 {
				break
			}
			events[i] = EpollEvent{event.PollEvents(kev.Fflags >> plainShift & plainBits), kev.Udata}
		}
		if i < n {
			events[i] = EpollEvent{answered(&kevs[i]), kevs[i].Udata}
		}
	}
	return n, err
}

// Source answers as the epoll's queue: it can be read when it has events.
func (ep *Epoll) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return ep.q.Source(f)
}

// Sources returns the one source of the epoll's queue.
func (ep *Epoll) Sources() []*kqueue.Source { return ep.q.Sources() }

// Inner returns the epoll's queue. (kqueue.Nested)
func (ep *Epoll) Inner() *kqueue.Queue { return ep.q }

// Release ends all items, and wakes those who wait.
//
// Ties are undone last: a file that goes at the same time finds its tie and waits for
// mu, or none, and then has no knote of the epoll any more.
//
//	close(epfd)                 close of what an item watches
//	undoes the tie
//	                            finds no tie: releases the file
//	closes the queue            <- a knote is detached from what is gone
func (ep *Epoll) Release(td *machine.Thread) {
	ep.mu.Lock(td)
	ep.over = true
	ep.q.Close(td)
	for _, it := range ep.items {
		if it != nil {
			it.tie.Untie(td)
		}
	}
	clear(ep.byKey)
	clear(ep.items)
	ep.items = ep.items[:0]
	ep.mu.Unlock(td)
}

// Desc returns the life of an item's own, by the item's ident: it is the epoll's queue
// that asks, in a change that it was given with mu held. (kqueue.Files)
func (ep *Epoll) Desc(td *machine.Thread, ident uint64) (*kqueue.Desc, error) {
	return ep.items[ident].desc, nil
}

// Wrap has the item asked by its knotes. (kqueue.Wrapper)
func (ep *Epoll) Wrap(ident uint64, f event.Filter, own *kqueue.Filter) *kqueue.Filter {
	return ep.items[ident].filter(f)
}

// add makes an item, with mu held.
func (ep *Epoll) add(td *machine.Thread, file *proc.Description, fd int, ev *EpollEvent) error {
	if ep.over {
		return syscall.EBADF
	}
	it, err := newItem(td, ep, file, fd)
	if err != nil {
		return err
	}
	if n := len(ep.free); n > 0 {
		it.ident = ep.free[n-1]
		ep.free = ep.free[:n-1]
	} else {
		it.ident = uint64(len(ep.items))
		ep.items = append(ep.items, nil)
	}
	ep.items[it.ident] = it
	ep.byKey[itemKey{file, fd}] = it
	if err := ep.watch(td, it, ev); err != nil {
		ep.drop(td, it)
		return err
	}
	file.Tie(td, &it.tie)
	return nil
}

// drop ends an item, with mu held.
func (ep *Epoll) drop(td *machine.Thread, it *item) {
	it.desc.Close(td)
	delete(ep.byKey, itemKey{it.file, it.fd})
	ep.items[it.ident] = nil
	ep.free = append(ep.free, it.ident)
}

// watch has the item ask for what ev says, with mu held: one change for each of the
// conditions, the one that the item is returned by last. Until that has been made
// nothing is returned of what is new.
func (ep *Epoll) watch(td *machine.Thread, it *item, ev *EpollEvent) error {
	changes := ep.kevs[:0]
	// Of several items of one file Linux tells the youngest first, and those that are
	// EXCLUSIVE last. (add_wait_queue, add_wait_queue_exclusive)
	it.ahead = ev.Events&event.EpollExclusive == 0
	for i := len(it.parts) - 1; i >= 0; i-- {
		if !it.needs(i, ev.Events) {
			continue
		}
		kev := event.Kevent{Ident: it.ident, Filter: filters[i], Flags: event.Add}
		if filters[i] == event.Except {
			kev.Fflags = event.NoteOOB
		}
		if i == int(it.main) {
			kev.Data, kev.Udata = int64(ev.Events&^modes|always), ev.Data
			if ev.Events&event.EpollET != 0 {
				kev.Flags |= event.Clear
			}
			if ev.Events&event.EpollOneShot != 0 {
				kev.Flags |= event.Dispatch
			}
		}
		changes = append(changes, kev)
	}
	_, err := ep.q.Kevent(td, changes, nil, 0)
	if err == nil {
		it.modes = ev.Events & modes
	}
	return err
}
