package device

import (
	"slices"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A VFS is one file system, in memory, and the list of what is mounted: see Mount. A
// path is names with slashes between, from the root on, which is the empty path; a
// slash before it or behind it means nothing. A file may have several names, a directory
// has one.
//
// Its lock makes each operation on names one step to all others on names. It is taken
// before any domain, and kept while the domains of the vnodes that are told of it are
// entered, one after the other; nobody takes it in a domain, and filters do not look at
// names. What is done to an open file needs no lock.
//
// So who watches two of the vnodes may be told of one before the other, under any strategy:
// the file first, where it is unlinked or linked, and its directory after it; in a rename
// what is replaced, then the directories, then the file. This is right, since each knote
// is of one vnode, and says what has happened to that by now and nothing of another:
//
//	unlink a                    kevent: VNODE of a, and of its directory
//	a is a name no more
//	tells a of NOTE_DELETE
//	                            returns a's; creates a: waits for the lock
//	tells the directory
//	                            returns the directory's
//
// Whoever is told of the first and then looks for the name finds that it is gone, and that
// all have been told: to look takes the lock. So no name leads to a file that has been
// told that it has lost it, and nobody is told of what a later operation did before an
// earlier one. (DragonFly tells when it has let go of the locks of directory and file, and
// there a new file of that name may be told of first.)
type VFS struct {
	k    *kqueue.Kernel
	mu   machine.Mutex
	root *vnode // guarded by mu: made when it is first asked for, since who asks says where

	mounts
}

// NewVFS returns a file system with nothing in it, and nothing mounted, and makes the
// filter FS known to the kernel. It is called before any queue is made, once for a
// kernel.
func NewVFS(k *kqueue.Kernel) *VFS {
	v := &VFS{k: k}
	v.mu.Name = "names"
	v.mounts.k, v.mounts.mu.Name = k, "mounts"
	k.Install(event.FS, v.watch)
	return v
}

// Reset makes v as it was when it was made, whatever it had, on a virtual machine that
// has been reset.
func (v *VFS) Reset() {
	v.root = nil
	v.mounts.reset()
}

// A place is where a path leads.
type place struct {
	dir  *vnode // in which the name is, or would be; nil of the root
	name string
	n    *vnode // nil if there is no such name
}

// find follows a path, with mu held.
//
// Errors: ENOENT if a directory on the way is not there; ENOTDIR if it is a file.
func (v *VFS) find(td *machine.Thread, path string) (p place, err error) {
	if v.root == nil {
		v.root = newVnode(td, v.k, true)
	}
	p.n = v.root
	for path = strings.Trim(path, "/"); path != ""; {
		p.name, path, _ = strings.Cut(path, "/")
		switch {
		case p.name == "":
			continue
		case p.n == nil:
			return p, syscall.ENOENT
		case !p.n.dir:
			return p, syscall.ENOTDIR
		}
		p.dir, p.n = p.n, nil
		if i := p.dir.find(p.name); i >= 0 {
			p.n = p.dir.entries[i].n
		}
	}
	return p, nil
}

// there is find for what must be there: ENOENT if it is not.
func (v *VFS) there(td *machine.Thread, path string) (place, error) {
	p, err := v.find(td, path)
	if err == nil && p.n == nil {
		err = syscall.ENOENT
	}
	return p, err
}

// enter makes the name lead to n, and leave have it lead nowhere, with mu held.
func (p *place) enter(n *vnode) {
	p.dir.entries = append(p.dir.entries, entry{p.name, n})
	if n.dir {
		n.up = p.dir
	}
}

func (p *place) leave() {
	i := p.dir.find(p.name)
	p.dir.entries = slices.Delete(p.dir.entries, i, i+1)
}

// refused is the end of an operation that does nothing, with mu held.
func (v *VFS) refused(td *machine.Thread, err error) error {
	td.Commit(event.Acted)
	return err
}

// Create opens a file to read and write, and makes it if it is not there: then its
// directory is told. (open(2) with O_RDWR|O_CREAT)
//
// Errors: those of a path, ENOENT and ENOTDIR; EISDIR. Like all methods here it may
// block, as long as it takes to enter a domain, and is called in none.
func (v *VFS) Create(td *machine.Thread, path string) (*OpenFile, error) {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.find(td, path)
	switch {
	case err != nil:
		return nil, v.refused(td, err)
	case p.n != nil && p.n.dir:
		return nil, v.refused(td, syscall.EISDIR)
	case p.n != nil:
		return p.n.openShared(td), nil
	}
	n := newVnode(td, v.k, false)
	f := n.open(td)
	p.enter(n)
	p.dir.tell(td, 0, event.NoteWrite)
	return f, nil
}

// Open opens what is there: a file to read and write, a directory to be watched.
//
// Errors: those of a path; ENOENT.
func (v *VFS) Open(td *machine.Thread, path string) (*OpenFile, error) {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	if err != nil {
		return nil, v.refused(td, err)
	}
	return p.n.openShared(td), nil
}

// openShared is open for a vnode that others know.
func (n *vnode) openShared(td *machine.Thread) *OpenFile {
	n.src.Enter(td)
	f := n.open(td)
	td.Commit(event.Acted)
	n.src.Exit(td)
	return f
}

// Mkdir makes a directory, and tells the one that it is in.
//
// Errors: those of a path; EEXIST.
func (v *VFS) Mkdir(td *machine.Thread, path string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.find(td, path)
	switch {
	case err != nil:
		return v.refused(td, err)
	case p.n != nil:
		return v.refused(td, syscall.EEXIST)
	}
	p.enter(newVnode(td, v.k, true))
	p.dir.tell(td, 1, event.NoteWrite|event.NoteLink)
	return nil
}

// Rmdir removes an empty directory, and tells it and the one that it is in.
//
// Errors: those of a path; ENOENT; ENOTDIR; EBUSY of the root; ENOTEMPTY.
func (v *VFS) Rmdir(td *machine.Thread, path string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	switch {
	case err != nil:
		return v.refused(td, err)
	case !p.n.dir:
		return v.refused(td, syscall.ENOTDIR)
	case p.dir == nil:
		return v.refused(td, syscall.EBUSY)
	case len(p.n.entries) > 0:
		return v.refused(td, syscall.ENOTEMPTY)
	}
	p.leave()
	p.n.tell(td, -2, event.NoteDelete|event.NoteLink)
	p.dir.tell(td, -1, event.NoteWrite|event.NoteLink)
	return nil
}

// Link makes to another name of the file that from is one of, and tells the file, then
// the directory of the new name.
//
// Errors: those of the paths, of from first; ENOENT; EPERM if from is a directory; EEXIST.
func (v *VFS) Link(td *machine.Thread, from, to string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, from)
	if err != nil {
		return v.refused(td, err)
	}
	q, err := v.find(td, to)
	switch {
	case err != nil:
		return v.refused(td, err)
	case p.n.dir:
		return v.refused(td, syscall.EPERM)
	case q.n != nil:
		return v.refused(td, syscall.EEXIST)
	}
	q.enter(p.n)
	p.n.tell(td, 1, event.NoteLink)
	q.dir.tell(td, 0, event.NoteWrite)
	return nil
}

// Unlink takes a name away, and tells the file, then the directory. What is open of the
// file stays as it is.
//
// Errors: those of a path; ENOENT; EISDIR.
func (v *VFS) Unlink(td *machine.Thread, path string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	switch {
	case err != nil:
		return v.refused(td, err)
	case p.n.dir:
		return v.refused(td, syscall.EISDIR)
	}
	p.leave()
	p.n.tell(td, -1, event.NoteDelete|event.NoteLink)
	p.dir.tell(td, 0, event.NoteWrite)
	return nil
}

// Rename makes to the name of what from is one of, in the place of from. What to was the
// name of loses it and is told so first; then the two directories are told, and at last
// what has been renamed. Two names of one file stay as they are, and nobody is told.
//
// Errors: those of the paths, of from first; ENOENT; EBUSY if either is the root; EINVAL
// if a directory would come to be below itself; and of what to is: EISDIR or ENOTDIR if
// it is a directory and the other is none, or the other way round; ENOTEMPTY.
func (v *VFS) Rename(td *machine.Thread, from, to string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, from)
	if err != nil {
		return v.refused(td, err)
	}
	q, err := v.find(td, to)
	switch {
	case err != nil:
		return v.refused(td, err)
	case p.dir == nil || q.dir == nil:
		return v.refused(td, syscall.EBUSY)
	case p.n == q.n:
		return v.refused(td, nil)
	case p.n.dir && q.dir.below(p.n):
		return v.refused(td, syscall.EINVAL)
	case q.n != nil && q.n.dir && !p.n.dir:
		return v.refused(td, syscall.EISDIR)
	case q.n != nil && !q.n.dir && p.n.dir:
		return v.refused(td, syscall.ENOTDIR)
	case q.n != nil && len(q.n.entries) > 0:
		return v.refused(td, syscall.ENOTEMPTY)
	}
	// How many directories the two have below them after it.
	less, more := 0, 0
	if p.n.dir {
		less, more = -1, 1
	}
	p.leave()
	if q.n != nil {
		q.leave()
		links := -1
		if q.n.dir {
			links, more = -2, more-1
		}
		q.n.tell(td, links, event.NoteDelete|event.NoteLink)
	}
	q.enter(p.n)
	if p.dir == q.dir {
		p.dir.renamed(td, less+more)
	} else {
		p.dir.renamed(td, less)
		q.dir.renamed(td, more)
	}
	p.n.tell(td, 0, event.NoteRename)
	return nil
}

// renamed tells a directory that names in it have come or gone, and so many of them
// directories.
func (n *vnode) renamed(td *machine.Thread, links int) {
	notes := event.NoteWrite
	if links != 0 {
		notes |= event.NoteLink
	}
	n.tell(td, links, notes)
}

// below reports whether directory n is d, or below it, with mu held.
func (n *vnode) below(d *vnode) bool {
	for n != nil && n != d {
		n = n.up
	}
	return n == d
}

// Chmod gives a file or a directory a mode, which nobody asks for, and tells it.
//
// Errors: those of a path; ENOENT.
func (v *VFS) Chmod(td *machine.Thread, path string, mode uint32) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	if err != nil {
		return v.refused(td, err)
	}
	p.n.src.Enter(td)
	p.n.mode = mode & 0o7777
	p.n.src.Post(td, int64(event.NoteAttrib))
	td.Commit(event.Acted)
	p.n.src.Exit(td)
	return nil
}

// Revoke ends all that is open of a file or a directory: to read, write, truncate or seek
// there is EBADF from now on, and it is at its end. What is opened later is as any other.
// (vn_gone)
//
// Errors: those of a path; ENOENT.
func (v *VFS) Revoke(td *machine.Thread, path string) error {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	if err != nil {
		return v.refused(td, err)
	}
	p.n.src.Enter(td)
	p.n.era++
	p.n.src.Post(td, int64(event.NoteRevoke))
	td.Commit(event.Acted)
	p.n.src.Exit(td)
	return nil
}

// A FileStatus is what there is to be known of a file or a directory. (struct stat)
type FileStatus struct {
	Dir   bool
	Mode  uint32
	Links int   // names; of a directory its own two, and one for each directory in it
	Size  int64 // bytes; 0 of a directory
}

// Stat returns the status of a file or a directory.
//
// Errors: those of a path; ENOENT.
func (v *VFS) Stat(td *machine.Thread, path string) (FileStatus, error) {
	v.mu.Lock(td)
	defer v.mu.Unlock(td)
	p, err := v.there(td, path)
	if err != nil {
		return FileStatus{}, v.refused(td, err)
	}
	p.n.src.Enter(td)
	st := FileStatus{p.n.dir, p.n.mode, p.n.links, int64(len(p.n.data))}
	td.Commit(event.Acted)
	p.n.src.Exit(td)
	return st, nil
}
