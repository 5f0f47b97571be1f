package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// submit makes a request of a disk, and a number for it.
func (l *lab) submit(d *device.Disk, side event.Side, n int64) (*device.AIO, uint64) {
	l.Helper()
	a, err := d.Submit(l.td, side, n)
	l.must(err)
	return a, l.open(a)
}

func aio(ident uint64, flags event.Flags) event.Kevent {
	return event.Kevent{Ident: ident, Filter: event.AIO, Flags: flags, Udata: 7}
}

// finished is the event of a request that has transferred n bytes, or failed.
func finished(ident uint64, flags event.Flags, n int64, err syscall.Errno) event.Kevent {
	return event.Kevent{Ident: ident, Filter: event.AIO, Flags: flags | event.EOF, Data: n, Fflags: event.Fflags(err), Udata: 7}
}

func TestAIO(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(td *machine.Thread, d *device.Disk, a *device.AIO) error
		n      int64
		err    syscall.Errno
		answer error
	}{
		{"all", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { return a.Complete(td, 100) }, 100, 0, nil},
		{"some", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { return a.Complete(td, 3) }, 3, 0, nil},
		{"none", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { return a.Complete(td, 0) }, 0, 0, nil},
		{"more than was asked for", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { return a.Complete(td, 101) }, 100, 0, nil},
		{"an error", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { return a.Complete(td, -1) }, 0, syscall.EIO, syscall.EIO},
		{"cancelled", func(td *machine.Thread, _ *device.Disk, a *device.AIO) error { a.Cancel(td); return nil }, 0, syscall.ECANCELED, syscall.ECANCELED},
		{"the disk is closed", func(td *machine.Thread, d *device.Disk, a *device.AIO) error { d.Release(td); return nil }, 0, syscall.ECANCELED, syscall.ECANCELED},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(l *lab) {
				d := device.NewDisk(l.td, l.k)
				a, n := l.submit(d, event.ReadSide, 100)
				l.change(aio(n, event.Add), nil)
				l.expect()
				if s, err := a.Status(l.td); s != syscall.EINPROGRESS || err != nil {
					t.Errorf("in flight: %v, %v", s, err)
				}
				if _, err := a.Return(l.td); err != syscall.EINPROGRESS {
					t.Errorf("Return in flight: %v", err)
				}
				l.must(tt.end(l.td, d, a))
				if s, err := a.Status(l.td); s != tt.err || err != nil {
					t.Errorf("finished: %v, %v, want %v", s, err, tt.err)
				}
				if err := a.Complete(l.td, 1); err != syscall.EINVAL {
					t.Errorf("completed again: %v", err)
				}
				if c := a.Cancel(l.td); c != device.AIOAllDone {
					t.Errorf("cancelled when it is finished: %d", c)
				}
				l.expect(finished(n, 0, tt.n, tt.err)) // level-triggered
				l.change(aio(n, event.Add|event.Disable), nil)
				l.expect()
				l.change(aio(n, event.Enable), nil)
				l.expect(finished(n, 0, tt.n, tt.err))
				if got, err := a.Return(l.td); got != tt.n || err != tt.answer {
					t.Errorf("Return: %d, %v, want %d, %v", got, err, tt.n, tt.answer)
				}
				l.expect()
				if _, err := a.Return(l.td); err != syscall.EINVAL {
					t.Errorf("Return again: %v", err)
				}
				if _, err := a.Status(l.td); err != syscall.EINVAL {
					t.Errorf("Status of what has been returned: %v", err)
				}
				l.change(aio(n, event.Add), syscall.EINVAL) // there is nothing to come
				l.change(aio(n, event.Delete), nil)
				l.change(aio(n, event.Add), syscall.EINVAL)
				l.must(l.p.Close(l.td, int(n)))
			})
		})
	}
}

// Requests are completed in any order, and one whose knote comes later is told at once.
func TestAIOInAnyOrder(t *testing.T) {
	each(t, func(l *lab) {
		d := device.NewDisk(l.td, l.k)
		var all []*device.AIO
		var numbers []uint64
		for range device.AIOMost {
			a, n := l.submit(d, event.WriteSide, 100)
			all, numbers = append(all, a), append(numbers, n)
		}
		if _, err := d.Submit(l.td, event.WriteSide, 1); err != syscall.EAGAIN {
			t.Errorf("request %d: %v, want EAGAIN", device.AIOMost+1, err)
		}
		for i := range all {
			at := (i*5 + 3) % len(all)
			l.must(all[at].Complete(l.td, int64(at)))
			l.must(d.Audit(l.td))
			l.change(aio(numbers[at], event.Add|event.OneShot), nil)
			l.expect(finished(numbers[at], event.OneShot, int64(at), 0))
			l.change(aio(numbers[at], event.Delete), syscall.ENOENT)
		}
		if _, err := d.Submit(l.td, event.WriteSide, 1); err != nil {
			t.Errorf("with none in flight: %v", err)
		}
	})
}

// A request that is forgotten takes its knotes along, and its place in flight.
func TestAIOForgotten(t *testing.T) {
	each(t, func(l *lab) {
		d := device.NewDisk(l.td, l.k)
		a, n := l.submit(d, event.ReadSide, 10)
		_, other := l.submit(d, event.ReadSide, 10)
		l.change(aio(n, event.Add), nil)
		l.must(l.p.Close(l.td, int(n)))
		l.must(d.Audit(l.td))
		if err := a.Complete(l.td, 5); err != syscall.EINVAL {
			t.Errorf("the hardware completes what is forgotten: %v", err)
		}
		l.expect()
		if _, again := l.submit(d, event.ReadSide, 10); again != n {
			t.Fatalf("the number is not used again: %d, want %d", again, n)
		}
		l.change(aio(n, event.Delete), syscall.ENOENT)
		l.must(l.p.Close(l.td, int(other)))
		l.must(d.Audit(l.td))
	})
}

func TestAIOErrno(t *testing.T) {
	each(t, func(l *lab) {
		d := device.NewDisk(l.td, l.k)
		for _, bad := range []struct {
			side event.Side
			n    int64
		}{{event.ReadSide, -1}, {event.BothSides, 1}, {0, 1}} {
			if _, err := d.Submit(l.td, bad.side, bad.n); err != syscall.EINVAL {
				t.Errorf("Submit(%v, %d): %v, want EINVAL", bad.side, bad.n, err)
			}
		}
		disk := l.open(d)
		a, n := l.submit(d, event.ReadSide, 1)
		l.change(aio(disk, event.Add), syscall.EINVAL)
		l.change(aio(99, event.Add), syscall.EBADF)
		bad := aio(n, event.Add)
		bad.Fflags = 1
		l.change(bad, syscall.EINVAL)
		l.change(aio(n, event.Delete), syscall.ENOENT)
		for _, f := range []event.Filter{event.Read, event.Write, event.Except, event.Vnode} {
			l.change(event.Kevent{Ident: n, Filter: f, Flags: event.Add}, syscall.EINVAL)
		}
		l.change(aio(n, event.Add), nil)
		l.change(bad, syscall.EINVAL) // and leaves it as it was
		l.must(a.Complete(l.td, 1))
		l.expect(finished(n, 0, 1, 0))
		l.must(l.p.Close(l.td, int(disk)))
		if _, err := d.Submit(l.td, event.ReadSide, 1); err != syscall.EBADF {
			t.Errorf("Submit to a disk that is released: %v, want EBADF", err)
		}
	})
}
