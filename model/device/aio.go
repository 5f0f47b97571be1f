package device

import (
	"fmt"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// AIOMost is how many requests of one disk may be in flight. (max_aio_queue)
const AIOMost = 16

// A Disk is what asynchronous requests are made of: a [kqueue.File] that nothing can
// be read from or written to at once. Its hardware completes the requests in any order;
// who plays the hardware, a thread or an interrupt, calls [AIO.Complete].
//
// A disk itself knows no filter, so a poll(2) finds it ready always, as it does every
// file that cannot be waited for.
//
// Its last close cancels what is in flight. POSIX leaves that open ("it is
// implementation-defined whether any I/O operation is cancelled"); DragonFly's requests
// hold the file, and go on.
type Disk struct {
	src    kqueue.Source // watched by nobody: all requests are in its domain
	gone   bool          // guarded by src, as what follows is: released
	n      int           // requests in flight
	flight *AIO          // those, the oldest first, linked by next
}

// An AIO is one asynchronous request of a disk (struct aiocb), a [kqueue.File]: what a
// process knows a request by is a descriptor, where POSIX has the address of a structure.
// So a number that is used again is another request's, and its knotes are gone before,
// as with all numbers; closing it is to forget the request, whose result nobody learns.
//
// It knows the filter AIO, which "returns under the same conditions as aio_error": when
// the request is no longer in flight, and its result has not been taken. Data is what it
// has transferred, fflags the errno if it has failed, and EV_EOF is set. It stays ready
// until the result is taken. (filt_aio)
//
// Two departures from DragonFly, where kevent(2) answers EPERM to a user's EV_ADD, and
// the knote is made by aio_read(2) itself: EV_FLAG1 says there that the kernel vouches
// for the address in ident. Here it is a number, which can be looked up, so who has it
// may watch it, at any time. And data there is the errno, with nothing of the bytes.
type AIO struct {
	// Immutable.
	src  kqueue.Source // in the domain of the disk, which guards the rest
	srcs [1]*kqueue.Source
	d    *Disk
	size int64

	next  *AIO // in flight
	state aioState
	done  int64         // bytes
	err   syscall.Errno // why it has failed
}

// An aioState is how far a request is. Each state is reached from the one before.
type aioState uint8

const (
	inFlight aioState = iota
	finished          // completed, failed or cancelled
	returned          // and somebody has the result
)

var (
	disks    = machine.NewStock[Disk](nil)
	requests = machine.NewStock[AIO](nil)
)

// NewDisk makes a disk without requests, placed by the strategy.
func NewDisk(td *machine.Thread, k *kqueue.Kernel) *Disk {
	d := disks.New(td)
	d.src.Init(td, k)
	return d
}

// Submit makes a request to read or to write n bytes, and returns it in flight. For the
// model the two are alike. It may block, as long as entering a domain does.
// (aio_read, aio_write)
//
// Errors: EINVAL if n is negative or side is not one of the two; EAGAIN if AIOMost are in
// flight; EBADF if the disk has been released.
func (d *Disk) Submit(td *machine.Thread, side event.Side, n int64) (*AIO, error) {
	d.src.Enter(td)
	defer d.src.Exit(td)
	td.Commit(event.Acted)
	switch {
	case d.gone:
		return nil, syscall.EBADF
	case n < 0 || side != event.ReadSide && side != event.WriteSide:
		return nil, syscall.EINVAL
	case d.n == AIOMost:
		return nil, syscall.EAGAIN
	}
	a := requests.New(td)
	a.src.InitSibling(&d.src)
	a.srcs[0] = &a.src
	a.d, a.size = d, n
	last := &d.flight
	for *last != nil {
		last = &(*last).next
	}
	*last = a
	d.n++
	return a, nil
}

// Source returns EINVAL: a disk is not waited for, its requests are.
func (d *Disk) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return nil, nil, syscall.EINVAL
}

// Sources returns none.
func (d *Disk) Sources() []*kqueue.Source { return nil }

// Release cancels the requests in flight, and tells those who watch them. All are
// cancelled before the first of them is told. Doing so again does nothing.
func (d *Disk) Release(td *machine.Thread) {
	d.src.Enter(td)
	d.gone = true
	all := d.flight
	for a := all; a != nil; a = a.next {
		a.state, a.err = finished, syscall.ECANCELED
	}
	d.flight, d.n = nil, 0
	for a := all; a != nil; {
		next := a.next
		a.next = nil
		a.src.Post(td, 0)
		a = next
	}
	td.Commit(event.Released)
	d.src.Exit(td)
}

// finish takes a request that is in flight out of it, and tells those who watch. td is
// in the domain.
func (a *AIO) finish(td *machine.Thread, done int64, err syscall.Errno) {
	a.unlink()
	a.state, a.done, a.err = finished, done, err
	a.src.Post(td, 0)
}

// unlink removes a request from those in flight.
func (a *AIO) unlink() {
	at := &a.d.flight
	for *at != a {
		at = &(*at).next
	}
	*at, a.next = a.next, nil
	a.d.n--
}

// Complete is the hardware's: it has transferred n bytes, as many as were asked for at
// most; a negative n is that it has failed, with EIO. It may be called by an interrupt.
//
// Error: EINVAL if the request is not in flight.
func (a *AIO) Complete(td *machine.Thread, n int64) error {
	a.src.Enter(td)
	var err error
	switch {
	case a.state != inFlight:
		err = syscall.EINVAL
	case n < 0:
		a.finish(td, 0, syscall.EIO)
	default:
		a.finish(td, min(n, a.size), 0)
	}
	td.Commit(event.Acted)
	a.src.Exit(td)
	return err
}

// What Cancel answers, as BSD numbers it. There is no AIO_NOTCANCELED: the hardware lets
// go of whatever it has not completed.
const (
	AIOCanceled = 1 // it was in flight, and has failed with ECANCELED
	AIOAllDone  = 3 // it was not
)

// Cancel ends a request that is in flight. (aio_cancel)
func (a *AIO) Cancel(td *machine.Thread) int {
	a.src.Enter(td)
	answer := AIOAllDone
	if a.state == inFlight {
		answer = AIOCanceled
		a.finish(td, 0, syscall.ECANCELED)
	}
	td.Commit(event.Acted)
	a.src.Exit(td)
	return answer
}

// Status returns the errno of the request as it is now: EINPROGRESS in flight, 0 if it
// has gone well. Error: EINVAL if the result has been taken. (aio_error)
func (a *AIO) Status(td *machine.Thread) (status syscall.Errno, err error) {
	a.src.Enter(td)
	switch a.state {
	case inFlight:
		status = syscall.EINPROGRESS
	case finished:
		status = a.err
	default:
		err = syscall.EINVAL
	}
	td.Commit(event.Acted)
	a.src.Exit(td)
	return status, err
}

// Return takes the result, once: how many bytes were transferred, or why none were. From
// then on the filter says no. (aio_return, which in BSD removes the knotes besides)
//
// Errors: EINPROGRESS if it is in flight; EINVAL if it has been taken; that of the request.
func (a *AIO) Return(td *machine.Thread) (n int64, err error) {
	a.src.Enter(td)
	switch a.state {
	case inFlight:
		err = syscall.EINPROGRESS
	case finished:
		a.state, n = returned, a.done
		if a.err != 0 {
			err = a.err
		}
	default:
		err = syscall.EINVAL
	}
	td.Commit(event.Acted)
	a.src.Exit(td)
	return n, err
}

// Source returns the request's list for AIO, EINVAL for any other filter.
func (a *AIO) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f != event.AIO {
		return nil, nil, syscall.EINVAL
	}
	return &a.src, aioFilter, nil
}

// Sources returns the request's one list.
func (a *AIO) Sources() []*kqueue.Source { return a.srcs[:] }

// Release forgets the request, in flight or not.
func (a *AIO) Release(td *machine.Thread) {
	a.src.Enter(td)
	a.src.Bare()
	if a.state == inFlight {
		a.unlink()
	}
	a.state = returned
	td.Commit(event.Released)
	a.src.Exit(td)
}

// wants is what a change with EV_ADD is answered: EINVAL if it has fflags, or if the
// result has been taken, as aio_error(2) would be. Data is ignored.
func (a *AIO) wants(f event.Fflags) error {
	if f != 0 || a.state == returned {
		return syscall.EINVAL
	}
	return nil
}

// aioFilter is EVFILT_AIO.
var aioFilter = &kqueue.Filter{
	Name: "aio",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		a := kn.File().(*AIO)
		kn.Hook = a
		return a.wants(kn.Want)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		return kn.Hook.(*AIO).wants(kev.Fflags)
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		a := kn.Hook.(*AIO)
		kn.Data, kn.Fflags, kn.Cond = a.done, event.Fflags(a.err), event.EOF
		return a.state == finished
	},
}

// Audit looks at the disk's requests and says what does not hold; nil if all does. Nothing
// runs but td, which is in no domain; nil is for a virtual machine on which no thread is
// to run any more.
//
//	Q1  what is listed as in flight is, is this disk's, and has no result
//	Q2  as many are listed as are counted, AIOMost at most
//	Q3  the disk is not released
func (d *Disk) Audit(td *machine.Thread) error {
	visit(td, &d.src)
	return d.audit()
}

//go:norace
func (d *Disk) audit() error {
	n := 0
	for a := d.flight; a != nil; a = a.next {
		if n++; n > AIOMost {
			break
		}
		if a.state != inFlight || a.d != d || a.done != 0 || a.err != 0 {
			return fmt.Errorf("Q1: request %d of those in flight of a disk is in state %d, has done %d, errno %d", n, a.state, a.done, a.err)
		}
	}
	switch {
	case n != d.n || n > AIOMost:
		return fmt.Errorf("Q2: %d requests of a disk are listed as in flight, and %d counted", n, d.n)
	case d.gone:
		return fmt.Errorf("Q3: a disk is released, and is open")
	}
	return nil
}
