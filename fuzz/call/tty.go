package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// There is no terminal yet.
func (c *Caller) pty(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) termios(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}
