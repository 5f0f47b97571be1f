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
