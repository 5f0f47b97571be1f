package event

import "strconv"

// A Call names a system call, or an act on a device.
type Call uint8

// The calls. Descriptors are those of one process, number 1, lowest free number first.
const (
	CallKqueue     Call = iota + 1 // make a kqueue: its descriptor
	CallPipe                       // make a pipe: the descriptors of its read end and its write end
	CallProbe                      // make a probe, at level 0: its descriptor
	CallSet                        // make the level of probe FD N
	CallRead                       // take up to N bytes from FD, without blocking: how many
	CallWrite                      // put up to N bytes into FD, the last of them Key, without blocking: how many
	CallDup                        // make another descriptor for the file of FD: its number
	CallDup2                       // make To a descriptor for the file of FD
	CallClose                      // end FD
	CallKevent                     // kevent(2) on kqueue FD: Changes, then up to Room events, waiting as Wait says
	CallSocketpair                 // make two sockets of type Sock that are connected to each other: their descriptors
	CallSocket                     // make a socket of type Sock: its descriptor
	CallListen                     // bind FD to port N, and have it take connections, Backlog of them waiting at most; of a datagram socket only bind it
	CallConnect                    // connect FD to port N, without blocking
	CallAccept                     // take a connection that waits at FD, without blocking: its descriptor
	CallSend                       // put up to N bytes into FD, without blocking, the last of them urgent if OOB: how many
	CallRecv                       // take up to N bytes from FD, without blocking, or the urgent one if OOB: how many
	CallShutdown                   // end Side of FD, for all of its descriptors
	CallSockErr                    // take the error that is pending on FD: its number (SO_ERROR)
	CallFifo                       // make a fifo, and open it to read and to write: its descriptor
	CallReopen                     // open the fifo of FD once more, on Side, without blocking: the descriptor
	CallPty                        // make a pseudo-terminal: the descriptors of its master and its slave
	CallTermios                    // make Modes the modes of terminal FD
	CallPoll                       // poll(2) on FDs, waiting as Wait says: what is ready
	CallSelect                     // select(2) on those of FDs below N, waiting as Wait says: what is ready
	CallEpoll                      // make an epoll: its descriptor
	CallEpollCtl                   // epoll_ctl(2) on FD: do Ctl to its item To, with Events and Udata
	CallEpollWait                  // epoll_wait(2) on FD: up to Room events, waiting as Wait says

	CallDevice  // make a device: its descriptor
	CallInput   // the hardware, or who is at the other side, brings N units to device FD: how many were taken in
	CallOutput  // it takes up to N units that FD has to give: how many
	CallUnplug  // device FD goes, and its descriptor stays
	CallControl // do Control to device FD, with N: an ioctl(2)

	CallFork      // process Pid forks: the child's number
	CallExec      // process Pid executes another program
	CallExit      // process Pid ends with status N
	CallWait      // wait for child Pid, or for any if it is -1, without blocking: its number, and its status as of wait(2)
	CallKill      // send Sig to process Pid
	CallSigaction // make Action what becomes of Sig
	CallSigmask   // change what signals the calling thread blocks, by Sigs as How says

	CallDisk      // make a disk: its descriptor
	CallAIO       // ask disk FD to read or to write, as Side says, N bytes: the descriptor of the request
	CallComplete  // have the hardware complete request FD with N bytes, or an error if N is negative; or of a request device the command with tag N
	CallAIOCancel // cancel request FD: 1 if it was in flight, else 3
	CallAIOError  // ask how request FD stands: its errno
	CallAIOReturn // take the result of request FD: how many bytes

	CallCreat    // open file File to read and write, and make it if it is not there: its descriptor
	CallOpen     // open File, a file or a directory, that is there: its descriptor
	CallMkdir    // make directory File
	CallRmdir    // remove directory File, which is empty
	CallUnlink   // take the name File away
	CallRename   // make To the name of what File is the name of
	CallLink     // make To another name of what File is the name of
	CallChmod    // change the mode of File
	CallRevoke   // end what is open of File
	CallTruncate // make the file of FD N bytes long
	CallSeek     // make N the offset of FD
	CallMount    // mount file system N
	CallUnmount  // unmount it

	calls
)

// grammar has the words of each call.
var grammar = [calls]syntax{
	CallKqueue:     {name: "kqueue", makes: 1},
	CallPipe:       {name: "pipe", makes: 2},
	CallProbe:      {name: "probe", makes: 1, opts: []opt{manner}},
	CallSet:        {name: "set", args: []arg{fd, level}},
	CallRead:       {name: "read", args: []arg{fd, count}},
	CallWrite:      {name: "write", args: []arg{fd, count}, opts: []opt{key}},
	CallDup:        {name: "dup", makes: 1, args: []arg{fd}},
	CallDup2:       {name: "dup2", args: []arg{fd, newFD}},
	CallClose:      {name: "close", args: []arg{fd}},
	CallKevent:     {name: "kevent", args: []arg{fd}, opts: []opt{room, wait}, list: changes},
	CallSocketpair: {name: "socketpair", makes: 2, args: []arg{sockType}},
	CallSocket:     {name: "socket", makes: 1, args: []arg{sockType}},
	CallListen:     {name: "listen", args: []arg{fd, port, backlog}},
	CallConnect:    {name: "connect", args: []arg{fd, port}},
	CallAccept:     {name: "accept", makes: 1, args: []arg{fd}},
	CallSend:       {name: "send", args: []arg{fd, count}, opts: []opt{urgent}},
	CallRecv:       {name: "recv", args: []arg{fd, count}, opts: []opt{urgent}},
	CallShutdown:   {name: "shutdown", args: []arg{fd, side}},
	CallSockErr:    {name: "sockerr", args: []arg{fd}},
	CallFifo:       {name: "fifo", makes: 1},
	CallReopen:     {name: "reopen", makes: 1, args: []arg{fd, side}},
	CallPty:        {name: "pty", makes: 2},
	CallTermios:    {name: "termios", args: []arg{fd, modes}},
	CallPoll:       {name: "poll", opts: []opt{wait, mask}, list: polled},
	CallSelect:     {name: "select", args: []arg{nfds}, opts: []opt{wait, mask}, list: selected},
	CallEpoll:      {name: "epoll", makes: 1},
	CallEpollCtl:   {name: "epoll_ctl", args: []arg{fd, epollOp, watchedFD, conditions}, opts: []opt{udata}},
	CallEpollWait:  {name: "epoll_wait", args: []arg{fd}, opts: []opt{room, wait, mask}},

	CallDevice:  {name: "device", makes: 1, args: []arg{deviceName}},
	CallInput:   {name: "input", args: []arg{fd, units}},
	CallOutput:  {name: "output", args: []arg{fd, units}},
	CallUnplug:  {name: "unplug", args: []arg{fd}},
	CallControl: {name: "control", args: []arg{fd, controlName, value}},

	CallFork:      {name: "fork", args: []arg{pid}},
	CallExec:      {name: "exec", args: []arg{pid}},
	CallExit:      {name: "exit", args: []arg{pid, status}},
	CallWait:      {name: "wait", args: []arg{pid}},
	CallKill:      {name: "kill", args: []arg{pid, sig}},
	CallSigaction: {name: "sigaction", args: []arg{sig, sigAction}},
	CallSigmask:   {name: "sigmask", args: []arg{sigHow, sigs}},

	CallDisk:      {name: "disk", makes: 1},
	CallAIO:       {name: "aio", makes: 1, args: []arg{fd, side, count}},
	CallComplete:  {name: "complete", args: []arg{fd, transferred}},
	CallAIOCancel: {name: "aio_cancel", args: []arg{fd}},
	CallAIOError:  {name: "aio_error", args: []arg{fd}},
	CallAIOReturn: {name: "aio_return", args: []arg{fd}},

	CallCreat:    {name: "creat", makes: 1, args: []arg{file}},
	CallOpen:     {name: "open", makes: 1, args: []arg{file}},
	CallMkdir:    {name: "mkdir", args: []arg{file}},
	CallRmdir:    {name: "rmdir", args: []arg{file}},
	CallUnlink:   {name: "unlink", args: []arg{file}},
	CallRename:   {name: "rename", args: []arg{file, toFile}},
	CallLink:     {name: "link", args: []arg{file, toFile}},
	CallChmod:    {name: "chmod", args: []arg{file}},
	CallRevoke:   {name: "revoke", args: []arg{file}},
	CallTruncate: {name: "truncate", args: []arg{fd, size}},
	CallSeek:     {name: "seek", args: []arg{fd, offset}},
	CallMount:    {name: "mount", args: []arg{mountPoint}},
	CallUnmount:  {name: "unmount", args: []arg{mountPoint}},
}

// callNames are the names of all calls, in order.
var callNames = func() (names []string) {
	for _, g := range grammar[1:] {
		names = append(names, g.name)
	}
	return names
}()

// String returns the name of the call as it is in the text of an [Op].
func (c Call) String() string {
	if !c.Known() {
		return "call " + strconv.Itoa(int(c))
	}
	return grammar[c].name
}

// Known reports whether c is one of the calls.
func (c Call) Known() bool { return c >= CallKqueue && c < calls }

// Makes returns how many descriptors the call makes if it goes well, whose
// numbers are N and N2 of its result.
func (c Call) Makes() int {
	if !c.Known() {
		return 0
	}
	return grammar[c].makes
}

// Calls calls yield with each call. It is an iterator.
func Calls(yield func(Call) bool) {
	for c := CallKqueue; c < calls && yield(c); c++ {
	}
}

// Names reports whether the call finds what it acts on by a name, File, and not by a
// descriptor.
func (c Call) Names() bool { return c >= CallCreat && c <= CallRevoke }

// Mounts reports whether the call is about the list of what is mounted.
func (c Call) Mounts() bool { return c == CallMount || c == CallUnmount }
