//go:build linux

package host

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// What epoll refuses is always ready: to read or write it never waits for
// anybody. Regular files and block devices have an end all the same, and READ
// tells how far that is, as the BSDs' vnode filter does: "returns when the file
// pointer is not at the end of file. Data contains the offset from current
// position to end of file, and may be negative". (filt_vfsread)
var (
	plainReadFilter = &kqueue.Filter{
		Name: "host read, of a plain file",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			if err := lowat(kn, kn.Want, kn.WantData); err != nil {
				return err
			}
			return attach(kn).look()
		},
		Touch: touchLowat,
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			n, ok := kn.Hook.(*File).left()
			if !ok {
				return kn.Hook.(*File).lost(kn)
			}
			kn.Data = n
			return n < 0 || n >= kn.WantData
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) { kn.Hook.(*File).lookAway() },
	}

	// steadyFilter is READ of what has no end that could be known, and WRITE.
	steadyFilter = &kqueue.Filter{
		Name: "host, of what is always ready",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			attach(kn)
			return lowat(kn, kn.Want, kn.WantData)
		},
		Touch: touchLowat,
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			kn.Data = 1
			if kn.Hook.(*File).kind == plain {
				kn.Data = 0 // as in the BSDs (filt_vfswrite)
			}
			return true
		},
	}

	// calmFilter is EXCEPT: nothing exceptional ever happens to it.
	calmFilter = &kqueue.Filter{
		Name:   "host except, of what is always ready",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error { return oob(kn, kn.Want) },
		Touch:  func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error { return oob(kn, kev.Fflags) },
		Event:  func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool { return false },
	}
)

// calm returns the filters of a file that epoll refuses.
func (f *File) calm(filter event.Filter) *kqueue.Filter {
	switch {
	case filter == event.Except:
		return calmFilter
	case filter == event.Read && f.kind == plain:
		return plainReadFilter
	}
	return steadyFilter
}

// left returns how many bytes lie between the offset of a plain file and its end.
// It is not ok if the number means another file by now.
func (f *File) left() (n int64, ok bool) {
	var st unix.Stat_t
	if !f.same(&st) {
		return 0, false
	}
	at, err := unix.Seek(f.fd, 0, unix.SEEK_CUR)
	if err != nil {
		return 0, false
	}
	size := st.Size
	if f.disk != 0 {
		size = f.disk
	}
	return size - at, true
}

// same reports whether the number means what was opened, as far as the inode
// tells, and returns its status. Epoll, which would know, has refused to watch it.
func (f *File) same(st *unix.Stat_t) bool {
	return unix.Fstat(f.fd, st) == nil && uint64(st.Dev) == f.dev && st.Ino == f.ino
}

// sizeless are the file systems whose regular files are no stored bytes, but
// answers that are made when they are read, and have a size of 0 or of a page.
var sizeless = []int64{
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
	unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
}

// settle says of a file that epoll has refused whether its end can be known.
func (f *File) settle() {
	f.calms = true
	switch f.what {
	case "regular file":
		var fs unix.Statfs_t
		if unix.Fstatfs(f.fd, &fs) != nil || !slices.Contains(sizeless, int64(fs.Type)) {
			f.kind = plain
		}
	case "block device":
		// Its status has no size; its end has, if it can be asked for.
		at, err := unix.Seek(f.fd, 0, unix.SEEK_CUR)
		if err != nil {
			return
		}
		if end, err := unix.Seek(f.fd, 0, unix.SEEK_END); err == nil && end > 0 {
			f.kind, f.disk = plain, end
		}
		unix.Seek(f.fd, at, unix.SEEK_SET)
	}
}
