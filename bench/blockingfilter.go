package bench

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// blockingfilter is single with a filter that nobody has declared MP-safe. It
// runs under the mplock, and to wait for that is a block, which costs a token
// or a CPU its protection: so the knote is fenced meanwhile. Under the giant
// lock the mplock is held already. With two threads, which share nothing but
// the mplock, there is something to wait for.
//
// A cell's filter shows the fence alone. A keyboard's driver takes the mplock
// in its interrupt and its read, too, since what the filter looks at is not
// guarded by the source; the same driver after the work of making it MP-safe
// (device.Bus.MPSafe) does not. Each trial measures both, so that what it costs
// to leave a driver as it was is a ratio of two figures a moment apart.
var blockingfilter = &Workload{
	Name: "blockingfilter",
	Doc:  "filters that are not MP-safe take the mplock inside; an event is as in single",
	Notes: []string{
		"device: a driver of 2010 (filter=unsafe), and as it is when it has been made MP-safe; an event is an interrupt, its share of a kevent, and a read. The slowdown is the ratio of the two.",
	},
	shapes: []shape{
		{params: map[string]any{"filter": "safe", "threads": 1}, core: true, run: filtering(calledCounting, 1)},
		{params: map[string]any{"filter": "unsafe", "threads": 1}, core: true, run: filtering(unsafeCounting, 1)},
		{params: map[string]any{"filter": "safe", "threads": 2}, run: filtering(calledCounting, 2)},
		{params: map[string]any{"filter": "unsafe", "threads": 2}, run: filtering(unsafeCounting, 2)},
		{params: map[string]any{"device": "keyboard", "threads": 1}, core: true, run: typing(event.Keyboard, 1)},
		{params: map[string]any{"device": "keyboard", "threads": 2}, run: typing(event.Keyboard, 2)},
	},
}

func filtering(ops *kqueue.Filter, threads int) func(t *trial) error {
	return func(t *trial) error {
		var workers []worker
		for cpu := range threads {
			w, err := t.loop(cpu, 64, ops)
			if err != nil {
				return err
			}
			workers = append(workers, w)
		}
		return t.race(workers...)
	}
}

// typing has the driver of a device as it was when it was not MP-safe, and as it is.
func typing(of event.Device, threads int) func(t *trial) error {
	return func(t *trial) error {
		var each [2]float64
		for i, filter := range []string{"safe", "unsafe"} {
			t.part, t.value = "filter", filter
			bus := device.NewBus(t.k)
			bus.MPSafe = filter == "safe"
			var workers []worker
			for cpu := range threads {
				w, err := t.interrupts(cpu, bus, of)
				if err != nil {
					return err
				}
				workers = append(workers, w)
			}
			if err := t.race(workers...); err != nil {
				return err
			}
			each[i] = t.last("ns/event")
		}
		t.figure("slowdown", "x", each[1]/each[0])
		return nil
	}
}

// interrupts returns a worker with 64 devices of its own. Each has a unit of one byte
// come in, which the worker harvests and reads.
func (t *trial) interrupts(cpu int, bus *device.Bus, of event.Device) (worker, error) {
	const batch = 64
	maker := t.m.Attach("maker", cpu)
	defer maker.Detach()
	var all []*device.Buffered
	var table pipeTable
	for range batch {
		d, err := bus.Open(maker, of)
		if err != nil {
			return worker{}, fmt.Errorf("open of a %v: %w", of, err)
		}
		all, table = append(all, d), append(table, kqueue.NewDesc(maker, d))
	}
	q := t.k.NewQueue(maker, table)
	for i := range all {
		add := []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: event.Add | event.Clear}}
		if _, err := q.Kevent(maker, add, nil, 0); err != nil {
			return worker{}, fmt.Errorf("EV_ADD of %v %d: %w", of, i, err)
		}
	}
	events, b := make([]event.Kevent, batch), make([]byte, 8)
	move := func(td *machine.Thread, n int) (int, error) {
		sent, got := 0, 0
		for sent < n {
			for _, d := range all {
				k, err := d.Input(td, 1)
				if err != nil {
					return got, fmt.Errorf("an interrupt: %w", err)
				}
				sent += k
			}
			k, err := q.Kevent(td, nil, events, 0)
			if err != nil {
				return got, err
			}
			for i := range events[:k] {
				n, err := all[events[i].Ident].Read(td, b)
				if err != nil {
					return got, fmt.Errorf("read of %v %d: %w", of, events[i].Ident, err)
				}
				got += n
			}
			if got != sent {
				return got, unbalanced("keys", sent, got)
			}
		}
		return got, nil
	}
	return worker{cpu: cpu, move: move}, nil
}
