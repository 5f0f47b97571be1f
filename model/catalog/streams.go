package catalog

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// What ends of pipes and fifos say.
const (
	bytesToRead = "bytes that can be read"
	room        = "bytes that can be written"
	hungUp      = "0: it only has an end"
)

// streams are pipes and fifos.
var streams = []Device{
	{
		Name: "pipe-reader", Like: "pipe(2)",
		Filters: []Filter{
			{Filter: event.Read, Data: bytesToRead, EOF: "the writer is closed"},
			{Filter: event.Except, Data: hungUp, EOF: "the writer is closed"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			r, wr := device.NewPipe(td, w.Kernel)
			write, read := writes("write", wr, 1), reads("read", r, 2)
			return Unit{File: r, Acts: []Act{write, write.then(read), releases("close the writer", wr)}}
		},
	},
	{
		Name: "pipe-writer", Like: "pipe(2)",
		Filters: []Filter{
			{Filter: event.Write, Data: room, EOF: "the reader is closed"},
			{Filter: event.Except, Data: hungUp, EOF: "the reader is closed"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			r, wr := device.NewPipe(td, w.Kernel)
			fill(td, wr)
			write, read := writes("write", wr, device.PipeBuf), reads("read", r, device.PipeBuf)
			return Unit{File: wr, Acts: []Act{read, read.then(write), releases("close the reader", r)}}
		},
	},
	{
		Name: "fifo-reader", Like: "mkfifo(2), fifo_vnops.c",
		Filters: []Filter{
			{Filter: event.Read, Data: bytesToRead, EOF: "the last writer is closed"},
			{Filter: event.Except, Data: hungUp, EOF: "the last writer is closed"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			r, wr := fifo(td, w)
			write, read := writes("write", wr, 1), reads("read", r, 2)
			leave := releases("close the writer", wr)
			return Unit{File: r, Acts: []Act{write, write.then(read), leave, leave.then(reopens("open another", r, device.ToWrite))}}
		},
	},
	{
		Name: "fifo-writer", Like: "mkfifo(2), fifo_vnops.c",
		Filters: []Filter{
			{Filter: event.Write, Data: room, EOF: "there is no reader"},
			{Filter: event.Except, Data: hungUp, EOF: "there is no reader"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			r, wr := fifo(td, w)
			fill(td, wr)
			write, read := writes("write", wr, device.PipeBuf), reads("read", r, device.PipeBuf)
			leave := releases("close the reader", r)
			return Unit{File: wr, Acts: []Act{read, read.then(write), leave, leave.then(reopens("open another", wr, device.ToRead))}}
		},
	},
}

// fifo makes the two ends of a fifo.
func fifo(td *machine.Thread, w *World) (r, wr *device.Fifo) {
	both := device.NewFifo(td, w.Kernel)
	r = reopened(td, both, device.ToRead)
	wr = reopened(td, both, device.ToWrite)
	both.Release(td)
	return r, wr
}

func reopened(td *machine.Thread, f *device.Fifo, mode device.Access) *device.Fifo {
	again, err := f.Reopen(td, mode)
	if err != nil {
		panic("catalog: a fifo that cannot be opened: " + err.Error())
	}
	return again
}

func reopens(name string, f *device.Fifo, mode device.Access) Act {
	return Act{name, func(td *machine.Thread) error {
		_, err := f.Reopen(td, mode)
		return err
	}}
}
