package call

import (
	"syscall"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) dup(td *machine.Thread, op *event.Op) event.Result {
	return number(c.p.Dup(td, op.FD))
}

func (c *Caller) dup2(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.p.Dup2(td, op.FD, op.To))
}

func (c *Caller) close(td *machine.Thread, op *event.Op) event.Result {
	return fails(c.p.Close(td, op.FD))
}

// A reader is a file that one can read from, a writer one that one can write to.
type (
	reader interface {
		Read(td *machine.Thread, b []byte) (int, error)
	}
	writer interface {
		Write(td *machine.Thread, b []byte) (int, error)
	}
)

func (c *Caller) read(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	r, ok := f.(reader)
	if !ok {
		return fails(syscall.EINVAL)
	}
	return number(r.Read(td, c.room(op.N)))
}

func (c *Caller) write(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	w, ok := f.(writer)
	if !ok {
		return fails(syscall.EINVAL)
	}
	b := zeros[:op.N]
	if op.Key != event.NoKey && op.N > 0 {
		b = c.room(op.N)
		clear(b)
		b[op.N-1] = op.Key.Byte()
	}
	return number(w.Write(td, b))
}

// room returns memory for n bytes.
func (c *Caller) room(n int64) []byte {
	if int(n) > len(c.bytes) {
		c.bytes = make([]byte, n)
	}
	return c.bytes[:n]
}

// zeros are what is written, but for keys. Only terminals look at what they are given,
// and to them a zero is nothing special.
var zeros [script.MaxBytes]byte
