package spec

import (
	"slices"
	"strconv"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

const (
	maxFileSize = 1 << 20

	vnodeNotes = event.NoteDelete | event.NoteWrite | event.NoteExtend | event.NoteAttrib |
		event.NoteLink | event.NoteRename | event.NoteRevoke
)

// A vfs is a file system, and the list of what is mounted.
type vfs struct {
	nodes  []inode // 0 is the root; what has neither name nor open file is never seen again
	names  []name  // sorted
	mounts []int64 // sorted
}

// An inode is a file or a directory. What is open of it are files of kind regular or
// directory.
type inode struct {
	dir  bool
	size int64
}

// A name is a digit in a directory.
type name struct {
	in    int32 // an inode, as to
	digit uint8
	to    int32
}

func (v vfs) clone() vfs {
	return vfs{slices.Clone(v.nodes), slices.Clone(v.names), slices.Clone(v.mounts)}
}

func (v vfs) equal(o vfs) bool {
	return slices.Equal(v.nodes, o.nodes) && slices.Equal(v.names, o.names) && slices.Equal(v.mounts, o.mounts)
}

// bare is a file system with nothing in it, which keeps the memory of v.
func (v vfs) bare() vfs { return vfs{append(v.nodes[:0], inode{dir: true}), v.names[:0], v.mounts[:0]} }

// An inodeOpen is what is particular to the open files of an inode.
type inodeOpen struct {
	node    int32
	revoked bool
}

// A post is what an operation on names tells an inode, in a step of its own: "the file
// first, where it is unlinked or linked, and its directory after it; in a rename what is
// replaced, then the directories, then the file".
type post struct {
	to    int32
	notes event.Fflags
}

// byName reports whether a call acts on what is found without a descriptor.
func byName(c event.Call) bool { return c.Names() || c.Mounts() }

// BeginOp is Begin for an operation that may find what it acts on without a descriptor:
// then its first step is the first that Act takes.
func (s *State) BeginOp(op *event.Op) Work {
	if byName(op.Call) {
		return Work{}
	}
	return s.Begin(op.FD)
}

// A path is where the digits of a file's number lead.
type path struct {
	in    int32 // a directory; -1 of the root
	digit uint8
	to    int32 // -1 if there is no such name
}

// find follows the digits of a file's number.
func (v *vfs) find(file int) (p path, errno syscall.Errno) {
	p = path{in: -1}
	if file == 0 {
		return p, 0
	}
	for _, digit := range strconv.Itoa(file) {
		switch {
		case p.to < 0:
			return p, syscall.ENOENT
		case !v.nodes[p.to].dir:
			return p, syscall.ENOTDIR
		}
		p = path{p.to, uint8(digit - '0'), -1}
		if i, ok := v.index(p.in, p.digit); ok {
			p.to = v.names[i].to
		}
	}
	return p, 0
}

func (v *vfs) index(in int32, digit uint8) (int, bool) {
	return slices.BinarySearchFunc(v.names, name{in: in, digit: digit}, func(a, b name) int {
		return int(a.in-b.in)*10 + int(a.digit) - int(b.digit)
	})
}

func (v *vfs) enter(p path, to int32) {
	i, _ := v.index(p.in, p.digit)
	v.names = slices.Insert(v.names, i, name{p.in, p.digit, to})
}

func (v *vfs) leave(p path) {
	i, _ := v.index(p.in, p.digit)
	v.names = slices.Delete(v.names, i, i+1)
}

// make makes an inode.
func (v *vfs) make(dir bool) int32 {
	v.nodes = append(v.nodes, inode{dir: dir})
	return int32(len(v.nodes) - 1)
}

func (v *vfs) empty(dir int32) bool {
	return !slices.ContainsFunc(v.names, func(n name) bool { return n.in == dir })
}

// below reports whether directory n is d, or below it.
func (v *vfs) below(n, d int32) bool {
	for n != d {
		i := slices.IndexFunc(v.names, func(x name) bool { return x.to == n })
		if i < 0 {
			return false
		}
		n = v.names[i].in
	}
	return true
}

// actByName takes the next step of an operation on names: the first does it, and tells
// the first of those who are to be told; each other tells one more.
func (s *State) actByName(w *Work, op *event.Op) {
	if w.stage == 0 {
		w.stage = 1
		if errno := s.doByName(w, op); errno != 0 {
			w.fails(errno)
			return
		}
	}
	if w.posts > 0 {
		p := w.post[0]
		copy(w.post[:], w.post[1:])
		w.posts--
		s.tellNode(p.to, p.notes)
	}
	switch {
	case w.posts > 0:
	case op.Call == event.CallCreat || op.Call == event.CallOpen:
		kind := regular
		if s.vfs.nodes[w.other].dir {
			kind = directory
		}
		s.opens(w, file{kind: kind, inodeOpen: inodeOpen{node: w.other}})
	default:
		w.ends(0)
	}
}

// tells has inode to told of notes by a step of the operation.
func (w *Work) tells(to int32, notes event.Fflags) {
	w.post[w.posts] = post{to, notes}
	w.posts++
}

// doByName changes names, and says who is to be told.
func (s *State) doByName(w *Work, op *event.Op) syscall.Errno {
	v := &s.vfs
	p, errno := v.find(op.File)
	if errno != 0 {
		return errno
	}
	exists := p.to >= 0
	dir := exists && v.nodes[p.to].dir
	switch op.Call {
	case event.CallCreat, event.CallMkdir:
		switch made := op.Call == event.CallMkdir; {
		case made && exists:
			return syscall.EEXIST
		case dir:
			return syscall.EISDIR
		case exists:
			w.other = p.to
		case made:
			v.enter(p, v.make(true))
			w.tells(p.in, event.NoteWrite|event.NoteLink)
		default:
			w.other = v.make(false)
			v.enter(p, w.other)
			w.tells(p.in, event.NoteWrite)
		}
		return 0
	}
	if !exists {
		return syscall.ENOENT
	}
	switch op.Call {
	case event.CallOpen:
		w.other = p.to
	case event.CallRmdir:
		switch {
		case !dir:
			return syscall.ENOTDIR
		case p.in < 0:
			return syscall.EBUSY
		case !v.empty(p.to):
			return syscall.ENOTEMPTY
		}
		v.leave(p)
		w.tells(p.to, event.NoteDelete|event.NoteLink)
		w.tells(p.in, event.NoteWrite|event.NoteLink)
	case event.CallUnlink:
		if dir {
			return syscall.EISDIR
		}
		v.leave(p)
		w.tells(p.to, event.NoteDelete|event.NoteLink)
		w.tells(p.in, event.NoteWrite)
	case event.CallLink:
		q, errno := v.find(op.To)
		switch {
		case errno != 0:
			return errno
		case dir:
			return syscall.EPERM
		case q.to >= 0:
			return syscall.EEXIST
		}
		v.enter(q, p.to)
		w.tells(p.to, event.NoteLink)
		w.tells(q.in, event.NoteWrite)
	case event.CallRename:
		q, errno := v.find(op.To)
		if errno != 0 {
			return errno
		}
		return s.rename(w, p, q)
	case event.CallChmod:
		w.tells(p.to, event.NoteAttrib)
	case event.CallRevoke:
		s.revoke(p.to)
	}
	return 0
}

// rename: what q was the name of is replaced.
func (s *State) rename(w *Work, p, q path) syscall.Errno {
	v := &s.vfs
	dir := v.nodes[p.to].dir
	switch {
	case p.in < 0 || q.in < 0:
		return syscall.EBUSY
	case p.to == q.to:
		return 0
	case dir && v.below(q.in, p.to):
		return syscall.EINVAL
	}
	replaces := q.to >= 0
	switch old := replaces && v.nodes[q.to].dir; {
	case old && !dir:
		return syscall.EISDIR
	case replaces && !old && dir:
		return syscall.ENOTDIR
	case replaces && !v.empty(q.to):
		return syscall.ENOTEMPTY
	}
	v.leave(p)
	if replaces {
		v.leave(q)
		w.tells(q.to, event.NoteDelete|event.NoteLink)
	}
	v.enter(q, p.to)
	// Of a directory's links one is each directory in it.
	from, to := event.NoteWrite, event.NoteWrite
	if dir {
		from |= event.NoteLink
	}
	if moves := p.in != q.in; dir && moves != replaces {
		to |= event.NoteLink
	}
	if p.in != q.in {
		w.tells(p.in, from)
	}
	w.tells(q.in, to)
	w.tells(p.to, event.NoteRename)
	return 0
}

// revoke: "all that was open is told, asked for or not".
func (s *State) revoke(node int32) {
	ends := func(f *file) bool { return f.kind.named() && f.node == node && !f.revoked }
	var told []int
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.file >= 0 && ends(&s.files[kn.file]) {
			kn.bits |= kn.notes & event.NoteRevoke
			told = append(told, i)
		}
	}
	for i := range s.files {
		if f := &s.files[i]; ends(f) {
			f.revoked = true
		}
	}
	for _, i := range told {
		s.tell(i)
	}
	s.visit()
}

// named reports whether files of a kind are open files of an inode.
func (k kind) named() bool { return k == regular || k == directory }

// tellNode tells the knotes of an inode what has happened to it: those of VNODE that ask
// for it, and those of READ of a write or a truncation. What is revoked hears of nothing.
func (s *State) tellNode(node int32, notes event.Fflags) {
	for i := range s.knotes {
		kn := &s.knotes[i]
		if kn.file < 0 || !s.files[kn.file].kind.named() {
			continue
		}
		if f := &s.files[kn.file]; f.node != node || f.revoked {
			continue
		}
		switch {
		case kn.filter == event.Vnode && kn.notes&notes != 0:
			kn.bits |= kn.notes & notes
			s.tell(i)
		case kn.filter == event.Read && notes&event.NoteWrite != 0:
			s.tell(i)
		}
	}
	s.visit()
}

// actMounts: "currently it only monitors file system mount and unmount actions".
func (s *State) actMounts(w *Work, op *event.Op) {
	v := &s.vfs
	i, there := slices.BinarySearch(v.mounts, op.N)
	note := event.VQMount
	switch mount := op.Call == event.CallMount; {
	case mount && there:
		w.fails(syscall.EBUSY)
		return
	case !mount && !there:
		w.fails(syscall.EINVAL)
		return
	case mount:
		v.mounts = slices.Insert(v.mounts, i, op.N)
	default:
		v.mounts = slices.Delete(v.mounts, i, i+1)
		note = event.VQUnmount
	}
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.filter == event.FS {
			kn.bits |= note
			s.tell(i)
		}
	}
	s.visit()
	w.ends(0)
}
