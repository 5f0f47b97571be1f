package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// buffered are the devices that are a row of a table: one of them is made at a time, so
// that twelve are no more of a script than one other object.
var buffered = &object{
	name:  "device",
	rare:  true,
	makes: []making{{act{event.CallDevice, drawBuffered}, []class{hardware}}},
	acts: []act{
		{event.CallInput, on(hardware, drawUnits)}, {event.CallInput, on(hardware, drawUnits)}, {event.CallInput, on(hardware, drawUnits)},
		{event.CallOutput, on(hardware, drawUnits)},
		{event.CallRead, on(hardware, drawBytes)}, {event.CallRead, on(hardware, drawBytes)},
		{event.CallWrite, on(hardware, drawBytes)}, {event.CallWrite, on(hardware, drawBytes)},
		{event.CallControl, on(hardware, drawIoctl)}, {event.CallUnplug, on(hardware, nil)},
		{event.CallDevice, drawBuffered},
	},
}

func drawBuffered(g *drawing, op *event.Op) {
	op.Device = rapid.SampledFrom([]event.Device{
		event.Mouse, event.PSM, event.Keyboard, event.USB, event.Record, event.Play, event.Midi, event.Evdev, event.Devctl, event.Log, event.Tap, event.Tun,
	}).Draw(g.t, "device")
}

// drawUnits: few, those that make a mark, and those for which there is no room.
func drawUnits(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 1, 1, 2, 5, 16, 49, 64, 130, 512, 5000, 0}).Draw(g.t, "units")
}

func drawBytes(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 7, 24, 40, 64, 200, 1024, 5000, 20000, 0}).Draw(g.t, "bytes")
}

func drawIoctl(g *drawing, op *event.Op) {
	op.Control = rapid.SampledFrom([]event.Control{event.Flush, event.Lowat, event.Up, event.Up, event.Immediate}).Draw(g.t, "control")
	op.N = rapid.SampledFrom([]int64{0, 1, 1, 600, 5000, -1}).Draw(g.t, "value")
}
