package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// fifos have one open of each sort. Threads open more, and close some.
var fifos = &object{
	name: "fifo",
	rare: true,
	makes: []making{
		{act{event.CallFifo, nil}, []class{fifoBoth}},
		{act{event.CallReopen, func(g *drawing, op *event.Op) { op.FD, op.Side = g.made-1, event.ReadSide }}, []class{fifoReader}},
		{act{event.CallReopen, func(g *drawing, op *event.Op) { op.FD, op.Side = g.made-2, event.WriteSide }}, []class{fifoWriter}},
	},
	acts: []act{
		{event.CallWrite, on(fifoWriter, drawSize)}, {event.CallWrite, on(fifoBoth, drawSize)},
		{event.CallRead, on(fifoReader, drawSize)}, {event.CallRead, on(fifoBoth, drawSize)},
		{event.CallReopen, on(fifoReader, drawSide)}, {event.CallReopen, on(fifoWriter, drawSide)},
		{event.CallClose, on(fifoBoth, nil)}, {event.CallClose, on(fifoWriter, nil)}, {event.CallClose, on(fifoReader, nil)},
	},
}

func drawSide(g *drawing, op *event.Op) {
	op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.ReadSide, event.WriteSide, event.WriteSide, event.BothSides}).Draw(g.t, "side")
}

// ptys have both sides open.
var ptys = &object{
	name:  "pty",
	rare:  true,
	makes: []making{{act{event.CallPty, nil}, []class{master, slave}}},
	acts: []act{
		{event.CallWrite, on(master, drawTyping)}, {event.CallWrite, on(master, drawTyping)}, {event.CallWrite, on(master, drawTyping)},
		{event.CallRead, on(slave, drawTaking)}, {event.CallRead, on(slave, drawTaking)},
		{event.CallWrite, on(slave, drawTaking)}, {event.CallRead, on(master, drawTaking)},
		{event.CallTermios, on(slave, drawModes)}, {event.CallTermios, on(master, drawModes)},
		{event.CallReopen, on(master, drawBoth)}, {event.CallClose, on(slave, nil)},
	},
}

// drawTyping is a write of few bytes, or of as many as fit, with a key as a rule.
func drawTyping(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 1, 1, 2, 5, 300, 1024, 3000}).Draw(g.t, "bytes")
	op.Key = rapid.SampledFrom([]event.Key{
		event.KeyNL, event.KeyNL, event.KeyNL, event.NoKey, event.NoKey, event.KeyEOF, event.KeyErase, event.KeyKill,
	}).Draw(g.t, "key")
}

func drawTaking(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 3, 100, 1000, 3000, 0}).Draw(g.t, "bytes")
}

func drawModes(g *drawing, op *event.Op) {
	op.Modes = rapid.SampledFrom([]event.Termios{0, event.Echo, event.Canonical, event.Canonical | event.Echo}).Draw(g.t, "modes")
}

func drawBoth(g *drawing, op *event.Op) { op.Side = event.BothSides }
