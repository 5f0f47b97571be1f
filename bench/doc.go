// Package bench measures what each locking strategy costs.
//
// A [Workload] is a job with a few parameter sets. [Run] measures every
// strategy on every one of them, and, between them, references that know
// nothing of kqueue: a mutex pair, a compare-and-swap, epoll, a channel. It
// works in rounds. Each round runs everything once, in a fresh order, so that
// whatever drifts (clock frequency, neighbours, memory layout) drifts for
// everybody; what is reported is the median of the rounds, with the smallest
// and the largest.
//
// # What a record says
//
// One [Record] is one metric of one strategy at one parameter set. The metrics:
//
//	ns/event          time; what an event is, the workload's Doc says
//	speedup           disjoint: events per second of two threads over those of one
//	slowdown          blockingfilter: time by a driver that is not MP-safe over that by the same that is
//	entries/event     domains entered
//	contended/event   locks and CPUs found held by another
//	migrations/event  moves of a thread to another CPU
//	ipis/event        messages posted to a CPU
//	wakeups/event     threads woken
//	wasted/event      wakeups that found nothing to return
//	allocs/event      heap objects allocated
//	a/a               the control: the same strategy measured a second time, over the first
//
// References have the workload "reference", no strategy, the metric ns/event,
// and a parameter "op":
//
//	mutex             a sync.Mutex locked and unlocked: M, the unit of the goals
//	cas               a compare-and-swap that succeeds
//	epoll             an eventfd write and its share of an epoll_wait, edge-triggered, 64 a batch
//	channel           a hand-off between two goroutines over an unbuffered channel, one way
//	epoll_ctl         EPOLL_CTL_ADD and EPOLL_CTL_DEL of one descriptor
//	line              a cache line from one CPU to another, one way
//	parallel          work that shares nothing, on two goroutines; its speedup is the machine's own
//	epoll-pipes       pipetest over real pipes and edge-triggered epoll; with pipes, active, writes
//	fionread-pipes    the same, asking each ready pipe for its fill with FIONREAD
//	poll-pipes        the same over poll
//	select-pipes      the same over select
//	linux-poll        Linux's poll on real pipes; with fds, ready, and bytes where they move
//	linux-select      the same by select
//	linux-epoll       a harvest of Linux's epoll on real pipes, level-triggered or, with bytes, edge-triggered
//	selinfo-poll      the same by the poll that BSDs had before kqueues did it, over pipes of its own
//	selinfo-select    the same by select; with waiters and bystanders, threads that sleep in it
package bench
