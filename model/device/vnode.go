package device

import (
	"math"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// MaxFileSize is how long a file can be: a write or a truncation beyond it is EFBIG.
const MaxFileSize = 1 << 20

// A vnode is a file or a directory, whatever its names are and if it has none. It lives
// as long as a name or an open file leads to it.
//
// All its knotes are on one list, as in DragonFly (v_pollinfo), and hints say what has
// happened to it: see the filters.
type vnode struct {
	src kqueue.Source // guards what follows, as far as nothing else is said

	dir   bool // immutable
	data  []byte
	mode  uint32
	links int    // changed with the file system's lock held too: so either is enough to look
	opens int    // open files
	made  int64  // ... that there have been
	era   uint64 // how often it has been revoked
	gone  bool   // neither name nor open file is left

	up      *vnode  // guarded by the file system's lock: of a directory, the one that it is in
	entries []entry // guarded by the file system's lock: of a directory
}

// An entry is a name in a directory.
type entry struct {
	name string
	n    *vnode
}

var vnodes = machine.NewStock(func(n *vnode) {
	clear(n.entries)
	*n = vnode{data: n.data[:0], entries: n.entries[:0]}
})

func newVnode(td *machine.Thread, k *kqueue.Kernel, dir bool) *vnode {
	n := vnodes.New(td)
	n.src.Init(td, k)
	n.dir, n.mode, n.links = dir, 0o644, 1
	if dir {
		n.mode, n.links = 0o755, 2 // its name, and the one that it has in itself
	}
	return n
}

// find returns the index of a name in a directory, -1 if there is no such.
func (n *vnode) find(name string) int {
	for i := range n.entries {
		if n.entries[i].name == name {
			return i
		}
	}
	return -1
}

// tell has something happened to n: so many links more, and what notes say. It enters
// the domain of n, and is called in none.
func (n *vnode) tell(td *machine.Thread, links int, notes event.Fflags) {
	n.src.Enter(td)
	n.links += links
	n.src.Post(td, int64(notes))
	td.Commit(event.Acted)
	n.settle()
	n.src.Exit(td)
}

// settle is called, in the domain, whenever a name or an open file may have been the
// last thing that led to n. What was written to it goes with it. (tmpfs_inactive)
func (n *vnode) settle() {
	if n.links <= 0 && n.opens == 0 {
		n.src.Bare()
		n.gone = true
		n.data = n.data[:0]
	}
}

// An OpenFile is one open of a file or a directory, with an offset of its own. It is a
// [kqueue.File].
//
// Vnode says what has happened to the file, by whatever descriptor or name; what was
// asked for piles up in the fflags until they are retrieved with EV_CLEAR. Fflags of 0
// ask for nothing.
//
//	NOTE_WRITE    a write, or a truncation; of a directory, a name that has come or gone
//	NOTE_EXTEND   it is longer
//	NOTE_ATTRIB   chmod
//	NOTE_LINK     a name more, or less; of a directory, one below it
//	NOTE_DELETE   and it is less: unlink, rmdir, or another was renamed onto it
//	NOTE_RENAME   rename
//	NOTE_REVOKE   revoke; EV_EOF and EV_NODATA come with it, asked for or not
//
// Read is ready while the offset is not at the end of the file; data is how far that is,
// and negative beyond it. NOTE_LOWAT is honoured. It is news, and so told to a knote
// with EV_CLEAR, when anybody writes to the file or truncates it, and when the offset is
// moved by a seek on this open file. Write is always ready, with data 0. A directory has
// neither: it has no bytes.
//
// What was open when the file was revoked is at the end for good, with EV_EOF and
// EV_NODATA, and hears of nothing any more.
//
// All this is DragonFly's tmpfs (tmpfs_vnops.c), but in these points. The manual page
// says so of all but the last three:
//
//   - NOTE_LINK is told whenever the count of links changes. There an unlink of one of
//     two names is NOTE_DELETE alone.
//   - What a rename replaces is told that it was unlinked. There its directory is told
//     NOTE_DELETE, and the file nothing.
//   - A seek is told to Read, since "the file pointer is not at the end of file" then.
//     There nobody is told, and who sleeps sleeps on.
//   - Write is there, though the page has it that "this filter is not supported for
//     vnodes": it has been since the code has it.
//   - A directory that is removed is told so, as in FreeBSD (vop_rmdir_post).
//   - Read hears of no chmod or rename. There it is told of all that Vnode is.
//   - A knote of what was revoked stays until its descriptor is closed. There
//     EV_ONESHOT is set besides, since what the knote is attached to is gone.
type OpenFile struct {
	n      *vnode
	id     int64  // immutable: tells the open files of a vnode apart; from 1 on
	era    uint64 // immutable: of n, when it was opened
	offset int64  // guarded by n
	gone   bool   // guarded by n: released
	srcs   [1]*kqueue.Source
}

var openFiles = machine.NewStock[OpenFile](nil)

// open opens n, in its domain, or while nobody else knows it.
func (n *vnode) open(td *machine.Thread) *OpenFile {
	f := openFiles.New(td)
	n.opens++
	n.made++
	f.n, f.id, f.era = n, n.made, n.era
	f.srcs[0] = &n.src
	return f
}

// revoked reports whether f was open when its file was revoked.
func (f *OpenFile) revoked() bool { return f.era != f.n.era }

// err returns what is wrong with f for whoever wants its bytes.
func (f *OpenFile) err() error {
	switch {
	case f.gone || f.revoked():
		return syscall.EBADF
	case f.n.dir:
		return syscall.EISDIR
	}
	return nil
}

// Read takes up to len(b) bytes from the offset on, and moves it behind them. 0 and no
// error is the end of the file. It never waits for bytes. (tmpfs_read)
//
// Errors: EBADF if f is released, or revoked; EISDIR. It may block, as long as entering
// a domain does, as do all methods here but Source, Sources and PollClass.
func (f *OpenFile) Read(td *machine.Thread, b []byte) (int, error) {
	n := f.n
	n.src.Enter(td)
	err := f.err()
	took := 0
	if err == nil && f.offset < int64(len(n.data)) {
		took = copy(b, n.data[f.offset:])
		f.offset += int64(took)
	}
	td.Commit(event.Acted)
	n.src.Exit(td)
	return took, err
}

// Write puts all of b where the offset is, and moves it behind. What lies between the
// end of the file and an offset beyond it is zeros from then on. (tmpfs_write)
//
// Errors: EBADF if f is released, or revoked; EISDIR; EFBIG if the file would be longer
// than MaxFileSize, and then nothing is written.
func (f *OpenFile) Write(td *machine.Thread, b []byte) (int, error) {
	n := f.n
	n.src.Enter(td)
	wrote := 0
	err := f.err()
	if err == nil && len(b) > 0 {
		if f.offset > MaxFileSize-int64(len(b)) {
			err = syscall.EFBIG
		} else {
			notes := event.NoteWrite
			if end := int(f.offset) + len(b); end > len(n.data) {
				n.resize(end)
				notes |= event.NoteExtend
			}
			wrote = copy(n.data[f.offset:], b)
			f.offset += int64(wrote)
			n.src.Post(td, int64(notes))
		}
	}
	td.Commit(event.Acted)
	n.src.Exit(td)
	return wrote, err
}

// resize makes the file that long. It may have been as long before.
func (n *vnode) resize(size int) {
	old := len(n.data)
	if size > cap(n.data) {
		data := make([]byte, size, min(max(size, 2*cap(n.data)), MaxFileSize))
		copy(data, n.data)
		n.data = data
		return
	}
	n.data = n.data[:size]
	if size > old {
		clear(n.data[old:])
	}
}

// Seek makes offset, from the beginning of the file, the place where the next read or
// write is. It may be beyond the end. (lseek(2) with SEEK_SET)
//
// Errors: EBADF if f is released, or revoked; EINVAL if offset is negative.
func (f *OpenFile) Seek(td *machine.Thread, offset int64) error {
	n := f.n
	n.src.Enter(td)
	var err error
	switch {
	case f.gone || f.revoked():
		err = syscall.EBADF
	case offset < 0:
		err = syscall.EINVAL
	default:
		f.offset = offset
		n.src.Post(td, f.id<<seekShift)
	}
	td.Commit(event.Acted)
	n.src.Exit(td)
	return err
}

// Truncate makes the file size bytes long: what is beyond goes, what was not there is
// zeros. No offset moves. (ftruncate(2))
//
// Errors: EBADF if f is released, or revoked; EINVAL if size is negative, or f is a
// directory, which is not open for writing; EFBIG if size is more than MaxFileSize.
func (f *OpenFile) Truncate(td *machine.Thread, size int64) error {
	n := f.n
	n.src.Enter(td)
	err := f.err()
	switch {
	case err == syscall.EISDIR || err == nil && size < 0:
		err = syscall.EINVAL
	case err == nil && size > MaxFileSize:
		err = syscall.EFBIG
	case err == nil:
		notes := event.NoteWrite
		if size > int64(len(n.data)) {
			notes |= event.NoteExtend
		}
		n.resize(int(size))
		n.src.Post(td, int64(notes))
	}
	td.Commit(event.Acted)
	n.src.Exit(td)
	return err
}

// Source returns the list of the file for Vnode, and if it is no directory for Read and
// Write; EINVAL for any other filter.
func (f *OpenFile) Source(filter event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	switch {
	case filter == event.Vnode:
		return f.srcs[0], vnodeFilter, nil
	case filter == event.Read && !f.n.dir:
		return f.srcs[0], offsetFilter, nil
	case filter == event.Write && !f.n.dir:
		return f.srcs[0], steadyFilter, nil
	}
	return nil, nil, syscall.EINVAL
}

// Sources returns the list of the file.
func (f *OpenFile) Sources() []*kqueue.Source { return f.srcs[:] }

// PollClass says that to read or write a file nobody waits: poll(2) always finds it
// ready, at its end too, and epoll(7) refuses it.
func (f *OpenFile) PollClass() event.PollClass { return event.PollAlways }

// Release closes the file. If it has no name, and no other open file, it is gone. Doing
// so again does nothing. (vn_closefile)
func (f *OpenFile) Release(td *machine.Thread) {
	n := f.n
	n.src.Enter(td)
	if !f.gone {
		f.gone = true
		n.opens--
		n.settle()
	}
	td.Commit(event.Released)
	n.src.Exit(td)
}

// A hint to the knotes of a vnode is what has happened to it, as notes; or which of its
// open files has had its offset moved, shifted left. 0 is a scan, or a change, that asks.
const (
	vnodeNotes = event.NoteDelete | event.NoteWrite | event.NoteExtend | event.NoteAttrib |
		event.NoteLink | event.NoteRename | event.NoteRevoke
	seekShift = 8
)

// over tells a knote of f, which has been revoked, so. That is a condition; it is news
// once, and what happens to the file afterwards is none.
func (f *OpenFile) over(kn *kqueue.Knote, hint int64) bool {
	known := kn.Cond != 0
	kn.Cond = event.EOF | event.NoData
	return hint == 0 || !known
}

// vnodeFilter is Vnode. A hint is added to what has not been retrieved, if it is asked
// for: so nothing that has happened is told twice, or lost by being told with another.
// (filt_tmpfsvnode)
//
// Errors: EINVAL if there are fflags that are no notes of a vnode. Data is ignored.
var vnodeFilter = &kqueue.Filter{
	Name: "vnode",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		kn.Hook = kn.File()
		return subscribe(kn, kn.Want)
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error { return subscribe(kn, kev.Fflags) },
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		f := kn.Hook.(*OpenFile)
		news := event.Fflags(hint) & vnodeNotes & kn.Want
		if f.revoked() {
			if kn.Cond == 0 {
				kn.Fflags |= news
			}
			return f.over(kn, hint)
		}
		kn.Fflags |= news
		return kn.Fflags != 0 && (hint == 0 || news != 0)
	},
}

// subscribe has a knote of Vnode ask for notes. What it has heard of before stays.
func subscribe(kn *kqueue.Knote, notes event.Fflags) error {
	if notes&^vnodeNotes != 0 {
		return syscall.EINVAL
	}
	kn.Want = notes
	return nil
}

// offsetFilter is Read. (filt_tmpfsread)
var offsetFilter = marked("file read", 1, math.MaxInt64, fileOf[*OpenFile], func(f *OpenFile, kn *kqueue.Knote, hint int64) bool {
	if f.revoked() {
		kn.Data = 0
		return f.over(kn, hint)
	}
	if hint != 0 && hint&int64(event.NoteWrite) == 0 && hint != f.id<<seekShift {
		return false
	}
	kn.Data = int64(len(f.n.data)) - f.offset
	return kn.Data < 0 || kn.Data >= kn.WantData
})

// steadyFilter is Write. (filt_tmpfswrite)
var steadyFilter = marked("file write", 1, math.MaxInt64, fileOf[*OpenFile], func(f *OpenFile, kn *kqueue.Knote, hint int64) bool {
	if f.revoked() {
		return f.over(kn, hint)
	}
	return hint == 0
})
