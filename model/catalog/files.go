package catalog

import (
	"strconv"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// files are what names lead to, in the file system of the world, and what is mounted.
var files = []Device{
	{
		Name: "file", Like: "tmpfs(5), tmpfs_vnops.c",
		Filters: []Filter{
			{Filter: event.Read, Data: "bytes to the end; negative beyond it", EOF: "revoked"},
			{Filter: event.Write, Data: "nothing: it is always ready", EOF: "revoked"},
			{Filter: event.Vnode, Data: "nothing: fflags say what happened", EOF: "revoked", Fflags: allNotes},
		},
		New: func(td *machine.Thread, w *World) Unit {
			path := "file " + strconv.FormatUint(w.Next(), 10)
			f, other := opened(w.Files.Create(td, path)), opened(w.Files.Create(td, path))
			other.Write(td, []byte("some"))
			return Unit{File: f, Acts: append(named(w, path),
				reads("read", f, 2),
				Act{"seek", func(td *machine.Thread) error { return f.Seek(td, 1) }},
				writes("write by another open file", other, 8),
				Act{"truncate by another open file", func(td *machine.Thread) error { return other.Truncate(td, 1) }},
				releases("close another open file", other),
				Act{"link", func(td *machine.Thread) error { return w.Files.Link(td, path, path+" too") }},
				Act{"unlink", func(td *machine.Thread) error { return w.Files.Unlink(td, path) }},
				Act{"rename another onto it", func(td *machine.Thread) error {
					opened(w.Files.Create(td, path+" new")).Release(td)
					return w.Files.Rename(td, path+" new", path)
				}},
			)}
		},
	},
	{
		Name: "directory", Like: "tmpfs(5), tmpfs_vnops.c",
		Filters: []Filter{
			{Filter: event.Vnode, Data: "nothing: fflags say what happened", EOF: "revoked", Fflags: allNotes},
		},
		New: func(td *machine.Thread, w *World) Unit {
			path := "directory " + strconv.FormatUint(w.Next(), 10)
			if err := w.Files.Mkdir(td, path); err != nil {
				panic("catalog: " + err.Error())
			}
			return Unit{File: opened(w.Files.Open(td, path)), Acts: append(named(w, path),
				Act{"create a file in it", func(td *machine.Thread) error {
					f, err := w.Files.Create(td, path+"/file")
					if err == nil {
						f.Release(td)
					}
					return err
				}},
				Act{"make a directory in it", func(td *machine.Thread) error { return w.Files.Mkdir(td, path+"/below") }},
				Act{"remove it", func(td *machine.Thread) error { return w.Files.Rmdir(td, path) }},
			)}
		},
	},
	{
		Name: "mounts", Like: "EVFILT_FS, kern_event.c",
		Filters: []Filter{{Filter: event.FS, Data: "nothing: fflags say what happened", EOF: Never}},
		New: func(td *machine.Thread, w *World) Unit {
			id := w.Next()
			w.Files.Mount(td, id)
			return Unit{Ident: id, Acts: []Act{
				{"mount", func(td *machine.Thread) error { return w.Files.Mount(td, 1000+id) }},
				{"unmount", func(td *machine.Thread) error { return w.Files.Unmount(td, id) }},
				{"signal", func(td *machine.Thread) error { return w.Files.Signal(td, id, event.VQLowDisk) }},
			}}
		},
	},
}

const allNotes = event.NoteDelete | event.NoteWrite | event.NoteExtend | event.NoteAttrib |
	event.NoteLink | event.NoteRename | event.NoteRevoke

// named are acts on what has a name.
func named(w *World, path string) []Act {
	return []Act{
		{"chmod", func(td *machine.Thread) error { return w.Files.Chmod(td, path, 0o700) }},
		{"rename", func(td *machine.Thread) error { return w.Files.Rename(td, path, path+" as was") }},
		{"revoke", func(td *machine.Thread) error { return w.Files.Revoke(td, path) }},
	}
}

// opened returns what has been opened, and must have been.
func opened(f *device.OpenFile, err error) *device.OpenFile {
	if err != nil {
		panic("catalog: " + err.Error())
	}
	return f
}
