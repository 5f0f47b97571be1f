//go:build linux

package host_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"golang.org/x/sys/unix"
)

// A departure is conditions of which a Poller says something else than poll(2).
type departure struct {
	of  event.PollEvents
	why string
}

var (
	taken       = departure{event.PollErr, "the host has taken the error to report it, and says so ever after; Linux forgets it"}
	unconnected = departure{event.PollIn | event.PollRdHup, "to a kqueue a socket that is not connected, or no more, is at its end"}
	departures  = map[string]departure{
		"pipe, write end, full, no reader":           {event.PollOut, "a write does not wait (package poll)"},
		"UNIX stream, peer closed with bytes unread": taken,
		"TCP, reset":                 taken,
		"UNIX stream, not connected": unconnected,
		"TCP, not connected":         unconnected,
		"TCP, listening, shut":       unconnected,
		"pidfd, ended":               {event.PollIn | event.PollOut, "there is nothing to read, and the end of both directions is that of WRITE too"},
	}
)

// A Poller over real descriptors says of every class what poll(2) says, but for the
// departures, which are there.
func TestPollerOverHost(t *testing.T) {
	for _, c := range classes {
		t.Run(c.what, func(t *testing.T) {
			each(t, func(l *lab) {
				fd, err := c.make(l)
				if err != nil {
					l.Skipf("no such descriptor here: %v", err)
				}
				departs := departures[c.what]
				var differ event.PollEvents
				p := proc.New(l.k)
				n, err := p.Open(l.td, l.h.File(fd))
				l.ok(err)
				poller := poll.New(l.td, l.k, p)
				for _, asked := range []event.PollEvents{event.PollIn | event.PollPri | event.PollOut | event.PollRdHup, event.PollIn, event.PollOut, 0} {
					var got, want event.PollEvents
					for range 1000 { // what the loopback network brings comes a moment later
						if got, want = pollBoth(l, poller, n, fd, asked); (got^want)&^departs.of == 0 {
							break
						}
						unix.Nanosleep(&unix.Timespec{Nsec: 1e4}, nil)
					}
					differ |= got ^ want
					if (got^want)&^departs.of != 0 {
						l.Errorf("asked for %v: %v, poll(2) says %v", asked, got, want)
					}
				}
				if departs.of != 0 && differ == 0 {
					l.Errorf("no difference in %v, and one is listed: %s", departs.of, departs.why)
				}
				l.ok(poller.Close(l.td))
			})
		})
	}
}

// pollBoth asks Linux about descriptor fd, and the Poller about number n for it.
func pollBoth(l *lab, poller *poll.Poller, n, fd int, asked event.PollEvents) (got, want event.PollEvents) {
	l.Helper()
	real := []unix.PollFd{{Fd: int32(fd), Events: int16(asked)}}
	_, err := unix.Poll(real, 0)
	l.ok(err)
	ours := []event.PollFD{{FD: int32(n), Events: asked}}
	_, err = poller.Poll(l.td, ours, 0)
	l.ok(err)
	return ours[0].Revents, event.PollEvents(uint16(real[0].Revents))
}
