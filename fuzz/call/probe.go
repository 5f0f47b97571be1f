package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) probe(td *machine.Thread, op *event.Op) event.Result {
	return c.open(td, device.NewProbe(td, c.k, device.ProbeConfig{Blocks: op.Manner&event.Blocks != 0, Unsafe: op.Manner&event.Unsafe != 0}))
}

func (c *Caller) set(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	probe, ok := f.(*device.Probe)
	if !ok {
		return fails(syscall.EINVAL)
	}
	probe.Set(td, op.N)
	return event.Result{}
}
