package call

import (
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
)

// A polling is what a thread polls with: a Poller of its own, made by the first
// call that needs it.
type polling struct {
	poller *poll.Poller
	fds    []event.PollFD // scratch of poll
	sets   [3]poll.FDSet  // scratch of select
	polled []event.Polled // of the results so far

	asks  poll.EpollEvent   // scratch of epoll_ctl
	ready []poll.EpollEvent // scratch of epoll_wait

	mask proc.Sigset // of the call under way
}

// Leave ends what the thread polls with, if it has polled: it has done all that it
// does, or sleeps in a call, which answers EBADF then. Td is any thread.
func (c *Caller) Leave(td *machine.Thread) {
	if c.poller != nil {
		c.poller.Close(td)
		c.poller = nil
	}
}

// Polls returns the queue that the thread polls with, nil if it has not polled.
//
//go:norace
func (c *Caller) Polls() *kqueue.Queue {
	if c.poller == nil {
		return nil
	}
	return c.poller.Queue()
}

// with returns the thread's Poller.
func (c *Caller) with(td *machine.Thread) *poll.Poller {
	if c.poller == nil {
		c.poller = poll.New(td, c.k, c.p)
	}
	return c.poller
}

func (c *Caller) poll(td *machine.Thread, op *event.Op) event.Result {
	timeout := c.timeout(op.Wait)
	c.fds = append(c.fds[:0], op.FDs...)
	if _, err := c.with(td).PPoll(td, c.fds, &timeout, c.masked(op)); err != nil {
		return fails(err)
	}
	return c.says(func(i int) event.Polled { return event.Polled{ID: uint64(c.fds[i].FD), Events: c.fds[i].Revents} }, len(c.fds))
}

var setOf = [...]event.PollEvents{event.PollIn, event.PollOut, event.PollPri}

func (c *Caller) selects(td *machine.Thread, op *event.Op) event.Result {
	var sets [3]*poll.FDSet
	for i, set := range setOf {
		c.sets[i].Zero()
		for _, p := range op.FDs {
			if p.FD >= 0 && p.Events&set != 0 {
				c.sets[i].Set(int(p.FD))
				sets[i] = &c.sets[i]
			}
		}
	}
	timeout := c.timeout(op.Wait)
	if _, err := c.with(td).PSelect(td, int(op.N), sets[0], sets[1], sets[2], &timeout, c.masked(op)); err != nil {
		return fails(err)
	}
	return c.says(func(i int) event.Polled {
		p := event.Polled{ID: uint64(op.FDs[i].FD)}
		for j, set := range setOf {
			if int64(op.FDs[i].FD) < op.N && op.FDs[i].Events&set != 0 && c.sets[j].IsSet(int(op.FDs[i].FD)) {
				p.Events |= set
			}
		}
		return p
	}, len(op.FDs))
}

// masked returns the mask of signals that op has for its wait, nil if it has none.
func (c *Caller) masked(op *event.Op) *proc.Sigset {
	if !op.Masked {
		return nil
	}
	c.mask = proc.Sigset(op.Sigs)
	return &c.mask
}

// says is the result of a call that says of n things what holds.
func (c *Caller) says(of func(i int) event.Polled, n int) event.Result {
	from := len(c.polled)
	if from+n > cap(c.polled) { // the results so far keep what they have
		from, c.polled = 0, make([]event.Polled, 0, max(n, 2*cap(c.polled), script.MaxPolled))
	}
	for i := range n {
		if p := of(i); p.Events != 0 {
			c.polled = append(c.polled, p)
		}
	}
	if len(c.polled) == from {
		return event.Result{}
	}
	return event.Result{Polled: c.polled[from:len(c.polled):len(c.polled)]}
}
