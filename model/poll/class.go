package poll

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
)

const (
	in  = event.PollIn | event.PollRdNorm
	out = event.PollOut | event.PollWrNorm

	// always is what is told although nobody asks for it.
	always = event.PollErr | event.PollHup | event.PollNval

	// hungUp is what holds of a terminal that is. (hung_up_tty_poll)
	hungUp = in | out | event.PollErr | event.PollHup

	// ready is what holds of a file that is always ready, such as a regular one, or
	// that cannot be watched: no call that names it waits. (DEFAULT_POLLMASK)
	ready = in | out
)

// A class is a row of the table that says what the report of a knote means in
// words of poll(2). Besides, an errno is POLLERR: that of Read and Write is in
// their fflags, that of Except in its data.
type class struct {
	in     event.PollEvents // Read: something can be read
	inEOF  event.PollEvents // Read: with EV_EOF, whether something can be read or not
	out    event.PollEvents // Write: there is room
	outEOF event.PollEvents // Write: with EV_EOF
	hup    event.PollEvents // EV_HUP, of any filter
}

// classes follows pipe_poll, tcp_poll, unix_poll and n_tty_poll of Linux 6.18.
var classes = [event.PollClasses]class{
	event.PollPlain:    {in, event.PollHup, out, out | event.PollHup, event.PollHup},
	event.PollReadEnd:  {in, event.PollHup, 0, 0, event.PollHup},
	event.PollWriteEnd: {0, 0, out, out | event.PollErr, event.PollErr},
	event.PollSocket:   {in, in | event.PollRdHup, out, out, event.PollHup},
	event.PollPty:      {in, event.PollHup, out, out, event.PollHup},
	event.PollTty:      {in, hungUp, out, hungUp, hungUp},
	event.PollAlways:   {in, in, out, out, in | out}, // not asked: see ready
	event.PollUnix:     {in, in | event.PollRdHup, out | event.PollWrBand, out | event.PollWrBand, event.PollHup},
}

// classOf asks a file for its class.
func classOf(f kqueue.File) event.PollClass {
	if c, ok := f.(interface{ PollClass() event.PollClass }); ok {
		return c.PollClass()
	}
	return event.PollPlain
}

// mask returns the conditions that an event reports of a file of the class.
func (c *class) mask(e *event.Kevent) event.PollEvents {
	return c.report(e.Filter, e.Flags, e.Fflags, e.Data)
}

// report returns the conditions that the report of a filter stands for. Without an
// end and without bytes or room it is an error that has fired it.
func (c *class) report(f event.Filter, flags event.Flags, fflags event.Fflags, data int64) (m event.PollEvents) {
	ended := flags&event.EOF != 0
	failed := fflags != 0
	switch f {
	case event.Read:
		if ended && flags&event.NoData == 0 || !ended && (data > 0 || !failed) {
			m = c.in
		}
		if ended {
			m |= c.inEOF
		}
	case event.Write:
		switch {
		case ended:
			m = c.outEOF
		case data > 0 || !failed:
			m = c.out
		}
	default:
		if fflags&event.NoteOOB != 0 {
			m = event.PollPri
		}
		failed = data != 0
	}
	if failed {
		m |= event.PollErr
	}
	if flags&event.HUP != 0 {
		m |= c.hup
	}
	return m
}
