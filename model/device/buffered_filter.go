package device

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// bufferedFilters are those of a driver that is MP-safe, or of one that is not. They
// do the same.
type bufferedFilters struct{ read, write, except *kqueue.Filter }

var (
	safeBuffered   = newBufferedFilters("buffered", false)
	unsafeBuffered = newBufferedFilters("shared", true)
)

func newBufferedFilters(name string, unsafe bool) *bufferedFilters {
	f := &bufferedFilters{
		read: &kqueue.Filter{
			Name: name + " read",
			Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
				d := kn.File().(*Buffered)
				kn.Hook = d
				return d.wants(kn, &d.row.in, kn.Want, kn.WantData)
			},
			Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
				d := kn.Hook.(*Buffered)
				return d.wants(kn, &d.row.in, kev.Fflags, kev.Data)
			},
			Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
				d := kn.Hook.(*Buffered)
				if d.ended(kn) {
					return true
				}
				kn.Data = int64(d.in.bytes(&d.row.in))
				return kn.Data >= mark(kn, d.lowIn, d.row.in.holds())
			},
		},
		write: &kqueue.Filter{
			Name: name + " write",
			Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
				d := kn.File().(*Buffered)
				kn.Hook = d
				return d.wants(kn, &d.row.out, kn.Want, kn.WantData)
			},
			Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
				d := kn.Hook.(*Buffered)
				return d.wants(kn, &d.row.out, kev.Fflags, kev.Data)
			},
			Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
				d := kn.Hook.(*Buffered)
				if d.ended(kn) {
					return true
				}
				kn.Data = int64(d.row.out.holds() - d.out.n*d.row.out.unit)
				return kn.Data >= mark(kn, d.lowOut, d.row.out.holds())
			},
		},
		except: exceptional(name+" except", (*Buffered).ended),
	}
	f.read.Unsafe, f.write.Unsafe, f.except.Unsafe = unsafe, unsafe, unsafe
	return f
}

// wants takes what a change asks of Read or Write. What the mark is without NOTE_LOWAT
// is said by the device, whenever the filter is asked.
func (d *Buffered) wants(kn *kqueue.Knote, of *direction, f event.Fflags, data int64) error {
	return lowat(kn, f, data, 0, int64(of.holds()))
}

// ended reports whether the device is of no use, and tells a knote so.
func (d *Buffered) ended(kn *kqueue.Knote) bool {
	err := d.over()
	kn.Cond, kn.Fflags = 0, event.Fflags(err)
	if err == 0 {
		return false
	}
	if kn.Data = 0; kn.Filter() == event.Except {
		kn.Fflags, kn.Data = 0, int64(err) // fflags would be NOTE_OOB
	}
	return ended(kn, true, true)
}
