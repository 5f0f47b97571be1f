package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A fifoLab is a fifo that has been opened to read and write.
type fifoLab struct {
	*lab
	rw  *device.Fifo
	fds map[*device.Fifo]uint64
}

func newFifoLab(l *lab) *fifoLab {
	f := &fifoLab{l, device.NewFifo(l.td, l.k), map[*device.Fifo]uint64{}}
	f.fds[f.rw] = l.open(f.rw)
	return f
}

func (f *fifoLab) reopen(mode device.Access, want error) *device.Fifo {
	f.Helper()
	e, err := f.rw.Reopen(f.td, mode)
	if err != want {
		f.Fatalf("open of mode %d: %v, want %v", mode, err, want)
	}
	if err != nil {
		return nil
	}
	f.fds[e] = f.open(e)
	return e
}

// pair leaves a reader and a writer, but not who made the fifo.
func (f *fifoLab) pair() (r, w *device.Fifo) {
	r, w = f.reopen(device.ToRead, nil), f.reopen(device.ToWrite, nil)
	f.close(f.rw)
	f.rw = r
	return r, w
}

func (f *fifoLab) close(e *device.Fifo) { f.Helper(); f.must(f.p.Close(f.td, int(f.fds[e]))) }

func (f *fifoLab) write(e *device.Fifo, n, put int, err error) {
	f.Helper()
	if got, e := e.Write(f.td, make([]byte, n)); got != put || e != err {
		f.Fatalf("write of %d: %d, %v, want %d, %v", n, got, e, put, err)
	}
}

func (f *fifoLab) read(e *device.Fifo, n, took int, err error) {
	f.Helper()
	if got, e := e.Read(f.td, make([]byte, n)); got != took || e != err {
		f.Fatalf("read of %d: %d, %v, want %d, %v", n, got, e, took, err)
	}
}

func (f *fifoLab) kev(e *device.Fifo, filter event.Filter, flags event.Flags, data int64) event.Kevent {
	return event.Kevent{Ident: f.fds[e], Filter: filter, Flags: flags, Data: data}
}

func (f *fifoLab) add(e *device.Fifo, filter event.Filter, flags event.Flags) {
	f.Helper()
	f.change(f.kev(e, filter, event.Add|flags, 0), nil)
}

func TestFifo(t *testing.T) {
	const over = event.EOF | event.HUP
	tests := []struct {
		what string
		do   func(f *fifoLab)
	}{
		{"who opens it to read and write is at both ends", func(f *fifoLab) {
			f.read(f.rw, 1, 0, syscall.EAGAIN)
			f.write(f.rw, 3, 3, nil)
			f.read(f.rw, 0, 0, nil)
			f.read(f.rw, 5, 3, nil)
			f.write(f.rw, 0, 0, nil)
		}},
		{"access", func(f *fifoLab) {
			r, w := f.reopen(device.ToRead, nil), f.reopen(device.ToWrite, nil)
			f.write(r, 1, 0, syscall.EBADF)
			f.read(w, 1, 0, syscall.EBADF)
			f.reopen(0, syscall.EINVAL)
			f.reopen(4, syscall.EINVAL)
			for _, filter := range []event.Filter{event.Write, event.Vnode} {
				f.change(f.kev(r, filter, event.Add, 0), syscall.EINVAL)
			}
			for _, filter := range []event.Filter{event.Read, event.Vnode} {
				f.change(f.kev(w, filter, event.Add, 0), syscall.EINVAL)
			}
			for e, filter := range map[*device.Fifo]event.Filter{r: event.Read, w: event.Write, f.rw: event.Except} {
				kev := f.kev(e, filter, event.Add, -1)
				kev.Fflags = event.NoteLowat
				f.change(kev, syscall.EINVAL)
			}
		}},
		{"what has been released is none", func(f *fifoLab) {
			r, w := f.reopen(device.ToRead, nil), f.reopen(device.ToWrite, nil)
			f.close(r)
			f.close(w)
			f.read(r, 1, 0, syscall.EBADF)
			f.read(r, 0, 0, syscall.EBADF)
			f.write(w, 1, 0, syscall.EBADF)
			if _, err := r.Reopen(f.td, device.ToRead); err != syscall.EBADF {
				f.Errorf("Reopen: %v", err)
			}
			w.Release(f.td) // once more: there is a writer yet, and one reader
			r.Release(f.td)
			f.write(f.rw, 1, 1, nil)
			f.read(f.rw, 2, 1, nil)
		}},
		{"nobody writes alone", func(f *fifoLab) {
			_, w := f.pair()
			f.close(f.rw)
			f.rw = w
			f.reopen(device.ToWrite, syscall.ENXIO)
			f.write(w, 1, 0, syscall.EPIPE)
			f.write(w, 0, 0, syscall.EPIPE)
			r := f.reopen(device.ToRead, nil)
			f.reopen(device.ToWrite, nil)
			f.write(w, 1, 1, nil)
			f.read(r, 9, 1, nil)
		}},
		{"so much fits, and short writes are whole", func(f *fifoLab) {
			r, w := f.pair()
			f.write(w, size-buf+1, size-buf+1, nil)
			f.write(w, buf, 0, syscall.EAGAIN)
			f.write(w, size, buf-1, nil)
			f.write(w, 1, 0, syscall.EAGAIN)
			f.read(r, 2*size, size, nil)
		}},
		{"READ: the end of the file, and its end", func(f *fifoLab) {
			r, w := f.pair()
			f.add(r, event.Read, 0)
			f.write(w, 3, 3, nil)
			f.expect(f.kev(r, event.Read, 0, 3))
			f.close(w)
			f.expect(f.kev(r, event.Read, over, 3))
			f.read(r, 5, 3, nil)
			f.expect(f.kev(r, event.Read, over|event.NoData, 0))
			f.read(r, 5, 0, nil)
			w = f.reopen(device.ToWrite, nil)
			f.expect()
			f.read(r, 5, 0, syscall.EAGAIN)
			f.write(w, 1, 1, nil)
			f.expect(f.kev(r, event.Read, 0, 1))
			f.close(w)
			f.expect(f.kev(r, event.Read, over, 1))
		}},
		{"READ: who has seen no writer is not at the end", func(f *fifoLab) {
			r, w := f.pair()
			f.write(w, 2, 2, nil)
			f.close(w)
			late := f.reopen(device.ToRead, nil)
			f.add(r, event.Read, 0)
			f.add(late, event.Read, 0)
			f.expect(f.kev(r, event.Read, over, 2), f.kev(late, event.Read, 0, 2))
			f.read(late, 2, 2, nil)
			f.expect(f.kev(r, event.Read, over|event.NoData, 0))
			f.read(late, 2, 0, nil)
			f.close(f.reopen(device.ToWrite, nil))
			f.expect(f.kev(r, event.Read, over|event.NoData, 0), f.kev(late, event.Read, over|event.NoData, 0))
		}},
		{"READ with EV_CLEAR: each end is news, a writer is not", func(f *fifoLab) {
			r, w := f.pair()
			f.add(r, event.Read, event.Clear)
			for range 3 {
				f.close(w)
				f.expect(f.kev(r, event.Read, event.Clear|over|event.NoData, 0))
				w = f.reopen(device.ToWrite, nil)
				f.expect()
			}
			f.close(w)
			f.reopen(device.ToWrite, nil)
			f.expect() // that end has passed
		}},
		{"READ: only the last writer matters", func(f *fifoLab) {
			r, w := f.pair()
			f.add(r, event.Read, 0)
			w2, rw := f.reopen(device.ToWrite, nil), f.reopen(device.ToReadAndWrite, nil)
			f.close(w)
			f.close(w2)
			f.expect()
			f.close(rw)
			f.expect(f.kev(r, event.Read, over|event.NoData, 0))
		}},
		{"READ with a mark", func(f *fifoLab) {
			r, w := f.pair()
			kev := f.kev(r, event.Read, event.Add, 3)
			kev.Fflags = event.NoteLowat
			f.change(kev, nil)
			f.write(w, 2, 2, nil)
			f.expect()
			f.write(w, 1, 1, nil)
			f.expect(f.kev(r, event.Read, 0, 3))
		}},
		{"two readers share the bytes", func(f *fifoLab) {
			r, w := f.pair()
			r2 := f.reopen(device.ToRead, nil)
			f.add(r, event.Read, 0)
			f.add(r2, event.Read, 0)
			f.write(w, 5, 5, nil)
			f.expect(f.kev(r, event.Read, 0, 5), f.kev(r2, event.Read, 0, 5))
			f.read(r, 5, 5, nil)
			f.expect()
			f.read(r2, 5, 0, syscall.EAGAIN)
		}},
		{"WRITE: no reader, and one again", func(f *fifoLab) {
			r, w := f.pair()
			f.rw = w
			f.add(w, event.Write, event.Clear)
			f.expect(f.kev(w, event.Write, event.Clear, size))
			f.write(w, 10, 10, nil)
			f.close(r)
			f.expect(f.kev(w, event.Write, event.Clear|over|event.NoData, 0))
			r = f.reopen(device.ToRead, nil)
			f.expect(f.kev(w, event.Write, event.Clear, size-10))
			f.reopen(device.ToRead, nil)
			f.expect() // no news
			f.read(r, 99, 10, nil)
		}},
		{"WRITE: room passes the mark", func(f *fifoLab) {
			r, w := f.pair()
			f.add(w, event.Write, event.Clear)
			f.expect(f.kev(w, event.Write, event.Clear, size))
			f.write(w, size, size, nil)
			f.expect()
			f.read(r, buf-1, buf-1, nil)
			f.expect()
			f.read(r, 1, 1, nil)
			f.expect(f.kev(w, event.Write, event.Clear, buf))
			f.read(r, 1, 1, nil)
			f.expect()
			f.write(w, size, buf+1, nil)
			f.read(r, buf, buf, nil)
			f.expect(f.kev(w, event.Write, event.Clear, buf))
		}},
		{"EXCEPT", func(f *fifoLab) {
			r, w := f.pair()
			rw := f.reopen(device.ToReadAndWrite, nil)
			for _, e := range []*device.Fifo{r, w, rw} {
				f.add(e, event.Except, 0)
			}
			f.write(w, 1, 1, nil)
			f.expect()
			f.close(rw)
			f.expect()
			f.close(r)
			f.expect(f.kev(w, event.Except, over|event.NoData, 0))
			f.rw = w
			r = f.reopen(device.ToRead, nil)
			f.expect()
			f.add(r, event.Except, 0)
			f.close(w)
			f.expect(f.kev(r, event.Except, over, 0))
			f.read(r, 1, 1, nil)
			f.expect(f.kev(r, event.Except, over|event.NoData, 0))
		}},
		{"what was written outlives its readers, not all opens", func(f *fifoLab) {
			r, w := f.pair()
			f.write(w, 2, 2, nil)
			f.close(r)
			f.rw = w
			r = f.reopen(device.ToRead, nil)
			f.read(r, 5, 2, nil)
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) { each(t, func(l *lab) { test.do(newFifoLab(l)) }) })
	}
}

func TestFifoAllocations(t *testing.T) {
	each(t, func(l *lab) {
		f := newFifoLab(l)
		r, w := f.pair()
		f.add(r, event.Read, event.Clear)
		f.add(w, event.Write, event.Clear)
		b := make([]byte, 1)
		events := make([]event.Kevent, 4)
		n := allocations(1000, func() {
			if _, err := w.Write(l.td, b); err != nil {
				l.Fatal(err)
			}
			if n, err := l.q.Kevent(l.td, nil, events, 0); n == 0 || err != nil {
				l.Fatal(n, err)
			}
			if _, err := r.Read(l.td, b); err != nil {
				l.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// holds returns the event of one filter of a file, if its condition holds.
func holds(t fatal, td *machine.Thread, k *kqueue.Kernel, f kqueue.File, filter event.Filter) (event.Kevent, bool) {
	q := k.NewQueue(td, one{&kqueue.Desc{File: f}})
	defer q.Close(td)
	var e [1]event.Kevent
	if _, err := q.Kevent(td, []event.Kevent{{Filter: filter, Flags: event.Add}}, nil, 0); err == syscall.EINVAL {
		return e[0], false
	} else if err != nil {
		t.Fatal(err)
	}
	n, err := q.Kevent(td, nil, e[:], 0)
	if err != nil {
		t.Fatal(err)
	}
	return e[0], n > 0
}

type fatal interface{ Fatal(...any) }
