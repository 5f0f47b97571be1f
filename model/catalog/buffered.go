package catalog

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// When a device that is a buffer ends.
const (
	unplugged = "it is unplugged"
	notUp     = "it is unplugged, or down"
)

// buffered are the devices whose driver is a buffer between a program and an interrupt.
var buffered = []Device{
	fromHardware(event.Mouse, "sysmouse(4), syscons/sysmouse.c", "bytes of events", Never, 1, 8),
	fromHardware(event.PSM, "psm(4), psm.c", "bytes of events", Never, 1, 4),
	keyboard(event.Keyboard.String(), "kbd(4), kbd.c", false),
	keyboard("keyboard-mpsafe", "kbd(4) when its driver is MP-safe", true),
	bothWays(event.USB, "ugen(4), usb_dev.c", "bytes of packets", "bytes of free packets", unplugged, 64),
	fromHardware(event.Record, "pcm(4), dsp.c, channel.c", "bytes recorded", unplugged, 512, 512,
		lower("lower the mark", 256),
		another("open another channel", event.Play), unplugs("destroy another channel", event.Play)),
	toHardware(event.Play, "pcm(4), dsp.c, channel.c", "bytes that can be written", unplugged, 4096, 512,
		another("open another channel", event.Record), unplugs("destroy another channel", event.Record)),
	bothWays(event.Midi, "midi(4), midi.c", bytesToRead, room, unplugged, 128),
	fromHardware(event.Evdev, "evdev(4), evdev/cdev.c", "bytes of whole events", unplugged, 1, 24),
	fromHardware(event.Devctl, "devctl(4), subr_bus.c", "bytes of messages", Never, 1, 32),
	messages,
	network(event.Tap, "tap(4), if_tap.c"),
	network(event.Tun, "tun(4), if_tun.c"),
}

// messages is the kernel's log. It can be open once on a bus, so each is on one of its
// own.
var messages = Device{
	Name: event.Log.String(), Like: "klog(4), subr_log.c",
	Filters: []Filter{{Filter: event.Read, Data: "bytes that were printed", EOF: Never}, ends(Never)},
	New: func(td *machine.Thread, w *World) Unit {
		bus := device.NewBus(w.Kernel)
		d := open(td, bus, event.Log)
		input := inputs("input", d, 1)
		print := does("the kernel prints", func(td *machine.Thread) { bus.Print(td, 1) })
		return Unit{File: d, Acts: []Act{input, input.then(reads("read", d, 2)), print, print.then(reads("read", d, 2))}}
	},
}

// An act of a device that has been made.
type bufferedAct func(td *machine.Thread, b *device.Bus, d *device.Buffered) Act

// keyboard is one whose driver is of 2010, or has been made MP-safe.
func keyboard(name, like string, safe bool) Device {
	k := fromHardware(event.Keyboard, like, bytesToRead, unplugged, 1, 2,
		another("plug in another keyboard", event.Keyboard), unplugs("unplug another keyboard", event.Keyboard))
	k.Name = name
	if made := k.New; safe {
		k.New = func(td *machine.Thread, w *World) Unit {
			on := *w // but for the bus
			on.Bus = device.NewBus(w.Kernel)
			on.Bus.MPSafe = true
			return made(td, &on)
		}
	}
	return k
}

// fromHardware is one that is read. Some units are what its mark is.
func fromHardware(of event.Device, like, data, eof string, units, bytes int, more ...bufferedAct) Device {
	return Device{
		Name: of.String(), Like: like,
		Filters: []Filter{{Filter: event.Read, Data: data, EOF: eof}, ends(eof)},
		New: func(td *machine.Thread, w *World) Unit {
			d := open(td, w.Bus, of)
			input := inputs("input", d, units)
			acts := []Act{input, input.then(reads("read", d, bytes))}
			if eof != Never {
				acts = append(acts, goes(d))
			}
			for _, a := range more {
				acts = append(acts, a(td, w.Bus, d))
			}
			return Unit{File: d, Acts: acts}
		},
	}
}

// toHardware is one that is written, so many bytes of all that it holds.
func toHardware(of event.Device, like, data, eof string, all, bytes int, more ...bufferedAct) Device {
	return Device{
		Name: of.String(), Like: like,
		Filters: []Filter{{Filter: event.Write, Data: data, EOF: eof}, ends(eof)},
		New: func(td *machine.Thread, w *World) Unit {
			d := open(td, w.Bus, of)
			fill(td, d)
			output := outputs("output", d, bytes)
			acts := []Act{output, output.then(writes("write", d, bytes)), goes(d), controls("flush", d, event.Flush, 0)}
			for _, a := range more {
				acts = append(acts, a(td, w.Bus, d))
			}
			return Unit{File: d, Acts: acts}
		},
	}
}

// bothWays is one that is read and written.
func bothWays(of event.Device, like, in, out, eof string, bytes int) Device {
	return Device{
		Name: of.String(), Like: like,
		Filters: []Filter{{Filter: event.Read, Data: in, EOF: eof}, {Filter: event.Write, Data: out, EOF: eof}, ends(eof)},
		New: func(td *machine.Thread, w *World) Unit {
			d := open(td, w.Bus, of)
			fill(td, d)
			input, output := inputs("input", d, 1), outputs("output", d, bytes)
			return Unit{File: d, Acts: []Act{
				input, input.then(reads("read", d, bytes)), output, output.then(writes("write", d, bytes)), goes(d),
			}}
		},
	}
}

// network is an interface that a program is the other side of.
func network(of event.Device, like string) Device {
	return Device{
		Name: of.String(), Like: like,
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes of packets", EOF: notUp},
			{Filter: event.Write, Data: "bytes of the longest packet", EOF: notUp},
			ends(notUp),
		},
		New: func(td *machine.Thread, w *World) Unit {
			d := open(td, w.Bus, of)
			input, down := inputs("input", d, 1), controls("down", d, event.Up, 0)
			return Unit{File: d, Acts: []Act{
				input, input.then(reads("read", d, 99)), writes("write", d, 99), goes(d), down, down.then(controls("up", d, event.Up, 1)),
			}}
		},
	}
}

// ends is the filter Except of a device that ends so.
func ends(eof string) Filter {
	if eof == Never {
		return Filter{Filter: event.Except, Data: NeverReady, EOF: Never}
	}
	return Filter{Filter: event.Except, Data: "the errno of a read", EOF: eof}
}

func open(td *machine.Thread, b *device.Bus, of event.Device) *device.Buffered {
	d, err := b.Open(td, of)
	if err != nil {
		panic(fmt.Sprintf("catalog: a %v that cannot be opened: %v", of, err))
	}
	return d
}

func inputs(name string, d *device.Buffered, n int) Act {
	return Act{name, func(td *machine.Thread) error {
		_, err := d.Input(td, n)
		return err
	}}
}

func outputs(name string, d *device.Buffered, n int) Act {
	return Act{name, func(td *machine.Thread) error {
		_, err := d.Output(td, n)
		return err
	}}
}

func goes(d *device.Buffered) Act { return Act{"unplug", d.Unplug} }

func controls(name string, d *device.Buffered, c event.Control, n int64) Act {
	return Act{name, func(td *machine.Thread) error { return d.Control(td, c, n) }}
}

// lower is to put in more than a new mark, and then to set that.
func lower(name string, mark int) bufferedAct {
	return func(td *machine.Thread, b *device.Bus, d *device.Buffered) Act {
		return inputs("input less", d, mark).then(controls(name, d, event.Lowat, int64(mark)))
	}
}

// another is to open one more of a sort that shares something with the device.
func another(name string, of event.Device) bufferedAct {
	return func(td *machine.Thread, b *device.Bus, _ *device.Buffered) Act {
		return Act{name, func(td *machine.Thread) error {
			_, err := b.Open(td, of)
			return err
		}}
	}
}

// unplugs is to take one away that is there already.
func unplugs(name string, of event.Device) bufferedAct {
	return func(td *machine.Thread, b *device.Bus, _ *device.Buffered) Act {
		return Act{name, open(td, b, of).Unplug}
	}
}
