package spec

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// openFiles are open files of an inode, each with its offset, which is its level.
type openFiles struct {
	plain
	dir bool
}

func (x openFiles) knows(f event.Filter) bool {
	return f == event.Vnode || !x.dir && (f == event.Read || f == event.Write)
}

func (openFiles) touch(kn knote, kev event.Kevent) (knote, syscall.Errno) {
	if kn.filter != event.Vnode {
		return lowat(kn, kev, 1, 1<<63-1)
	}
	if kev.Fflags&^vnodeNotes != 0 {
		return kn, syscall.EINVAL
	}
	kn.notes = kev.Fflags
	return kn, 0
}

// ask: READ "returns when the file pointer is not at the end of file; data contains the
// offset from current position to end of file, and may be negative".
func (openFiles) ask(s *State, kn *knote, e event.Kevent) (bool, event.Kevent) {
	f := &s.files[kn.file]
	if f.revoked {
		e.Flags |= event.EOF | event.NoData
	}
	switch {
	case kn.filter == event.Vnode:
		e.Fflags = kn.bits
		return kn.bits != 0 || f.revoked, e
	case kn.filter == event.Read && !f.revoked:
		e.Data = s.vfs.nodes[f.node].size - f.level
		return e.Data < 0 || e.Data >= kn.mark, e
	}
	return true, e
}

// mask: "regular files shall always poll TRUE for reading and writing".
func (openFiles) mask(*State, int32) event.PollEvents { return in | out }

func (x openFiles) act(s *State, n int32, w *Work, op *event.Op) {
	f := &s.files[n]
	node := &s.vfs.nodes[f.node]
	switch op.Call {
	default:
		x.plain.act(s, n, w, op)
		return
	case event.CallRead, event.CallWrite, event.CallTruncate, event.CallSeek:
	}
	switch bytes := op.Call == event.CallRead || op.Call == event.CallWrite; {
	case f.gone || f.revoked:
		w.fails(syscall.EBADF)
		return
	case x.dir && bytes:
		w.fails(syscall.EISDIR)
		return
	case x.dir && op.Call == event.CallTruncate:
		w.fails(syscall.EINVAL)
		return
	}
	notes := event.NoteWrite
	switch op.Call {
	case event.CallRead:
		took := max(min(op.N, node.size-f.level), 0)
		f.level += took
		w.ends(took)
	case event.CallSeek:
		if op.N < 0 {
			w.fails(syscall.EINVAL)
			return
		}
		f.level = op.N
		for i := range s.knotes {
			if kn := &s.knotes[i]; kn.file == n && kn.filter == event.Read {
				s.tell(i)
			}
		}
		s.visit()
		w.ends(op.N)
	case event.CallTruncate:
		switch {
		case op.N < 0:
			w.fails(syscall.EINVAL)
			return
		case op.N > maxFileSize:
			w.fails(syscall.EFBIG)
			return
		case op.N > node.size:
			notes |= event.NoteExtend
		}
		node.size = op.N
		s.tellNode(f.node, notes)
		w.ends(0)
	case event.CallWrite:
		switch end := f.level + op.N; {
		case op.N == 0:
			w.ends(0)
			return
		case f.level > maxFileSize || end > maxFileSize:
			w.fails(syscall.EFBIG)
			return
		case end > node.size:
			node.size = end
			notes |= event.NoteExtend
		}
		f.level += op.N
		s.tellNode(f.node, notes)
		w.ends(op.N)
	}
}

func (x openFiles) name() string {
	if x.dir {
		return "directory"
	}
	return "file"
}

func (x openFiles) details(s *State, n int32) string {
	f := &s.files[n]
	text := fmt.Sprintf("node %d", f.node)
	if !x.dir {
		text += fmt.Sprintf(" at %d of %d", f.level, s.vfs.nodes[f.node].size)
	}
	if f.revoked {
		text += " revoked"
	}
	return text
}

func (x openFiles) words(s *State, n int32) string {
	f := &s.files[n]
	called := s.vfs.called(f.node)
	text := "a directory, " + called
	if !x.dir {
		text = fmt.Sprintf("a file, %s, with %d bytes, open at offset %d", called, s.vfs.nodes[f.node].size, f.level)
	}
	if f.revoked {
		text += ", which has been revoked"
	}
	return text
}

// called says by what names there are of an inode.
func (v *vfs) called(node int32) string {
	if node == 0 {
		return "the root"
	}
	var paths []string
	for _, n := range v.names {
		if n.to != node {
			continue
		}
		text := strconv.Itoa(int(n.digit))
		if n.in != 0 {
			text = strings.TrimPrefix(v.called(n.in), "number ") + text
		}
		paths = append(paths, text)
	}
	if len(paths) == 0 {
		return "which has no name"
	}
	return "number " + strings.Join(paths, " and ")
}
