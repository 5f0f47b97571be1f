package fuzz

import (
	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// tree is a file system: two opens of one file, and a directory, 3, with the root. Names
// come and go with the threads.
var tree = &object{
	name: "file system",
	rare: true,
	makes: []making{
		{act{event.CallCreat, func(_ *drawing, op *event.Op) { op.File = 1 }}, []class{regular}},
		{act{event.CallCreat, func(_ *drawing, op *event.Op) { op.File = 1 }}, []class{regular}},
		{act{event.CallMkdir, func(_ *drawing, op *event.Op) { op.File = 3 }}, nil},
		{act{event.CallOpen, func(_ *drawing, op *event.Op) { op.File = 3 }}, []class{directory}},
		{act{event.CallOpen, func(_ *drawing, op *event.Op) { op.File = 0 }}, []class{directory}},
	},
	acts: []act{
		{event.CallWrite, on(regular, drawSize)}, {event.CallWrite, on(regular, drawSize)}, {event.CallRead, on(regular, drawSize)},
		{event.CallTruncate, on(regular, drawOffset)}, {event.CallSeek, on(regular, drawOffset)}, {event.CallSeek, on(regular, drawOffset)},
		{event.CallCreat, drawFile}, {event.CallCreat, drawFile}, {event.CallOpen, drawFile},
		{event.CallUnlink, drawFile}, {event.CallUnlink, drawFile}, {event.CallLink, drawFiles}, {event.CallRename, drawFiles}, {event.CallRename, drawFiles},
		{event.CallMkdir, drawFile}, {event.CallRmdir, drawFile}, {event.CallChmod, drawFile}, {event.CallRevoke, drawFile},
		{event.CallMount, drawMount}, {event.CallUnmount, drawMount},
	},
}

// drawFile draws a name: that of the file which is open, or of another there or in the
// directory, or of a directory.
func drawFile(g *drawing, op *event.Op) {
	op.File = rapid.SampledFrom([]int{1, 1, 1, 2, 31, 31, 3, 32, 0}).Draw(g.t, "file")
}

func drawFiles(g *drawing, op *event.Op) {
	drawFile(g, op)
	op.To = rapid.SampledFrom([]int{1, 2, 2, 31, 31, 3, 32}).Draw(g.t, "new file")
}

func drawOffset(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{0, 0, 0, 1, 3, 5, 700, -1}).Draw(g.t, "bytes")
}

func drawMount(g *drawing, op *event.Op) {
	op.N = rapid.Int64Range(1, 2).Draw(g.t, "file system")
}

// drawNotes is what a knote of a file asks for: all, or some.
func drawNotes(g *drawing) event.Fflags {
	return rapid.SampledFrom([]event.Fflags{0x7f, 0x7f, event.NoteWrite, event.NoteDelete | event.NoteLink | event.NoteRename, event.NoteExtend | event.NoteAttrib | event.NoteRevoke, 0, 0x80}).Draw(g.t, "notes")
}
