package device

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// Each invariant that an audit of a buffered device looks at is found when it is broken.
func TestBufferedAuditsFind(t *testing.T) {
	for _, test := range []struct {
		what, want string
		do         func(d *Buffered)
	}{
		{"nothing", "", func(d *Buffered) {}},
		{"it is released", "B1", func(d *Buffered) { d.released = true }},
		{"it is not looked up any more", "B1", func(d *Buffered) { d.leave() }},
		{"another is in its place", "B1", func(d *Buffered) { d.among.units[d.slot] = &Buffered{} }},
		{"it is gone, and is looked up", "B1", func(d *Buffered) { d.absent = true }},
		{"it is gone, and has something", "B2", func(d *Buffered) { d.absent = true; d.leave() }},
		{"it is down, and has something", "B2", func(d *Buffered) { d.down = true }},
		{"more than fits", "B2", func(d *Buffered) { d.in.keys.put(make([]byte, 512)) }},
		{"units outside of the buffer", "B2", func(d *Buffered) { d.in.keys.head = 64 }},
		{"a part that is a whole", "B2", func(d *Buffered) { d.in.part = 1 }},
		{"something to go out", "B2", func(d *Buffered) { d.out.n = 1 }},
		{"less than nothing", "B2", func(d *Buffered) { d.out.n = -1 }},
		{"a unit that has not come", "B3", func(d *Buffered) { d.in.keys.add(1) }},
		{"a unit lost by nobody", "B3", func(d *Buffered) { d.in.lost++ }},
		{"a unit read twice", "B3", func(d *Buffered) { d.in.gave++ }},
		{"a unit that was never written", "B3", func(d *Buffered) { d.out.gave++ }},
	} {
		t.Run(test.what, func(t *testing.T) {
			m := machine.Native(1)
			k := kqueue.New(m, strategies.All[0].New(m))
			td := m.Attach("test", 0)
			defer td.Detach()
			d, err := NewBus(k).Open(td, event.Keyboard)
			if err != nil {
				t.Fatal(err)
			}
			d.Input(td, 3)
			d.Read(td, make([]byte, 1))
			test.do(d)
			err = d.Audit(td)
			if got := fmt.Sprint(err); (err == nil) != (test.want == "") || test.want != "" && !strings.HasPrefix(got, test.want+":") {
				t.Errorf("audit: %v, want %q", got, test.want)
			}
		})
	}
}

// What is on the bus when all has been closed is found.
func TestBusEmptyFinds(t *testing.T) {
	m := machine.Native(1)
	td := m.Attach("test", 0)
	defer td.Detach()
	for _, of := range []event.Device{event.Keyboard, event.Record, event.Log} {
		b := NewBus(kqueue.New(m, strategies.All[0].New(m)))
		d, err := b.Open(td, of)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Empty(); err == nil || !strings.HasPrefix(err.Error(), "B4:") {
			t.Errorf("with a %v there is %v", of, err)
		}
		d.Release(td)
		if err := b.Empty(); err != nil {
			t.Errorf("without the %v there is %v", of, err)
		}
	}
}

// Of many events that come to an event device at once the last few make a difference,
// and so it is as if they had come one by one.
func TestMarkersOfMany(t *testing.T) {
	of := &direction{unit: 24, most: 5, full: losesAll}
	for before := range 6 {
		for n := range 60 {
			var one, many intake
			one.bring(of, before)
			many.bring(of, before)
			for range n {
				one.bring(of, 1)
			}
			many.bring(of, n)
			if many.String() != one.String() {
				t.Errorf("%d after %d: %v, want %v", n, before, many.String(), one.String())
			}
		}
	}
	for before := range 6 {
		for n := range 600 {
			of := &direction{unit: 1, most: 5, full: losesOldest}
			var one, many intake
			one.bring(of, before)
			many.bring(of, before)
			for range n {
				one.bring(of, 1)
			}
			many.bring(of, n)
			if many.String() != one.String() {
				t.Errorf("overwriting %d after %d: %v, want %v", n, before, many.String(), one.String())
			}
		}
	}
}

func (s *intake) String() string {
	var keys []byte
	for i := range s.keys.n {
		keys = append(keys, s.keys.at(i))
	}
	return fmt.Sprint(keys, s.part, s.last, s.came, s.gave, s.lost)
}
