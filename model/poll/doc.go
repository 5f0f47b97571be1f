// Package poll makes select(2), pselect(2), poll(2), ppoll(2) and epoll(7) out of kqueues.
// There is one way to be told of anything, a knote, and no device has a second.
//
// # Use
//
//	p := poll.New(td, k, process)
//	defer p.Close(td)
//	fds := []event.PollFD{{FD: 3, Events: event.PollIn}, {FD: 4, Events: event.PollOut}}
//	n, err := p.Poll(td, fds, kqueue.Forever)
//
// # Knotes are kept
//
// A [Poller] has a queue of its own, and what a call has registered there stays
// for the next. The usual call asks for what the last one asked, and then is a
// comparison of the array with the one kept, and a harvest of what is ready: it
// costs by the descriptor a nanosecond, and the rest by the ready one. Of an array
// that has changed, what changed is registered. Registering and deleting all of it
// in each call, as was done in 2010, costs more than Linux's own poll.
//
// So three things may have changed since the last call, and are told apart:
//
//   - The array or the sets: by comparison. A number that an array before the last
//     one had, and asked for the same, is as it was then: so arrays in turn are
//     compared and harvested, and nothing is looked up or registered.
//   - What a number stands for: [proc.Age] says whether any number has ended its
//     life. If so, all are looked up again; a knote is tied to a life of a number,
//     and went with it.
//   - A knote may be left over from an array that did not have what this one has.
//     It is deleted when it fires: the number that it names is not in the array
//     now, or is not asked for that. DragonFly tells such knotes by a serial in
//     their udata, and so short a serial that it wraps (its commit ce4975442f); here
//     the record of the number says it, and nothing can wrap.
//
// # What a call means
//
// Answers are those of POSIX, and of Linux where POSIX leaves them open. A number
// stands for the file that it stood for when the call began, or since. Its revents, or
// its bits of the three sets, are what held of that file at one instant after that,
// before the call returned. Where one knote cannot say that, several are a joint, of
// which one speaks for all, as an item of epoll does.
//
// A descriptor that another thread closes during the call is watched no longer: Linux
// goes on to watch its file, until the call ends; POSIX says nothing of it.
//
// # Epoll
//
//	ep, err := poll.EpollCreate1(td, process, 0)
//	err = poll.EpollCtl(td, process, ep, event.EpollAdd, fd, &poll.EpollEvent{Events: event.PollIn, Data: 7})
//	n, err := poll.EpollWait(td, process, ep, events, kqueue.Forever)
//
// An [Epoll] is a kqueue whose knotes are its items, so what is true of those is of
// items: each activation of one that is ET, or ONESHOT, goes to one who waits, no
// wakeup is lost, and what is ready takes turns. An item belongs to a file, and not to
// a descriptor: it goes when the process closes the last one that the file has.
//
// # Where it departs from Linux
//
// All is held against Linux by the same random scripts on either side; TestLinux lists
// what differs, with reasons, devices included. Of the calls themselves:
//
//   - select looks at all bits below nfds. Linux does not look at those above what
//     the table of descriptors has room for at present, and leaves them as they are.
//   - A pipe has room for a write if PipeBuf bytes fit, as POSIX has it; on Linux
//     if a page does.
//   - The write end of a pipe without readers is always POLLOUT with POLLERR, since
//     a write does not wait; on Linux not if the pipe is full.
//   - A queue at the end of a chain of as many as there may be cannot be polled,
//     since the Poller's would be one more: ELOOP.
//   - The close of the last descriptor of an epoll ends waits on it with EBADF, as it
//     does of a kqueue; on Linux they go on, and nobody can wake them but the files.
//   - POLLRDNORM of an epoll is told as POLLIN is; on Linux who asks for that alone
//     hears nothing.
package poll
