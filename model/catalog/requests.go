package catalog

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// requests are what is under way somewhere, until the hardware has done it.
var requests = []Device{
	{
		Name: "aio", Like: "aio_read(2), vfs_aio.c",
		Filters: []Filter{{Filter: event.AIO, Data: "bytes that were transferred", EOF: "always"}},
		New: func(td *machine.Thread, w *World) Unit {
			d := device.NewDisk(td, w.Kernel)
			a, other := submitted(td, d), submitted(td, d)
			complete := completes("complete", a, 50)
			return Unit{File: a, Acts: []Act{
				complete,
				complete.then(Act{"take the result", func(td *machine.Thread) error {
					_, err := a.Return(td)
					return err
				}}),
				completes("fail", a, -1),
				does("cancel", func(td *machine.Thread) { a.Cancel(td) }),
				completes("complete another of the disk", other, 50),
				releases("close the disk", d),
			}}
		},
	},
	{
		Name: "request", Like: "pass(4), scsi_pass.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes of replies", EOF: "the device is unplugged"},
			{Filter: event.Write, Data: "room for commands, in bytes", EOF: "the device is unplugged"},
			{Filter: event.Except, Data: "an errno, when it has gone", EOF: "the device is unplugged"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			p := device.NewPass(td, w.Kernel)
			fill(td, p)
			complete, read := completes("complete", p, 1), reads("read", p, device.PassCommand)
			return Unit{File: p, Acts: []Act{
				complete,
				complete.then(read),
				complete.then(read).then(writes("write", p, device.PassCommand)),
				{"abort", func(td *machine.Thread) error { return p.Control(td, event.Abort, 2) }},
				{"unplug", p.Unplug},
			}}
		},
	},
}

func submitted(td *machine.Thread, d *device.Disk) *device.AIO {
	a, err := d.Submit(td, event.ReadSide, 100)
	if err != nil {
		panic("catalog: a disk that takes no request: " + err.Error())
	}
	return a
}

// completes is what the hardware does to what is under way.
func completes(name string, what interface {
	Complete(td *machine.Thread, n int64) error
}, n int64) Act {
	return Act{name, func(td *machine.Thread) error { return what.Complete(td, n) }}
}
