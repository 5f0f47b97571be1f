package fuzz

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// A class is what a descriptor is good for.
type class uint8

const (
	queue class = iota
	probe
	readEnd
	writeEnd
	epolled
	fifoBoth
	fifoReader
	fifoWriter
	master
	slave
	connection // a stream socket, which is connected or may be
	listener
	datagrams // a datagram socket

	disk
	request // of a disk

	pass

	hardware // a device

	regular // an open file
	directory

	sniffer // a listener of packets
	serial
	pseudo // a device without hardware

	allClasses
)

// watchedBy are the filters that each class is watched by.
var watchedBy = [allClasses][]event.Filter{
	queue:    {event.Read},
	probe:    {event.Read, event.Write},
	readEnd:  {event.Read, event.Except},
	writeEnd: {event.Write, event.Except},
	epolled:  {event.Read},

	fifoBoth:   {event.Read, event.Write, event.Except},
	fifoReader: {event.Read, event.Except},
	fifoWriter: {event.Write, event.Except},
	master:     {event.Read, event.Write, event.Except},
	slave:      {event.Read, event.Write, event.Except},
	connection: {event.Read, event.Write, event.Except},
	listener:   {event.Read, event.Write, event.Except},
	datagrams:  {event.Read, event.Write, event.Except},

	request: {event.AIO},

	pass: {event.Read, event.Write, event.Except},

	hardware: {event.Read, event.Write, event.Except},

	regular:   {event.Vnode, event.Read, event.Write},
	directory: {event.Vnode},

	sniffer: {event.Read, event.Except},
	serial:  {event.Read, event.Write, event.Except},
	pseudo:  {event.Read, event.Write},
}

// An object is something that scripts have, and what is done with it. What threads
// make besides is of no class: nobody knows its number.
type object struct {
	name  string
	makes []making
	acts  []act // what is there more often is done more often
	rare  bool  // only some scripts have it
}

// A making is an operation that is part of the making of an object, and the classes of
// the descriptors that it makes.
type making struct {
	act
	of []class
}

// An act is a call, and how to draw what it is called with.
type act struct {
	call event.Call
	draw func(g *drawing, op *event.Op)
}

// often is an act so many times.
func often(n int, a act) []act { return slices.Repeat([]act{a}, n) }

// objects are all there are. One that is new is a row here and, if nothing else has what
// it makes, a class.
var objects = []*object{
	queues, pipes, probes, epolls, fifos, ptys,
	pairs, datagramPairs, networks, datagramNetworks,

	disks, passes,

	buffered,

	tree,

	captures, lines, pseudoDevices,

	families,
}

var queues = &object{
	name:  "kqueue",
	makes: []making{{act{event.CallKqueue, nil}, []class{queue}}},
	acts:  append(often(6, act{event.CallKevent, drawKevent}), act{event.CallKqueue, nil}),
}

var pipes = &object{
	name:  "pipe",
	makes: []making{{act{event.CallPipe, nil}, []class{readEnd, writeEnd}}},
	acts: []act{
		{event.CallWrite, on(writeEnd, drawSize)}, {event.CallWrite, on(writeEnd, drawSize)},
		{event.CallRead, on(readEnd, drawSize)},
		{event.CallPipe, nil},
	},
}

var probes = &object{
	name:  "probe",
	makes: []making{{act{event.CallProbe, drawManner}, []class{probe}}},
	acts:  append(often(2, act{event.CallSet, on(probe, drawLevel)}), act{event.CallProbe, drawManner}),
}

// common is what is done with any object.
var common = []act{
	{event.CallClose, onAny},
	{event.CallDup, onAny},
	{event.CallDup2, func(g *drawing, op *event.Op) { op.FD, op.To = g.any(), g.any() }},
	{event.CallPoll, drawPoll},
	{event.CallPoll, drawPoll},
	{event.CallSelect, drawPoll},
}

// some draws which objects a script has: those that are not rare, and each of the
// others in one script of four.
func (g *drawing) some() (all []*object) {
	for _, o := range objects {
		if !o.rare || rapid.IntRange(0, 3).Draw(g.t, o.name) == 3 {
			all = append(all, o)
		}
	}
	return all
}

// make draws the operations that make an object, and takes its descriptors down.
func (g *drawing) make(o *object) (ops []event.Op) {
	for _, m := range o.makes {
		ops = append(ops, g.act(m.act))
		for _, c := range m.of {
			g.fds[c] = append(g.fds[c], g.made)
			g.made++
		}
	}
	return ops
}

// watched returns the classes that a filter can watch and of which there are
// descriptors; that of kqueues if there is none.
func (g *drawing) watched(f event.Filter) (of []class) {
	for c, filters := range watchedBy {
		if slices.Contains(filters, f) && len(g.fds[c]) > 0 {
			of = append(of, class(c))
		}
	}
	if len(of) == 0 {
		of = []class{queue}
	}
	return of
}

// on draws a descriptor of a class, and then the rest.
func on(c class, draw func(g *drawing, op *event.Op)) func(g *drawing, op *event.Op) {
	return func(g *drawing, op *event.Op) {
		op.FD = g.of(c)
		if draw != nil {
			draw(g, op)
		}
	}
}

func onAny(g *drawing, op *event.Op) { op.FD = g.any() }

func drawKevent(g *drawing, op *event.Op) {
	op.FD = g.of(queue)
	op.Changes = g.changes(rapid.SampledFrom([]int{0, 0, 1, 1, 1, 2, 3}).Draw(g.t, "changes"))
	op.Room = rapid.SampledFrom([]int{0, 1, 1, 2, 8, 8}).Draw(g.t, "room")
	op.Wait = rapid.SampledFrom(g.waits).Draw(g.t, "wait")
}

// drawManner: about half of all probes are plain ones.
func drawManner(g *drawing, op *event.Op) {
	if g.manners {
		op.Manner = rapid.SampledFrom([]event.Manner{0, 0, 0, event.Blocks, event.Unsafe, event.Blocks | event.Unsafe}).Draw(g.t, "manner")
	}
}

func drawLevel(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{0, 0, 1, 2, 5, -1}).Draw(g.t, "level")
}

// drawSize is how many bytes a read or write is of: few, those at PIPE_BUF, and
// those that fill a buffer.
func drawSize(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 1, 5, 0, 511, 512, 513, 5000, 65536, 100000}).Draw(g.t, "bytes")
}
