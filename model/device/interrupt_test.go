package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// Hardware that brings or takes fewer units than none is refused by every device that has
// any, and nothing comes of it.
func TestFewerThanNone(t *testing.T) {
	each(t, func(l *lab) {
		bus := device.NewBus(l.k)
		ends := map[string]any{
			"bpf":     device.NewBpf(l.td, l.k),
			"serial":  device.NewSerial(l.td, l.k),
			"random":  device.NewRandom(l.td, l.k),
			"request": device.NewPass(l.td, l.k),
		}
		for _, of := range []event.Device{event.Mouse, event.Play, event.Log, event.Midi} {
			d, err := bus.Open(l.td, of)
			l.must(err)
			ends[of.String()] = d
		}
		for name, d := range ends {
			if in, ok := d.(interface {
				Input(td *machine.Thread, n int) (int, error)
			}); ok && name != "play" {
				if n, err := in.Input(l.td, -1); n != 0 || err != syscall.EINVAL {
					t.Errorf("%s: Input of -1: %d, %v, want EINVAL", name, n, err)
				}
			}
			if out, ok := d.(interface {
				Output(td *machine.Thread, n int) (int, error)
			}); ok && (name == "play" || name == "midi" || name == "serial") {
				if n, err := out.Output(l.td, -1); n != 0 || err != syscall.EINVAL {
					t.Errorf("%s: Output of -1: %d, %v, want EINVAL", name, n, err)
				}
			}
			if a, ok := d.(interface {
				Audit(td *machine.Thread) error
			}); ok {
				l.must(a.Audit(l.td))
			}
		}
	})
}
