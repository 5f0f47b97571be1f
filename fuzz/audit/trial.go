package audit

import (
	"fmt"
	"slices"

	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A trial is one function of one filter of a device, against one thing that is done at
// the same time.
type trial struct {
	device   *catalog.Device
	filter   catalog.Filter
	function Function
	against  against

	// plant, if not nil, makes another filter of the one that is audited: a control.
	plant func(own kqueue.Filter, fn Function) kqueue.Filter
}

func (t *trial) String() string {
	return fmt.Sprintf("%s:%v:%v:%s", t.device.Name, t.filter.Filter, t.function, t.against.name)
}

// An against is what is done while the function is called.
type against struct {
	name string
	kind kind
	act  int // of an act, which
}

type kind uint8

const (
	act          kind = iota // one of the device's own
	closing                  // the close of the descriptor
	anotherKnote             // a knote of the same filter and unit comes, in another queue
	anotherUnit              // a knote of the same filter of another unit does, and the first of that one's acts is done
)

// What is done besides the acts of a device.
const (
	nameClosing      = "close"
	nameAnotherKnote = "another knote"
	nameAnotherUnit  = "another unit"
)

// opponents returns all that a filter of a device is audited against. Another knote of
// the same unit is in the same domain, and matters only to a filter that may lose it.
func opponents(u *catalog.Unit, own *kqueue.Filter) (all []against) {
	for i, a := range u.Acts {
		all = append(all, against{a.Name, act, i})
	}
	if u.File != nil {
		all = append(all, against{nameClosing, closing, 0})
		if own.Unsafe || own.Blocks {
			all = append(all, against{nameAnotherKnote, anotherKnote, 0})
		}
	}
	return append(all, against{nameAnotherUnit, anotherUnit, 0})
}

// A row is what is to be proved of one function of a filter.
type row struct {
	own    *kqueue.Filter
	trials []trial
	as     int // the row before it that is of the same filter, and has been proved; -1 if none
}

// rows returns those of a device: each function of each filter, with its trials.
func rows(d *catalog.Device) (all []row) {
	catalog.Alone(newApart, func(td *machine.Thread, w *catalog.World) {
		declared := d.Declared(td, w)
		u := d.New(td, w)
		for i, f := range d.Filters {
			for _, fn := range functions(declared[i]) {
				r := row{own: declared[i]}
				r.as = slices.IndexFunc(all, func(o row) bool { return o.own == r.own && o.trials[0].function == fn })
				for _, a := range opponents(&u, declared[i]) {
					r.trials = append(r.trials, trial{device: d, filter: f, function: fn, against: a})
				}
				all = append(all, r)
			}
		}
	})
	return all
}
