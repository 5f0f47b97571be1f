//go:build linux

package host

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// vnodeNotes is all that a file can be watched for.
const vnodeNotes = event.NoteDelete | event.NoteWrite | event.NoteExtend | event.NoteAttrib |
	event.NoteLink | event.NoteRename | event.NoteRevoke

// vnodeFilter is EVFILT_VNODE. Its hints are what has happened; what a knote has
// asked for piles up in its fflags until it is retrieved with EV_CLEAR.
// (filt_vnode)
//
// Errors of EV_ADD: EINVAL if there are other fflags. From inotify: EACCES if the
// file is open for writing only and may not be read, ENOSPC if the user watches
// too many files, EMFILE, ENOMEM; ENODEV if there is no /proc.
var vnodeFilter = &kqueue.Filter{
	Name: "host vnode",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		if kn.Want&^vnodeNotes != 0 {
			return unix.EINVAL
		}
		return attach(kn).look()
	},
	Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
		if kev.Fflags&^vnodeNotes != 0 {
			return unix.EINVAL
		}
		kn.Want, kn.WantData = kev.Fflags, kev.Data
		return nil
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		kn.Fflags |= event.Fflags(hint) & kn.Want
		return kn.Fflags != 0
	},
	Detach: func(td *machine.Thread, kn *kqueue.Knote) { kn.Hook.(*File).lookAway() },
}

// A view is what was last known of a file that is looked at: inotify says that
// something has changed, and not always what.
type view struct {
	wd     int32 // guarded by inotify.mu
	knotes int   // that look at it: VNODE, and READ of a plain file
	size   int64
	links  uint64
	early  bool // links was seen to change before inotify said so
	mode   uint32
	uid    uint32
	gid    uint32
}

func (v *view) of(st *unix.Stat_t) {
	v.size, v.links, v.mode, v.uid, v.gid = st.Size, uint64(st.Nlink), st.Mode, st.Uid, st.Gid
}

// look begins to watch the file for one more knote; td is in its domain. What is
// known of it is taken first: a change that comes between is then told of, though
// perhaps not by its right name.
func (f *File) look() error {
	if f.view.knotes == 0 {
		var st unix.Stat_t
		if !f.same(&st) {
			return unix.EBADF
		}
		f.view.of(&st)
		if err := f.set.inotify.add(f); err != nil {
			return err
		}
	}
	f.view.knotes++
	return nil
}

// lookAway ends it.
func (f *File) lookAway() {
	if f.view.knotes--; f.view.knotes == 0 {
		f.set.inotify.remove(f)
	}
}

// changed posts what inotify has said of the file.
func (f *File) changed(td *machine.Thread, mask uint32) {
	f.readers.Enter(td)
	var st unix.Stat_t
	if f.view.knotes > 0 && f.same(&st) {
		if notes := f.view.notes(mask, &st); notes != 0 {
			f.vnodes.Post(td, int64(notes))
		}
		if f.kind == plain && mask&(unix.IN_MODIFY|unix.IN_Q_OVERFLOW) != 0 {
			f.readers.Post(td, 1)
		}
	}
	f.readers.Exit(td)
}

// notes says what has happened, by what inotify says and by what differs from
// what was known, and remembers what is known now.
//
// Inotify says of a link, an unlink and a change of mode the same (IN_ATTRIB), and
// says it once of several in a row. So a count of links that has changed is told as
// that, and as NOTE_ATTRIB only if something else is different as well.
func (v *view) notes(mask uint32, st *unix.Stat_t) (notes event.Fflags) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		// Anything may have happened, and what cannot be seen afterwards has.
		notes |= event.NoteWrite | event.NoteAttrib | event.NoteRename
	}
	if mask&(unix.IN_MODIFY|entries) != 0 {
		notes |= event.NoteWrite
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if mask&(unix.IN_MODIFY|unix.IN_Q_OVERFLOW) != 0 && !dir && st.Size > v.size {
		notes |= event.NoteExtend
	}
	linked := uint64(st.Nlink) != v.links
	if linked {
		notes |= event.NoteLink
		if !dir && uint64(st.Nlink) < v.links {
			notes |= event.NoteDelete
		}
	}
	if mask&unix.IN_ATTRIB != 0 {
		if !linked && !v.early || st.Mode != v.mode || st.Uid != v.uid || st.Gid != v.gid {
			notes |= event.NoteAttrib
		}
		v.early = false
	} else if linked && !dir {
		v.early = mask&unix.IN_Q_OVERFLOW == 0 // which comes last, and nothing after it
	}
	// A directory may have lost one below it and got another.
	if dir && st.Nlink > 1 && mask&unix.IN_ISDIR != 0 && mask&(unix.IN_CREATE|unix.IN_DELETE) != 0 {
		notes |= event.NoteLink
	}
	if mask&unix.IN_MOVE_SELF != 0 {
		notes |= event.NoteRename
	}
	if mask&unix.IN_UNMOUNT != 0 {
		notes |= event.NoteRevoke
	}
	v.of(st)
	return notes
}
