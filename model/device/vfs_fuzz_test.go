package device_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// Operations on any paths leave the file system as it must be. What fails tells nobody
// anything; what succeeds has done what it says; and what is told is among what was asked
// for. Each line is an operation and its paths.
func FuzzVFS(f *testing.F) {
	f.Add("creat a\nlink a b\nunlink a\nrename b a\nchmod a")
	f.Add("mkdir d\nmkdir d/e\nrename d d/e/f\nrename d/e x\nrmdir d\nrmdir x")
	f.Add("creat //a//\nopen /\nopen \nmkdir .\ncreat ./..\nrename . ./..")
	f.Add("creat a\nrevoke a\ncreat a\nwrite a\nseek a\ntruncate a\nlink a a/a")
	f.Fuzz(func(t *testing.T, script string) {
		lines := strings.Split(script, "\n")
		if len(lines) > 40 {
			return
		}
		d := newDisk(t, strategies.All[0])
		defer d.end()
		var open []uint64
		for _, line := range lines {
			op, rest, _ := strings.Cut(line, " ")
			from, to, _ := strings.Cut(rest, " ")
			made, err := d.does(op, from, to)
			if wrong := d.v.Audit(d.td); wrong != nil {
				t.Fatalf("%q: %v", line, wrong)
			}
			for _, kev := range d.drain() {
				if err != nil || kev.Fflags&^allNotes != 0 || kev.Fflags == 0 {
					t.Fatalf("%q answers %v, and tells %v", line, err, kev)
				}
			}
			if made != nil && len(open) < 20 {
				fd := d.open(made)
				d.change(event.Kevent{Filter: event.Vnode, Ident: fd, Flags: event.Add | event.Clear, Fflags: allNotes &^ event.NoteExtend}, nil)
				open = append(open, fd)
			} else if made != nil {
				made.Release(d.td)
			}
			if err == nil {
				d.holds(line, op, from, to)
			}
		}
		for _, fd := range open {
			d.must(d.p.Close(d.td, int(fd)))
		}
		d.must(d.v.Empty())
	})
}

// does does one operation, and returns what it has opened. What it opens only to do
// something to it, it closes.
func (d *disk) does(op, from, to string) (made *device.OpenFile, err error) {
	on := func(do func(f *device.OpenFile) error) error {
		f, err := d.v.Open(d.td, from)
		if err == nil {
			err = do(f)
			f.Release(d.td)
		}
		return err
	}
	switch op {
	case "creat":
		return d.v.Create(d.td, from)
	case "open":
		return d.v.Open(d.td, from)
	case "mkdir":
		return nil, d.v.Mkdir(d.td, from)
	case "rmdir":
		return nil, d.v.Rmdir(d.td, from)
	case "unlink":
		return nil, d.v.Unlink(d.td, from)
	case "rename":
		return nil, d.v.Rename(d.td, from, to)
	case "link":
		return nil, d.v.Link(d.td, from, to)
	case "chmod":
		return nil, d.v.Chmod(d.td, from, 0o1234567)
	case "revoke":
		return nil, d.v.Revoke(d.td, from)
	case "write":
		return nil, on(func(f *device.OpenFile) error { return second(f.Write(d.td, []byte(to))) })
	case "seek":
		return nil, on(func(f *device.OpenFile) error { return f.Seek(d.td, int64(len(to))<<40) })
	case "truncate":
		return nil, on(func(f *device.OpenFile) error { return f.Truncate(d.td, int64(len(to))) })
	}
	return nil, syscall.ENOSYS
}

// holds checks that an operation that has succeeded has done what it says.
func (d *disk) holds(line, op, from, to string) {
	d.Helper()
	was, err := d.v.Stat(d.td, from)
	is, err2 := d.v.Stat(d.td, to)
	ok := err == nil
	switch op {
	case "unlink", "rmdir":
		ok = err == syscall.ENOENT
	case "rename":
		ok = err2 == nil && (err == syscall.ENOENT || err == nil && was == is)
	case "link":
		ok = err == nil && err2 == nil && was == is && is.Links > 1
	case "mkdir":
		ok = err == nil && was.Dir && was.Links == 2
	case "creat":
		ok = err == nil && !was.Dir
	case "chmod":
		ok = err == nil && was.Mode == 0o4567
	case "truncate":
		ok = err == nil && was.Size == int64(len(to))
	}
	if !ok {
		d.Fatalf("%q has succeeded, and then: %+v, %v; %+v, %v", line, was, err, is, err2)
	}
}
