package device

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the device and says what does not hold; nil if all does. Nothing runs
// but td, which is in no domain; nil is for a virtual machine on which no thread is to
// run any more. It allocates nothing if all holds. The device is one that has a
// descriptor.
//
//	B1  the device is not released; it is where others look it up, or it is gone
//	B2  there are not more units than fit, they lie in the buffer, and a part of one is
//	    one of those that are there; of a device that is gone or down nothing is there
//	B3  what has come is what is there, what was handed on and what was lost
func (d *Buffered) Audit(td *machine.Thread) error {
	if td != nil && !td.Virtual() {
		d.enter(td)
		d.exit(td)
	}
	return d.audit()
}

//go:norace
func (d *Buffered) audit() error {
	in, out := d.in, &d.out
	found := d.among == nil || d.slot < len(d.among.units) && d.among.units[d.slot] == d
	switch {
	case d.released || found == d.absent && d.among != nil:
		return fmt.Errorf("B1: a device is released, %v, or gone, %v, and is looked up, %v", d.released, d.absent, found)
	case in.keys.n > d.row.in.most || !in.keys.whole() || in.part < 0 || in.part > 0 && (in.keys.n == 0 || in.part >= d.row.in.unit):
		return fmt.Errorf("B2: a device that holds %d units has %v, and %d of the first are read", d.row.in.most, &in.keys, in.part)
	case out.n < 0 || out.n > d.row.out.most:
		return fmt.Errorf("B2: a device that holds %d units to go out has %d", d.row.out.most, out.n)
	case (d.absent || d.down) && in.keys.n+out.n > 0:
		return fmt.Errorf("B2: a device that is gone, %v, or down, %v, has %d units to read and %d to go out", d.absent, d.down, in.keys.n, out.n)
	case in.came != in.gave+in.lost+int64(in.keys.n):
		return fmt.Errorf("B3: %d units have come, %d were read, %d lost, and %d are there", in.came, in.gave, in.lost, in.keys.n)
	case out.came != out.gave+out.lost+int64(out.n):
		return fmt.Errorf("B3: %d units were written, %d have gone out, %d are lost, and %d are there", out.came, out.gave, out.lost, out.n)
	}
	return nil
}

// Empty says what is on the bus when all devices have been released, and no thread runs any
// more; nil if nothing is: who looks a device up must not find one that is gone.
//
//go:norace
func (b *Bus) Empty() error {
	for _, r := range [...]*registry{&b.keyboards, &b.channels} {
		for slot, d := range r.units {
			if d != nil {
				return fmt.Errorf("B4: everything is closed, and device %d is looked up", slot)
			}
		}
	}
	if b.reader != nil {
		return fmt.Errorf("B4: everything is closed, and the log is open")
	}
	return nil
}
