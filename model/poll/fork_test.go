package poll_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
)

// An epoll is inherited, as a kqueue is not: the child's descriptor is one more of the same
// epoll. An item is of a file, and goes with the last descriptor of that, which a child may
// have; where the parent has closed its own the item cannot be named any more. (epoll(7))
func TestEpollForked(t *testing.T) {
	each(t, func(l *lab) {
		ep, p := l.epoll(), l.pipe()
		l.ctl(ep, event.EpollAdd, p.rd, epin, 7)
		l.write(p, 1)
		c, err := l.p.Fork(l.td)
		l.must(err)
		l.close(p.rd)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		if err := poll.EpollCtl(l.td, l.p, ep, event.EpollDel, p.rd, nil); err != syscall.EBADF {
			t.Errorf("to remove an item whose number is closed: %v, want EBADF", err)
		}
		got := make([]poll.EpollEvent, 4)
		if n, err := poll.EpollWait(l.td, c, ep, got, 0); n != 1 || err != nil || got[0] != (poll.EpollEvent{epin, 7}) {
			t.Errorf("the child's EpollWait: %v, %v", got[:n], err)
		}
		l.must(l.p.Audit(l.td))
		l.must(c.Exec(l.td))
		if _, err := poll.EpollWait(l.td, c, ep, got, 0); err != syscall.EBADF { // it was made with EpollCloexec
			t.Errorf("the child's EpollWait after exec: %v, want EBADF", err)
		}
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.must(c.Exit(l.td, proc.Exited(0)))
		l.waits(ep, 4)
		l.must(l.p.Audit(l.td))
	})
}
