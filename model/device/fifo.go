package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// An Access is what a file is open for.
type Access uint8

// The accesses. (O_RDONLY, O_WRONLY, O_RDWR)
const (
	ToRead Access = 1 << iota
	ToWrite

	ToReadAndWrite = ToRead | ToWrite
)

// A named is the fifo that its opens have in common.
type named struct {
	// Immutable. The two lists are in one domain, which guards the rest.
	readers kqueue.Source
	writers kqueue.Source

	opens   [3]int // by Access - 1: how many there are
	left    uint64 // how often the last writer has gone
	starved bool   // a write has been refused or cut short since the last read
	bytes   ring
}

// A Fifo is one open of an in-process fifo, to read, to write or both, that never
// blocks: open(2) of a named pipe with O_NONBLOCK. It is a [kqueue.File]. What it
// holds, and the conditions Read and Write, are those of a pipe, see [PipeEnd];
// an open that reads and writes has both. But the other end may come back:
//
// A reader is at the end of the file while there is no writer, if there has been
// one since it opened. A knote has EV_EOF and EV_HUP then, as a pipe's has, and
// EV_NODATA if nothing is left. When a writer comes the condition is over; that is
// no event. A reader that has seen no writer yet waits for one: it has no event,
// though read(2) answers that the file ends. So it is in kqueue(2), "when the last
// writer disconnects, the filter will set EV_EOF", in Linux's poll, and in FreeBSD
// since 2020 (D24528). DragonFly's fifo_open marks the socket at the end from the
// start, so there EV_EOF comes before the first writer; that is a departure from
// the manual page, and its own fifo_poll hides it.
//
// A writer is hung up while there is no reader. When one comes that is an event, if
// there is room. What was written and not read is still there for it, as long as
// there is one open of any sort.
//
// All opens know Except, which is ready while the open is hung up. One that reads
// and writes never is.
type Fifo struct {
	f    *named
	mode Access // immutable
	gone bool   // guarded by f: released
	seen uint64 // guarded by f: left when it was opened
	srcs [2]*kqueue.Source
}

var (
	fifos = machine.NewStock(func(f *named) { *f = named{bytes: f.bytes.again()} })
	ends  = machine.NewStock[Fifo](nil)
)

// NewFifo makes a fifo, placed by the strategy, and opens it to read and write,
// which needs nobody at the other end.
func NewFifo(td *machine.Thread, k *kqueue.Kernel) *Fifo {
	f := fifos.New(td)
	f.readers.Init(td, k)
	f.writers.InitSibling(&f.readers)
	f.opens[ToReadAndWrite-1] = 1
	return f.open(td, ToReadAndWrite)
}

// open returns an open that has been counted.
func (f *named) open(td *machine.Thread, mode Access) *Fifo {
	e := ends.New(td)
	e.f, e.mode, e.seen = f, mode, f.left
	switch mode {
	case ToRead:
		e.srcs = [2]*kqueue.Source{&f.readers}
	case ToWrite:
		e.srcs = [2]*kqueue.Source{&f.writers}
	default:
		e.srcs = [2]*kqueue.Source{&f.readers, &f.writers}
	}
	return e
}

// sum returns how many opens have the access.
func (f *named) sum(a Access) int { return f.opens[a-1] + f.opens[ToReadAndWrite-1] }

// Reopen opens the same fifo once more. A first reader is news to the writers.
//
// Errors: ENXIO to write alone if nobody has it open to read; EINVAL if mode is no
// access; EBADF if this open has been released. It may block, as long as entering
// a domain does. (fifo_open)
func (e *Fifo) Reopen(td *machine.Thread, mode Access) (*Fifo, error) {
	f := e.f
	f.readers.Enter(td)
	defer f.readers.Exit(td)
	td.Commit(event.Acted)
	switch {
	case e.gone:
		return nil, syscall.EBADF
	case mode < ToRead || mode > ToReadAndWrite:
		return nil, syscall.EINVAL
	case mode == ToWrite && f.sum(ToRead) == 0:
		return nil, syscall.ENXIO
	}
	first := mode&ToRead != 0 && f.sum(ToRead) == 0
	f.opens[mode-1]++
	o := f.open(td, mode)
	if first {
		f.writers.Post(td, 0)
	}
	return o, nil
}

// Read is [PipeEnd.Read], but EBADF is for what is not open to read, or has been
// released; 0 and no error is that there is no writer and nothing to read.
func (e *Fifo) Read(td *machine.Thread, b []byte) (int, error) {
	f := e.f
	if e.mode&ToRead == 0 {
		return 0, syscall.EBADF
	}
	f.readers.Enter(td)
	if f.bytes.n == 0 || len(b) == 0 || e.gone {
		td.Commit(event.Acted)
		err := e.noRead(len(b))
		f.readers.Exit(td)
		return 0, err
	}
	room := PipeSize - f.bytes.n
	n := f.bytes.take(b)
	hint := int64(room) + 1 // see roomFilter
	if f.starved {
		f.starved = false
		hint = 0
	}
	f.writers.Post(td, hint)
	td.Commit(event.Acted)
	f.readers.Exit(td)
	return n, nil
}

// noRead returns what a read of want bytes answers that cannot take any.
func (e *Fifo) noRead(want int) error {
	switch {
	case e.gone:
		return syscall.EBADF
	case want == 0 || e.f.sum(ToWrite) == 0:
		return nil
	}
	return syscall.EAGAIN
}

// Write is [PipeEnd.Write], but EBADF is for what is not open to write, or has been
// released.
func (e *Fifo) Write(td *machine.Thread, b []byte) (int, error) {
	f := e.f
	if e.mode&ToWrite == 0 {
		return 0, syscall.EBADF
	}
	f.readers.Enter(td)
	n := len(b)
	if n > PipeSize-f.bytes.n && !e.gone && f.sum(ToRead) > 0 {
		f.starved = true
		n = PipeSize - f.bytes.n
		if len(b) <= PipeBuf {
			n = 0
		}
	}
	if n == 0 || e.gone || f.sum(ToRead) == 0 {
		td.Commit(event.Acted)
		err := e.noWrite(len(b))
		f.readers.Exit(td)
		return 0, err
	}
	f.bytes.put(b[:n])
	f.readers.Post(td, 0)
	td.Commit(event.Acted)
	f.readers.Exit(td)
	return n, nil
}

// noWrite returns what a write of want bytes answers that cannot put any.
func (e *Fifo) noWrite(want int) error {
	switch {
	case e.gone:
		return syscall.EBADF
	case e.f.sum(ToRead) == 0:
		return syscall.EPIPE
	case want == 0:
		return nil
	}
	return syscall.EAGAIN
}

// Source returns the list and the filter of f, EINVAL for one that the open has no
// access for.
func (e *Fifo) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch {
	case f == event.Read && e.mode&ToRead != 0:
		return &e.f.readers, fifoBytes, nil
	case f == event.Write && e.mode&ToWrite != 0:
		return &e.f.writers, fifoRoom, nil
	case f == event.Except:
		return e.srcs[0], fifoHungUp, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the lists of the fifo that the open has access for.
func (e *Fifo) Sources() []*kqueue.Source {
	if e.mode == ToReadAndWrite {
		return e.srcs[:]
	}
	return e.srcs[:1]
}

// Release closes the open, and tells those at the other end if it was the last at
// this. What nobody has read goes with the last open of all. Doing so again does
// nothing. It may block. (fifo_close)
func (e *Fifo) Release(td *machine.Thread) {
	f := e.f
	f.readers.Enter(td)
	if !e.gone {
		e.gone = true
		f.opens[e.mode-1]--
		if e.mode&ToWrite != 0 && f.sum(ToWrite) == 0 {
			f.left++
			f.readers.Post(td, 0)
		}
		if e.mode&ToRead != 0 && f.sum(ToRead) == 0 {
			f.writers.Post(td, 0)
		}
	}
	if f.opens == [3]int{} {
		f.readers.Bare()
		f.writers.Bare()
		f.bytes.cut(f.bytes.n)
	}
	td.Commit(event.Released)
	f.readers.Exit(td)
}

// hungUp reports whether e is at the end of the file, if it asks to read, or has
// nobody to write to, and tells a knote so.
func (e *Fifo) hungUp(kn *kqueue.Knote, to Access) bool {
	f := e.f
	kn.Cond = 0
	switch {
	case to == ToRead && f.sum(ToWrite) == 0 && e.seen != f.left:
		return ended(kn, true, f.bytes.n == 0)
	case to == ToWrite && f.sum(ToRead) == 0:
		return ended(kn, true, true)
	}
	return false
}

// fifoBytes is Read.
var fifoBytes = marked("fifo read", 1, PipeSize, fileOf[*Fifo], func(e *Fifo, kn *kqueue.Knote, hint int64) bool {
	kn.Data = int64(e.f.bytes.n)
	return e.hungUp(kn, ToRead) || kn.Data >= kn.WantData
})

// fifoRoom is Write. For the hint see roomFilter.
var fifoRoom = marked("fifo write", PipeBuf, PipeSize, fileOf[*Fifo], func(e *Fifo, kn *kqueue.Knote, hint int64) bool {
	if e.hungUp(kn, ToWrite) {
		kn.Data = 0
		return true
	}
	kn.Data = int64(PipeSize - e.f.bytes.n)
	return kn.Data >= kn.WantData && hint <= kn.WantData
})

// fifoHungUp is Except. An open that reads and writes is never hung up.
var fifoHungUp = exceptional("fifo except", func(e *Fifo, kn *kqueue.Knote) bool {
	return e.mode != ToReadAndWrite && e.hungUp(kn, e.mode)
})

// PollClass is that of a pipe's end, unless the open is both ends.
func (e *Fifo) PollClass() event.PollClass {
	switch e.mode {
	case ToRead:
		return event.PollReadEnd
	case ToWrite:
		return event.PollWriteEnd
	}
	return event.PollPlain
}
