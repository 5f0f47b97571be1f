// Package kqueue is the kqueue of DragonFly BSD, written once, so that it can
// run under any locking: it names no lock. Which objects share a lock, and what
// it costs to hold it, is said by a [Strategy]; the core only says when it
// enters and leaves the domain of an object.
//
// # Use
//
//	m := machine.Native(2)
//	k := kqueue.New(m, pcpu.New(m))
//	td := m.Attach("me", 0)
//	defer td.Detach()
//	q := k.NewQueue(td, files)
//	n, err := q.Kevent(td, changes, events, kqueue.Forever)
//
// Package proc gives a process with a descriptor table, package device things
// to watch, package host the real descriptors of Linux.
//
// # The rules of the seam
//
//  1. One domain. A thread is in at most one, and touches an object only in its
//     object's own. Outside of all, and in this order, come the slot of a
//     descriptor and the lock over the graph of queues. A filter runs in the
//     domain of its source.
//  2. Two halves. A knote's state machine belongs to its source, its links to
//     its queue. Nothing of a knote is atomic. Atomic are only what says that a
//     descriptor or a queue is closed, how many watch a queue, how many
//     cleaners of it have finished, and what a strategy keeps to itself.
//  3. Moving from one object to another compares pointers. In between, what was
//     found on one side may have gone on the other: look again.
//  4. Sleep trusts nothing afterwards. A thread waits for a claim before it
//     waits for a busy knote, and for that before the outside world; it never
//     waits for a claim while it holds one; and a callout never sleeps, it
//     leaves word and a count.
//  5. Deliver: at most one delivery of a knote is under way. Activate runs in
//     the queue's domain, always, by whoever is there. It enters nothing, sleeps
//     on nothing, calls no filter, and drops the dead.
//  6. Visits. Who posts to a watched queue visits it after it has left the
//     source, before it returns or waits. Until it has, others may know what the
//     watchers do not; so who would say that there is nothing in a queue that
//     watches others visits those first.
//  7. Claims. A knote leaves the ready list only after its evaluation. A scan that
//     has found nothing waits for what others have claimed, and for news.
//  8. Ends are committed once, in the source's half, at the step that the user
//     sees, and cleaned once, by whoever committed. All who must see the end of
//     it wait for done.
//  9. Departure. Who leaves a queue that wakes one waiter at a time, and whose
//     list is not empty, wakes one more. (Here everybody is woken.)
//
// # DragonFly's names
//
//	KN_ACTIVE      fired
//	KN_QUEUED      posted (under way or listed; source), listed (queue)
//	KN_DISABLED    disabled
//	KN_DETACHED    not hooked
//	KN_PROCESSING  busy (source; only around filters that may block), claimed (queue)
//	KN_REPROCESS   again (source), rearm (queue)
//	KN_WAITING     a count of waiters
//	KN_DELETING    gone (committed), dying (out of the queue), done (cleaned)
//	KN_MARKER      marked (a walk of a source's list), marker (a scan)
//
// # Where it departs from DragonFly
//
//   - A status word is two halves. One word would have to be atomic, and breaks
//     in three ways all the same: it lets waiters chase each other for ever,
//     loses a knote between its removal and its processing, and lets one knote
//     be on its way twice.
//   - The queue's domain is left around a filter call, instead of nesting the
//     list's lock in the queue's here and the other way round there.
//   - A walk of a source's list never restarts, so that no hint is counted twice.
//   - A queue is told of to its watchers by a visit, not from inside activation.
//   - Nothing sleeps with a timeout to be safe: DragonFly's sleeps of a second
//     hide lost wakeups.
//   - EV_ADD of an existing knote enables it, as the man page says.
//   - EV_ENABLE and EV_DISABLE without EV_ADD change nothing else.
//   - EV_ENABLE with EV_DISABLE, and EV_ADD with EV_DELETE, are EINVAL; the BSDs
//     do one or the other depending on whether the knote exists.
//   - EV_RECEIPT without room for its record is not an error.
//   - A one-shot asks its filter once more on retrieval, so that what it returns
//     is true then.
//   - Closing a queue wakes its sleepers with EBADF.
package kqueue
