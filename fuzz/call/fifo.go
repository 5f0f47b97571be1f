package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) fifo(td *machine.Thread, op *event.Op) event.Result {
	return c.open(td, device.NewFifo(td, c.k))
}

// reopen opens once more what can be opened by a name: a fifo; the slave of a
// pseudo-terminal, a serial line, or a listener of packets, which are open to read and
// write.
func (c *Caller) reopen(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	var again kqueue.File
	switch f := f.(type) {
	case *device.Fifo:
		again, err = f.Reopen(td, accesses[op.Side])
	case *device.Pty:
		again, err = f.Open(td)
	case *device.Tty:
		again, err = f.Reopen(td)
	case *device.Serial:
		again, err = f.Open(td)
	case *device.Bpf:
		again, err = f.Open(td)
	default:
		err = syscall.EINVAL
	}
	if err != nil {
		return fails(err)
	}
	r := c.open(td, again)
	if r.Errno != 0 {
		again.Release(td)
	}
	return r
}

var accesses = [...]device.Access{
	event.ReadSide: device.ToRead, event.WriteSide: device.ToWrite, event.BothSides: device.ToReadAndWrite,
}
