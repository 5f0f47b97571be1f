package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/call"
	"github.com/kqlab/kqlab/model/catalog"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/spec"
	"github.com/kqlab/kqlab/strategies"
)

// Each device that scripts have a name for can be made, is specified, is in the table of
// what can be watched, and has a scenario, as each filter has. It knows the filters that the
// specification says, and those that the table says.
func TestEveryDevice(t *testing.T) {
	explored, asked := map[event.Device]bool{}, map[event.Filter]bool{}
	for _, name := range fuzz.Scenarios() {
		s := kept(t, name)
		for _, th := range append(s.Setup, s.Threads...) {
			for _, op := range th.Ops {
				if op.Call == event.CallDevice {
					explored[op.Device] = true
				}
				for _, kev := range op.Changes {
					asked[kev.Filter] = true
				}
			}
		}
	}
	for f := event.Read; f >= event.FS; f-- {
		if !asked[f] {
			t.Errorf("no scenario asks for %v", f)
		}
	}
	m := machine.Native(1)
	w := catalog.NewWorld(kqueue.New(m, strategies.All[0].New(m)))
	td := m.Attach("test", 0)
	defer td.Detach()
	var c call.Caller
	c.Begin(w, 1, 1, true)
	filters := []event.Filter{event.Read, event.Write, event.Except}
	for d := range event.Devices {
		op := event.Op{Call: event.CallDevice, Device: d}
		s := spec.New(0)
		s.Apply(event.Op{Call: event.CallKqueue})
		want := s.Apply(op)
		if want.Errno != 0 {
			t.Errorf("the specification lacks the device %v: %v", d, want)
			continue
		}
		if !explored[d] {
			t.Errorf("no scenario has the device %v", d)
		}
		row, ok := catalog.Find(d.String())
		if !ok {
			t.Errorf("the table of what can be watched lacks the device %v", d)
		}
		got := c.Do(td, &op)
		if got.Errno != 0 {
			t.Errorf("device %v: %v", d, got)
			continue
		}
		f, err := w.Process.File(td, int(got.N))
		if err != nil {
			t.Fatal(err)
		}
		for _, filter := range filters {
			_, _, err := f.Source(filter)
			listed := false
			for _, x := range row.Filters {
				listed = listed || x.Filter == filter
			}
			_, no := s.Target(event.Kevent{Filter: filter, Ident: uint64(want.N), Flags: event.Add})
			if knows := err == nil; knows != (no == 0) || knows != listed {
				t.Errorf("device %v knows %v: %t; by the specification %v, in the table %t", d, filter, knows, no, listed)
			}
		}
	}
}
