package call

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
)

func (c *Caller) epoll(td *machine.Thread, _ *event.Op) event.Result {
	return number(poll.EpollCreate1(td, c.p, 0))
}

func (c *Caller) epollCtl(td *machine.Thread, op *event.Op) event.Result {
	c.asks = poll.EpollEvent{Events: op.Events, Data: op.Udata}
	return fails(poll.EpollCtl(td, c.p, op.FD, op.Ctl, op.To, &c.asks))
}

func (c *Caller) epollWait(td *machine.Thread, op *event.Op) event.Result {
	timeout := c.timeout(op.Wait)
	c.ready = slices.Grow(c.ready[:0], op.Room)[:op.Room]
	n, err := poll.EpollPwait(td, c.p, op.FD, c.ready, timeout, c.masked(op))
	if err != nil {
		return fails(err)
	}
	return c.says(func(i int) event.Polled { return event.Polled{ID: c.ready[i].Data, Events: c.ready[i].Events} }, n)
}
