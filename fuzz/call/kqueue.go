package call

import (
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) kqueue(td *machine.Thread, _ *event.Op) event.Result {
	return number(c.p.Kqueue(td))
}

func (c *Caller) kevent(td *machine.Thread, op *event.Op) event.Result {
	timeout := c.timeout(op.Wait)
	from := len(c.events)
	if from+op.Room > cap(c.events) { // the results so far keep what they have
		from, c.events = 0, make([]event.Kevent, 0, max(op.Room, 2*cap(c.events), script.MaxRoom))
	}
	n, err := c.p.Kevent(td, op.FD, op.Changes, c.events[from:from+op.Room], timeout)
	if err != nil {
		return fails(err)
	}
	if n == 0 {
		return event.Result{}
	}
	c.events = c.events[:from+n]
	return event.Result{Events: c.events[from:len(c.events):len(c.events)]}
}
