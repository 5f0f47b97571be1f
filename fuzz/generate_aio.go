package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// disks come with two requests in flight, and more are made by the way, whose numbers
// nobody knows but by luck.
var disks = &object{
	name: "disk",
	makes: []making{
		{act{event.CallDisk, nil}, []class{disk}},
		{submit, []class{request}}, {submit, []class{request}},
	},
	acts: []act{
		submit,
		{event.CallComplete, on(request, drawTransferred)}, {event.CallComplete, on(request, drawTransferred)},
		{event.CallAIOCancel, on(request, nil)},
		{event.CallAIOError, on(request, nil)},
		{event.CallAIOReturn, on(request, nil)},
	},
	rare: true,
}

// submit is one request more, now and then one that cannot be made.
var submit = act{event.CallAIO, on(disk, func(g *drawing, op *event.Op) {
	op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.ReadSide, event.WriteSide, event.WriteSide, event.BothSides}).Draw(g.t, "side")
	drawSize(g, op)
})}

// drawTransferred is all of a request, some of it, or an error.
func drawTransferred(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{100000, 100000, 5, 0, -1}).Draw(g.t, "transferred")
}

// passes hand commands through to a device, which may go.
var passes = &object{
	name:  "request device",
	makes: []making{{act{event.CallDevice, func(_ *drawing, op *event.Op) { op.Device = event.Request }}, []class{pass}}},
	acts: []act{
		{event.CallWrite, on(pass, drawCommands)}, {event.CallWrite, on(pass, drawCommands)}, {event.CallWrite, on(pass, drawCommands)},
		{event.CallRead, on(pass, drawCommands)}, {event.CallRead, on(pass, drawCommands)},
		{event.CallInput, on(pass, func(g *drawing, op *event.Op) { op.N = rapid.Int64Range(0, 3).Draw(g.t, "completed") })},
		{event.CallComplete, on(pass, drawTag)}, {event.CallComplete, on(pass, drawTag)},
		{event.CallControl, on(pass, func(g *drawing, op *event.Op) {
			op.Control = rapid.SampledFrom([]event.Control{event.Abort, event.Abort, event.Abort, event.Immediate}).Draw(g.t, "control")
			drawTag(g, op)
		})},
		{event.CallUnplug, on(pass, nil)},
	},
	rare: true,
}

// drawCommands is how many bytes are read or written: some whole commands, or not.
func drawCommands(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{32, 32, 32, 64, 96, 256, 1024, 0, 31, 33}).Draw(g.t, "bytes of commands")
}

func drawTag(g *drawing, op *event.Op) { op.N = rapid.Int64Range(-1, 8).Draw(g.t, "tag") }
