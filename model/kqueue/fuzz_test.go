package kqueue_test

import (
	"encoding/binary"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// documented are the errors that any call of the fuzzer may have.
var documented = map[syscall.Errno]bool{
	syscall.EBADF: true, syscall.EINVAL: true, syscall.ENOENT: true, syscall.ELOOP: true,
	syscall.EMFILE: true, syscall.EAGAIN: true, syscall.EPIPE: true,
	syscall.ESRCH: true, // PROC
}

// A tape is the fuzzer's input, read as numbers; beyond its end all are 0.
type tape []byte

func (b *tape) byte() byte {
	if len(*b) == 0 {
		return 0
	}
	x := (*b)[0]
	*b = (*b)[1:]
	return x
}

func (b *tape) wide() uint64 {
	var x [8]byte
	*b = (*b)[copy(x[:], *b):]
	return binary.LittleEndian.Uint64(x[:])
}

// number is small most of the time, and anything at times.
func (b *tape) number() uint64 {
	if x := b.byte(); x < 240 {
		return uint64(x % 16)
	}
	return b.wide()
}

func (b *tape) kevent() event.Kevent {
	kev := event.Kevent{Ident: b.number(), Udata: uint64(b.byte())}
	if x := b.byte(); x < 250 {
		kev.Filter = []event.Filter{event.Read, event.Write, event.Timer, event.User, event.Except}[x%5]
	} else {
		kev.Filter = event.Filter(b.wide())
	}
	if x := b.byte(); x < 240 {
		kev.Flags = []event.Flags{event.Add, event.Add, event.Add, event.Delete, event.Enable, event.Disable, 0, event.Add | event.Receipt}[x%8]
		kev.Flags |= []event.Flags{0, event.Clear, event.OneShot, event.Dispatch, event.Clear | event.Dispatch, event.Disable}[x/8%6]
	} else {
		kev.Flags = event.Flags(b.wide())
	}
	if x := b.byte(); x < 240 {
		kev.Fflags = []event.Fflags{0, 0, event.NoteLowat, event.NoteTrigger, event.NoteAbsTime, event.NoteNSeconds, event.NoteFFCopy | event.NoteTrigger | 5, event.NoteUSeconds}[x%8]
	} else {
		kev.Fflags = event.Fflags(b.wide())
	}
	kev.Data = int64(b.number())
	return kev
}

// FuzzKevent makes system calls with arbitrary arguments, in any order, under
// each strategy: none panics, none waits with a timeout of 0, and each error is
// one that is documented.
func FuzzKevent(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 2, 3, 4, 1, 0, 1, 0, 0, 5, 1, 9, 0, 0, 0, 0, 6, 2})
	f.Add([]byte("\x04\x00\x01\x04\x00\x00\x02\x01\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x06\x00\x01\x01\x00\x00\x00\x00\x06\x01\x01\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1000 {
			return
		}
		for _, e := range strategies.All {
			m := machine.Native(2)
			k := kqueue.New(m, e.New(m))
			device.Install(k)
			c := &caller{t: t, name: e.Name, k: k, p: proc.New(k)}
			// Two threads, one after the other, so that there are objects of
			// either CPU.
			b := tape(input)
			for cpu := 0; len(b) > 0; cpu = 1 - cpu {
				part := b[:min(len(b), 200)]
				b = b[len(part):]
				c.run(m, cpu, func(td *machine.Thread) {
					for len(part) > 0 {
						c.call(td, &part)
					}
				})
			}
			c.run(m, 0, func(td *machine.Thread) {
				for fd := range 300 {
					c.err("close", c.p.Close(td, fd))
				}
			})
		}
	})
}

// A caller makes calls, and looks at what they answer.
type caller struct {
	t    *testing.T
	name string
	k    *kqueue.Kernel
	p    *proc.Process
}

func (c *caller) run(m *machine.Machine, cpu int, f func(td *machine.Thread)) {
	m.Go("caller", cpu, f)
	if err := m.Run(); err != nil {
		c.t.Fatalf("%s: a call that may not wait: %v", c.name, err)
	}
}

func (c *caller) err(what string, err error) {
	if err == nil {
		return
	}
	if e, ok := err.(syscall.Errno); !ok || !documented[e] {
		c.t.Errorf("%s: %s: %v", c.name, what, err)
	}
}

func (c *caller) call(td *machine.Thread, b *tape) {
	var err error
	switch b.byte() % 12 {
	case 0:
		_, err = c.p.Kqueue(td)
	case 1:
		_, err = c.p.Open(td, device.NewProbe(td, c.k, device.ProbeConfig{Unsafe: b.byte()%2 == 1}))
	case 2:
		r, w := device.NewPipe(td, c.k)
		_, err = c.p.Open(td, r)
		c.err("open", err)
		_, err = c.p.Open(td, w)
	case 3:
		_, err = c.p.Dup(td, int(b.byte()%16))
	case 4:
		err = c.p.Dup2(td, int(b.byte()%16), int(b.byte()%32)-1)
	case 5:
		err = c.p.Close(td, int(b.byte()%16)-1)
	case 6:
		c.move(td, b)
	default:
		c.kevent(td, b)
	}
	c.err("call", err)
}

// move changes the state of something that is watched.
func (c *caller) move(td *machine.Thread, b *tape) {
	f, err := c.p.File(td, int(b.byte()%16))
	c.err("file", err)
	n := int(b.number() % 70000)
	switch f := f.(type) {
	case *device.Probe:
		f.Set(td, int64(n))
	case *device.PipeEnd:
		_, err = f.Write(td, make([]byte, n))
		c.err("write", err)
		_, err = f.Read(td, make([]byte, n/2))
		c.err("read", err)
	}
}

func (c *caller) kevent(td *machine.Thread, b *tape) {
	kq := int(b.byte()%16) - 1
	shape := b.byte()
	changes := make([]event.Kevent, shape%4)
	for i := range changes {
		changes[i] = b.kevent()
	}
	events := make([]event.Kevent, shape/4%5)
	n, err := c.p.Kevent(td, kq, changes, events, 0)
	c.err("kevent", err)
	if n < 0 || n > len(events) {
		c.t.Fatalf("%s: kevent with room for %d returned %d", c.name, len(events), n)
	}
	type key struct {
		ident uint64
		f     event.Filter
	}
	seen := map[key]bool{}
	for _, e := range events[:n] {
		if e.Flags == event.Error {
			if e.Data != 0 {
				c.err("change", syscall.Errno(e.Data))
			}
			continue
		}
		if k := (key{e.Ident, e.Filter}); seen[k] {
			c.t.Errorf("%s: one call returned %v twice", c.name, e)
		} else {
			seen[k] = true
		}
	}
}

// TestErrnos goes through the wrong arguments of Kevent that no descriptor
// table stands in front of; the rest is a transcript of strategytest.
func TestErrnos(t *testing.T) {
	add := event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add}
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			m := machine.Native(1)
			k := kqueue.New(m, e.New(m))
			bare := kqueue.New(m, e.New(m)) // nothing installed
			device.Install(k)
			m.Go("caller", 0, func(td *machine.Thread) {
				closed := k.NewQueue(td, nil)
				if err := closed.Close(td); err != nil {
					t.Errorf("Close: %v", err)
				}
				for _, tt := range []struct {
					what    string
					q       *kqueue.Queue
					kev     event.Kevent
					timeout time.Duration
					want    error
				}{
					{"a nil queue", nil, add, 0, syscall.EBADF},
					{"a closed queue", closed, add, 0, syscall.EBADF},
					{"a negative timeout", k.NewQueue(td, nil), add, -1, syscall.EINVAL},
					{"the least timeout", k.NewQueue(td, nil), add, -1 << 63, syscall.EINVAL},
					{"a queue without descriptors", k.NewQueue(td, nil), event.Kevent{Filter: event.Read, Flags: event.Add}, 0, syscall.EBADF},
					{"a filter that is not installed", bare.NewQueue(td, nil), add, 0, syscall.EINVAL},
					{"filter 0", k.NewQueue(td, nil), event.Kevent{Flags: event.Add}, 0, syscall.EINVAL},
					{"no action on what is not there", k.NewQueue(td, nil), event.Kevent{Filter: event.User}, 0, syscall.ENOENT},
					{"nothing wrong", k.NewQueue(td, nil), add, kqueue.Forever, nil},
				} {
					n, err := tt.q.Kevent(td, []event.Kevent{tt.kev}, nil, tt.timeout)
					if n != 0 || err != tt.want {
						t.Errorf("%s: %d, %v, want 0, %v", tt.what, n, err, tt.want)
					}
				}
				if err := closed.Close(td); err != syscall.EBADF {
					t.Errorf("Close of a closed queue: %v, want EBADF", err)
				}
				var none *kqueue.Queue
				if err := none.Close(td); err != syscall.EBADF {
					t.Errorf("Close of a nil queue: %v, want EBADF", err)
				}
			})
			if err := m.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
