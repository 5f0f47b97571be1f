package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// There is no epoll(7) yet.
func (c *Caller) epoll(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) epollCtl(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}

func (c *Caller) epollWait(*machine.Thread, *event.Op) event.Result {
	return fails(syscall.ENOSYS)
}
