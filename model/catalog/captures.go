package catalog

import (
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// captures are packet capture and serial lines: drivers that are more than a buffer.
var captures = []Device{
	{
		Name: event.BPF.String(), Like: "bpf(4), net/bpf.c",
		Filters: []Filter{{Filter: event.Read, Data: "bytes that a read returns", EOF: "the interface is detached"}, {Filter: event.Except, Data: "ENXIO, with its end", EOF: "the interface is detached"}},
		New: func(td *machine.Thread, w *World) Unit {
			d := device.NewBpf(td, w.Kernel)
			o, err := d.Open(td)
			if err == nil {
				err = d.Immediate(td, true)
			}
			if err != nil {
				panic("catalog: a new listener is of no use: " + err.Error())
			}
			packet := interrupts("a packet comes", d, 99)
			return Unit{File: d, Acts: []Act{
				packet, packet.then(reads("read", d, device.BpfBuffer)),
				writes("another listener sends", o, 99),
				releases("close another listener", o).then(packet),
				{"wait for a timeout", func(td *machine.Thread) error {
					if err := d.Immediate(td, false); err != nil {
						return err
					}
					if err := d.Timeout(td, time.Millisecond); err != nil {
						return err
					}
					_, err := d.Input(td, 99)
					return err
				}},
				{"detach", d.Unplug},
			}}
		},
	},
	{
		Name: event.Serial.String(), Like: "sio(4), sio.c",
		Filters: []Filter{
			{Filter: event.Read, Data: bytesToRead, EOF: "the carrier is lost"},
			{Filter: event.Write, Data: room, EOF: "the carrier is lost"},
			{Filter: event.Except, Data: hungUp, EOF: "the carrier is lost"},
		},
		New: func(td *machine.Thread, w *World) Unit {
			s := device.NewSerial(td, w.Kernel)
			o, err := s.Open(td)
			if err != nil {
				panic("catalog: a new serial line is of no use: " + err.Error())
			}
			fill(td, s)
			come := interrupts("bytes come", s, 3)
			gone := Act{"bytes go", func(td *machine.Thread) error {
				_, err := s.Output(td, device.TtyOutput)
				return err
			}}
			return Unit{File: s, Acts: []Act{
				come, come.then(reads("read", s, 8)), come.then(reads("another open reads", o, 8)),
				gone, gone.then(writes("write", s, device.TtyOutput)),
				{"lose the carrier", func(td *machine.Thread) error { return s.Carrier(td, false) }},
				{"unplug", s.Unplug},
			}}
		},
	},
}

// memories are the devices without hardware.
var memories = []Device{
	memory(event.Null, "null(4), mem.c", AlwaysReady, device.NewNull, "write"),
	memory(event.Zero, "zero(4), mem.c", AlwaysReady, device.NewZero, "write"),
	memory(event.URandom, "urandom(4), mem.c", AlwaysReady, device.NewURandom, ""),
	memory(event.Random, "random(4), mem.c, kern_nrandom.c", "bytes of entropy", device.NewRandom, "write",
		func(m *device.Mem) Act { return interrupts("interrupts", m, 8) },
		func(m *device.Mem) Act { return interrupts("interrupts", m, 8).then(reads("read", m, 8)) },
	),
}

// memory is one of them. That of urandom refuses writes.
func memory(of event.Device, like, data string, open func(*machine.Thread, *kqueue.Kernel) *device.Mem, write string, more ...func(*device.Mem) Act) Device {
	return Device{
		Name: of.String(), Like: like,
		Filters: []Filter{{Filter: event.Read, Data: data, EOF: Never}, {Filter: event.Write, Data: AlwaysReady, EOF: Never}},
		New: func(td *machine.Thread, w *World) Unit {
			m := open(td, w.Kernel)
			var acts []Act
			if len(more) == 0 {
				acts = append(acts, reads("read", m, 8))
			}
			if write != "" {
				acts = append(acts, writes(write, m, 8))
			}
			for _, a := range more {
				acts = append(acts, a(m))
			}
			return Unit{File: m, Acts: acts}
		},
	}
}

// interrupts is that hardware brings n units to a device.
func interrupts(name string, d interface {
	Input(td *machine.Thread, n int) (int, error)
}, n int) Act {
	return Act{name, func(td *machine.Thread) error {
		_, err := d.Input(td, n)
		return err
	}}
}
