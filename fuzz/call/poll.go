package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// There is no poll(2) yet, nor select(2).
func (c *Caller) poll(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) selects(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}
