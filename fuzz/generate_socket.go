package fuzz

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/kqlab/kqlab/model/event"
)

// Sockets are four objects: pairs, and networks of one that others find by a port, each
// of streams and of datagrams.

var pairs = &object{
	name:  "stream pair",
	rare:  true,
	makes: []making{{act{event.CallSocketpair, ofType(event.Stream)}, []class{connection, connection}}},
	acts:  transfers(connection),
}

var datagramPairs = &object{
	name:  "datagram pair",
	rare:  true,
	makes: []making{{act{event.CallSocketpair, ofType(event.Datagram)}, []class{datagrams, datagrams}}},
	acts:  transfers(datagrams),
}

var networks = &object{
	name: "stream network",
	rare: true,
	makes: []making{
		{act{event.CallSocket, ofType(event.Stream)}, []class{listener}},
		{act{event.CallListen, onLast(listener, drawBacklog)}, nil},
		{act{event.CallSocket, ofType(event.Stream)}, []class{connection}},
		{act{event.CallConnect, onLast(connection, nil)}, nil},
		{act{event.CallAccept, onLast(listener, nil)}, []class{connection}},
		{act{event.CallSocket, ofType(event.Stream)}, []class{connection}},
	},
	acts: slices.Concat(transfers(connection), []act{
		{event.CallConnect, on(connection, drawPort)}, {event.CallConnect, on(connection, drawPort)},
		{event.CallAccept, on(listener, nil)}, {event.CallAccept, on(listener, nil)},
		{event.CallListen, on(listener, drawListen)},
		{event.CallSocket, ofType(event.Stream)},
	}),
}

var datagramNetworks = &object{
	name: "datagram network",
	rare: true,
	makes: []making{
		{act{event.CallSocket, ofType(event.Datagram)}, []class{datagrams}},
		{act{event.CallListen, onLast(datagrams, nil)}, nil},
		{act{event.CallSocket, ofType(event.Datagram)}, []class{datagrams}},
		{act{event.CallConnect, onLast(datagrams, drawPort)}, nil},
	},
	acts: slices.Concat(transfers(datagrams), []act{
		{event.CallConnect, on(datagrams, drawPort)},
		{event.CallListen, on(datagrams, drawListen)},
		{event.CallSocket, ofType(event.Datagram)},
	}),
}

// transfers are what is done to any socket.
func transfers(c class) []act {
	return slices.Concat(often(2, act{event.CallSend, on(c, drawTransfer)}), often(2, act{event.CallRecv, on(c, drawTransfer)}), []act{
		{event.CallShutdown, on(c, drawShut)}, {event.CallSockErr, on(c, nil)},
	})
}

func ofType(t event.SockType) func(g *drawing, op *event.Op) {
	return func(_ *drawing, op *event.Op) { op.Sock = t }
}

// onLast is on, for the descriptor that was made last, with a port of its own.
func onLast(c class, draw func(g *drawing, op *event.Op)) func(g *drawing, op *event.Op) {
	return func(g *drawing, op *event.Op) {
		fds := g.fds[c]
		op.FD = fds[len(fds)-1]
		if op.Call == event.CallListen || op.Call == event.CallConnect {
			op.N = int64(max(1, len(g.fds[listener])))
		}
		if draw != nil {
			draw(g, op)
		}
	}
}

func drawTransfer(g *drawing, op *event.Op) {
	drawSize(g, op)
	op.OOB = rapid.IntRange(0, 4).Draw(g.t, "urgent") == 4
}

func drawShut(g *drawing, op *event.Op) {
	op.Side = rapid.SampledFrom([]event.Side{event.ReadSide, event.WriteSide, event.WriteSide, event.BothSides}).Draw(g.t, "side")
}

func drawBacklog(g *drawing, op *event.Op) {
	op.Backlog = rapid.SampledFrom([]int{1, 1, 2, 0, 5}).Draw(g.t, "backlog")
}

func drawPort(g *drawing, op *event.Op) {
	op.N = rapid.SampledFrom([]int64{1, 1, 1, 1, 2, 3, 0, 49152}).Draw(g.t, "port")
}

func drawListen(g *drawing, op *event.Op) {
	drawPort(g, op)
	drawBacklog(g, op)
}
