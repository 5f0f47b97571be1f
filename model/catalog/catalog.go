// Package catalog is the table of everything that can be watched: a row for each class
// of devices, with what it is like in DragonFly, what its filters say, how one is made,
// and what can be done to it. What the table says of a filter's locking it does not
// write down: that is asked of the [kqueue.Filter] itself.
//
// A row is short. Who adds a device adds one, to the file of its subject:
//
//	{
//		Name: "mouse", Like: "sysmouse(4)",
//		Filters: []Filter{{Filter: event.Read, Data: "bytes of events", EOF: Never}},
//		New: func(td *machine.Thread, w *World) Unit {
//			m := device.NewMouse(td, w.Kernel)
//			move := does("move", func(td *machine.Thread) { m.Move(td, 1) })
//			return Unit{File: m, Acts: []Act{move, move.then(reads("read", m, 8))}}
//		},
//	},
//
// What units share, such as the sound card that all channels are of, there is one of in
// a [World]. The audit of package fuzz/audit tries each filter of each row against each
// of its acts, so what the acts leave out it does not see.
package catalog

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Device is a class of things that can be watched.
type Device struct {
	Name    string // lower-case letters, digits and -: arguments name it
	Like    string // what it is in DragonFly: a manual page, a device file, a source file
	Filters []Filter

	// New makes one, on a thread of the world's kernel that is in no domain. It is as its
	// acts need it: each, done first, changes something. Two that are made in one
	// world are two units of the class, and share what those share.
	New func(td *machine.Thread, w *World) Unit
}

// A Filter is one condition of a device that can be asked for.
type Filter struct {
	Filter event.Filter
	Data   string // what an event's data counts; or NeverReady, or AlwaysReady
	EOF    string // when an event has EV_EOF; or Never

	// What a change that adds a knote of it asks for, where that is not nothing.
	Fflags   event.Fflags
	WantData int64
}

// What a filter says that says little.
const (
	Never      = "never"       // as EOF
	NeverReady = "never ready" // as Data: its condition never holds, or holds no more

	AlwaysReady = "0: always ready" // as Data: its condition holds, and nothing is news
)

// A Unit is one device of a class.
type Unit struct {
	File  kqueue.File // what a descriptor stands for; nil if none does
	Ident uint64      // in place of a descriptor
	Acts  []Act       // what can be done to it, and to what it shares anything with
}

// An Act is something that can be done to a device. It is done on any thread that is in
// no domain, never waits for more than locks, and may be done in any order and number;
// only the first that is done to a new unit must not fail.
type Act struct {
	Name string
	Do   func(td *machine.Thread) error
}

// All returns the table, in its order.
func All() []Device {
	return slices.Concat(streams, terminals, sockets, buffered, captures, memories, files, requests, processes, owned, nested, probes)
}

// Find returns the device of that name, false if there is none.
func Find(name string) (Device, bool) {
	all := All()
	i := slices.IndexFunc(all, func(d Device) bool { return d.Name == name })
	if i < 0 {
		return Device{}, false
	}
	return all[i], true
}

// Asked returns the filter that serves f on the unit. The error is that of an EV_ADD.
func (u *Unit) Asked(td *machine.Thread, w *World, f event.Filter) (own *kqueue.Filter, err error) {
	if u.File != nil {
		_, own, err = u.File.Source(f)
		return own, err
	}
	open := w.Kernel.Opener(f)
	if open == nil {
		return nil, syscall.EINVAL
	}
	_, own, err = open(td, w.Process, u.Ident)
	return own, err
}

// Declared returns what each filter of the device says of itself, in their order: a unit
// of it is made, and its filters are looked up.
func (d *Device) Declared(td *machine.Thread, w *World) []*kqueue.Filter {
	u := d.New(td, w)
	var all []*kqueue.Filter
	for _, f := range d.Filters {
		own, err := u.Asked(td, w, f.Filter)
		if err != nil {
			panic(fmt.Sprintf("catalog: %s has no filter %v: %v", d.Name, f.Filter, err))
		}
		all = append(all, own)
	}
	return all
}
