package device_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies/pcpu"
)

// Wait for a connection, accept it, and see the other end go.
func ExampleNetwork() {
	m := machine.Native(2)
	td := m.Attach("main", 0) // the calling goroutine, as a thread of the machine
	defer td.Detach()
	k := kqueue.New(m, pcpu.New(m))
	p := proc.New(k)
	net := device.NewNetwork(k)
	kq, _ := p.Kqueue(td)
	watch := func(fd int) {
		p.Kevent(td, kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}, nil, 0)
	}
	wait := func() {
		events := make([]event.Kevent, 4)
		n, err := p.Kevent(td, kq, nil, events, kqueue.Forever)
		fmt.Println(events[:n], err)
	}

	server, _ := net.NewSocket(td, device.Inet, event.Stream)
	fmt.Println(server.Listen(td, 80, 5))
	fd, _ := p.Open(td, server)
	watch(fd)

	client, _ := net.NewSocket(td, device.Inet, event.Stream)
	fmt.Println(client.Connect(td, 80))
	wait() // one connection waits

	peer, _ := server.Accept(td)
	fd, _ = p.Open(td, peer)
	watch(fd)
	client.Write(td, []byte("hello"))
	client.Release(td)
	wait() // five bytes, and no more will come
	// Output:
	// <nil>
	// <nil>
	// [READ 1 data=1] <nil>
	// [READ 2 EOF data=5] <nil>
}
