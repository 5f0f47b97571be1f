//go:build linux

package host_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
)

// Two trees are a folder of Linux and the same in memory: each file that is open there is
// watched here and there.
type twoTrees struct {
	folder
	v *device.VFS
	p *proc.Process
	q *kqueue.Queue

	real []int    // descriptors of Linux, which are the host's
	ours []uint64 // those of p, in the same order
	dirs event.Fflags
}

// Whatever is done to files and directories, one thing after another, Linux answers as
// the file system in memory does, with the same bytes; and inotify, as the host reads it,
// tells of the same. What is left out is what package host says Linux does not tell of:
// a revoke, a directory that is removed while it is open, and seeks, after which READ is
// asked anew. Of two names both may be wrong; which error is answered then is open.
func TestFilesOfLinux(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 5
	}
	t.Logf("repeat with: go test ./model/host -run %s -seed %d", t.Name(), *seed)
	each(t, func(l *lab) {
		for i := range runs {
			l.bothTrees(rand.New(rand.NewPCG(*seed, uint64(i))))
		}
	})
}

func (l *lab) bothTrees(rng *rand.Rand) {
	k := kqueue.New(l.m, strategies.All[0].New(l.m))
	d := &twoTrees{folder: l.folder(), v: device.NewVFS(k), p: proc.New(k)}
	d.q = k.NewQueue(l.td, d.p)
	defer d.q.Close(l.td)
	log := []string{}
	defer func() {
		if l.Failed() {
			l.Logf("after\n%s", strings.Join(log, "\n"))
		}
		for _, fd := range d.real {
			l.close(fd)
		}
	}()

	l.ok(os.Mkdir(d.at("d"), 0o755))
	l.ok(d.v.Mkdir(l.td, "d"))
	var st unix.Stat_t
	l.ok(unix.Stat(d.at("d"), &st))
	if d.dirs = anyNote; st.Nlink < 2 {
		d.dirs &^= link // a file system that does not count directories
	}
	for _, name := range []string{"a", "a", "b", "d/a", "d", ""} {
		d.watch(name)
	}
	for range 40 {
		text, err, ours := d.step(rng)
		log = append(log, fmt.Sprintf("%s: %v", text, ours))
		both := err != nil && ours != nil && (strings.HasPrefix(text, "rename") || strings.HasPrefix(text, "link"))
		if err != ours && !both {
			l.Fatalf("%s: %v, Linux answers %v", text, ours, err)
		}
		if got, want := d.told(d.q, d.ours), d.told(l.q, nil); got != want {
			l.Fatalf("%s: told %s, by Linux %s", text, got, want)
		}
	}
}

// watch opens a file here and there.
func (d *twoTrees) watch(name string) {
	d.Helper()
	dir := name == "" || name == "d"
	mode, open := unix.O_RDWR|unix.O_CREAT, d.v.Create
	if dir {
		mode, open = unix.O_RDONLY|unix.O_DIRECTORY, d.v.Open
	}
	fd := d.open(name, mode)
	f, err := open(d.td, name)
	d.ok(err)
	n, err := d.p.Open(d.td, f)
	d.ok(err)
	d.real, d.ours = append(d.real, fd), append(d.ours, uint64(n))
	notes := anyNote
	if dir {
		notes = d.dirs
	}
	for _, w := range []struct {
		q  *kqueue.Queue
		id uint64
	}{{d.lab.q, uint64(fd)}, {d.q, uint64(n)}} {
		_, err := w.q.Kevent(d.td, []event.Kevent{{Ident: w.id, Filter: event.Vnode, Flags: event.Add | event.Clear, Fflags: notes}}, nil, 0)
		d.ok(err)
	}
}

// told asks a queue what there is of each watched file, READ anew, and returns it. Idents
// are those of ours, or, if that is nil, of Linux.
func (d *twoTrees) told(q *kqueue.Queue, ids []uint64) string {
	d.Helper()
	if ids == nil {
		for _, fd := range d.real {
			ids = append(ids, uint64(fd))
		}
	}
	var asks []event.Kevent
	for i, id := range ids {
		if i < files {
			asks = append(asks, event.Kevent{Ident: id, Filter: event.Read, Flags: event.Add | event.OneShot})
		}
	}
	events := make([]event.Kevent, 32)
	if _, err := q.Kevent(d.td, asks, nil, 0); err != nil {
		d.Fatal(err)
	}
	n, err := q.Kevent(d.td, nil, events, 0)
	d.ok(err)
	said := make([]string, len(ids))
	for i, id := range ids {
		for _, filter := range []event.Filter{event.Vnode, event.Read} {
			for _, kev := range events[:n] {
				if kev.Ident == id && kev.Filter == filter {
					kev.Ident = uint64(i)
					said[i] += fmt.Sprintf("%v; ", kev)
				}
			}
		}
	}
	return strings.Join(said, "")
}

// files is how many of those that are watched are no directories: the first ones.
const files = 4

// step does one thing here and there, and returns what each answers.
func (d *twoTrees) step(rng *rand.Rand) (text string, real, ours error) {
	pick := func(names ...string) string { return names[rng.IntN(len(names))] }
	file := func() string { return pick("a", "b", "c", "d/a", "d/b", "x/a", "a/b") }
	dir := func() string { return pick("s", "d/s", "d/t", "d/s/t") }
	i := rng.IntN(files)
	f, err := d.p.File(d.td, int(d.ours[i]))
	d.ok(err)
	open, fd := f.(*device.OpenFile), d.real[i]
	size := rng.Int64N(12)
	switch rng.IntN(16) {
	case 0, 1:
		name := file()
		text = "creat " + name
		fd, err := unix.Open(d.at(name), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if real = err; err == nil {
			unix.Close(fd)
		}
		f, err := d.v.Create(d.td, name)
		if ours = err; err == nil {
			f.Release(d.td)
		}
	case 2:
		name := pick(file(), file(), dir(), "d")
		text, real, ours = "unlink "+name, unix.Unlink(d.at(name)), d.v.Unlink(d.td, name)
	case 3, 4:
		from, to := pick(file(), file(), dir()), pick(file(), file(), dir())
		text, real, ours = "rename "+from+" "+to, unix.Rename(d.at(from), d.at(to)), d.v.Rename(d.td, from, to)
	case 5, 6:
		from, to := file(), pick(file(), file(), dir())
		text, real, ours = "link "+from+" "+to, unix.Link(d.at(from), d.at(to)), d.v.Link(d.td, from, to)
	case 7:
		name := pick(file(), dir(), "d")
		text, real, ours = "chmod "+name, unix.Chmod(d.at(name), 0o700), d.v.Chmod(d.td, name, 0o700)
	case 8, 9:
		name := pick(file(), dir(), dir(), dir())
		text, real, ours = "mkdir "+name, unix.Mkdir(d.at(name), 0o755), d.v.Mkdir(d.td, name)
	case 10:
		name := pick(file(), dir(), dir())
		text, real, ours = "rmdir "+name, unix.Rmdir(d.at(name)), d.v.Rmdir(d.td, name)
	case 11:
		text, real, ours = fmt.Sprintf("truncate %d %d", i, size), unix.Ftruncate(fd, size), open.Truncate(d.td, size)
	case 12:
		text, ours = fmt.Sprintf("seek %d %d", i, size), open.Seek(d.td, size)
		_, real = unix.Seek(fd, size, unix.SEEK_SET)
	case 13, 14:
		b := bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, int(size))
		text = fmt.Sprintf("write %d %s", i, b)
		_, real = unix.Write(fd, b)
		_, ours = open.Write(d.td, b)
	case 15:
		text = fmt.Sprintf("read %d %d", i, size)
		a, b := make([]byte, size), make([]byte, size)
		n, err := unix.Read(fd, a)
		m, err2 := open.Read(d.td, b)
		if real, ours = err, err2; n != m || !bytes.Equal(a, b) {
			d.Fatalf("%s: %d bytes, %q, Linux has %d, %q", text, m, b, n, a)
		}
	}
	if e, ok := real.(syscall.Errno); ok && e == 0 {
		real = nil
	}
	return text, real, ours
}
