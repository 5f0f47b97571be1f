package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// devices has what makes each device that is not on the bus. What is neither is ENOSYS.
var devices = [...]func(c *Caller, td *machine.Thread) kqueue.File{
	event.Request: func(c *Caller, td *machine.Thread) kqueue.File { return device.NewPass(td, c.k) },

	event.BPF:     func(c *Caller, td *machine.Thread) kqueue.File { return device.NewBpf(td, c.k) },
	event.Serial:  func(c *Caller, td *machine.Thread) kqueue.File { return device.NewSerial(td, c.k) },
	event.Null:    func(c *Caller, td *machine.Thread) kqueue.File { return device.NewNull(td, c.k) },
	event.Zero:    func(c *Caller, td *machine.Thread) kqueue.File { return device.NewZero(td, c.k) },
	event.URandom: func(c *Caller, td *machine.Thread) kqueue.File { return device.NewURandom(td, c.k) },
	event.Random:  func(c *Caller, td *machine.Thread) kqueue.File { return device.NewRandom(td, c.k) },
}

func (c *Caller) device(td *machine.Thread, op *event.Op) event.Result {
	if int(op.Device) < len(devices) && devices[op.Device] != nil {
		return c.open(td, devices[op.Device](c, td))
	}
	d, err := c.w.Bus.Open(td, op.Device)
	if err == syscall.ENXIO {
		err = syscall.ENOSYS
	}
	if err != nil {
		return fails(err)
	}
	return c.open(td, d)
}

// What the other side of a device does to it. A device has some of them.
type (
	inputter interface {
		Input(td *machine.Thread, n int) (int, error)
	}
	outputter interface {
		Output(td *machine.Thread, n int) (int, error)
	}
	unplugger interface {
		Unplug(td *machine.Thread) error
	}
	controller interface {
		Control(td *machine.Thread, c event.Control, n int64) error
	}
)

// input is an interrupt: the thread that makes the call plays its handler, as one that
// is interrupted does, and must not sleep in it. So is output.
func (c *Caller) input(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(inputter)
	if !ok {
		return fails(syscall.ENODEV)
	}
	td.NoSleep = true
	defer func() { td.NoSleep = false }()
	return number(d.Input(td, int(op.N)))
}

func (c *Caller) output(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(outputter)
	if !ok {
		return fails(syscall.ENODEV)
	}
	td.NoSleep = true
	defer func() { td.NoSleep = false }()
	return number(d.Output(td, int(op.N)))
}

func (c *Caller) unplug(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(unplugger)
	if !ok {
		return fails(syscall.ENODEV)
	}
	return fails(d.Unplug(td))
}

func (c *Caller) control(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	d, ok := f.(controller)
	if !ok {
		return fails(syscall.ENOTTY)
	}
	return fails(d.Control(td, op.Control, op.N))
}
