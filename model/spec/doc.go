// Package spec is what a kqueue is, said as a program that anybody can read in
// one sitting: the sequential specification of kqueue(2), of the things that it
// watches, and of the descriptors that they are known by. It is pure: a [State]
// is a value, no two share anything that either may change, and there is no
// clock, no lock and no thread in it.
//
// Apply performs an operation on a state and says what it answers. Step asks
// the other way round: given what an operation has answered, in which states
// may the world be now? None, and the answer was wrong. Where the manual page
// leaves something open both are given a choice, and each choice is a function
// in nondet.go with the sentence that allows it.
//
// A call of kevent(2) is not atomic, nor is a close: the methods from Enter to
// Release are the steps that other threads can come between.
//
// # Departures from DragonFly's code
//
// The manual page that the BSDs share is the specification; where DragonFly's
// code departs from it the page wins:
//
//   - EV_ADD of a knote that exists enables it, unless EV_DISABLE is given:
//     "adding an event automatically enables it, unless overridden by the
//     EV_DISABLE flag". DragonFly's code leaves it disabled.
//   - EV_ENABLE and EV_DISABLE without EV_ADD touch nothing else. DragonFly's
//     code replaces fflags, data and udata besides, and so drops subscriptions.
//   - EV_ENABLE with EV_DISABLE, and EV_ADD with EV_DELETE, are EINVAL; the
//     page gives them no meaning.
//   - A NOTE_TRIGGER that comes with EV_ADD|EV_CLEAR is a trigger. DragonFly's
//     code lowers the flag at once.
//   - Closing a kqueue wakes its sleepers with EBADF. DragonFly's code leaves
//     them asleep.
//   - EV_RECEIPT without room for its record is not an error.
//   - A one-shot is asked again when it is retrieved: one whose condition has
//     passed meanwhile is not returned, and not deleted.
//   - Of files, "the link count on the file changed" is told whenever it has, of an
//     unlink too, and to what a rename replaces; and that "the file pointer is not at
//     the end of file" is told when a seek has moved it. DragonFly's tmpfs tells of
//     neither. Package device lists the rest: see OpenFile there.
//   - EV_ADD of an AIO request by a user is allowed: the ident is a number that can be
//     looked up. In DragonFly it is an address, and EPERM unless the kernel itself adds it
//     when the request is made. Data is what was transferred and fflags the errno, where
//     DragonFly has the errno in data and nothing of the bytes.
//   - A kqueue that is watched takes no fflags. DragonFly's code takes any for nothing.
//
// In one point the code wins: the page says of EVFILT_WRITE that it "is not supported for
// vnodes", and it has long been. It is always ready.
//
// What is answered to what is wrong with a change is a table, in package catalog.
//
// # What is not in it yet
//
// Time: a timer may expire whenever it likes, except one that has expired when
// it is added, so it is never late and its ticks are not compared with the
// clock. The devices are pipes, fifos, sockets, pseudo-terminals, files, probes, those
// that are made by their names, user events, timers and kqueues. The read timeout of packet
// capture is as a timer is, but that it is over when nothing moves any more. Of a buffer that an
// interrupt fills or empties there is how much is in it, and not what. Of what sockets
// carry there are the counts alone, and they have no options: buffers and marks are those
// of one that has set none. Of a terminal there are no flow control, no packet mode, no
// VMIN, and no flushing but that of a serial line. Of processes there is what others can see: children do nothing by
// themselves, no descriptor is closed by exec, and of several threads it is not said which
// takes a signal.
package spec
