package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// There is no socket yet.
func (c *Caller) socketpair(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) socket(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) listen(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) connect(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) accept(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) send(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) recv(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) shutdown(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) sockErr(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}
