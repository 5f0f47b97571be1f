package device_test

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// What needs no waiting is ready, whatever is done to it, and has no end.
func TestMem(t *testing.T) {
	for _, row := range []struct {
		name  string
		open  func(*machine.Thread, *kqueue.Kernel) *device.Mem
		read  int // of 10 bytes
		write error
		same  bool // two reads
	}{
		{"null", device.NewNull, 0, nil, true},
		{"zero", device.NewZero, 10, nil, true},
		{"urandom", device.NewURandom, 10, syscall.EPERM, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			each(t, func(l *lab) {
				m := row.open(l.td, l.k)
				fd := l.open(m)
				ready := func(flags event.Flags) []event.Kevent {
					return []event.Kevent{on(fd, event.Read, flags, 0), on(fd, event.Write, flags, 0)}
				}
				l.change(event.Kevent{Ident: fd, Filter: event.Read, Flags: event.Add}, nil)
				l.change(event.Kevent{Ident: fd, Filter: event.Write, Flags: event.Add}, nil)
				var reads [2][]byte
				for i := range reads {
					l.expect(ready(0)...)
					reads[i] = []byte("not yet ten")[:10]
					if n, err := m.Read(l.td, reads[i]); n != row.read || err != nil {
						t.Errorf("Read: %d, %v, want %d", n, err, row.read)
					}
					n, err := m.Write(l.td, reads[i])
					if err != row.write || err == nil && n != 10 {
						t.Errorf("Write: %d, %v, want error %v", n, err, row.write)
					}
				}
				if bytes.Equal(reads[0], reads[1]) != row.same {
					t.Errorf("two reads: %q and %q", reads[0], reads[1])
				}
				if n, err := m.Write(l.td, nil); n != 0 || err != nil {
					t.Errorf("Write of nothing: %d, %v", n, err)
				}
				_, err := m.Input(l.td, 1)
				l.errors(syscall.ENODEV, err)
				// Once with EV_CLEAR: nothing is ever new.
				for _, f := range []event.Filter{event.Read, event.Write} {
					l.change(event.Kevent{Ident: fd, Filter: f, Flags: event.Delete}, nil)
					l.change(event.Kevent{Ident: fd, Filter: f, Flags: event.Add | event.Clear, Fflags: event.NoteLowat, Data: 5}, nil)
				}
				l.expect(ready(event.Clear)...)
				l.expect()
				refuses(l, fd)
			})
		})
	}
}

// refuses expects the changes that no device of memory knows to be refused.
func refuses(l *lab, fd uint64) {
	for _, kev := range []event.Kevent{
		{Filter: event.Except}, {Filter: event.Vnode}, {Filter: event.Read, Fflags: event.NoteOOB}, {Filter: event.Write, Fflags: event.NoteLowat, Data: -1},
	} {
		kev.Ident, kev.Flags = fd, event.Add
		l.change(kev, syscall.EINVAL)
	}
}

// Random is ready when interrupts have brought entropy, which reads use up.
func TestRandom(t *testing.T) {
	each(t, func(l *lab) {
		m := device.NewRandom(l.td, l.k)
		fd := l.open(m)
		input := func(n, taken int) {
			l.Helper()
			if got, err := m.Input(l.td, n); got != taken || err != nil {
				l.Fatalf("Input of %d: %d, %v, want %d", n, got, err, taken)
			}
		}
		read := func(n, took int, want error) (b []byte) {
			l.Helper()
			b = make([]byte, n)
			if got, err := m.Read(l.td, b); got != took || err != want {
				l.Fatalf("Read of %d: %d, %v, want %d, %v", n, got, err, took, want)
			}
			return b[:took]
		}
		l.change(event.Kevent{Ident: fd, Filter: event.Read, Flags: event.Add | event.Clear, Fflags: event.NoteLowat, Data: 8}, nil)
		l.change(event.Kevent{Ident: fd, Filter: event.Write, Flags: event.Add | event.Clear}, nil)
		l.expect(on(fd, event.Write, event.Clear, 0))
		read(1, 0, syscall.EAGAIN)
		read(0, 0, nil)
		input(7, 7)
		l.expect()
		input(1, 1)
		l.expect(on(fd, event.Read, event.Clear, 8)) // and no news of Write
		if n, err := m.Write(l.td, make([]byte, 100)); n != 100 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		l.expect() // that is no entropy
		a := read(5, 5, nil)
		if b := read(10, 3, nil); bytes.Equal(a[:3], b) {
			t.Errorf("two reads: %q and %q", a, b)
		}
		input(device.RandomPool-1, device.RandomPool-1)
		input(10, 1)
		input(10, 0)
		l.expect(on(fd, event.Read, event.Clear, device.RandomPool))
		l.expect()
		refuses(l, fd)
	})
}
