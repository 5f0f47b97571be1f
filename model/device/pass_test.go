package device_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// command returns n commands, all of whose bytes are b.
func command(b byte, n int) []byte {
	return slices.Repeat([]byte{b}, n*device.PassCommand)
}

// replies reads so many replies at most, and returns the tag, the errno and the third
// byte, which is of the command, of each.
func (l *lab) replies(p *device.Pass, n int) (all [][3]byte) {
	l.Helper()
	b := make([]byte, n*device.PassCommand)
	got, err := p.Read(l.td, b)
	l.must(err)
	for i := 0; i < got; i += device.PassCommand {
		all = append(all, [3]byte(b[i:]))
	}
	return all
}

func (l *lab) write(w interface {
	Write(td *machine.Thread, b []byte) (int, error)
}, b []byte, want int, err error) {
	l.Helper()
	if n, got := w.Write(l.td, b); n != want || got != err {
		l.Errorf("Write of %d bytes: %d, %v, want %d, %v", len(b), n, got, want, err)
	}
}

// pass makes one that has a number, watched for all that it knows.
func (l *lab) pass() (*device.Pass, uint64) {
	l.Helper()
	p := device.NewPass(l.td, l.k)
	n := l.open(p)
	for i, f := range []event.Filter{event.Read, event.Write, event.Except} {
		l.change(event.Kevent{Ident: n, Filter: f, Flags: event.Add | event.Clear, Udata: uint64(i)}, nil)
	}
	return p, n
}

func replied(n uint64, flags event.Flags, data int64, err syscall.Errno) event.Kevent {
	return event.Kevent{Ident: n, Filter: event.Read, Flags: flags | event.Clear, Data: data, Fflags: event.Fflags(err)}
}

func writable(n uint64, flags event.Flags, data int64, err syscall.Errno) event.Kevent {
	return event.Kevent{Ident: n, Filter: event.Write, Flags: flags | event.Clear, Data: data, Fflags: event.Fflags(err), Udata: 1}
}

// Commands are completed in any order, and replies come in that.
func TestPassInAnyOrder(t *testing.T) {
	each(t, func(l *lab) {
		p, n := l.pass()
		l.expect(writable(n, 0, 256, 0))
		l.write(p, command('a', 2), 64, nil)
		l.write(p, command('b', 1), 32, nil)
		l.expect() // less room is no news
		l.must(p.Complete(l.td, 2))
		l.must(p.Complete(l.td, 0))
		l.expect(replied(n, 0, 64, 0))
		l.must(p.Control(l.td, event.Abort, 1))
		l.expect(replied(n, 0, 96, 0))
		l.must(p.Audit(l.td))
		if got, want := l.replies(p, 2), [][3]byte{{2, 0, 'b'}, {0, 0, 'a'}}; !slices.Equal(got, want) {
			t.Errorf("replies %v, want %v", got, want)
		}
		l.expect(writable(n, 0, 224, 0))
		l.write(p, command('c', 1), 32, nil) // by the tag that is free
		l.must(p.Complete(l.td, 0))
		if got, want := l.replies(p, 9), [][3]byte{{1, byte(syscall.ECANCELED), 'a'}, {0, 0, 'c'}}; !slices.Equal(got, want) {
			t.Errorf("replies %v, want %v", got, want)
		}
		for _, tag := range []int64{0, 1, 7, 8, -1, 1 << 40} {
			if err := p.Complete(l.td, tag); err != syscall.EINVAL {
				t.Errorf("completing tag %d: %v, want EINVAL", tag, err)
			}
		}
		if _, err := p.Read(l.td, command(0, 1)); err != syscall.EAGAIN {
			t.Errorf("a read without replies: %v", err)
		}
		l.must(p.Audit(l.td))
	})
}

// A device has as many commands as tags, in flight or not yet read.
func TestPassFull(t *testing.T) {
	each(t, func(l *lab) {
		p, n := l.pass()
		l.expect(writable(n, 0, 256, 0))
		l.write(p, command('a', 5), 160, nil)
		l.write(p, command('b', 5), 96, nil) // what there is room for
		l.write(p, command('c', 1), 0, syscall.EAGAIN)
		if took, err := p.Input(l.td, 3); took != 3 || err != nil {
			t.Errorf("Input: %d, %v", took, err)
		}
		l.expect(replied(n, 0, 96, 0))
		l.write(p, command('c', 1), 0, syscall.EAGAIN)
		l.replies(p, 1)
		l.expect(writable(n, 0, 32, 0))
		l.write(p, command('c', 1), 32, nil)
		if took, err := p.Input(l.td, 99); took != 6 || err != nil {
			t.Errorf("Input: %d, %v", took, err)
		}
		if took, err := p.Input(l.td, 1); took != 0 || err != nil {
			t.Errorf("Input without commands: %d, %v", took, err)
		}
		l.expect(replied(n, 0, 256, 0))
		l.must(p.Audit(l.td))
	})
}

// Who has commands in flight at a device that goes learns of them, and then of the end.
func TestPassUnplugged(t *testing.T) {
	each(t, func(l *lab) {
		p, n := l.pass()
		l.write(p, command('a', 3), 96, nil)
		l.must(p.Complete(l.td, 1))
		l.must(p.Unplug(l.td))
		const over = event.EOF | event.HUP
		l.expect(
			writable(n, over|event.NoData, 0, syscall.ENXIO), replied(n, over, 96, syscall.ENXIO),
			event.Kevent{Ident: n, Filter: event.Except, Flags: over | event.Clear, Data: int64(syscall.ENXIO), Udata: 2})
		l.must(p.Audit(l.td))
		l.write(p, command('a', 1), 0, syscall.ENXIO)
		for what, err := range map[string]error{
			"Unplug": p.Unplug(l.td), "Complete": p.Complete(l.td, 0), "Abort": p.Control(l.td, event.Abort, 0),
		} {
			if err != syscall.ENXIO {
				t.Errorf("%s of what is gone: %v, want ENXIO", what, err)
			}
		}
		gone := byte(syscall.ENXIO)
		if got, want := l.replies(p, 9), [][3]byte{{1, 0, 'a'}, {0, gone, 'a'}, {2, gone, 'a'}}; !slices.Equal(got, want) {
			t.Errorf("replies %v, want %v", got, want)
		}
		if _, err := p.Read(l.td, command(0, 1)); err != syscall.ENXIO {
			t.Errorf("a read of what is gone: %v, want ENXIO", err)
		}
		l.expect() // the end has been told of, and no room has come
	})
}

func TestPassErrno(t *testing.T) {
	each(t, func(l *lab) {
		p := device.NewPass(l.td, l.k)
		n := l.open(p)
		for _, size := range []int{1, 31, 33, 100} {
			l.write(p, make([]byte, size), 0, syscall.EINVAL)
		}
		l.write(p, nil, 0, nil)
		for _, size := range []int{1, 31} {
			if _, err := p.Read(l.td, make([]byte, size)); err != syscall.EINVAL {
				t.Errorf("Read of %d bytes: %v, want EINVAL", size, err)
			}
		}
		if n, err := p.Read(l.td, nil); n != 0 || err != nil {
			t.Errorf("Read of nothing: %d, %v", n, err)
		}
		if _, err := p.Input(l.td, -1); err != syscall.EINVAL {
			t.Errorf("Input of -1: %v", err)
		}
		if err := p.Control(l.td, event.Flush, 1); err != syscall.ENOTTY {
			t.Errorf("another control: %v", err)
		}
		l.change(event.Kevent{Ident: n, Filter: event.Write, Flags: event.Add, Fflags: event.NoteLowat, Data: 1000}, nil) // 256, which is
		l.expect(event.Kevent{Ident: n, Filter: event.Write, Data: 256})
		l.write(p, command('a', 1), 32, nil)
		l.expect()
		l.must(l.p.Close(l.td, int(n)))
		l.write(p, command('a', 1), 0, syscall.EBADF)
		if _, err := p.Read(l.td, command(0, 1)); err != syscall.EBADF {
			t.Errorf("Read when it is released: %v", err)
		}
	})
}
