package linearizability

import (
	"fmt"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// allowsPolls is allows for the steps of polls and epolls, "" for any other.
func (v *view) allowsPolls(s state, c *progress, p *part) string {
	op := p.rec.Op
	switch {
	case p.does == looked || p.does == unready:
		return s.allowsLook(c, p)
	case p.does == act && op.Call == event.CallEpollCtl:
		errno := c.missing
		if errno == 0 {
			errno = c.errno
		}
		if errno == 0 {
			errno = s.Control(c.epoll, c.found, op)
		}
		return only(errno)
	case op.Call != event.CallEpollWait:
		return ""
	}
	has := s.ItemWords(c.queue, int(v.key.ident))
	switch p.does {
	case enter:
		_, errno := s.EnterEpoll(op.FD, op.Room)
		return only(errno)
	case took:
		if s.ready(c.queue, v.key) {
			return "only what holds now: " + has
		}
		return "only that it does not return the item: " + has
	case passed, asleep:
		verb := map[does]string{passed: "that it ", asleep: "that it wakes and "}[p.does]
		if s.Closed(c.queue) {
			return verb + "answers `EBADF`: the epoll is closed"
		}
		return verb + "returns the item, which is ready: " + has
	case leave:
		return "what is ready, or nothing: no errno, for there is nothing wrong with what is asked"
	}
	return ""
}

func (s *state) allowsLook(c *progress, p *part) string {
	verb := "only "
	if p.does == unready {
		verb = "that it wakes and says "
	}
	if c.errno != 0 {
		if p.rec.Op.Call == event.CallSelect {
			return only(syscall.EBADF) + fmt.Sprintf(": there is no descriptor %d", p.fd)
		}
		return fmt.Sprintf("%s`%v`: there is no descriptor %d", verb, event.PollNval, p.fd)
	}
	m, ok := s.LookAt(c.found, p.rec.Op, p.rec.Op.FDs[p.entry])
	switch {
	case !ok:
		return fmt.Sprintf("only `%v`, or nothing: descriptor %d has been closed", event.PollNval, p.fd)
	case m == 0:
		return fmt.Sprintf("only that nothing of what is asked holds of descriptor %d", p.fd)
	}
	return fmt.Sprintf("%s`%v` of descriptor %d", verb, m, p.fd)
}
