package catalog

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// sockets are sockets, by what they are for.
var sockets = []Device{
	{
		Name: "socket", Like: "socket(2) that is connected, uipc_socket.c",
		Filters: []Filter{
			{Filter: event.Read, Data: bytesToRead, EOF: "the peer sends no more"},
			{Filter: event.Write, Data: room, EOF: "the peer is closed"},
			{Filter: event.Except, Data: "the error that is pending", EOF: "neither direction is left", Fflags: event.NoteOOB},
		},
		New: func(td *machine.Thread, w *World) Unit {
			l, port := listener(td, w)
			peer := newSocket(td, w, event.Stream)
			must(peer.Connect(td, port))
			s, err := l.Accept(td)
			must(err)
			l.Release(td)
			must(s.SetOption(td, device.SndBuf, 4))
			fill(td, s)
			say, read := writes("the peer writes", peer, 1), reads("read", s, 2)
			return Unit{File: s, Acts: []Act{
				say, say.then(read),
				reads("the peer reads", peer, 4),
				{"the peer sends out of band", func(td *machine.Thread) error {
					_, err := peer.SendOOB(td, []byte{1})
					return err
				}},
				{"the peer sends no more", func(td *machine.Thread) error { return peer.Shutdown(td, event.WriteSide) }},
				releases("close the peer", peer),
			}}
		},
	},
	{
		Name: "socket-connecting", Like: "socket(2) that connects, uipc_socket.c",
		Filters: []Filter{
			{Filter: event.Read, Data: bytesToRead, EOF: "it was refused"},
			{Filter: event.Write, Data: room, EOF: "it was refused"},
			{Filter: event.Except, Data: "the error that is pending", EOF: "it was refused"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			l, port := listener(td, w)
			must(newSocket(td, w, event.Stream).Connect(td, port)) // there is no room for another
			s := newSocket(td, w, event.Stream)
			if err := s.Connect(td, port); err != syscall.EINPROGRESS {
				panic("catalog: a socket that does not wait to be connected")
			}
			return Unit{File: s, Acts: []Act{
				{"accept another", func(td *machine.Thread) error {
					_, err := l.Accept(td)
					return err
				}},
				releases("close the listener", l),
			}}
		},
	},
	{
		Name: "socket-listener", Like: "listen(2), uipc_socket.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "connections that wait", EOF: Never},
			{Filter: event.Write, Data: NeverReady, EOF: Never},
			{Filter: event.Except, Data: NeverReady, EOF: Never},
		},
		New: func(td *machine.Thread, w *World) Unit {
			l, port := listener(td, w)
			connect := Act{"connect", func(td *machine.Thread) error {
				return newSocket(td, w, event.Stream).Connect(td, port)
			}}
			return Unit{File: l, Acts: []Act{connect, connect.then(does("accept", func(td *machine.Thread) { l.Accept(td) }))}}
		},
	},
	{
		Name: "socket-datagram", Like: "socket(2) of datagrams, uipc_socket.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes of whole messages", EOF: "it is shut down"},
			{Filter: event.Write, Data: room, EOF: "it is shut down"},
			{Filter: event.Except, Data: "the error that is pending", EOF: "it is shut down"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			s, peer, err := device.NewSocketPair(td, w.Kernel, event.Datagram)
			must(err)
			say, read := writes("the peer sends", peer, 1), reads("receive", s, 2)
			return Unit{File: s, Acts: []Act{
				say, say.then(read),
				{"shut down", func(td *machine.Thread) error { return s.Shutdown(td, event.BothSides) }},
				releases("close the peer", peer),
			}}
		},
	},
}

func must(err error) {
	if err != nil {
		panic("catalog: " + err.Error())
	}
}

func newSocket(td *machine.Thread, w *World, t event.SockType) *device.Socket {
	s, err := w.Network.NewSocket(td, device.Inet, t)
	must(err)
	return s
}

// listener makes a socket that has one connection wait at most, and returns its port.
func listener(td *machine.Thread, w *World) (l *device.Socket, port int) {
	l, port = newSocket(td, w, event.Stream), int(w.Next())
	must(l.Listen(td, port, 1))
	return l, port
}
