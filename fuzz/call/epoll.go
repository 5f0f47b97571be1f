package call

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
)

func (c *Caller) epoll(td *machine.Thread, op *event.Op) event.Result {
	return number(poll.EpollCreate1(td, c.p, 0))
}

func (c *Caller) epollCtl(td *machine.Thread, op *event.Op) event.Result {
	ev := poll.EpollEvent{Events: op.Events, Data: op.Udata}
	return fails(poll.EpollCtl(td, c.p, op.FD, op.Ctl, op.To, &ev))
}

func (c *Caller) epollWait(td *machine.Thread, op *event.Op) event.Result {
	items := make([]poll.EpollEvent, op.Room)
	n, err := poll.EpollWait(td, c.p, op.FD, items, c.timeout(op.Wait))
	r := fails(err)
	for _, it := range items[:n] {
		r.Polled = append(r.Polled, event.Polled{ID: it.Data, Events: it.Events})
	}
	return r
}
