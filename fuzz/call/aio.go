package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) disk(td *machine.Thread, _ *event.Op) event.Result {
	return c.open(td, device.NewDisk(td, c.k))
}

func (c *Caller) aio(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(*device.Disk)
	if !ok {
		return fails(syscall.EINVAL)
	}
	a, err := d.Submit(td, op.Side, op.N)
	if err != nil {
		return fails(err)
	}
	return c.open(td, a)
}

// request finds the request of an operation.
func (c *Caller) request(td *machine.Thread, op *event.Op) (*device.AIO, error) {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return nil, err
	}
	a, ok := f.(*device.AIO)
	if !ok {
		return nil, syscall.EINVAL
	}
	return a, nil
}

// complete is an interrupt, as input is: of what N says, says the file.
func (c *Caller) complete(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(interface {
		Complete(td *machine.Thread, n int64) error
	})
	if !ok {
		return fails(syscall.EINVAL)
	}
	td.NoSleep = true
	defer func() { td.NoSleep = false }()
	return fails(d.Complete(td, op.N))
}

func (c *Caller) aioCancel(td *machine.Thread, op *event.Op) event.Result {
	a, err := c.request(td, op)
	if err != nil {
		return fails(err)
	}
	return event.Result{N: int64(a.Cancel(td))}
}

func (c *Caller) aioError(td *machine.Thread, op *event.Op) event.Result {
	a, err := c.request(td, op)
	if err != nil {
		return fails(err)
	}
	status, err := a.Status(td)
	return number(int(status), err)
}

func (c *Caller) aioReturn(td *machine.Thread, op *event.Op) event.Result {
	a, err := c.request(td, op)
	if err != nil {
		return fails(err)
	}
	n, err := a.Return(td)
	return number(int(n), err)
}
