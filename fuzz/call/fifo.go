package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// There is no fifo yet.
func (c *Caller) fifo(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) reopen(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}
