// Package call carries out the operations of scripts on a kernel: a file for the
// calls of each object.
package call

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A Caller carries out operations for one thread.
type Caller struct {
	w     *catalog.World
	k     *kqueue.Kernel // of w, as p is
	p     *proc.Process
	rng   rand.PCG // of what an operation leaves open
	bytes []byte   // scratch of reads and writes

	// Of the results so far.
	events []event.Kevent

	polling
}

// Begin makes c the caller of a thread of the process of a world. What an operation
// leaves open is drawn from the seed. Results have their lists in memory that is
// c's, and good until the next Begin; or with keep for as long as one likes.
func (c *Caller) Begin(w *catalog.World, seed1, seed2 uint64, keep bool) {
	c.w, c.k, c.p = w, w.Kernel, w.Process
	c.rng.Seed(seed1, seed2)
	c.events, c.polled, c.poller = c.events[:0], c.polled[:0], nil
	if keep {
		c.events, c.polled = nil, nil
	}
}

// Do carries out op, and returns what it answers. What is no call is ENOSYS.
func (c *Caller) Do(td *machine.Thread, op *event.Op) event.Result {
	if int(op.Call) >= len(calls) || calls[op.Call] == nil {
		return fails(syscall.ENOSYS)
	}
	return calls[op.Call](c, td, op)
}

// calls has what carries out each call.
var calls = [...]func(c *Caller, td *machine.Thread, op *event.Op) event.Result{
	event.CallKqueue: (*Caller).kqueue,
	event.CallKevent: (*Caller).kevent,
	event.CallPipe:   (*Caller).pipe,
	event.CallProbe:  (*Caller).probe,
	event.CallSet:    (*Caller).set,
	event.CallRead:   (*Caller).read,
	event.CallWrite:  (*Caller).write,
	event.CallDup:    (*Caller).dup,
	event.CallDup2:   (*Caller).dup2,
	event.CallClose:  (*Caller).close,

	event.CallSocketpair: (*Caller).socketpair,
	event.CallSocket:     (*Caller).socket,
	event.CallListen:     (*Caller).listen,
	event.CallConnect:    (*Caller).connect,
	event.CallAccept:     (*Caller).accept,
	event.CallSend:       (*Caller).send,
	event.CallRecv:       (*Caller).recv,
	event.CallShutdown:   (*Caller).shutdown,
	event.CallSockErr:    (*Caller).sockErr,

	event.CallFifo:    (*Caller).fifo,
	event.CallReopen:  (*Caller).reopen,
	event.CallPty:     (*Caller).pty,
	event.CallTermios: (*Caller).termios,

	event.CallPoll:      (*Caller).poll,
	event.CallSelect:    (*Caller).selects,
	event.CallEpoll:     (*Caller).epoll,
	event.CallEpollCtl:  (*Caller).epollCtl,
	event.CallEpollWait: (*Caller).epollWait,

	event.CallFork:      (*Caller).fork,
	event.CallExec:      (*Caller).exec,
	event.CallExit:      (*Caller).exit,
	event.CallWait:      (*Caller).wait,
	event.CallKill:      (*Caller).kill,
	event.CallSigaction: (*Caller).sigaction,
	event.CallSigmask:   (*Caller).sigmask,

	event.CallDevice:  (*Caller).device,
	event.CallInput:   (*Caller).input,
	event.CallOutput:  (*Caller).output,
	event.CallUnplug:  (*Caller).unplug,
	event.CallControl: (*Caller).control,

	event.CallDisk:      (*Caller).disk,
	event.CallAIO:       (*Caller).aio,
	event.CallComplete:  (*Caller).complete,
	event.CallAIOCancel: (*Caller).aioCancel,
	event.CallAIOError:  (*Caller).aioError,
	event.CallAIOReturn: (*Caller).aioReturn,

	event.CallCreat:    (*Caller).creat,
	event.CallOpen:     (*Caller).openFile,
	event.CallMkdir:    (*Caller).mkdir,
	event.CallRmdir:    (*Caller).rmdir,
	event.CallUnlink:   (*Caller).unlink,
	event.CallRename:   (*Caller).rename,
	event.CallLink:     (*Caller).link,
	event.CallChmod:    (*Caller).chmod,
	event.CallRevoke:   (*Caller).revoke,
	event.CallTruncate: (*Caller).truncate,
	event.CallSeek:     (*Caller).seek,
	event.CallMount:    (*Caller).mount,
	event.CallUnmount:  (*Caller).unmount,
}

// number is the result of a call that answers one, or fails.
func number(n int, err error) event.Result {
	if err == nil {
		return event.Result{N: int64(n)}
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		panic("fuzz: an error without a number: " + err.Error())
	}
	return event.Result{Errno: errno}
}

// fails is the result of a call that answers nothing, or fails.
func fails(err error) event.Result { return number(0, err) }

// open makes a descriptor for a file that has just been made.
func (c *Caller) open(td *machine.Thread, f kqueue.File) event.Result {
	return number(c.p.Open(td, f))
}

// openBoth makes descriptors for two.
func (c *Caller) openBoth(td *machine.Thread, f, g kqueue.File) event.Result {
	a, err := c.p.Open(td, f)
	if err != nil {
		return fails(err)
	}
	b, err := c.p.Open(td, g)
	if err != nil {
		return fails(err)
	}
	return event.Result{N: int64(a), N2: int64(b)}
}

// timeout is how long a call waits that is ready to wait so long.
func (c *Caller) timeout(w event.Wait) time.Duration {
	switch w {
	case event.Finite:
		// Short ones race with what the other threads do, long ones let them win.
		return time.Microsecond << (c.rng.Uint64() % 8)
	case event.Forever:
		return kqueue.Forever
	}
	return 0
}
