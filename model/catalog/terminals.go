package catalog

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// terminals are pseudo-terminals.
var terminals = []Device{
	{
		Name: "pty", Like: "pty(4), the master; tty_pty.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes that have come out, and a status", EOF: "the slave is not open"},
			{Filter: event.Write, Data: room, EOF: "the slave is not open"},
			{Filter: event.Except, Data: "0: the status is in fflags", EOF: "the slave is not open", Fflags: event.NoteOOB},
		},
		New: func(td *machine.Thread, w *World) Unit {
			m, s := device.NewPty(td, w.Kernel)
			leave := releases("close the slave", s)
			say, hear := writes("the slave writes", s, 1), reads("read", m, 8)
			return Unit{File: m, Acts: []Act{
				say, say.then(hear), writes("write", m, 1),
				leave, leave.then(opens(m)),
				{"packet mode, stop output", func(td *machine.Thread) error {
					if err := m.Packet(td, true); err != nil {
						return err
					}
					_, err := m.Write(td, []byte{'S' & 0x1f})
					return err
				}},
			}}
		},
	},
	{
		Name: "tty", Like: "tty(4), the slave; tty.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes of whole lines", EOF: "the master is closed"},
			{Filter: event.Write, Data: room, EOF: "the master is closed"},
			{Filter: event.Except, Data: hungUp, EOF: "the master is closed"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			m, s := device.NewPty(td, w.Kernel)
			fill(td, s)
			line, read := writes("the master writes a line", m, 1), reads("read", s, 8)
			return Unit{File: s, Acts: []Act{
				line, line.then(read),
				reads("the master reads", m, device.TtyOutput),
				{"raw mode", func(td *machine.Thread) error { return s.SetModes(td, device.Modes{Min: 1}) }},
				releases("close the master", m),
			}}
		},
	},
}

func opens(m *device.Pty) Act {
	return Act{"open another", func(td *machine.Thread) error {
		_, err := m.Open(td)
		return err
	}}
}
