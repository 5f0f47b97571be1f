// Package netconn gives the sockets of package device the interfaces of package
// net: [net.Conn], [net.Listener] and [net.PacketConn], with deadlines, so that what
// is written for those runs on the kernel: net/http does.
//
// # Use
//
//	m := machine.Native(2)
//	k := kqueue.New(m, pcpu.New(m))
//	device.Install(k)
//	stack := netconn.New(k)
//	defer stack.Close()
//	l, err := stack.Listen(80)
//	go http.Serve(l, handler)
//	client := http.Client{Transport: &http.Transport{DialContext: stack.DialContext}}
//	resp, err := client.Get("http://kqlab:80/")
//
// # How a call waits
//
// A socket never blocks; it answers EAGAIN. Then the call waits in kevent, on a queue
// of its own for each direction of each connection, for a knote of the socket that is
// edge-triggered: what comes after the answer is news. Beside it there is a user event
// (EVFILT_USER), which is triggered when a deadline is set under a call that waits;
// Close closes the queue. So nothing but the kernel's one path of notification wakes
// anybody, and who is woken by which strategy costs what it costs there.
//
// Calls of one direction of a connection take turns, as in package net.
//
// # Threads
//
// Any goroutine may call; it runs as a thread of the machine for as long as the call
// lasts (machine.Attach). To attach costs two channels and a lock of the machine, so
// threads are kept, a list for each CPU, and there are as many as calls have ever been
// under way at once. The objects of a connection are on the CPU that its turn was at
// when it was made.
package netconn
