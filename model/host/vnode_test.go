//go:build linux

package host_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

const (
	del     = event.NoteDelete
	wrote   = event.NoteWrite
	extend  = event.NoteExtend
	attrib  = event.NoteAttrib
	link    = event.NoteLink
	rename  = event.NoteRename
	revoke  = event.NoteRevoke
	anyNote = del | wrote | extend | attrib | link | rename | revoke
)

func itoa(n int) string { return strconv.Itoa(n) }

// vnode is a change or an event of VNODE.
func vnode(fd int, notes event.Fflags, flags event.Flags) event.Kevent {
	return event.Kevent{Ident: uint64(fd), Filter: event.Vnode, Fflags: notes, Flags: flags}
}

// A folder is one for a test, with files that are open with the host.
type folder struct {
	*lab
	name string
}

func (l *lab) folder() folder { return folder{l, l.TempDir()} }

func (d folder) at(name string) string { return d.name + "/" + name }

// open makes a file if there is none and gives it to the host.
func (d folder) open(name string, mode int) int {
	d.Helper()
	fd, err := unix.Open(d.at(name), mode|unix.O_CLOEXEC, 0o600)
	d.ok(err)
	d.lab.open(fd)
	return fd
}

// What happens to a file, and what is told of it.
func TestVnode(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(d folder, fd int) error
		want event.Fflags
	}{
		{"nothing", func(d folder, fd int) error { return nil }, 0},
		{"a read", func(d folder, fd int) error { _, err := unix.Read(fd, make([]byte, 1)); return err }, 0},
		{"a write inside", func(d folder, fd int) error { _, err := unix.Write(fd, []byte("x")); return err }, wrote},
		{"a write of nothing", func(d folder, fd int) error { _, err := unix.Write(fd, nil); return err }, 0},
		{"a write at the end", func(d folder, fd int) error { _, err := unix.Pwrite(fd, []byte("x"), 5); return err }, wrote | extend},
		{"a write by another descriptor", func(d folder, fd int) error { return os.WriteFile(d.at("f"), []byte("abcdefgh"), 0) }, wrote | extend},
		{"a truncation", func(d folder, fd int) error { return unix.Ftruncate(fd, 2) }, wrote},
		{"a truncation to more", func(d folder, fd int) error { return unix.Ftruncate(fd, 2000) }, wrote | extend},
		{"chmod", func(d folder, fd int) error { return os.Chmod(d.at("f"), 0o640) }, attrib},
		{"utimes", func(d folder, fd int) error { return os.Chtimes(d.at("f"), t0, t0) }, attrib},
		{"rename", func(d folder, fd int) error { return os.Rename(d.at("f"), d.at("g")) }, rename},
		{"link", func(d folder, fd int) error { return os.Link(d.at("f"), d.at("g")) }, link},
		{"link and chmod", func(d folder, fd int) error {
			return errors.Join(os.Link(d.at("f"), d.at("g")), os.Chmod(d.at("f"), 0o640))
		}, link | attrib},
		{"unlink of the only name", func(d folder, fd int) error { return os.Remove(d.at("f")) }, del | link},
		{"unlink of the other name", func(d folder, fd int) error { return os.Remove(d.at("twin")) }, del | link},
		{"a rename of another onto it", func(d folder, fd int) error { return os.Rename(d.at("victim"), d.at("f")) }, del | link},
		{"a write after unlink", func(d folder, fd int) error {
			_, err := unix.Write(fd, []byte("x"))
			return errors.Join(os.Remove(d.at("f")), err)
		}, del | link | wrote},
	} {
		t.Run(c.what, func(t *testing.T) {
			each(t, func(l *lab) {
				d := l.folder()
				l.ok(os.WriteFile(d.at("f"), []byte("abcde"), 0o600))
				l.ok(os.WriteFile(d.at("victim"), nil, 0o600))
				if c.what == "unlink of the other name" {
					l.ok(os.Link(d.at("f"), d.at("twin")))
				}
				fd := d.open("f", unix.O_RDWR)
				l.change(vnode(fd, anyNote, event.Add|event.Clear))
				l.want()
				l.ok(c.do(d, fd))
				if c.want == 0 {
					l.want()
					return
				}
				l.want(vnode(fd, c.want, event.Clear))
				l.want()
				// What was not asked for is not told.
				l.change(vnode(fd, anyNote&^c.want, event.Add))
				_, err := unix.Pwrite(fd, []byte("x"), 1)
				l.ok(err)
				if c.want&wrote != 0 {
					l.want()
				} else {
					l.want(vnode(fd, wrote, event.Clear))
				}
			})
		})
	}
}

// A file that has lost the name by which it was opened, and then its last one, is still
// told of. Linux ends the watch with that name.
func TestVnodeWithoutNames(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		fd := d.open("f", unix.O_RDWR|unix.O_CREAT)
		l.change(vnode(fd, anyNote, event.Add|event.Clear))
		for _, step := range []struct {
			err  func() error
			want event.Fflags
		}{
			{func() error { return os.Link(d.at("f"), d.at("g")) }, link},
			{func() error { return os.Remove(d.at("f")) }, del | link},
			{func() error { return os.Remove(d.at("g")) }, del | link},
			{func() error { _, err := unix.Write(fd, []byte("x")); return err }, wrote | extend},
			{func() error { return unix.Fchmod(fd, 0o640) }, attrib},
		} {
			l.ok(step.err())
			l.want(vnode(fd, step.want, event.Clear))
			l.want()
		}
	})
}

func TestVnodeDirectory(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		l.ok(os.Mkdir(d.at("sub"), 0o700))
		fd := d.open("sub", unix.O_RDONLY|unix.O_DIRECTORY)
		l.change(vnode(fd, anyNote, event.Add|event.Clear))
		step := func(want event.Fflags, err error) {
			l.Helper()
			l.ok(err)
			l.want(vnode(fd, want, event.Clear))
			l.want()
		}
		step(wrote, os.WriteFile(d.at("sub/a"), nil, 0o600))
		l.ok(errors.Join(os.WriteFile(d.at("sub/a"), []byte("x"), 0o600), os.Chmod(d.at("sub/a"), 0o640)))
		l.want() // what becomes of a file in it is none of its own
		step(wrote, os.Rename(d.at("sub/a"), d.at("sub/b")))
		step(wrote, os.Remove(d.at("sub/b")))
		var st unix.Stat_t
		l.ok(unix.Fstat(fd, &st))
		linked := wrote | link
		if st.Nlink < 2 {
			linked = wrote // a file system that does not count directories
		}
		step(linked, os.Mkdir(d.at("sub/dir"), 0o700))
		step(linked, os.Remove(d.at("sub/dir")))
		step(attrib, os.Chmod(d.at("sub"), 0o750))
		step(rename, os.Rename(d.at("sub"), d.at("bus")))
	})
}

// Without EV_CLEAR what has happened piles up and stays.
func TestVnodePilesUp(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("abc")
		l.change(vnode(fd, wrote|attrib, event.Add))
		l.write(fd, 1)
		l.want(vnode(fd, wrote, 0))
		l.ok(unix.Fchmod(fd, 0o640))
		l.want(vnode(fd, wrote|attrib, 0))
		l.want(vnode(fd, wrote|attrib, 0))
		l.change(vnode(fd, 0, event.Disable))
		l.want()
		l.change(vnode(fd, 0, event.Enable))
		l.want(vnode(fd, wrote|attrib, 0))
	})
}

// Several queues, descriptors and names of one file are told alike; Linux has one
// watch for all. When one of them goes the others stay.
func TestVnodeShared(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		l.ok(os.WriteFile(d.at("f"), nil, 0o600))
		l.ok(os.Link(d.at("f"), d.at("g")))
		a, b := d.open("f", unix.O_RDWR), d.open("g", unix.O_RDWR)
		l.change(vnode(a, anyNote, event.Add|event.Clear), vnode(b, wrote, event.Add|event.OneShot))
		other := l.k.NewQueue(l.td, l.h)
		_, err := other.Kevent(l.td, []event.Kevent{vnode(a, extend, event.Add|event.Clear)}, nil, 0)
		l.ok(err)
		l.write(a, 1)
		l.want(vnode(a, wrote|extend, event.Clear), vnode(b, wrote, event.OneShot))
		var got [2]event.Kevent
		n, err := other.Kevent(l.td, nil, got[:], 0)
		if n != 1 || err != nil || got[0] != vnode(a, extend, event.Clear) {
			l.Errorf("the other queue: %s, %v", list(got[:n]), err)
		}
		l.change(vnode(b, wrote, event.Add))
		l.close(a)
		l.write(b, 1)
		l.want(vnode(b, wrote, 0))
		l.ok(other.Close(l.td))
		l.change(vnode(b, 0, event.Delete))
		l.change(vnode(b, attrib, event.Add)) // a new watch
		l.ok(unix.Fchmod(b, 0o400))
		l.want(vnode(b, attrib, 0))
	})
}

// An unlinked file has no name, and can be watched all the same.
func TestVnodeWithoutName(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		fd := d.open("f", unix.O_RDWR|unix.O_CREAT)
		l.ok(os.Remove(d.at("f")))
		l.change(vnode(fd, anyNote, event.Add|event.Clear))
		l.write(fd, 1)
		l.want(vnode(fd, wrote|extend, event.Clear))
	})
}

// More than inotify keeps for those who do not come: nothing that was asked for
// may be lost, and what cannot be known is told.
func TestVnodeOverflow(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		a, b := d.open("a", unix.O_RDWR|unix.O_CREAT), d.open("b", unix.O_RDWR|unix.O_CREAT)
		l.change(vnode(a, anyNote, event.Add|event.Clear), vnode(b, del|rename, event.Add|event.Clear))
		most := 16384
		if text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events"); err == nil {
			most, _ = strconv.Atoi(string(text[:len(text)-1]))
		}
		if most > 1<<17 {
			l.Skipf("inotify keeps %d events, too many to have them overflow in a test", most)
		}
		for range most { // two in turn: of the same in a row Linux makes one
			l.write(a, 1)
			l.write(b, 1)
		}
		l.ok(os.Remove(d.at("b")))
		l.ok(os.Chmod(d.at("a"), 0o400))
		l.want(vnode(a, wrote|extend|attrib|rename, event.Clear), vnode(b, del|rename, event.Clear))
		l.want()
		l.write(b, 1)
		l.ok(os.Rename(d.at("a"), d.at("c")))
		l.want(vnode(a, rename, event.Clear)) // all is as it was before
	})
}

func TestVnodeWakes(t *testing.T) {
	each(t, func(l *lab) {
		fd := l.file("")
		l.change(vnode(fd, attrib, event.Add|event.Clear))
		join := l.start("sleeper", 1, func(td *machine.Thread) {
			if e := next(l.T, td, l.q); e != vnode(fd, attrib, event.Clear) {
				l.Errorf("woken by %v", e)
			}
		})
		l.inWait()
		l.write(fd, 1) // not asked for
		l.ok(unix.Fchmod(fd, 0o640))
		join()
	})
}

func TestVnodeErrors(t *testing.T) {
	each(t, func(l *lab) {
		r, _ := l.pipe()
		a, _ := l.sockets(unix.SOCK_STREAM)
		e, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		l.ok(err)
		l.open(e)
		file := l.file("")
		mem, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
		l.ok(err)
		l.open(mem)
		null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		l.ok(err)
		l.open(null)
		name := l.TempDir() + "/fifo"
		l.ok(unix.Mkfifo(name, 0o600))
		fifo, err := unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		l.ok(err)
		l.open(fifo)
		for _, c := range []struct {
			kev  event.Kevent
			want error
		}{
			{vnode(r, wrote, event.Add), unix.EINVAL},
			{vnode(a, wrote, event.Add), unix.EINVAL},
			{vnode(e, wrote, event.Add), unix.EINVAL},
			{vnode(mem, wrote, event.Add), unix.EINVAL}, // Linux keeps it from inotify
			{vnode(file, 1<<7, event.Add), unix.EINVAL},
			{vnode(file, 1<<31|wrote, event.Add), unix.EINVAL},
			{vnode(file, wrote, event.Enable), unix.ENOENT},
			{vnode(1<<20, wrote, event.Add), unix.EBADF},
			{vnode(file, wrote, event.Add), nil},
			{vnode(file, 1<<7, event.Add), unix.EINVAL}, // and leaves it as it was
			{vnode(null, attrib, event.Add), nil},
			{vnode(fifo, attrib, event.Add), nil},
		} {
			if _, err := l.q.Kevent(l.td, []event.Kevent{c.kev}, nil, 0); !errors.Is(err, c.want) {
				l.Errorf("%v: %v, want %v", c.kev, err, c.want)
			}
		}
		l.write(file, 1)
		l.ok(unix.Fchmod(fifo, 0o640))
		want := []event.Kevent{vnode(file, wrote, 0), vnode(fifo, attrib, 0)}
		l.want(want...)
	})
}

// Files come and go while others write to them and threads take what is told.
func TestVnodeChurn(t *testing.T) {
	each(t, func(l *lab) {
		d := l.folder()
		stop := make(chan struct{})
		fds := []int{d.open("0", unix.O_RDWR|unix.O_CREAT), d.open("1", unix.O_RDWR|unix.O_CREAT)}
		l.change(event.Kevent{Ident: 1, Filter: event.User, Flags: event.Add})
		taker := l.start("taker", 1, func(td *machine.Thread) {
			var got [4]event.Kevent
			for {
				n, err := l.q.Kevent(td, nil, got[:], kqueue.Forever)
				if err != nil {
					l.Error(err)
					return
				}
				for _, e := range got[:n] {
					if e.Filter == event.User {
						return
					}
				}
			}
		})
		writer := make(chan struct{})
		go func() {
			defer close(writer)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					unix.Pwrite(fds[i%2], []byte("x"), int64(i%100))
				}
			}
		}()
		for i := range 200 {
			l.change(vnode(fds[i%2], wrote, event.Add|event.Clear))
			again := d.open(itoa(i%2), unix.O_RDONLY)
			l.change(vnode(again, anyNote, event.Add|event.Clear))
			if i%3 == 0 {
				l.change(vnode(fds[i%2], 0, event.Delete))
			}
			l.close(again)
		}
		close(stop)
		<-writer
		l.change(trigger)
		taker()
	})
}
