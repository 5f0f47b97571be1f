package poll_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/poll"
)

const (
	epin  = event.PollIn
	epout = event.PollOut
	ephup = event.PollHup
	eperr = event.PollErr
	et    = event.EpollET
	once  = event.EpollOneShot
)

// epoll makes an epoll.
func (l *lab) epoll() int {
	l.Helper()
	fd, err := poll.EpollCreate1(l.td, l.p, poll.EpollCloexec)
	l.must(err)
	return fd
}

// ctl does to an item what must succeed.
func (l *lab) ctl(ep int, op event.EpollOp, fd int, events event.PollEvents, data uint64) {
	l.Helper()
	if err := poll.EpollCtl(l.td, l.p, ep, op, fd, &poll.EpollEvent{Events: events, Data: data}); err != nil {
		l.Fatalf("EpollCtl(%d, %d, %d, %v): %v", ep, op, fd, events, err)
	}
}

// waits takes up to room events and expects these.
func (l *lab) waits(ep, room int, want ...poll.EpollEvent) {
	l.Helper()
	got := make([]poll.EpollEvent, room)
	n, err := poll.EpollWait(l.td, l.p, ep, got, 0)
	if err != nil || !slices.Equal(got[:n], want) {
		l.Fatalf("EpollWait: %v, %v; want %v", got[:n], err, want)
	}
}

// An epollCase is a story of an epoll.
type epollCase struct {
	name string
	f    func(l *lab, ep int, p, q pipe)
}

var epollCases = []epollCase{
	{"level: again and again", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.rd, epin, 7)
		l.waits(ep, 4)
		l.write(p, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.read(p, 1)
		l.waits(ep, 4)
	}},
	{"one condition by two names", func(l *lab, ep int, p, q pipe) {
		probe := device.NewProbe(l.td, l.k, device.ProbeConfig{})
		fd := l.open(probe)
		probe.Set(l.td, 1)
		l.ctl(ep, event.EpollAdd, fd, epout, 7)
		l.waits(ep, 4, poll.EpollEvent{epout, 7})
		l.ctl(ep, event.EpollMod, fd, epin|epout, 8)
		l.waits(ep, 4, poll.EpollEvent{epin | epout, 8})
	}},
	{"ET: once for each write", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.rd, epin|et, 7)
		l.write(p, 1)
		l.write(p, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.waits(ep, 4)
		l.write(p, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.ctl(ep, event.EpollMod, p.rd, epin|et, 8)
		l.waits(ep, 4, poll.EpollEvent{epin, 8})
		l.waits(ep, 4)
	}},
	{"ET after MOD, and level after MOD", func(l *lab, ep int, p, q pipe) {
		l.write(p, 1)
		l.ctl(ep, event.EpollAdd, p.rd, epin, 7)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.ctl(ep, event.EpollMod, p.rd, epin|et, 7)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.waits(ep, 4)
		l.ctl(ep, event.EpollMod, p.rd, epin, 7)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
	}},
	{"ONESHOT: once, until it is armed again", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.rd, epin|once, 7)
		l.write(p, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.write(p, 1)
		l.close(p.wr)
		l.waits(ep, 4)
		l.ctl(ep, event.EpollMod, p.rd, epin|once, 8)
		l.waits(ep, 4, poll.EpollEvent{epin | ephup, 8})
		l.waits(ep, 4)
	}},
	{"hang-up and errors without asking", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.rd, 0, 7)
		l.ctl(ep, event.EpollAdd, q.wr, 0, 8)
		l.write(p, 1)
		l.waits(ep, 4)
		l.close(p.wr)
		l.waits(ep, 4, poll.EpollEvent{ephup, 7})
		l.close(q.rd)
		l.waits(ep, 4, poll.EpollEvent{ephup, 7}, poll.EpollEvent{eperr, 8})
	}},
	{"the ready ones take turns", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.wr, epout, 1)
		l.ctl(ep, event.EpollAdd, q.wr, epout, 2)
		for range 3 {
			l.waits(ep, 1, poll.EpollEvent{epout, 1})
			l.waits(ep, 1, poll.EpollEvent{epout, 2})
		}
	}},
	{"a dup keeps an item, which reports for a number that is closed", func(l *lab, ep int, p, q pipe) {
		l.ctl(ep, event.EpollAdd, p.rd, epin, 7)
		dup, err := l.p.Dup(l.td, p.rd)
		l.must(err)
		l.close(p.rd)
		l.write(p, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.must(l.p.Dup2(l.td, q.rd, p.rd)) // the number is another file's
		l.ctl(ep, event.EpollAdd, p.rd, epin, 9)
		l.write(q, 1)
		l.waits(ep, 4, poll.EpollEvent{epin, 7}, poll.EpollEvent{epin, 9})
		l.ctl(ep, event.EpollDel, p.rd, 0, 0)
		l.waits(ep, 4, poll.EpollEvent{epin, 7})
		l.close(dup)
		l.waits(ep, 4)
		if err := poll.EpollCtl(l.td, l.p, ep, event.EpollDel, p.rd, nil); err != syscall.ENOENT {
			l.Errorf("a deleted item is deleted: %v, want ENOENT", err)
		}
	}},
	{"an epoll in an epoll", func(l *lab, ep int, p, q pipe) {
		outer := l.epoll()
		l.ctl(outer, event.EpollAdd, ep, epin, 1)
		l.ctl(ep, event.EpollAdd, p.rd, epin, 2)
		l.waits(outer, 4)
		l.write(p, 1)
		l.waits(outer, 4, poll.EpollEvent{epin, 1})
		l.waits(ep, 4, poll.EpollEvent{epin, 2})
		l.poll([]event.PollFD{{FD: int32(outer), Events: epin}}, epin)
		l.read(p, 1)
		l.poll([]event.PollFD{{FD: int32(outer), Events: epin}}, 0)
		l.waits(outer, 4)
	}},
}

func TestEpoll(t *testing.T) {
	for _, c := range epollCases {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(l *lab) {
				c.f(l, l.epoll(), l.pipe(), l.pipe())
				l.must(l.p.Audit(l.td))
			})
		})
	}
}

func (l *lab) close(fd int) { l.Helper(); l.must(l.p.Close(l.td, fd)) }
