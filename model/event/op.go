package event

import (
	"slices"
	"syscall"
)

// An Op is one operation of a user: what was called, and with what. Which
// fields count depends on Call; the others are zero.
type Op struct {
	Call    Call
	Sock    SockType   // CallSocketpair, CallSocket
	Side    Side       // CallShutdown, CallReopen, CallAIO
	Ctl     EpollOp    // CallEpollCtl
	Manner  Manner     // CallProbe
	Device  Device     // CallDevice
	Control Control    // CallControl
	Wait    Wait       // CallKevent, CallPoll, CallSelect, CallEpollWait
	OOB     bool       // CallSend, CallRecv
	Key     Key        // CallWrite: the last byte
	Modes   Termios    // CallTermios
	Events  PollEvents // CallEpollCtl
	FD      int        // the descriptor called upon
	To      int        // CallDup2, CallEpollCtl: another; CallRename, CallLink: another file
	N       int64      // CallSet: the level; bytes, 0 or more; a port; units; what a control is given; CallSelect: one more than the highest descriptor; CallExit: the status; a size, an offset, or which file system
	Backlog int        // CallListen
	Room    int        // CallKevent, CallEpollWait: how many events there is room for
	Udata   uint64     // CallEpollCtl
	Changes []Kevent   // CallKevent
	FDs     []PollFD   // CallPoll; CallSelect: those in the sets, see [Op.String]

	Pid    int       // CallFork, CallExec, CallExit, CallWait, CallKill: the process
	Sig    int       // CallKill, CallSigaction
	Action SigAction // CallSigaction
	How    SigHow    // CallSigmask
	Sigs   Sigset    // CallSigmask; of a call with Masked the mask of its wait
	Masked bool      // CallPoll, CallSelect, CallEpollWait: while it waits the thread blocks Sigs and no other signals

	File int // of what [Call.Names]: 0 is the root of the file system, else its digits are a path, see [Op.String]
}

// Equal reports whether op and o are the same operation.
func (op Op) Equal(o Op) bool {
	return op.Call == o.Call && op.Sock == o.Sock && op.Side == o.Side && op.Ctl == o.Ctl && op.Manner == o.Manner && op.Device == o.Device && op.Control == o.Control && op.Wait == o.Wait &&
		op.OOB == o.OOB && op.Key == o.Key && op.Modes == o.Modes && op.Events == o.Events && op.FD == o.FD && op.To == o.To && op.N == o.N &&
		op.Backlog == o.Backlog && op.Room == o.Room && op.Udata == o.Udata &&
		op.Pid == o.Pid && op.Sig == o.Sig && op.Action == o.Action && op.How == o.How && op.Sigs == o.Sigs && op.Masked == o.Masked && op.File == o.File &&
		slices.Equal(op.Changes, o.Changes) && slices.Equal(op.FDs, o.FDs)
}

// A Result is what an [Op] answered.
type Result struct {
	Pending bool          // it has not returned, as far as is known
	Errno   syscall.Errno // 0 if it went well
	N       int64         // the descriptor made, the first of two; or bytes; CallSockErr: the error that was pending; CallFork, CallWait: a process
	N2      int64         // the second descriptor of two; CallWait: a status
	Events  []Kevent      // CallKevent: what was returned, records with Error among it
	Polled  []Polled      // CallPoll, CallSelect, CallEpollWait: what is ready
}

// A Polled is one thing that poll(2), select(2) or epoll_wait(2) says is ready.
type Polled struct {
	ID     uint64     // the descriptor; of epoll_wait the udata of its item
	Events PollEvents // what holds; of select PollIn, PollOut and PollPri for its three sets
}

// Equal reports whether r and o are the same result.
func (r Result) Equal(o Result) bool {
	return r.Pending == o.Pending && r.Errno == o.Errno && r.N == o.N && r.N2 == o.N2 && slices.Equal(r.Events, o.Events) && slices.Equal(r.Polled, o.Polled)
}
