//go:build linux

package host

import (
	"strconv"
	"sync"
	"unsafe"

	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// The lives of descriptors of the host's own, in the epoll set.
const (
	bellLife    = 0
	inotifyLife = -1
)

// An inotify is the inotify descriptor of a set, made when the first file is looked
// at. A file is watched by way of /proc/self/fd, which leads to what the
// descriptor means even if it has no name any more. Linux has one watch for an
// inode, so files that are open twice, or by two names, share it.
type inotify struct {
	ep int // immutable: of the set

	mu      sync.Mutex
	fd      int               // guarded by mu: -1 until there is one
	watches map[int32][]*File // guarded by mu: by watch descriptor

	// Used by the thread that is in Wait.
	buf  [64 << 10]byte
	said []saying
}

// A saying is what inotify said of a file.
type saying struct {
	f    *File
	mask uint32
}

// watched is what is asked of inotify. Entries of a directory tell that it was
// written to.
const watched = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_MOVE_SELF | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO

// entries is what tells a directory that a name in it has come or gone.
const entries = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO

// add begins to watch f. The inode must be f's: see File.same.
func (in *inotify) add(f *File) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fd < 0 {
		if err := in.open(); err != nil {
			return err
		}
	}
	return in.watch(f)
}

// watch is add with mu held, once there is a descriptor.
func (in *inotify) watch(f *File) error {
	wd, err := unix.InotifyAddWatch(in.fd, "/proc/self/fd/"+strconv.Itoa(f.fd), watched)
	if err != nil {
		if err == unix.ENOENT {
			err = unix.ENODEV // it is /proc that is missing
		}
		return err
	}
	f.view.wd = int32(wd)
	in.watches[int32(wd)] = append(in.watches[int32(wd)], f)
	return nil
}

// open makes the descriptor, with mu held. It is watched level-triggered: a
// visit that has read enough for once leaves the rest to the next.
func (in *inotify) open() error {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd), Pad: inotifyLife}
	if err := unix.EpollCtl(in.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		unix.Close(fd)
		return err
	}
	in.fd, in.watches = fd, map[int32][]*File{}
	return nil
}

// remove ends it.
func (in *inotify) remove(f *File) {
	in.mu.Lock()
	defer in.mu.Unlock()
	files := in.watches[f.view.wd]
	for i := range files {
		if files[i] != f {
			continue
		}
		files[i] = files[len(files)-1]
		files = files[:len(files)-1]
		break
	}
	if len(files) > 0 {
		in.watches[f.view.wd] = files
	} else if _, ok := in.watches[f.view.wd]; ok {
		delete(in.watches, f.view.wd)
		unix.InotifyRmWatch(in.fd, uint32(f.view.wd))
	}
}

func (in *inotify) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.fd >= 0 {
		unix.Close(in.fd)
		in.fd, in.watches = -1, nil
	}
}

// read takes what inotify has and posts it. It reads a bounded number of times,
// in case somebody never stops writing.
func (in *inotify) read(td *machine.Thread) {
	for range rounds {
		n := in.take()
		for i, s := range in.said {
			s.f.changed(td, s.mask)
			in.said[i].f = nil
		}
		if n < len(in.buf)/2 {
			return
		}
	}
}

// again begins to watch anew what Linux has ended the watch of, with mu held: it does so
// when the last name of a file goes, though that is open, if it was opened by another. What
// cannot be watched any more is not; its file system is gone.
func (in *inotify) again(wd int32) {
	files := in.watches[wd]
	delete(in.watches, wd)
	for _, f := range files {
		var st unix.Stat_t
		if f.same(&st) {
			in.watch(f)
		}
	}
}

// take reads once, and notes in said which files it is about. It returns the
// bytes read.
func (in *inotify) take() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.said = in.said[:0]
	if in.fd < 0 {
		return 0
	}
	n, err := unix.Read(in.fd, in.buf[:])
	if err != nil {
		return 0
	}
	for at := 0; at+unix.SizeofInotifyEvent <= n; {
		ev := (*unix.InotifyEvent)(unsafe.Pointer(&in.buf[at]))
		at += unix.SizeofInotifyEvent + int(ev.Len)
		if ev.Len > 0 && ev.Mask&entries == 0 {
			continue // of a directory, that a file in it has been written to or the like
		}
		switch {
		case ev.Mask&unix.IN_Q_OVERFLOW != 0:
			for _, files := range in.watches {
				for _, f := range files {
					in.said = append(in.said, saying{f, ev.Mask})
				}
			}
		case ev.Mask&unix.IN_IGNORED != 0:
			in.again(ev.Wd)
		default:
			for _, f := range in.watches[ev.Wd] {
				in.said = append(in.said, saying{f, ev.Mask})
			}
		}
	}
	return n
}
