package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Bus is what the buffered devices of a kernel are on, and what some of their drivers
// share: the table of keyboards, the channels of the sound card, the message buffer. The
// mplock guards those.
type Bus struct {
	// MPSafe has all drivers as they are after the work of making them MP-safe is
	// done: what a filter looks at is the device's own. It is set before the first
	// Open.
	MPSafe bool

	k *kqueue.Kernel

	// Guarded by the mplock.
	keyboards registry
	channels  registry
	reader    *Buffered // who has the log open
	printed   intake    // what it has not read, unless MPSafe
}

// A registry is the devices of one sort, by their numbers; nil is a number that is free.
// The mplock guards it.
type registry struct{ units []*Buffered }

// add gives d the lowest number that is free.
func (r *registry) add(d *Buffered) (slot int) {
	for i, u := range r.units {
		if u == nil {
			r.units[i] = d
			return i
		}
	}
	r.units = append(r.units, d)
	return len(r.units) - 1
}

func (r *registry) reset() {
	clear(r.units)
	r.units = r.units[:0]
}

// NewBus returns a bus without devices.
func NewBus(k *kqueue.Kernel) *Bus { return &Bus{k: k} }

// Reset makes b a bus without devices, whatever it had, on a virtual machine that has
// been reset.
func (b *Bus) Reset() {
	b.keyboards.reset()
	b.channels.reset()
	b.reader, b.printed = nil, b.printed.again()
}

// Open makes a device, placed by the strategy, and opens it. There may be any number
// of a sort, each with nothing to read and all room, but one log only.
//
// Errors: ENXIO if there is no such buffered device; EBUSY if the log is open. It may
// block.
func (b *Bus) Open(td *machine.Thread, of event.Device) (*Buffered, error) {
	if int(of) >= len(bufferedRows) || bufferedRows[of].in.most+bufferedRows[of].out.most == 0 {
		return nil, syscall.ENXIO
	}
	row := &bufferedRows[of]
	d := buffereds.New(td)
	d.row, d.bus, d.ops, d.in = row, b, safeBuffered, &d.own
	d.lowIn, d.lowOut = row.in.mark, row.out.mark
	switch {
	case row.out.most == 0:
		d.readers.Init(td, b.k)
		d.srcs[0] = &d.readers
	case row.in.most == 0:
		d.writers.Init(td, b.k)
		d.srcs[0] = &d.writers
	default:
		d.readers.Init(td, b.k)
		d.writers.InitSibling(&d.readers)
		d.srcs = [2]*kqueue.Source{&d.readers, &d.writers}
	}
	if row.unsafe == nothing || b.MPSafe && row.unsafe != messages {
		return d, nil
	}
	if !b.MPSafe {
		d.ops, d.mp = unsafeBuffered, b.k.Machine().MPLock()
	}
	if err := b.register(td, d); err != nil {
		return nil, err
	}
	return d, nil
}

// register makes known a device of a driver that shares something.
func (b *Bus) register(td *machine.Thread, d *Buffered) error {
	mp := b.k.Machine().MPLock()
	td.Get(mp)
	defer td.Put(mp)
	td.Commit(event.Acted)
	switch d.row.unsafe {
	case amongKeyboards:
		d.among = &b.keyboards
	case amongChannels:
		d.among = &b.channels
	case messages:
		if b.reader != nil {
			return syscall.EBUSY
		}
		b.reader = d
		if !b.MPSafe {
			b.printed.clear()
			d.in = &b.printed
		}
		return nil
	}
	d.slot = d.among.add(d)
	return nil
}

// close lets the log be opened again, if d is it. td has the mplock then.
func (b *Bus) close(d *Buffered) {
	if b.reader == d {
		b.reader = nil
	}
}

// Print prints n bytes to the message buffer, whoever calls it, and then tells the
// reader of the log, if there is one. It may be called in no domain, but prints in
// none, as kprintf must: so the log's filter is not MP-safe.
func (b *Bus) Print(td *machine.Thread, n int) {
	mp := b.k.Machine().MPLock()
	td.Get(mp)
	to := b.reader
	if !b.MPSafe && n > 0 {
		b.printed.bring(&bufferedRows[event.Log].in, n)
	}
	td.Commit(event.Acted)
	td.Put(mp)
	switch {
	case to == nil || n <= 0:
	case b.MPSafe:
		to.Input(td, n)
	default:
		to.readers.Notify(td, 0)
	}
}
