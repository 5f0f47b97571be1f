package catalog

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// probes are the test device, in its manners.
var probes = []Device{
	probe("probe", "nothing: the least that a filter can do", device.ProbeConfig{}),
	probe("probe-blocks", "nothing: a filter that sleeps", device.ProbeConfig{Blocks: true}),
	probe("probe-unsafe", "a filter of 2010 that is not MP-safe", device.ProbeConfig{Unsafe: true}),
	probe("probe-unsafe-blocks", "one that sleeps, too", device.ProbeConfig{Unsafe: true, Blocks: true}),
}

func probe(name, like string, c device.ProbeConfig) Device {
	return Device{
		Name: name, Like: like,
		Filters: []Filter{
			{Filter: event.Read, Data: "the level", EOF: Never},
			{Filter: event.Write, Data: "the level", EOF: Never},
		},
		New: func(td *machine.Thread, w *World) Unit {
			p := device.NewProbe(td, w.Kernel, c)
			raise := does("raise the level", func(td *machine.Thread) { p.Add(td, 1) })
			return Unit{File: p, Acts: []Act{
				raise,
				raise.then(does("lower it", func(td *machine.Thread) { p.Set(td, 0) })),
			}}
		},
	}
}
