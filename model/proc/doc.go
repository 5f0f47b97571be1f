// Package proc is the process: its descriptor table, and the system calls that
// work on it; its signals; and the table of processes, with fork, exec, exit and wait.
// kevent(2) is one of the calls, since a kqueue is named by a descriptor like any other
// file.
//
// A descriptor is a number for a [kqueue.File] from open, dup or dup2 until
// close. A file may have many, in several processes; it is released once, when the last
// is gone. Each life of a number is a [kqueue.Desc] of its own, so a number that is used
// again has nothing in common with what it stood for before.
//
// # Processes
//
// [New] makes the first one; all others come of [Process.Fork].
//
//	init := proc.New(k)
//	child, err := init.Fork(td)            // number 2
//	err = child.Exec(td)
//	err = child.Exit(td, proc.Exited(3))   // a zombie now; init has had SIGCHLD
//	pid, status, err := init.Wait(td, proc.Any)
//
// What a process does a thread does that acts for it: any thread that has the *Process.
// One that joins it is one of its own, to which its signals come. A process without a
// thread of its own is one all the same, and what the kernel does to it, such as to end
// it by a signal, is done by whoever causes it, before its call returns.
//
// Nothing here waits. Who would wait for a child waits in Kevent, for its NOTE_EXIT or for
// SIGCHLD, and then calls [Process.Wait], so that there is one path by which
// anybody learns of an event.
//
// # The filters
//
// [Install] makes the filters Proc and Signal known to a kernel. They are of those
// processes of which one has the queue's descriptors; what they answer is said at
// procFilter and signalFilter.
//
// # The order of locks
//
//	table of processes > signals of a process > domain of what watches either
//	table of processes > descriptor table
//
// A domain is entered with those locks held, as with the one over the graph of queues; its
// visitors never take them. They are let go of before what is owed to watched queues is paid,
// but in the midst of a fork.
package proc
