package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

const (
	// PipeSize is how many bytes a pipe holds.
	PipeSize = 65536

	// PipeBuf is how many bytes Write writes either all or not at all, and the
	// low-water mark of a knote on the write end that does not set its own: who
	// is told that there is room can write so much. (PIPE_BUF)
	PipeBuf = 512
)

// A pipe has a buffer that grows from small to PipeSize, so that ten thousand
// idle pipes cost what they hold, and starts over at its front whenever it runs
// empty, so that a byte to and fro stays on one line of the cache.
type pipe struct {
	// Immutable. The two lists are in one domain, which guards the rest.
	readers kqueue.Source
	writers kqueue.Source

	n       int     // bytes in buf
	w       PipeEnd // beside n: Read looks at no more than the two, which is one line
	r       PipeEnd
	head    int    // where the bytes begin; they wrap round
	buf     []byte // a power of two long
	starved bool   // a write has been refused or cut short since the last read
	small   [64]byte
}

// A PipeEnd is the read end or the write end of an in-process pipe that never
// blocks: pipe(2) with O_NONBLOCK on both ends. It is a [kqueue.File].
//
// The read end knows the filter Read: it is ready when bytes, or the end of
// file, are there to read; data is the bytes. The write end knows Write: ready
// when there is room; data is the room. Either honours NOTE_LOWAT in each
// knote, with marks from 1, the default of Read, to PipeSize.
//
// When the other end is released the knote is ready for good, with EV_EOF, and
// EV_HUP since a pipe of one direction has none left then. The bytes that are in
// the pipe can still be read; EV_NODATA says that there are none. On the write
// end data is 0 then and EV_NODATA is always set. (filt_piperead,
// filt_pipewrite)
//
// Both ends know Except too, which is ready when the other end is released and
// for nothing else: a pipe carries no out-of-band data. The flags are those of the
// end's own filter, data is 0.
type PipeEnd struct {
	p      *pipe
	writes bool // immutable: it is the write end
	gone   bool // guarded by p: released
	srcs   [1]*kqueue.Source
}

var pipes = machine.NewStock[pipe](nil)

// NewPipe makes a pipe, placed by the strategy, and returns its two ends.
func NewPipe(td *machine.Thread, k *kqueue.Kernel) (r, w *PipeEnd) {
	p := pipes.New(td)
	p.readers.Init(td, k)
	p.writers.InitSibling(&p.readers)
	p.buf = p.small[:]
	p.r.p, p.w.p = p, p
	p.w.writes = true
	p.r.srcs[0], p.w.srcs[0] = &p.readers, &p.writers
	return &p.r, &p.w
}

// Read takes up to len(b) bytes from the pipe and returns how many. As with
// read(2), 0 and no error is the end of the file: the write end is gone and
// nothing is left; an empty b is 0 always.
//
// Errors: EAGAIN if the pipe is empty; EBADF on the write end, or once this end
// is released. It may block, as long as entering a domain does, but not for
// data.
func (e *PipeEnd) Read(td *machine.Thread, b []byte) (int, error) {
	p := e.p
	if e.writes {
		return 0, syscall.EBADF
	}
	p.readers.Enter(td)
	n := min(len(b), p.n)
	if n == 0 || e.gone {
		td.Commit(event.Acted)
		err := p.noRead(len(b))
		p.readers.Exit(td)
		return 0, err
	}
	if end := p.head + n; end <= len(p.buf) {
		copy(b, p.buf[p.head:end])
	} else {
		k := copy(b, p.buf[p.head:])
		copy(b[k:n], p.buf)
	}
	room := PipeSize - p.n
	p.n -= n
	p.head = (p.head + n) & (len(p.buf) - 1)
	if p.n == 0 {
		p.head = 0
	}
	// A writer is told when room passes its mark, and not at each byte beyond
	// it: see roomFilter. But a write that found too little room although there
	// was more than the mark waits for any.
	hint := int64(room) + 1
	if p.starved {
		p.starved = false
		hint = 0
	}
	p.writers.Post(td, hint)
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return n, nil
}

// noRead returns what a read of want bytes answers that cannot take any.
func (p *pipe) noRead(want int) error {
	switch {
	case p.r.gone:
		return syscall.EBADF
	case want == 0 || p.w.gone:
		return nil
	}
	return syscall.EAGAIN
}

// Write puts up to len(b) bytes into the pipe and returns how many: all of b if
// there is room; if not, and b is longer than PipeBuf, as many as fit.
//
// Errors: EAGAIN if nothing was written for want of room; EPIPE if the read end
// is gone (there are no signals); EBADF on the read end, or once this end is
// released. It may block, as long as entering a domain does, but not for room.
func (e *PipeEnd) Write(td *machine.Thread, b []byte) (int, error) {
	p := e.p
	if !e.writes {
		return 0, syscall.EBADF
	}
	p.readers.Enter(td)
	n := len(b)
	if n > PipeSize-p.n {
		p.starved = true
		n = PipeSize - p.n
		if len(b) <= PipeBuf {
			n = 0
		}
	}
	if n == 0 || e.gone || p.r.gone {
		td.Commit(event.Acted)
		err := p.noWrite(len(b))
		p.readers.Exit(td)
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
	// Each write posts, for EV_CLEAR as for level-triggered knotes: it is news
	// that more has come, also to a reader that left some of what came before.
	p.readers.Post(td, 0)
	td.Commit(event.Acted)
	p.readers.Exit(td)
	return n, nil
}

// noWrite returns what a write of want bytes answers that cannot put any.
func (p *pipe) noWrite(want int) error {
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

// grow makes the buffer large enough for n bytes, at most PipeSize.
func (p *pipe) grow(n int) {
	size := len(p.buf)
	for size < n {
		size *= 2
	}
	buf := make([]byte, size)
	k := copy(buf, p.buf[p.head:])
	copy(buf[k:], p.buf[:p.head])
	p.buf, p.head = buf, 0
}

// Source returns the list of the end's one direction, with the filter of that or
// Except, EINVAL for any other filter. Except has no list of its own: who asks for
// it alone is asked, and says no, for bytes too, and no other pipe is larger for it.
func (e *PipeEnd) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch {
	case f == event.Read && !e.writes:
		return &e.p.readers, bytesFilter, nil
	case f == event.Write && e.writes:
		return &e.p.writers, roomFilter, nil
	case f == event.Except:
		return e.srcs[0], brokenFilter, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the list of the end's one direction.
func (e *PipeEnd) Sources() []*kqueue.Source { return e.srcs[:] }

// Release closes the end, and tells those who watch the other. Doing so again
// does nothing. It may block. (pipeclose)
func (e *PipeEnd) Release(td *machine.Thread) {
	p := e.p
	p.readers.Enter(td)
	e.gone = true
	if e.writes {
		p.writers.Bare()
		p.readers.Post(td, 0)
	} else {
		p.readers.Bare()
		p.writers.Post(td, 0)
	}
	td.Commit(event.Released)
	p.readers.Exit(td)
}

// bytesFilter is Read on the read end.
var bytesFilter = &kqueue.Filter{
	Name: "pipe read",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		kn.Hook = kn.File().(*PipeEnd).p
		return lowat(kn, kn.Want, kn.WantData, 1, PipeSize)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		return lowat(kn, kev.Fflags, kev.Data, 1, PipeSize)
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		p := kn.Hook.(*pipe)
		kn.Data = int64(p.n)
		if p.w.gone {
			return ended(kn, true, p.n == 0)
		}
		return kn.Data >= kn.WantData
	},
}

// roomFilter is Write on the write end. A read's hint is 1 more than the room
// there was before it: it is news only to a knote whose mark was above that.
// Saying no to a hint takes nothing back from a knote that is posted already.
var roomFilter = &kqueue.Filter{
	Name: "pipe write",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		kn.Hook = kn.File().(*PipeEnd).p
		return lowat(kn, kn.Want, kn.WantData, PipeBuf, PipeSize)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		return lowat(kn, kev.Fflags, kev.Data, PipeBuf, PipeSize)
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		p := kn.Hook.(*pipe)
		if p.r.gone {
			kn.Data = 0
			return ended(kn, true, true)
		}
		kn.Data = int64(PipeSize - p.n)
		return kn.Data >= kn.WantData && hint <= kn.WantData
	},
}

// brokenFilter is Except on either end.
var brokenFilter = exceptional("pipe except", func(e *PipeEnd, kn *kqueue.Knote) bool {
	if e.writes {
		return e.p.r.gone && ended(kn, true, true)
	}
	return e.p.w.gone && ended(kn, true, e.p.n == 0)
})

// PollClass says that a pipe's two ends are told of differently by poll(2).
func (e *PipeEnd) PollClass() event.PollClass {
	if e.writes {
		return event.PollWriteEnd
	}
	return event.PollReadEnd
}
