// Package host makes the descriptors of a real Linux process into kqueue
// sources: pipes and fifos, sockets, eventfds, timerfds, terminals, whatever else
// epoll accepts, and the files that it does not, which are always ready. Files can
// be watched for what happens to them, processes for their end, and signals. With
// it, and the timers and user events of package device, package kqueue is a kqueue
// for Linux.
//
//	h, err := host.New(k)            // k is a *kqueue.Kernel
//	f, err := h.Open(td, fd)         // h owns fd from now on
//	q := k.NewQueue(td, h)           // idents are the real numbers
//	q.Kevent(td, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}, events, kqueue.Forever)
//	f.Close(td)                      // close(2), and no knote is left
//
// # Ownership
//
// Open takes the number over, as os.NewFile does, and [File.Close] closes it.
// No duplicate is made: it would keep the other end of a pipe from seeing the
// end, and double the descriptors of a process that has many. A number that
// the program closes all the same, behind the host's back, does no harm to
// others: epoll knows a descriptor by its open file and not by its number
// alone, so before it closes anything Close asks epoll whether the number still
// names what was opened, and if not leaves it alone (EBADF). Open of a number
// that was closed and used again ends the old life and begins a new one. Files
// that epoll refuses are told apart by their inode alone, so there a number that
// was closed and opened for the same file again is the same life.
//
// What the host opens for itself, it closes, and it is not handed on to programs
// that are started: for each set an epoll and an eventfd, and an inotify once a file
// is looked at; and a pidfd for each PROC knote. No change can name them. A process that is
// forked without exec shares the epoll set, and must not use the host.
//
// # Interrupts
//
// There is no reader thread between Linux and the program. The thread that
// calls Kevent takes what epoll has, edge-triggered, and posts it to the
// sources itself, as the interrupt handler of a kernel borrows the thread that
// it interrupts; only where it would sleep does it wait in epoll_wait. See
// [machine.Interrupts].
//
// Where the strategy binds sources to CPUs ([kqueue.Local]), each CPU has an epoll
// set of its own, with the files that were opened there. Who polls or sleeps on one
// has nothing to do with the others, as long as no queue there watches what lives
// elsewhere: then those sets are looked at as well, and a stand-in waits where nobody
// else does. Under other strategies there is one set.
//
// The handler asks nothing of the descriptor. The one system call of an event
// beside epoll_wait is the filter's, which measures at retrieval what it
// reports.
//
// # What the filters report
//
// Data is measured when the event is retrieved.
//
//	             READ                         WRITE
//	pipe, fifo   bytes (FIONREAD)             F_GETPIPE_SZ less the bytes in it; an upper
//	                                          bound, since Linux keeps them in whole pages
//	stream       bytes (FIONREAD)             TCP: half of SO_SNDBUF, which counts overhead as
//	                                          well, less SIOCOUTQ. UNIX: half of what
//	                                          SIOCOUTQ leaves of SO_SNDBUF. Estimates, at least 1
//	datagram     bytes of the next message,   as UNIX
//	             which may be 0; of a UNIX
//	             seqpacket, of all messages
//	listening    TCP: connections that wait   -
//	             (TCP_INFO); others: 1
//	eventfd,     8, which is what a read      8
//	timerfd      returns
//	terminal     bytes (FIONREAD)             1
//	regular,     bytes from the offset to     0
//	block        the end; negative beyond it
//	other        FIONREAD if it knows that,   1
//	             else 1
//
// Where 1 stands for "not known", NOTE_LOWAT is not looked at. Directories,
// /dev/null, and regular files of file systems such as /proc, whose size means
// nothing, are among the others, and always ready.
//
// READ of a regular file is not ready at the end of the file, and becomes so when
// somebody makes it longer, in the same process or not. That the offset is moved
// nobody tells: EV_ADD asks anew.
//
// EV_EOF of READ is the end of the other side: no writer of a pipe, shutdown or
// close of a peer, hangup of a terminal. It comes with data pending too;
// EV_NODATA is set once nothing is left to read, and EV_HUP when both directions
// are over. EV_EOF of WRITE: no reader of a pipe, or a socket that is over in
// both directions. Fflags is then the error of a stream socket, such as
// ECONNRESET or ECONNREFUSED. Linux has no way to look at it without taking it
// (SO_ERROR), so a read afterwards finds the end and no error. An error of a
// datagram socket is left to the read, and fflags is EIO.
//
// EXCEPT is told of both directions' end, with EV_EOF and EV_HUP, and of a pending
// error, which is its data: EIO if only the descriptor can tell which. With NOTE_OOB
// it is told of EPOLLPRI too. So a Poller of package poll works on files of a host
// that are open in a process of package proc; what epoll refuses is always ready to it, a
// regular file at its end too.
//
// What Linux says, and what is reported then:
//
//	EPOLLIN              READ
//	EPOLLRDHUP           READ with EV_EOF
//	EPOLLHUP             READ, WRITE and EXCEPT with EV_EOF and EV_HUP
//	EPOLLERR, pipe       WRITE and EXCEPT with EV_EOF and EV_HUP: nobody reads
//	EPOLLERR, stream     WRITE with EV_EOF, READ, EXCEPT; fflags is the error
//	EPOLLERR, others     READ, WRITE, EXCEPT: the error is EIO, the descriptor knows which
//	EPOLLOUT             WRITE
//	EPOLLPRI             EXCEPT with NOTE_OOB
//	POLLNVAL             READ, WRITE and EXCEPT with EV_EOF, fflags EBADF
//
// # Files
//
// VNODE is inotify(7) on what a descriptor means, whatever its names are and if it
// has none. Not every file can be watched: EINVAL for what is in no file system,
// such as sockets, pipes without a name, and memfd. EACCES for a file that is open
// for writing only and may not be read.
//
//	NOTE_WRITE    a write, a truncation; of a directory, an entry that has come,
//	              gone or been renamed
//	NOTE_EXTEND   the same of a file, and it is longer than when looked at last
//	NOTE_ATTRIB   chmod, chown, utimes, extended attributes
//	NOTE_LINK     the count of links has changed
//	NOTE_DELETE   and it is less: unlink, or another file was renamed onto it
//	NOTE_RENAME   rename
//	NOTE_REVOKE   the file system is gone, which cannot be while a descriptor is open
//
// Linux does not tell of everything that a BSD tells:
//
//   - Inotify says the same of link, unlink and chmod, and says it once of several
//     in a row. The host compares the file with what it was: a link and an unlink in
//     a row are NOTE_ATTRIB, and a link and a utimes are NOTE_LINK alone.
//   - The removal of a directory is not told while a descriptor of it is open.
//   - A truncation is a write.
//   - When a file loses its last name, and was opened by another, what happens to it until
//     the host has looked is not told.
//   - A file that two descriptors or queues look at may tell the second of what
//     happened just before it was added.
//   - Writes through a shared mapping are not told, nor what another machine does to
//     a file of a network.
//   - If more happens than inotify keeps (fs.inotify.max_queued_events), every
//     file is said to have been written to, renamed, and its attributes changed.
//
// # Processes
//
// PROC is a pidfd(2). The only thing it tells is the end: NOTE_EXIT, with EV_EOF
// and EV_ONESHOT, once for each knote, at once for a zombie. Data is the status as
// of wait(2), of a child, or of any process that has been waited for since Linux
// 6.15; else [StatusUnknown]. It does not wait for the child. A number that is used
// again means the old process to the knotes that there are. NOTE_FORK, NOTE_EXEC
// and NOTE_TRACK are EOPNOTSUPP.
//
// # Signals
//
// SIGNAL takes what os/signal takes, so while a signal has a knote it does not do
// what it does otherwise: SIGINT does not end the program. That is not so on a BSD.
// Channels of the program's own are told too; an ignored signal is counted. Data is
// the deliveries since the last retrieval, as far as they are told apart: Linux
// keeps a standard signal that is pending once, and so does Go's runtime with all.
// A signal arrives a moment after it was sent, when a goroutine has handed it on.
// One that is sent to a single thread which blocks it waits there. SIGKILL, SIGSTOP
// and 32 to 34 are EINVAL; SIGURG is what Go's runtime sends itself all the time.
//
// # Where Linux shows through
//
// EV_CLEAR is for each interrupt. Linux sends one for every arrival and says
// with it all that holds, so a WRITE knote with EV_CLEAR on a socket may be
// returned again when data has arrived there; and the first WRITE knote of a
// descriptor makes epoll repeat what holds for READ.
//
// A stream socket that is neither connected nor listening is at its end, and
// one whose own half was shut by shutdown(2) is writable, as in poll(2).
package host
