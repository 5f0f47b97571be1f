package device_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies/giant"
)

// Somebody types a line at a pseudo-terminal, which can be read when it has an end.
func ExampleNewPty() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	p := proc.New(k)
	m.Go("example", 0, func(td *machine.Thread) {
		master, slave := device.NewPty(td, k)
		fd, _ := p.Open(td, slave)
		kq, _ := p.Kqueue(td)
		changes := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}
		events := make([]event.Kevent, 1)

		master.Write(td, []byte("helo\x7flo"))
		n, _ := p.Kevent(td, kq, changes, events, 0)
		fmt.Println(n, "events")
		master.Write(td, []byte("\n"))
		p.Kevent(td, kq, nil, events, 0)
		fmt.Println(events[0])

		b := make([]byte, 80)
		n, _ = slave.Read(td, b)
		fmt.Printf("read %q\n", b[:n])
		n, _ = master.Read(td, b)
		fmt.Printf("seen %q\n", b[:n])
	})
	if err := m.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 0 events
	// READ 0 data=6
	// read "hello\n"
	// seen "helo\b \blo\n"
}

// A reader of a fifo is at the end of the file while there is no writer.
func ExampleFifo_Reopen() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	p := proc.New(k)
	m.Go("example", 0, func(td *machine.Thread) {
		both := device.NewFifo(td, k)
		reader, _ := both.Reopen(td, device.ToRead)
		fd, _ := p.Open(td, reader)
		kq, _ := p.Kqueue(td)
		changes := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}
		events := make([]event.Kevent, 1)

		both.Release(td)
		p.Kevent(td, kq, changes, nil, 0)
		n, _ := p.Kevent(td, kq, nil, events, 0)
		fmt.Println(events[:n])

		writer, _ := reader.Reopen(td, device.ToWrite)
		n, _ = p.Kevent(td, kq, nil, events, 0)
		fmt.Println(events[:n])

		writer.Write(td, []byte("hello"))
		n, _ = p.Kevent(td, kq, nil, events, 0)
		fmt.Println(events[:n])
	})
	if err := m.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [READ 0 HUP|NODATA|EOF]
	// []
	// [READ 0 data=5]
}
