package device_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/strategies"
)

// A disk is a lab with a file system.
type disk struct {
	*lab
	v *device.VFS
}

// onDisk runs f under every strategy.
func onDisk(t *testing.T, f func(d *disk)) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			d := newDisk(t, s)
			defer d.end()
			f(d)
			d.must(d.v.Audit(d.td))
		})
	}
}

func newDisk(t *testing.T, s strategies.Entry) *disk {
	d := &disk{}
	d.lab = newLabWith(t, s, func(k *kqueue.Kernel) {
		device.Install(k)
		d.v = device.NewVFS(k)
	})
	return d
}

// create and look open a file and return a descriptor for it.
func (d *disk) create(path string) uint64 {
	d.Helper()
	f, err := d.v.Create(d.td, path)
	d.must(err)
	return d.open(f)
}

func (d *disk) look(path string) uint64 {
	d.Helper()
	f, err := d.v.Open(d.td, path)
	d.must(err)
	return d.open(f)
}

func (d *disk) file(fd uint64) *device.OpenFile {
	d.Helper()
	f, err := d.p.File(d.td, int(fd))
	d.must(err)
	return f.(*device.OpenFile)
}

func (d *disk) write(fd uint64, n int) {
	d.Helper()
	if got, err := d.file(fd).Write(d.td, make([]byte, n)); got != n || err != nil {
		d.Fatalf("Write: %d, %v", got, err)
	}
}

func (d *disk) read(fd uint64, n, want int) {
	d.Helper()
	if got, err := d.file(fd).Read(d.td, make([]byte, n)); got != want || err != nil {
		d.Fatalf("Read: %d, %v, want %d", got, err, want)
	}
}

const allNotes = event.NoteDelete | event.NoteWrite | event.NoteExtend | event.NoteAttrib | event.NoteLink | event.NoteRename | event.NoteRevoke

// What each operation tells: the file "a", which has 5 bytes, another, "b", the root, and
// the directory "d", which has an empty one in it, "d/e".
func TestVnodeNotes(t *testing.T) {
	type told map[string]event.Fflags
	const d, w, x, a, l, r = event.NoteDelete, event.NoteWrite, event.NoteExtend, event.NoteAttrib, event.NoteLink, event.NoteRename
	for _, c := range []struct {
		what string
		do   func(d *disk) error
		want told
	}{
		{"write that makes it longer", func(d *disk) error { d.write(d.create("a"), 9); return nil }, told{"a": w | x}},
		{"write within", func(d *disk) error { d.write(d.create("a"), 3); return nil }, told{"a": w}},
		{"write of nothing", func(d *disk) error { d.write(d.create("a"), 0); return nil }, told{}},
		{"read", func(d *disk) error { d.read(d.look("a"), 3, 3); return nil }, told{}},
		{"seek", func(d *disk) error { return d.file(d.look("a")).Seek(d.td, 2) }, told{}},
		{"truncate shorter", func(d *disk) error { return d.file(d.look("a")).Truncate(d.td, 2) }, told{"a": w}},
		{"truncate to what it is", func(d *disk) error { return d.file(d.look("a")).Truncate(d.td, 5) }, told{"a": w}},
		{"truncate longer", func(d *disk) error { return d.file(d.look("a")).Truncate(d.td, 7) }, told{"a": w | x}},
		{"chmod", func(d *disk) error { return d.v.Chmod(d.td, "a", 0o600) }, told{"a": a}},
		{"chmod of a directory", func(d *disk) error { return d.v.Chmod(d.td, "d", 0o700) }, told{"d": a}},
		{"create what is there", func(d *disk) error { d.create("a"); return nil }, told{}},
		{"create", func(d *disk) error { d.create("c"); return nil }, told{"": w}},
		{"create below", func(d *disk) error { d.create("d/c"); return nil }, told{"d": w}},
		{"mkdir", func(d *disk) error { return d.v.Mkdir(d.td, "c") }, told{"": w | l}},
		{"rmdir", func(d *disk) error { return d.v.Rmdir(d.td, "d/e") }, told{"d": w | l}},
		{"link", func(d *disk) error { return d.v.Link(d.td, "a", "d/c") }, told{"a": l, "d": w}},
		{"unlink", func(d *disk) error { return d.v.Unlink(d.td, "a") }, told{"a": d | l, "": w}},
		{"rename", func(d *disk) error { return d.v.Rename(d.td, "a", "c") }, told{"a": r, "": w}},
		{"rename to another directory", func(d *disk) error { return d.v.Rename(d.td, "a", "d/c") }, told{"a": r, "": w, "d": w}},
		{"rename onto another", func(d *disk) error { return d.v.Rename(d.td, "a", "b") }, told{"a": r, "b": d | l, "": w}},
		{"rename to itself", func(d *disk) error { return d.v.Rename(d.td, "a", "a") }, told{}},
		{"rename of a directory", func(d *disk) error { return d.v.Rename(d.td, "d", "c") }, told{"d": r, "": w}},
		{"rename of a directory to another", func(d *disk) error { return d.v.Rename(d.td, "d/e", "c") }, told{"d": w | l, "": w | l}},
		{"rename onto a directory", func(d *disk) error {
			d.must(d.v.Mkdir(d.td, "d/f"))
			d.drain()
			return d.v.Rename(d.td, "d/f", "d/e")
		}, told{"d": w | l}},
		{"rename onto a directory elsewhere", func(d *disk) error {
			d.must(d.v.Mkdir(d.td, "f"))
			d.drain()
			return d.v.Rename(d.td, "f", "d/e")
		}, told{"d": w, "": w | l}},
		{"revoke", func(d *disk) error { return d.v.Revoke(d.td, "a") }, told{"a": event.NoteRevoke}},
	} {
		t.Run(c.what, func(t *testing.T) {
			onDisk(t, func(d *disk) {
				d.must(d.v.Mkdir(d.td, "d"))
				d.must(d.v.Mkdir(d.td, "d/e"))
				names := map[string]uint64{"a": d.create("a"), "b": d.create("b"), "": d.look(""), "d": d.look("d")}
				d.write(names["a"], 5)
				for _, fd := range names {
					d.change(event.Kevent{Filter: event.Vnode, Ident: fd, Flags: event.Add | event.Clear, Fflags: allNotes}, nil)
				}
				d.must(c.do(d))
				got := told{}
				for _, kev := range d.drain() {
					for name, fd := range names {
						if fd == kev.Ident {
							got[name] = kev.Fflags
						}
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(c.want) {
					d.Errorf("told %v, want %v", got, c.want)
				}
			})
		})
	}
}

// drain returns all events that there are.
func (d *disk) drain() []event.Kevent {
	d.Helper()
	events := make([]event.Kevent, 20)
	n, err := d.q.Kevent(d.td, nil, events, 0)
	d.must(err)
	return events[:n]
}

// Notes pile up until they are retrieved with EV_CLEAR, and only those that are asked
// for; without it they stay; a change keeps those that were there.
func TestVnodeAccumulates(t *testing.T) {
	onDisk(t, func(d *disk) {
		fd := d.create("a")
		kev := func(flags event.Flags, notes event.Fflags) event.Kevent {
			return event.Kevent{Filter: event.Vnode, Ident: fd, Flags: flags, Fflags: notes}
		}
		d.change(kev(event.Add|event.Clear, event.NoteWrite|event.NoteAttrib), nil)
		d.write(fd, 1)
		d.must(d.v.Link(d.td, "a", "b"))
		d.expect(kev(event.Clear, event.NoteWrite))
		d.must(d.v.Unlink(d.td, "b"))
		d.expect()
		d.write(fd, 1)
		d.must(d.v.Chmod(d.td, "a", 0))
		d.write(fd, 1)
		d.expect(kev(event.Clear, event.NoteWrite|event.NoteAttrib))
		d.expect()

		d.write(fd, 1)
		d.change(kev(event.Add, event.NoteRename), nil)
		d.must(d.v.Rename(d.td, "a", "b"))
		d.write(fd, 1)
		d.expect(kev(event.Clear, event.NoteWrite|event.NoteRename))

		d.change(kev(event.Delete, 0), nil)
		d.change(kev(event.Add, event.NoteExtend), nil)
		d.expect()
		d.write(fd, 1)
		d.expect(kev(0, event.NoteExtend))
		d.expect(kev(0, event.NoteExtend))
		d.change(kev(event.Delete, 0), nil)

		// Disabled it goes on to listen.
		d.change(kev(event.Add|event.Clear|event.Disable, event.NoteLink), nil)
		d.must(d.v.Link(d.td, "b", "a"))
		d.expect()
		d.change(kev(event.Enable, 0), nil)
		d.expect(kev(event.Clear, event.NoteLink))
		d.change(kev(event.Delete, 0), nil)

		d.change(kev(event.Add, 0), nil)
		d.write(fd, 1)
		d.expect()
		d.change(kev(event.Add, 0x80), syscall.EINVAL)
		d.change(kev(event.Add, allNotes|0x100), syscall.EINVAL)
	})
}

// Read of a file is ready where its offset is not at its end, and says how far that is.
func TestFileRead(t *testing.T) {
	onDisk(t, func(d *disk) {
		fd, other := d.create("a"), d.create("a")
		read := func(fd uint64, flags event.Flags, n int64) event.Kevent {
			return event.Kevent{Filter: event.Read, Ident: fd, Flags: flags, Data: n}
		}
		d.change(read(fd, event.Add, 0), nil)
		d.expect()
		d.write(other, 5)
		d.expect(read(fd, 0, 5))
		d.read(fd, 3, 3)
		d.expect(read(fd, 0, 2))
		d.read(fd, 9, 2)
		d.expect()
		d.read(fd, 9, 0)
		d.must(d.file(fd).Seek(d.td, 1))
		d.expect(read(fd, 0, 4))
		d.must(d.file(other).Truncate(d.td, 0))
		d.expect(read(fd, 0, -1))
		d.read(fd, 9, 0)
		d.must(d.file(other).Truncate(d.td, 1))
		d.expect()
		d.must(d.file(fd).Seek(d.td, 100))
		d.expect(read(fd, 0, -99))
		d.write(fd, 2)
		d.expect()
		if st, err := d.v.Stat(d.td, "a"); st.Size != 102 || err != nil {
			d.Errorf("status %+v, %v, want 102 bytes", st, err)
		}
		d.change(read(fd, event.Delete, 0), nil)

		// With EV_CLEAR each write and each truncation is news to all who are not at
		// the end, and a seek to those of that open file.
		d.must(d.file(fd).Seek(d.td, 0))
		d.change(read(fd, event.Add|event.Clear, 0), nil)
		d.expect(read(fd, event.Clear, 102))
		d.expect()
		d.must(d.file(other).Seek(d.td, 3))
		d.expect()
		d.must(d.file(fd).Seek(d.td, 3))
		d.expect(read(fd, event.Clear, 99))
		d.write(other, 1)
		d.expect(read(fd, event.Clear, 99))
		d.must(d.file(other).Truncate(d.td, 5))
		d.expect(read(fd, event.Clear, 2))
		d.must(d.v.Chmod(d.td, "a", 0))
		d.must(d.v.Rename(d.td, "a", "b"))
		d.must(d.v.Unlink(d.td, "b"))
		d.expect()

		// A mark, and what lies behind the end.
		d.change(event.Kevent{Filter: event.Read, Ident: fd, Flags: event.Add, Fflags: event.NoteLowat, Data: 5}, nil)
		d.expect()
		d.must(d.file(other).Truncate(d.td, 8))
		d.expect(read(fd, event.Clear, 5))
		d.must(d.file(other).Truncate(d.td, 2))
		d.expect(read(fd, event.Clear, -1))
		d.change(event.Kevent{Filter: event.Read, Ident: fd, Flags: event.Add, Fflags: event.NoteOOB}, syscall.EINVAL)
		d.change(event.Kevent{Filter: event.Read, Ident: fd, Flags: event.Add, Fflags: event.NoteLowat, Data: -1}, syscall.EINVAL)
	})
}

// Write of a file is always ready, and tells of it once with EV_CLEAR.
func TestFileWrite(t *testing.T) {
	onDisk(t, func(d *disk) {
		fd := d.create("a")
		d.change(event.Kevent{Filter: event.Write, Ident: fd, Flags: event.Add}, nil)
		d.expect(event.Kevent{Filter: event.Write, Ident: fd})
		d.expect(event.Kevent{Filter: event.Write, Ident: fd})
		d.change(event.Kevent{Filter: event.Write, Ident: fd, Flags: event.Delete}, nil)
		d.change(event.Kevent{Filter: event.Write, Ident: fd, Flags: event.Add | event.Clear}, nil)
		d.expect(event.Kevent{Filter: event.Write, Ident: fd, Flags: event.Clear})
		d.write(fd, 5)
		d.expect()
		d.change(event.Kevent{Filter: event.Write, Ident: fd, Flags: event.Add, Fflags: event.NoteOOB}, syscall.EINVAL)

		dir := d.look("")
		for _, kev := range []event.Kevent{{Filter: event.Read, Ident: dir}, {Filter: event.Write, Ident: dir}, {Filter: event.Except, Ident: fd}} {
			kev.Flags = event.Add
			d.change(kev, syscall.EINVAL)
		}
	})
}

// A revoke is told to all that was open, asked for or not, once with EV_CLEAR, and is the
// end of that; what is opened later is none of it.
func TestRevoke(t *testing.T) {
	onDisk(t, func(d *disk) {
		fd := d.create("a")
		d.write(fd, 5)
		const ended = event.Clear | event.EOF | event.NoData
		kevs := []event.Kevent{
			{Filter: event.Vnode, Ident: fd, Fflags: event.NoteWrite},
			{Filter: event.Read, Ident: fd},
			{Filter: event.Write, Ident: fd},
		}
		for i := range kevs {
			kevs[i].Flags = event.Add | event.Clear
			d.change(kevs[i], nil)
			kevs[i].Flags, kevs[i].Fflags = ended, 0
		}
		d.drain()
		d.must(d.v.Revoke(d.td, "a"))
		d.expect(kevs...)
		d.expect()

		again := d.create("a")
		d.write(again, 9)
		d.must(d.v.Unlink(d.td, "a"))
		d.expect()
		for what, err := range map[string]error{
			"read":     second(d.file(fd).Read(d.td, make([]byte, 1))),
			"write":    second(d.file(fd).Write(d.td, make([]byte, 1))),
			"seek":     d.file(fd).Seek(d.td, 0),
			"truncate": d.file(fd).Truncate(d.td, 0),
		} {
			if err != syscall.EBADF {
				d.Errorf("%s of what was revoked: %v, want EBADF", what, err)
			}
		}
		d.change(event.Kevent{Filter: event.Read, Ident: again, Flags: event.Add}, nil)
		d.expect()
		d.must(d.file(again).Seek(d.td, 7))
		d.expect(event.Kevent{Filter: event.Read, Ident: again, Data: 2})

		// A knote that is added then is told at once, and one without EV_CLEAR for good.
		d.change(event.Kevent{Filter: event.Read, Ident: again, Flags: event.Delete}, nil)
		d.change(event.Kevent{Filter: event.Vnode, Ident: fd, Flags: event.Delete}, nil)
		d.change(event.Kevent{Filter: event.Vnode, Ident: fd, Flags: event.Add, Fflags: event.NoteRevoke}, nil)
		for range 2 {
			d.expect(event.Kevent{Filter: event.Vnode, Ident: fd, Flags: event.EOF | event.NoData})
		}
	})
}

func second(_ int, err error) error { return err }

// A file lives as long as a name or an open file.
func TestFileOutlivesItsNames(t *testing.T) {
	onDisk(t, func(d *disk) {
		fd, other := d.create("a"), d.create("a")
		d.write(fd, 5)
		d.must(d.v.Link(d.td, "a", "b"))
		d.must(d.v.Unlink(d.td, "a"))
		if st, err := d.v.Stat(d.td, "b"); st != (device.FileStatus{Mode: 0o644, Links: 1, Size: 5}) || err != nil {
			d.Errorf("status %+v, %v", st, err)
		}
		d.must(d.v.Unlink(d.td, "b"))
		d.read(other, 9, 5)
		d.must(d.p.Close(d.td, int(fd)))
		d.must(d.p.Close(d.td, int(other)))
		if f := d.create("a"); f != fd {
			d.Fatalf("descriptor %d, want %d", f, fd)
		}
		d.read(fd, 9, 0)
		d.must(d.p.Close(d.td, int(fd)))
		d.must(d.v.Empty())
		d.look("a")
		if err := d.v.Empty(); err == nil || !strings.Contains(err.Error(), "open 1 times") {
			d.Errorf("with a file that is open: %v", err)
		}
	})
}

// Each operation says what is wrong with its names, of several things the first.
func TestVFSErrors(t *testing.T) {
	onDisk(t, func(d *disk) {
		d.create("f")
		d.create("g")
		d.must(d.v.Mkdir(d.td, "d"))
		d.must(d.v.Mkdir(d.td, "/d//e/"))
		d.must(d.v.Mkdir(d.td, "x"))
		d.create("x/f")
		ops := map[string]func(from, to string) error{
			"create": func(from, _ string) error { _, err := d.v.Create(d.td, from); return err },
			"open":   func(from, _ string) error { _, err := d.v.Open(d.td, from); return err },
			"mkdir":  func(from, _ string) error { return d.v.Mkdir(d.td, from) },
			"rmdir":  func(from, _ string) error { return d.v.Rmdir(d.td, from) },
			"unlink": func(from, _ string) error { return d.v.Unlink(d.td, from) },
			"chmod":  func(from, _ string) error { return d.v.Chmod(d.td, from, 0) },
			"revoke": func(from, _ string) error { return d.v.Revoke(d.td, from) },
			"stat":   func(from, _ string) error { _, err := d.v.Stat(d.td, from); return err },
			"rename": func(from, to string) error { return d.v.Rename(d.td, from, to) },
			"link":   func(from, to string) error { return d.v.Link(d.td, from, to) },
		}
		for _, c := range []struct {
			op   string
			want error
		}{
			{"create no/f", syscall.ENOENT}, {"create f/f", syscall.ENOTDIR}, {"create d", syscall.EISDIR}, {"create", syscall.EISDIR},
			{"open no", syscall.ENOENT}, {"open f/f", syscall.ENOTDIR}, {"open no/no", syscall.ENOENT},
			{"mkdir f", syscall.EEXIST}, {"mkdir d", syscall.EEXIST}, {"mkdir", syscall.EEXIST}, {"mkdir no/d", syscall.ENOENT}, {"mkdir f/d", syscall.ENOTDIR},
			{"rmdir no", syscall.ENOENT}, {"rmdir f", syscall.ENOTDIR}, {"rmdir", syscall.EBUSY}, {"rmdir d", syscall.ENOTEMPTY},
			{"unlink no", syscall.ENOENT}, {"unlink d", syscall.EISDIR}, {"unlink", syscall.EISDIR}, {"unlink f/f", syscall.ENOTDIR},
			{"chmod no", syscall.ENOENT}, {"revoke no", syscall.ENOENT}, {"stat no", syscall.ENOENT}, {"stat f/f", syscall.ENOTDIR},
			{"link no f", syscall.ENOENT}, {"link d f", syscall.EPERM}, {"link d no/f", syscall.ENOENT}, {"link f g", syscall.EEXIST}, {"link f f", syscall.EEXIST}, {"link f d", syscall.EEXIST}, {"link f no/f", syscall.ENOENT}, {"link f g/f", syscall.ENOTDIR},
			{"rename no f", syscall.ENOENT}, {"rename f no/f", syscall.ENOENT}, {"rename f g/f", syscall.ENOTDIR}, {"rename f/f g", syscall.ENOTDIR},
			{"rename / f", syscall.EBUSY}, {"rename d /", syscall.EBUSY}, {"rename d d/e/d", syscall.EINVAL}, {"rename d d/d", syscall.EINVAL},
			{"rename f d", syscall.EISDIR}, {"rename d f", syscall.ENOTDIR}, {"rename d x", syscall.ENOTEMPTY}, {"rename d/e x", syscall.ENOTEMPTY}, {"rename d/e d", syscall.ENOTEMPTY},
		} {
			op, rest, _ := strings.Cut(c.op, " ")
			from, to, _ := strings.Cut(rest, " ")
			if err := ops[op](from, to); !errors.Is(err, c.want) {
				d.Errorf("%s: %v, want %v", c.op, err, c.want)
			}
			d.must(d.v.Audit(d.td))
		}
	})
}

// So does each operation on an open file.
func TestOpenFileErrors(t *testing.T) {
	onDisk(t, func(d *disk) {
		f, dir := d.file(d.create("a")), d.file(d.look(""))
		gone, err := d.v.Open(d.td, "a")
		d.must(err)
		gone.Release(d.td)
		gone.Release(d.td)
		big := make([]byte, device.MaxFileSize+1)
		for what, c := range map[string]struct{ got, want error }{
			"read of a directory":     {second(dir.Read(d.td, big)), syscall.EISDIR},
			"write to a directory":    {second(dir.Write(d.td, big)), syscall.EISDIR},
			"truncate of a directory": {dir.Truncate(d.td, 0), syscall.EINVAL},
			"seek of a directory":     {dir.Seek(d.td, 0), nil},
			"truncate to less":        {f.Truncate(d.td, -1), syscall.EINVAL},
			"truncate to too much":    {f.Truncate(d.td, device.MaxFileSize+1), syscall.EFBIG},
			"truncate to all":         {f.Truncate(d.td, device.MaxFileSize), nil},
			"seek to less":            {f.Seek(d.td, -1), syscall.EINVAL},
			"seek far":                {f.Seek(d.td, 1<<62), nil},
			"write too much":          {second(f.Write(d.td, big)), syscall.EFBIG},
			"read released":           {second(gone.Read(d.td, big)), syscall.EBADF},
			"write released":          {second(gone.Write(d.td, big[:1])), syscall.EBADF},
			"seek released":           {gone.Seek(d.td, 0), syscall.EBADF},
			"truncate released":       {gone.Truncate(d.td, 0), syscall.EBADF},
		} {
			if c.got != c.want {
				d.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
		}
		d.must(f.Seek(d.td, 1<<62))
		if n, err := f.Write(d.td, big[:1]); n != 0 || err != syscall.EFBIG {
			d.Errorf("a write far beyond the end: %d, %v", n, err)
		}
		if n, err := f.Read(d.td, big); n != 0 || err != nil {
			d.Errorf("a read far beyond the end: %d, %v", n, err)
		}
	})
}

// What is mounted and unmounted is told to all who watch, whatever they call it, until
// they have retrieved it.
func TestMounts(t *testing.T) {
	onDisk(t, func(d *disk) {
		fs := func(ident uint64, what event.Fflags) event.Kevent {
			return event.Kevent{Filter: event.FS, Ident: ident, Flags: event.Clear, Fflags: what}
		}
		d.change(event.Kevent{Filter: event.FS, Flags: event.Add}, nil)
		d.change(event.Kevent{Filter: event.FS, Ident: 7, Flags: event.Add, Fflags: event.VQMount, Data: 5}, nil)
		d.expect()
		d.must(d.v.Mount(d.td, 1))
		d.expect(fs(0, event.VQMount), fs(7, event.VQMount))
		d.expect()
		d.must(d.v.Mount(d.td, 2))
		d.must(d.v.Unmount(d.td, 1))
		d.must(d.v.Signal(d.td, 2, event.VQLowDisk))
		d.expect(fs(0, event.VQMount|event.VQUnmount|event.VQLowDisk), fs(7, event.VQMount|event.VQUnmount|event.VQLowDisk))
		for what, c := range map[string]struct{ got, want error }{
			"mount twice":               {d.v.Mount(d.td, 2), syscall.EBUSY},
			"unmount what is not":       {d.v.Unmount(d.td, 1), syscall.EINVAL},
			"signal of what is not":     {d.v.Signal(d.td, 1, event.VQDead), syscall.EINVAL},
			"signal of nothing":         {d.v.Signal(d.td, 2, 0), syscall.EINVAL},
			"signal of two":             {d.v.Signal(d.td, 2, event.VQDead|event.VQAssist), syscall.EINVAL},
			"signal of what is unknown": {d.v.Signal(d.td, 2, 0x100), syscall.EINVAL},
		} {
			if c.got != c.want {
				d.Errorf("%s: %v, want %v", what, c.got, c.want)
			}
		}
		d.expect()
	})
}
