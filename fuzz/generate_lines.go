package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// captures have two listeners of one interface. There are no read timeouts: a script whose
// operations are to have one answer each cannot have any, and who explores them has a
// scenario.
var captures = &object{
	name: "bpf",
	rare: true,
	makes: []making{
		{act{event.CallDevice, ofDevice(event.BPF)}, []class{sniffer}},
		{act{event.CallReopen, func(g *drawing, op *event.Op) { op.FD, op.Side = g.made-1, event.BothSides }}, []class{sniffer}},
	},
	acts: []act{
		{event.CallInput, on(sniffer, drawPacket)}, {event.CallInput, on(sniffer, drawPacket)}, {event.CallInput, on(sniffer, drawPacket)},
		{event.CallWrite, on(sniffer, drawPacket)},
		{event.CallRead, on(sniffer, drawBuffer)}, {event.CallRead, on(sniffer, drawBuffer)},
		{event.CallControl, on(sniffer, drawCaptured)}, {event.CallReopen, on(sniffer, drawBoth)}, {event.CallUnplug, on(sniffer, nil)},
	},
}

// lines are serial lines with two opens.
var lines = &object{
	name: "serial line",
	rare: true,
	makes: []making{
		{act{event.CallDevice, ofDevice(event.Serial)}, []class{serial}},
		{act{event.CallReopen, func(g *drawing, op *event.Op) { op.FD, op.Side = g.made-1, event.BothSides }}, []class{serial}},
	},
	acts: []act{
		{event.CallInput, on(serial, drawTaking)}, {event.CallInput, on(serial, drawTaking)}, {event.CallOutput, on(serial, drawTaking)},
		{event.CallRead, on(serial, drawTaking)}, {event.CallWrite, on(serial, drawTaking)}, {event.CallWrite, on(serial, drawTaking)},
		{event.CallTermios, on(serial, drawModes)}, {event.CallReopen, on(serial, drawBoth)},
		{event.CallControl, on(serial, func(g *drawing, op *event.Op) {
			op.Control = rapid.SampledFrom([]event.Control{event.Flush, event.Flush, event.Flush, event.Carrier, event.Up}).Draw(g.t, "control")
			op.N = rapid.Int64Range(0, 4).Draw(g.t, "value")
		})},
		{event.CallUnplug, on(serial, nil)},
	},
}

// pseudoDevices are those without hardware, one of them at a time.
var pseudoDevices = &object{
	name:  "pseudo-device",
	rare:  true,
	makes: []making{{act{event.CallDevice, drawMemory}, []class{pseudo}}},
	acts: []act{
		{event.CallInput, on(pseudo, drawUnits)}, {event.CallInput, on(pseudo, drawUnits)},
		{event.CallRead, on(pseudo, drawBytes)}, {event.CallRead, on(pseudo, drawBytes)}, {event.CallWrite, on(pseudo, drawBytes)},
		{event.CallDevice, drawMemory},
	},
}

func ofDevice(d event.Device) func(*drawing, *event.Op) {
	return func(_ *drawing, op *event.Op) { op.Device = d }
}

func drawMemory(g *drawing, op *event.Op) {
	op.Device = rapid.SampledFrom([]event.Device{event.Random, event.Random, event.URandom, event.Null, event.Zero}).Draw(g.t, "memory")
}

// drawPacket: two of the longest that can be written fill a buffer, nearly.
func drawPacket(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 3, 60, 1000, 1514, 1515, 2020, 5000, 0}).Draw(g.t, "packet")
}

func drawBuffer(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{4096, 4096, 4096, 4096, 100, 0}).Draw(g.t, "buffer")
}

func drawCaptured(g *drawing, op *event.Op) {
	op.Control = rapid.SampledFrom([]event.Control{event.Immediate, event.Immediate, event.Immediate, event.Flush, event.Buffer, event.Carrier}).Draw(g.t, "control")
	op.N = rapid.Int64Range(0, 1).Draw(g.t, "value")
}
