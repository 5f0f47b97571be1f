package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) pty(td *machine.Thread, op *event.Op) event.Result {
	master, slave := device.NewPty(td, c.k)
	return c.openBoth(td, master, slave)
}

// termios gives a terminal the modes, and of those that scripts have no word for
// what a raw terminal has.
func (c *Caller) termios(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	terminal, ok := f.(interface {
		SetModes(*machine.Thread, device.Modes) error
	})
	if !ok {
		return fails(syscall.ENOTTY)
	}
	return fails(terminal.SetModes(td, device.Modes{
		Canonical: op.Modes&event.Canonical != 0, Echo: op.Modes&event.Echo != 0, Min: 1,
	}))
}
