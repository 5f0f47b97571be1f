//go:build linux

package host_test

import (
	"errors"
	"os"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

func TestRegularFile(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("hello")
		seek := func(at int64) { l.Helper(); _, err := unix.Seek(fd, at, unix.SEEK_SET); l.ok(err) }
		l.add(fd, read, 0)
		l.add(fd, write, event.OneShot)
		l.add(fd, event.Except, 0)
		l.want(ev(fd, read, 5, 0), ev(fd, write, 0, event.OneShot))
		l.read(fd, 2)
		l.want(ev(fd, read, 3, 0))
		l.read(fd, 3)
		l.want() // at its end
		other, err := unix.Open("/proc/self/fd/"+itoa(fd), unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
		l.ok(err)
		defer unix.Close(other)
		l.write(other, 10) // somebody else makes it longer
		l.want(ev(fd, read, 10, 0))
		seek(1)
		l.want(ev(fd, read, 14, 0))
		l.lowat(fd, read, 15)
		l.want()
		l.write(other, 1)
		l.want(ev(fd, read, 15, 0))
		seek(20)
		l.want(ev(fd, read, -4, 0)) // beyond its end
		seek(16)
		l.want()
		l.ok(unix.Ftruncate(fd, 3)) // the end goes back
		l.want(ev(fd, read, -13, 0))
	})
}

// A thread that sleeps at the end of a file is woken when somebody writes to it.
func TestFollowFile(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("")
		l.add(fd, read, event.Clear)
		l.want()
		join := l.start("follower", 1, func(td *machine.Thread) {
			if e := next(l.T, td, l.q); e != ev(fd, read, 4, event.Clear) {
				l.Errorf("woken by %v", e)
			}
		})
		l.inWait()
		other, err := unix.Open("/proc/self/fd/"+itoa(fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
		l.ok(err)
		l.write(other, 4)
		join()
		unix.Close(other)
	})
}

func TestAlwaysReady(t *testing.T) {
	for _, c := range []struct {
		name   string
		access int
		want   []event.Filter
	}{
		{".", unix.O_RDONLY, []event.Filter{read}},
		{"/dev/null", unix.O_RDWR, []event.Filter{read, write}},
		{"/dev/zero", unix.O_WRONLY, []event.Filter{write}},
		{"/dev/urandom", unix.O_RDONLY, []event.Filter{read}},
		{"/proc/self/status", unix.O_RDONLY, []event.Filter{read}}, // its size is 0, and it has content
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(l *lab) {
				fd, err := unix.Open(c.name, c.access|unix.O_CLOEXEC, 0)
				if err != nil {
					l.Skipf("no %s to test with: %v", c.name, err)
				}
				l.open(fd)
				var want []event.Kevent
				for _, f := range []event.Filter{read, write, event.Except} {
					_, err := l.q.Kevent(l.td, []event.Kevent{ev(fd, f, 0, event.Add)}, nil, 0)
					refused := f == read && c.access == unix.O_WRONLY || f == write && c.access == unix.O_RDONLY
					if refused != errors.Is(err, unix.EINVAL) || !refused && err != nil {
						l.Errorf("EV_ADD of %v: %v", f, err)
					}
				}
				for _, f := range c.want {
					want = append(want, ev(fd, f, 1, 0))
				}
				l.want(want...)
				l.want(want...)
				l.close(fd)
				l.want()
			})
		})
	}
}

func TestBlockDevice(t *testing.T) {
	each(t, func(l *lab) {
		names, _ := os.ReadDir("/sys/block")
		fd, err := -1, error(unix.ENOENT)
		for _, name := range names {
			if fd, err = unix.Open("/dev/"+name.Name(), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				break
			}
		}
		if err != nil {
			l.Skipf("none of the %d block devices of /sys/block can be opened: %v", len(names), err)
		}
		l.open(fd)
		l.add(fd, read, 0)
		size, err := unix.Seek(fd, 0, unix.SEEK_END)
		l.ok(err)
		switch size {
		case 0: // a loop device without a file
			l.want(ev(fd, read, 1, 0))
		default:
			l.want()
			_, err = unix.Seek(fd, 512, unix.SEEK_SET)
			l.ok(err)
			l.change(ev(fd, read, 0, event.Add)) // that the offset has moved nobody tells
			l.want(ev(fd, read, size-512, 0))
		}
	})
}

// Epoll does not know these files, so what a number means is seen by its inode.
func TestPlainClosedBehindTheBack(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("abc")
		f := l.h.File(fd)
		l.add(fd, read, 0)
		l.ok(unix.Close(fd))
		lost := ev(fd, read, 0, drained)
		lost.Fflags = event.Fflags(unix.EBADF)
		l.want(lost)
		if again := l.file("abcd"); again != fd {
			l.Fatalf("Linux gave descriptor %d, want %d again", again, fd)
		}
		l.want()
		l.add(fd, read, 0)
		if err := f.Close(l.td); !errors.Is(err, unix.EBADF) {
			l.Errorf("Close of the old life: %v, want EBADF", err)
		}
		l.want(ev(fd, read, 4, 0))
	})
}
