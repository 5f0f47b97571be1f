// Package host makes the descriptors of a real Linux process into kqueue
// sources: pipes and fifos, sockets, eventfds, timerfds, terminals, and
// whatever else epoll accepts. With it package kqueue is a kqueue for Linux.
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
// that was closed and used again ends the old life and begins a new one.
//
// # Interrupts
//
// There is no reader thread between Linux and the program. The thread that
// calls Kevent takes what epoll has, edge-triggered, and posts it to the
// sources itself, as the interrupt handler of a kernel borrows the thread that
// it interrupts; only where it would sleep does it wait in epoll_wait. See
// [machine.Interrupts].
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
//	             which may be 0
//	listening    TCP: connections that wait   -
//	             (TCP_INFO); others: 1
//	eventfd,     8, which is what a read      8
//	timerfd      returns
//	terminal     bytes (FIONREAD)             1
//	other        FIONREAD if it knows that,   1
//	             else 1
//
// Where 1 stands for "not known", NOTE_LOWAT is not looked at.
//
// EV_EOF of READ is the end of the other side: no writer of a pipe, shutdown or
// close of a peer, hangup of a terminal. It comes with data pending too;
// EV_NODATA is set once nothing is left to read, and EV_HUP when both directions
// are over. EV_EOF of WRITE: no reader of a pipe, or a socket that is over in
// both directions. Fflags is then the error of a stream socket, such as
// ECONNRESET or ECONNREFUSED. Linux has no way to look at it without taking it
// (SO_ERROR), so a read afterwards finds the end and no error. An error of a
// datagram socket is left to the read. EVFILT_EXCEPT is NOTE_OOB: EPOLLPRI.
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
