package poll_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/event"
)

const (
	in   = event.PollIn
	out  = event.PollOut
	hup  = event.PollHup
	perr = event.PollErr
	nval = event.PollNval
	norm = event.PollRdNorm
)

func TestPollPipe(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		fds := []event.PollFD{{FD: int32(p.rd), Events: in}, {FD: int32(p.wr), Events: out}}
		l.poll(fds, 0, out)
		l.write(p, 1)
		l.poll(fds, in, out)
		l.poll(fds, in, out)
		l.read(p, 1)
		l.fill(p)
		l.poll(fds, in, 0)
		l.read(p, 65536)
		l.poll(fds, 0, out)
		fds[0].Events = in | norm
		l.poll(fds, 0, out)
		l.write(p, 1)
		l.poll(fds, in|norm, out)
		l.must(l.p.Close(l.td, p.wr))
		l.poll(fds, in|norm|hup, nval)
		l.read(p, 1)
		l.poll(fds, hup, nval)
		l.must(l.p.Close(l.td, p.rd))
		l.poll(fds, nval, nval)
	})
}
