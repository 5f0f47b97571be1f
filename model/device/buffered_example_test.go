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

// An endpoint of USB has brought two packets, and is pulled.
func ExampleBus_Open() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	bus := device.NewBus(k)
	p := proc.New(k)
	m.Go("example", 0, func(td *machine.Thread) {
		usb, err := bus.Open(td, event.USB)
		if err != nil {
			fmt.Println(err)
			return
		}
		fd, _ := p.Open(td, usb)
		kq, _ := p.Kqueue(td)
		changes := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}
		events := make([]event.Kevent, 1)

		usb.Input(td, 2)
		p.Kevent(td, kq, changes, events, 0)
		fmt.Println(events[0])

		b := make([]byte, 100)
		n, _ := usb.Read(td, b)
		fmt.Println("read", n)

		usb.Unplug(td)
		p.Kevent(td, kq, nil, events, 0)
		fmt.Println(events[0])
		_, err = usb.Read(td, b)
		fmt.Println(err)
	})
	if err := m.Run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// READ 0 data=128
	// read 64
	// READ 0 HUP|NODATA|EOF fflags=ENXIO
	// no such device or address
}
