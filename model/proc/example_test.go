package proc_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies/giant"
)

// Wait for a byte in a pipe.
func ExampleProcess() {
	m := machine.Native(1)
	td := m.Attach("main", 0) // the calling goroutine, as a thread of the machine
	defer td.Detach()
	k := kqueue.New(m, giant.New(m))
	device.Install(k)
	p := proc.New(k)

	r, w := device.NewPipe(td, k)
	fd, err := p.Open(td, r)
	if err != nil {
		fmt.Println(err)
		return
	}
	kq, err := p.Kqueue(td)
	if err != nil {
		fmt.Println(err)
		return
	}
	add := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add}}
	if _, err := p.Kevent(td, kq, add, nil, 0); err != nil {
		fmt.Println(err)
		return
	}

	if _, err := w.Write(td, []byte("x")); err != nil {
		fmt.Println(err)
		return
	}
	events := make([]event.Kevent, 8)
	n, err := p.Kevent(td, kq, nil, events, kqueue.Forever)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events[:n] {
		fmt.Printf("descriptor %d: %d byte to read\n", e.Ident, e.Data)
	}
	// Output: descriptor 0: 1 byte to read
}
