package bench

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// An oldPipe is a pipe of model/device, with a selinfo for each end where that
// has a source. It never blocks.
type oldPipe struct {
	k *oldKernel

	// Guarded by giant.

	rsel, wsel selinfo
	n          int
	head       int
	buf        []byte // a power of two long
	r, w       oldEnd
	small      [64]byte
}

// An oldEnd is the read end or the write end of an oldPipe.
type oldEnd struct {
	p      *oldPipe
	writes bool
	gone   bool
}

// pipe makes a pipe and returns its ends, which have no descriptor yet.
func (k *oldKernel) pipe() (r, w *oldEnd) {
	p := &oldPipe{k: k}
	p.buf = p.small[:]
	p.r.p, p.w.p, p.w.writes = p, p, true
	return &p.r, &p.w
}

// Read and Write answer as those of [device.PipeEnd].

func (e *oldEnd) Read(td *machine.Thread, b []byte) (int, error) {
	p := e.p
	if e.writes {
		return 0, syscall.EBADF
	}
	td.Get(p.k.giant)
	n := min(len(b), p.n)
	if n == 0 || e.gone {
		err := p.noRead(len(b))
		td.Put(p.k.giant)
		return 0, err
	}
	if end := p.head + n; end <= len(p.buf) {
		copy(b, p.buf[p.head:end])
	} else {
		k := copy(b, p.buf[p.head:])
		copy(b[k:n], p.buf)
	}
	p.n -= n
	p.head = (p.head + n) & (len(p.buf) - 1)
	if p.n == 0 {
		p.head = 0
	}
	p.k.selwakeup(td, &p.wsel)
	td.Put(p.k.giant)
	return n, nil
}

func (p *oldPipe) noRead(want int) error {
	switch {
	case p.r.gone:
		return syscall.EBADF
	case want == 0 || p.w.gone:
		return nil
	}
	return syscall.EAGAIN
}

func (e *oldEnd) Write(td *machine.Thread, b []byte) (int, error) {
	p := e.p
	if !e.writes {
		return 0, syscall.EBADF
	}
	td.Get(p.k.giant)
	n := len(b)
	if n > device.PipeSize-p.n {
		n = device.PipeSize - p.n
		if len(b) <= device.PipeBuf {
			n = 0
		}
	}
	if n == 0 || e.gone || p.r.gone {
		err := p.noWrite(len(b))
		td.Put(p.k.giant)
		return 0, err
	}
	if p.n+n > len(p.buf) {
		p.grow(p.n + n)
	}
	tail := (p.head + p.n) & (len(p.buf) - 1)
	if k := copy(p.buf[tail:], b[:n]); k < n {
		copy(p.buf, b[k:n])
	}
	p.n += n
	p.k.selwakeup(td, &p.rsel)
	td.Put(p.k.giant)
	return n, nil
}

func (p *oldPipe) noWrite(want int) error {
	switch {
	case p.w.gone:
		return syscall.EBADF
	case p.r.gone:
		return syscall.EPIPE
	case want == 0:
		return nil
	}
	return syscall.EAGAIN
}

func (p *oldPipe) grow(n int) {
	size := len(p.buf)
	for size < n {
		size *= 2
	}
	buf := make([]byte, size)
	k := copy(buf, p.buf[p.head:])
	copy(buf[k:], p.buf[:p.head])
	p.buf, p.head = buf, 0
}

// Release closes the end.
func (e *oldEnd) Release(td *machine.Thread) {
	p := e.p
	td.Get(p.k.giant)
	e.gone = true
	p.k.selwakeup(td, &p.rsel)
	p.k.selwakeup(td, &p.wsel)
	td.Put(p.k.giant)
}

// poll is the pipe's poll function. What holds of an end whose other end is
// gone is as over kqueue, and on Linux. (pipe_poll)
func (e *oldEnd) poll(td *machine.Thread, s *selecter, events event.PollEvents) event.PollEvents {
	p := e.p
	var holds event.PollEvents
	si := &p.rsel
	if e.writes {
		si = &p.wsel
		if p.r.gone {
			holds = event.PollErr
		}
		if p.r.gone || device.PipeSize-p.n >= device.PipeBuf {
			holds |= event.PollOut | event.PollWrNorm
		}
	} else {
		if p.n > 0 {
			holds = event.PollIn | event.PollRdNorm
		}
		if p.w.gone {
			holds |= event.PollHup
		}
	}
	holds &= events | event.PollErr | event.PollHup
	if holds == 0 {
		p.k.selrecord(s, si)
	}
	return holds
}
