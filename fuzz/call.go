package fuzz

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// A caller carries out operations for one thread.
type caller struct {
	k     *kqueue.Kernel
	p     *proc.Process
	rng   rand.PCG       // of what an operation leaves open
	kept  []event.Kevent // of the results so far
	bytes []byte
}

func (c *caller) do(td *machine.Thread, op *event.Op) event.Result {
	switch op.Call {
	case event.Kqueue:
		return number(c.p.Kqueue(td))
	case event.MakePipe:
		return c.pipe(td)
	case event.MakeProbe:
		return number(c.p.Open(td, device.NewProbe(td, c.k, device.ProbeConfig{Blocks: op.Manner&event.Blocks != 0, Unsafe: op.Manner&event.Unsafe != 0})))
	case event.Set:
		return c.set(td, op)
	case event.ReadPipe, event.WritePipe:
		return c.transfer(td, op)
	case event.Dup:
		return number(c.p.Dup(td, op.FD))
	case event.Dup2:
		return number(0, c.p.Dup2(td, op.FD, op.To))
	case event.Close:
		return number(0, c.p.Close(td, op.FD))
	case event.Poll:
		return c.poll(td, op)
	}
	return number(0, syscall.ENOSYS)
}

// number is the result of a call that answers one, or fails.
func number(n int, err error) event.Result {
	if err == nil {
		return event.Result{N: int64(n)}
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		panic("fuzz: an error without a number: " + err.Error())
	}
	return event.Result{Errno: errno}
}

func (c *caller) pipe(td *machine.Thread) event.Result {
	r, w := device.NewPipe(td, c.k)
	a, err := c.p.Open(td, r)
	if err != nil {
		return number(0, err)
	}
	b, err := c.p.Open(td, w)
	if err != nil {
		return number(0, err)
	}
	return event.Result{N: int64(a), N2: int64(b)}
}

func (c *caller) set(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return number(0, err)
	}
	probe, ok := f.(*device.Probe)
	if !ok {
		return number(0, syscall.EINVAL)
	}
	probe.Set(td, op.N)
	return event.Result{}
}

func (c *caller) transfer(td *machine.Thread, op *event.Op) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return number(0, err)
	}
	end, ok := f.(*device.PipeEnd)
	if !ok {
		return number(0, syscall.EINVAL)
	}
	if op.Call == event.WritePipe {
		return number(end.Write(td, zeros[:op.N]))
	}
	if int(op.N) > len(c.bytes) {
		c.bytes = make([]byte, op.N)
	}
	return number(end.Read(td, c.bytes[:op.N]))
}

func (c *caller) poll(td *machine.Thread, op *event.Op) event.Result {
	var timeout time.Duration
	switch op.Wait {
	case event.Finite:
		// Short ones race with what the other threads do, long ones let them win.
		timeout = time.Microsecond << (c.rng.Uint64() % 8)
	case event.Forever:
		timeout = kqueue.Forever
	}
	from := len(c.kept)
	if from+op.Room > cap(c.kept) { // the results so far keep what they have
		from, c.kept = 0, make([]event.Kevent, 0, max(op.Room, 2*cap(c.kept), script.MaxRoom))
	}
	n, err := c.p.Kevent(td, op.FD, op.Changes, c.kept[from:from+op.Room], timeout)
	if err != nil {
		return number(0, err)
	}
	if n == 0 {
		return event.Result{}
	}
	c.kept = c.kept[:from+n]
	return event.Result{Events: c.kept[from:len(c.kept):len(c.kept)]}
}

// zeros are what is written. Nobody looks at what a pipe holds.
var zeros [script.MaxBytes]byte
