package device_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

const (
	size = device.PipeSize
	buf  = device.PipeBuf
)

// A pipeLab is a pipe between two descriptors, both watched or not.
type pipeLab struct {
	*lab
	r, w     *device.PipeEnd
	rfd, wfd uint64
}

func newPipeLab(l *lab) *pipeLab {
	p := &pipeLab{lab: l}
	p.r, p.w = device.NewPipe(l.td, l.k)
	p.rfd, p.wfd = l.open(p.r), l.open(p.w)
	return p
}

func (p *pipeLab) close(fd uint64) { p.Helper(); p.must(p.p.Close(p.td, int(fd))) }

// write expects a write of n bytes to put put of them.
func (p *pipeLab) write(n, put int, err error) {
	p.Helper()
	if got, e := p.w.Write(p.td, make([]byte, n)); got != put || e != err {
		p.Fatalf("write of %d: %d, %v, want %d, %v", n, got, e, put, err)
	}
}

// read expects a read of n bytes to take took of them.
func (p *pipeLab) read(n, took int, err error) {
	p.Helper()
	if got, e := p.r.Read(p.td, make([]byte, n)); got != took || e != err {
		p.Fatalf("read of %d: %d, %v, want %d, %v", n, got, e, took, err)
	}
}

// to is a change to the read end, if f is Read, or to the write end.
func (p *pipeLab) to(f event.Filter, flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
	fd := p.rfd
	if f == event.Write {
		fd = p.wfd
	}
	return event.Kevent{Ident: fd, Filter: f, Flags: flags, Fflags: fflags, Data: data}
}

func (p *pipeLab) readable(flags event.Flags, n int64) event.Kevent {
	return p.to(event.Read, flags, 0, n)
}

func (p *pipeLab) writable(flags event.Flags, room int64) event.Kevent {
	return p.to(event.Write, flags, 0, room)
}

func TestPipe(t *testing.T) {
	tests := []struct {
		what string
		do   func(p *pipeLab)
	}{
		{"an empty pipe cannot be read", func(p *pipeLab) { p.read(1, 0, syscall.EAGAIN) }},
		{"a read of nothing reads nothing", func(p *pipeLab) { p.read(0, 0, nil) }},
		{"a write of nothing writes nothing", func(p *pipeLab) { p.write(0, 0, nil) }},
		{"what is written is read, in part and in whole", func(p *pipeLab) {
			p.write(10, 10, nil)
			p.read(4, 4, nil)
			p.write(3, 3, nil)
			p.read(100, 9, nil)
			p.read(1, 0, syscall.EAGAIN)
		}},
		{"it holds so much", func(p *pipeLab) {
			p.write(size, size, nil)
			p.write(1, 0, syscall.EAGAIN)
			p.write(size, 0, syscall.EAGAIN)
			p.write(0, 0, nil)
			p.read(size+1, size, nil)
			p.write(size+1, size, nil)
		}},
		{"a long write is cut short", func(p *pipeLab) {
			p.write(size-10, size-10, nil)
			p.write(buf+1, 10, nil)
		}},
		{"a short write is not", func(p *pipeLab) {
			p.write(size-10, size-10, nil)
			p.write(11, 0, syscall.EAGAIN)
			p.write(buf, 0, syscall.EAGAIN)
			p.write(10, 10, nil)
		}},
		{"the ends have one direction", func(p *pipeLab) {
			if n, err := p.r.Write(p.td, []byte{1}); n != 0 || err != syscall.EBADF {
				p.Errorf("write on the read end: %d, %v", n, err)
			}
			if n, err := p.w.Read(p.td, []byte{1}); n != 0 || err != syscall.EBADF {
				p.Errorf("read on the write end: %d, %v", n, err)
			}
		}},
		{"without a writer there is an end of file, after the data", func(p *pipeLab) {
			p.write(3, 3, nil)
			p.close(p.wfd)
			p.read(0, 0, nil)
			p.read(2, 2, nil)
			p.read(2, 1, nil)
			p.read(2, 0, nil)
			p.read(2, 0, nil)
		}},
		{"without a reader it is broken", func(p *pipeLab) {
			p.write(3, 3, nil)
			p.close(p.rfd)
			p.write(1, 0, syscall.EPIPE)
			p.write(0, 0, syscall.EPIPE)
			p.write(2*size, 0, syscall.EPIPE)
		}},
		{"a released end is none", func(p *pipeLab) {
			p.write(3, 3, nil)
			p.close(p.rfd)
			p.read(1, 0, syscall.EBADF)
			p.read(0, 0, syscall.EBADF)
			p.close(p.wfd)
			p.write(1, 0, syscall.EBADF)
			p.write(0, 0, syscall.EBADF)
			p.w.Release(p.td)
		}},

		{"READ: bytes", func(p *pipeLab) {
			p.change(p.to(event.Read, event.Add, 0, 0), nil)
			p.expect()
			p.write(5, 5, nil)
			p.expect(p.readable(0, 5))
			p.read(2, 2, nil)
			p.expect(p.readable(0, 3))
			p.read(3, 3, nil)
			p.expect()
		}},
		{"READ with EV_CLEAR: each write is news", func(p *pipeLab) {
			p.write(1, 1, nil)
			p.change(p.to(event.Read, event.Add|event.Clear, 0, 0), nil)
			p.expect(p.readable(event.Clear, 1))
			p.expect()
			p.write(1, 1, nil)
			p.expect(p.readable(event.Clear, 2))
			p.write(1, 1, nil)
			p.write(1, 1, nil)
			p.expect(p.readable(event.Clear, 4))
			p.read(1, 1, nil)
			p.expect()
		}},
		{"READ with EV_CLEAR: not if it was read meanwhile", func(p *pipeLab) {
			p.change(p.to(event.Read, event.Add|event.Clear, 0, 0), nil)
			p.write(1, 1, nil)
			p.read(1, 1, nil)
			p.expect()
			p.write(1, 1, nil)
			p.expect(p.readable(event.Clear, 1))
		}},
		{"READ with a low-water mark, which an EV_ADD replaces", func(p *pipeLab) {
			p.change(p.to(event.Read, event.Add, event.NoteLowat, 3), nil)
			p.write(2, 2, nil)
			p.expect()
			p.write(1, 1, nil)
			p.expect(p.readable(0, 3))
			p.change(p.to(event.Read, event.Add, event.NoteLowat, 4), nil)
			p.expect()
			p.change(p.to(event.Read, event.Add, 0, 4), nil)
			p.expect(p.readable(0, 3))
		}},
		{"READ with a mark of 0 is one of 1, with one beyond the size that", func(p *pipeLab) {
			p.change(p.to(event.Read, event.Add, event.NoteLowat, 0), nil)
			p.expect()
			p.write(1, 1, nil)
			p.expect(p.readable(0, 1))
			p.change(p.to(event.Read, event.Add, event.NoteLowat, 1<<40), nil)
			p.write(size-2, size-2, nil)
			p.expect()
			p.write(1, 1, nil)
			p.expect(p.readable(0, size))
		}},
		{"READ at the end of file, with data and without, whatever the mark", func(p *pipeLab) {
			p.change(p.to(event.Read, event.Add, event.NoteLowat, 100), nil)
			p.write(2, 2, nil)
			p.expect()
			p.close(p.wfd)
			p.expect(p.readable(event.EOF|event.HUP, 2))
			p.read(2, 2, nil)
			p.expect(p.readable(event.EOF|event.HUP|event.NoData, 0))
		}},
		{"READ added after the end of file", func(p *pipeLab) {
			p.close(p.wfd)
			p.change(p.to(event.Read, event.Add|event.Clear, 0, 0), nil)
			p.expect(p.readable(event.Clear|event.EOF|event.HUP|event.NoData, 0))
			p.expect()
		}},

		{"WRITE: room", func(p *pipeLab) {
			p.change(p.to(event.Write, event.Add, 0, 0), nil)
			p.expect(p.writable(0, size))
			p.write(100, 100, nil)
			p.expect(p.writable(0, size-100))
			p.write(size-100-buf, size-100-buf, nil)
			p.expect(p.writable(0, buf))
			p.write(1, 1, nil)
			p.expect() // who is told can write PIPE_BUF
			p.read(1, 1, nil)
			p.expect(p.writable(0, buf))
		}},
		{"WRITE with a mark", func(p *pipeLab) {
			p.change(p.to(event.Write, event.Add, event.NoteLowat, 2), nil)
			p.write(size-1, size-1, nil)
			p.expect()
			p.read(1, 1, nil)
			p.expect(p.writable(0, 2))
			p.change(p.to(event.Write, event.Add, event.NoteLowat, 1<<40), nil)
			p.expect()
			p.read(size, size-2, nil)
			p.expect(p.writable(0, size))
		}},
		{"WRITE with EV_CLEAR: when the room passes the mark", func(p *pipeLab) {
			p.change(p.to(event.Write, event.Add|event.Clear, 0, 0), nil)
			p.expect(p.writable(event.Clear, size))
			p.write(size-buf+2, size-buf+2, nil)
			p.expect()
			p.read(1, 1, nil)
			p.expect()
			p.read(1, 1, nil)
			p.expect(p.writable(event.Clear, buf))
			p.read(1, 1, nil)
			p.expect() // no news
		}},
		{"WRITE with EV_CLEAR: after a write that was refused any room is news", func(p *pipeLab) {
			p.write(size-5, size-5, nil)
			p.change(p.to(event.Write, event.Add|event.Clear, event.NoteLowat, 1), nil)
			p.expect(p.writable(event.Clear, 5))
			p.write(6, 0, syscall.EAGAIN)
			p.read(1, 1, nil)
			p.expect(p.writable(event.Clear, 6))
			p.read(1, 1, nil)
			p.expect()
		}},
		{"WRITE with EV_CLEAR: after a write that was cut short too", func(p *pipeLab) {
			p.change(p.to(event.Write, event.Add|event.Clear, 0, 0), nil)
			p.expect(p.writable(event.Clear, size))
			p.write(size+1, size, nil)
			p.expect()
			p.read(buf-1, buf-1, nil)
			p.expect()
			p.read(1, 1, nil)
			p.expect(p.writable(event.Clear, buf))
		}},
		{"WRITE without a reader", func(p *pipeLab) {
			p.write(size, size, nil)
			p.change(p.to(event.Write, event.Add, 0, 0), nil)
			p.expect()
			p.close(p.rfd)
			p.expect(p.writable(event.EOF|event.HUP|event.NoData, 0))
			p.change(p.to(event.Write, event.Delete, 0, 0), nil)
			p.change(p.to(event.Write, event.Add, event.NoteLowat, 9), nil)
			e := p.writable(event.EOF|event.HUP|event.NoData, 0)
			p.expect(e)
		}},

		{"EXCEPT: the other end is gone, and nothing else", func(p *pipeLab) {
			r := event.Kevent{Ident: p.rfd, Filter: event.Except, Flags: event.Add}
			w := event.Kevent{Ident: p.wfd, Filter: event.Except, Flags: event.Add, Fflags: event.NoteOOB, Data: -5}
			p.change(r, nil)
			p.change(w, nil)
			p.write(5, 5, nil)
			p.read(2, 2, nil)
			p.write(size, size-3, nil)
			p.expect()
			r.Flags, w.Flags, w.Fflags, w.Data = event.EOF|event.HUP, event.EOF|event.HUP|event.NoData, 0, 0
			p.close(p.wfd)
			p.expect(r)
			p.read(size, size, nil)
			r.Flags |= event.NoData
			p.expect(r)
			p.expect(r)
		}},
		{"EXCEPT with EV_CLEAR, without a reader: once", func(p *pipeLab) {
			p.write(1, 1, nil)
			kev := event.Kevent{Ident: p.wfd, Filter: event.Except, Flags: event.Add | event.Clear}
			p.change(kev, nil)
			p.read(1, 1, nil)
			p.expect()
			p.close(p.rfd)
			kev.Flags = event.Clear | event.EOF | event.HUP | event.NoData
			p.expect(kev)
			p.write(1, 0, syscall.EPIPE)
			p.expect()
			p.close(p.wfd)
			p.expect()
		}},

		{"wrong filters and marks", func(p *pipeLab) {
			for _, fd := range []uint64{p.rfd, p.wfd} {
				kev := event.Kevent{Ident: fd, Filter: event.Except, Flags: event.Add, Fflags: event.NoteLowat, Data: 1}
				p.change(kev, syscall.EINVAL)
				kev.Fflags = event.NoteOOB | 4
				p.change(kev, syscall.EINVAL)
				kev.Fflags = event.NoteOOB
				p.change(kev, nil)
				kev.Fflags = event.NoteLowat | event.NoteOOB
				p.change(kev, syscall.EINVAL)
				kev.Flags = event.Delete
				p.change(kev, nil)
			}
			for _, f := range []event.Filter{event.Write, event.Vnode} {
				kev := event.Kevent{Ident: p.rfd, Filter: f, Flags: event.Add}
				p.change(kev, syscall.EINVAL)
			}
			for _, f := range []event.Filter{event.Read, event.Vnode} {
				kev := event.Kevent{Ident: p.wfd, Filter: f, Flags: event.Add}
				p.change(kev, syscall.EINVAL)
			}
			for _, f := range []event.Filter{event.Read, event.Write} {
				p.change(p.to(f, event.Add, event.NoteLowat, -1), syscall.EINVAL)
				p.change(p.to(f, event.Add, event.NoteOOB, 0), syscall.EINVAL)
				p.change(p.to(f, event.Add, event.NoteLowat|event.NoteOOB, 1), syscall.EINVAL)
				p.change(p.to(f, event.Delete, 0, 0), syscall.ENOENT)
				p.change(p.to(f, event.Add, event.NoteLowat, 2), nil)
				p.change(p.to(f, event.Add, event.NoteLowat, -1), syscall.EINVAL)
				p.change(p.to(f, event.Add, 4, 1), syscall.EINVAL)
			}
			p.write(1, 1, nil)
			p.expect(p.writable(0, size-1)) // the marks are as they were
			p.write(1, 1, nil)
			p.expect(p.writable(0, size-2), p.readable(0, 2))
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) { test.do(newPipeLab(l)) })
		})
	}
}

// A byte to and fro costs no allocation.
func TestPipeAllocations(t *testing.T) {
	each(t, func(l *lab) {
		p := newPipeLab(l)
		l.change(p.to(event.Read, event.Add|event.Clear, 0, 0), nil)
		l.change(p.to(event.Write, event.Add|event.Clear, 0, 0), nil)
		b := make([]byte, 1)
		events := make([]event.Kevent, 4)
		n := allocations(1000, func() {
			if _, err := p.w.Write(l.td, b); err != nil {
				l.Fatal(err)
			}
			if _, err := l.q.Kevent(l.td, nil, events, 0); err != nil {
				l.Fatal(err)
			}
			if _, err := p.r.Read(l.td, b); err != nil {
				l.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// Two threads send a stream through a pipe, each woken by its kqueue alone and
// edge-triggered: a wakeup that is lost is a deadlock.
func TestPipeStream(t *testing.T) {
	total := 4 << 20
	if testing.Short() {
		total = 1 << 19
	}
	each(t, func(l *lab) {
		r, w := device.NewPipe(l.td, l.k)
		random(t, 0)
		content := func(seed uint64) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(seed)}) }
		wait := func(td *machine.Thread, q *kqueue.Queue) {
			var e [1]event.Kevent
			if n, err := q.Kevent(td, nil, e[:], kqueue.Forever); n != 1 || err != nil {
				t.Errorf("Kevent: %d, %v", n, err)
			}
		}
		start := func(name string, cpu int, end *device.PipeEnd, f event.Filter, run func(td *machine.Thread, q *kqueue.Queue, r *rand.Rand)) {
			fd := l.open(end)
			l.m.Go(name, cpu, func(td *machine.Thread) {
				q := l.k.NewQueue(td, l.p)
				if _, err := q.Kevent(td, []event.Kevent{{Ident: fd, Filter: f, Flags: event.Add | event.Clear}}, nil, 0); err != nil {
					t.Error(err)
				}
				run(td, q, rand.New(rand.NewPCG(*seed, uint64(cpu))))
				if err := l.p.Close(td, int(fd)); err != nil {
					t.Error(err)
				}
				if err := q.Close(td); err != nil {
					t.Error(err)
				}
			})
		}
		start("writer", 0, w, event.Write, func(td *machine.Thread, q *kqueue.Queue, r *rand.Rand) {
			src := content(*seed)
			for left := total; left > 0; {
				b := make([]byte, min(left, 1+r.IntN(3*size/2)))
				src.Read(b)
				left -= len(b)
				for len(b) > 0 {
					n, err := w.Write(td, b)
					b = b[n:]
					if err == syscall.EAGAIN || err == nil && len(b) > 0 {
						wait(td, q)
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		start("reader", 1, r, event.Read, func(td *machine.Thread, q *kqueue.Queue, rnd *rand.Rand) {
			src := content(*seed)
			b, want := make([]byte, 2*size), make([]byte, 2*size)
			for got := 0; ; {
				n, err := r.Read(td, b[:1+rnd.IntN(len(b)-1)])
				switch {
				case err == syscall.EAGAIN:
					wait(td, q)
				case err != nil:
					t.Error(err)
					return
				case n == 0:
					if got != total {
						t.Errorf("end of file after %d bytes, want %d", got, total)
					}
					return
				default:
					src.Read(want[:n])
					if !bytes.Equal(b[:n], want[:n]) {
						t.Errorf("the bytes from %d to %d are not those that were written", got, got+n)
						return
					}
					got += n
				}
			}
		})
		l.run()
	})
}

// FuzzPipe reads the first byte as a strategy and the others as operations, two
// bytes each, and does them to a pipe and to a slice of bytes, with a look at
// both ends' level-triggered events after each.
func FuzzPipe(f *testing.F) {
	f.Add([]byte{0, 0, 5, 1, 3, 1, 9})
	f.Add([]byte{1, 0x40, 255, 0x40, 255, 0, 1, 1, 1, 3, 0, 1, 1})
	f.Add([]byte{2, 0x80, 200, 0x80, 200, 0x41, 3, 2, 0, 0, 1})
	f.Add([]byte{0, 4, 3, 0, 2, 5, 100, 0x80, 255, 1, 255, 2, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 200 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.end()
		p := newPipeLab(l)
		l.change(p.to(event.Read, event.Add, 0, 0), nil)
		l.change(p.to(event.Write, event.Add, 0, 0), nil)
		var held []byte
		next := byte(0)
		rgone, wgone := false, false
		rmark, wmark := 1, buf
		for ops := script[1:]; len(ops) >= 2; ops = ops[2:] {
			// The two high bits of the operation scale its argument.
			n := int(ops[1]) * []int{1, 16, 256, 515}[ops[0]>>6]
			switch ops[0] & 63 % 6 {
			case 0:
				b := make([]byte, n)
				for i := range b {
					b[i] = next + byte(i)
				}
				put, err := p.w.Write(l.td, b)
				want, wantErr := min(n, size-len(held)), error(nil)
				if want < n && n <= buf {
					want = 0
				}
				switch {
				case wgone:
					want, wantErr = 0, syscall.EBADF
				case rgone:
					want, wantErr = 0, syscall.EPIPE
				case want == 0 && n > 0:
					wantErr = syscall.EAGAIN
				}
				if put != want || err != wantErr {
					t.Fatalf("write of %d to %d: %d, %v, want %d, %v", n, len(held), put, err, want, wantErr)
				}
				held = append(held, b[:put]...)
				next += byte(put)
			case 1:
				b := make([]byte, n)
				took, err := p.r.Read(l.td, b)
				want, wantErr := min(n, len(held)), error(nil)
				switch {
				case rgone:
					want, wantErr = 0, syscall.EBADF
				case want == 0 && n > 0 && !wgone:
					wantErr = syscall.EAGAIN
				}
				if took != want || err != wantErr {
					t.Fatalf("read of %d from %d: %d, %v, want %d, %v", n, len(held), took, err, want, wantErr)
				}
				if !bytes.Equal(b[:took], held[:took]) {
					t.Fatalf("read %v, want %v", b[:took], held[:took])
				}
				held = held[took:]
			case 2:
				if !wgone {
					p.close(p.wfd)
				}
				wgone = true
			case 3:
				if !rgone {
					p.close(p.rfd)
				}
				rgone = true
			case 4:
				if !rgone {
					l.change(p.to(event.Read, event.Add, event.NoteLowat, int64(n)), nil)
					rmark = min(max(n, 1), size)
				}
			case 5:
				if !wgone {
					l.change(p.to(event.Write, event.Add, event.NoteLowat, int64(n)), nil)
					wmark = min(max(n, 1), size)
				}
			}
			want := map[event.Filter]event.Kevent{}
			if e := p.readable(0, int64(len(held))); !rgone && (wgone || len(held) >= rmark) {
				if wgone {
					e.Flags |= event.EOF | event.HUP
				}
				if wgone && len(held) == 0 {
					e.Flags |= event.NoData
				}
				want[event.Read] = e
			}
			if e := p.writable(0, int64(size-len(held))); !wgone && (rgone || size-len(held) >= wmark) {
				if rgone {
					e.Flags |= event.EOF | event.HUP | event.NoData
					e.Data = 0
				}
				want[event.Write] = e
			}
			var events [3]event.Kevent
			got, err := l.q.Kevent(l.td, nil, events[:], 0)
			if err != nil || got != len(want) {
				t.Fatalf("events %v, %v, want %v", events[:got], err, want)
			}
			for _, e := range events[:got] {
				if e != want[e.Filter] {
					t.Fatalf("event %v, want %v", e, want[e.Filter])
				}
			}
		}
	})
}

// What a byte through a pipe costs, unwatched and watched by a kqueue that is
// not asked, and the whole of pipetest's inner loop.
func BenchmarkPipe(b *testing.B) {
	transferred(b, func(td *machine.Thread, k *kqueue.Kernel) (reader, writer, error) {
		r, w := device.NewPipe(td, k)
		return r, w, nil
	})
}

type reader interface {
	kqueue.File
	Read(td *machine.Thread, b []byte) (int, error)
}

type writer interface {
	Write(td *machine.Thread, b []byte) (int, error)
}

// transferred measures a byte from one end to the other, with a queue that watches and
// without.
func transferred(b *testing.B, ends func(*machine.Thread, *kqueue.Kernel) (reader, writer, error)) {
	for _, s := range strategies.All {
		for _, what := range []string{"unwatched", "watched", "harvested"} {
			b.Run(fmt.Sprint(s.Name, "/", what), func(b *testing.B) {
				m := machine.Native(1)
				k := kqueue.New(m, s.New(m))
				m.Go("bench", 0, func(td *machine.Thread) {
					r, w, err := ends(td, k)
					if err != nil {
						b.Error(err)
						return
					}
					q := k.NewQueue(td, one{&kqueue.Desc{File: r}})
					if what != "unwatched" {
						if _, err := q.Kevent(td, []event.Kevent{{Filter: event.Read, Flags: event.Add}}, nil, 0); err != nil {
							b.Error(err)
						}
					}
					buf := make([]byte, 1)
					events := make([]event.Kevent, 1)
					b.ReportAllocs()
					b.ResetTimer()
					for range b.N {
						w.Write(td, buf)
						if what == "harvested" {
							q.Kevent(td, nil, events, 0)
						}
						r.Read(td, buf)
					}
				})
				if err := m.Run(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// A one is a descriptor table with one number, 0.
type one struct{ desc *kqueue.Desc }

func (o one) Desc(td *machine.Thread, fd uint64) (*kqueue.Desc, error) { return o.desc, nil }
