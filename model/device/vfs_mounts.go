package device

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// mounts is what is mounted. A file system here is a number, and nothing else: the files
// of a [VFS] are on none of them.
type mounts struct {
	k  *kqueue.Kernel
	mu machine.Mutex

	src    *kqueue.Source // guarded by mu: made when it is first asked for
	points []uint64       // guarded by src, but by reset
}

func (m *mounts) reset() { m.src, m.points = nil, m.points[:0] }

// source returns the list of those who watch (fs_klist).
func (m *mounts) source(td *machine.Thread) *kqueue.Source {
	m.mu.Lock(td)
	if m.src == nil {
		m.src = m.k.NewSource(td)
	}
	src := m.src
	m.mu.Unlock(td)
	return src
}

// watch is the opener of FS.
func (m *mounts) watch(td *machine.Thread, _ kqueue.Files, _ uint64) (*kqueue.Source, *kqueue.Filter, error) {
	return m.source(td), mountFilter, nil
}

// Mount puts a file system on the list, and tells of VQ_MOUNT. Error: EBUSY if it is
// there.
func (m *mounts) Mount(td *machine.Thread, n uint64) error {
	src := m.source(td)
	src.Enter(td)
	var err error
	if slices.Contains(m.points, n) {
		err = syscall.EBUSY
	} else {
		m.points = append(m.points, n)
		src.Post(td, int64(event.VQMount))
	}
	td.Commit(event.Acted)
	src.Exit(td)
	return err
}

// Unmount takes it off, and tells of VQ_UNMOUNT. Error: EINVAL if it is not there.
func (m *mounts) Unmount(td *machine.Thread, n uint64) error {
	src := m.source(td)
	src.Enter(td)
	err := error(syscall.EINVAL)
	if i := slices.Index(m.points, n); i >= 0 {
		m.points = slices.Delete(m.points, i, i+1)
		src.Post(td, int64(event.VQUnmount))
		err = nil
	}
	td.Commit(event.Acted)
	src.Exit(td)
	return err
}

// Signal tells of something else that has become of a file system that is mounted, such
// as event.VQNotResp. (vfs_event_signal of FreeBSD)
//
// Errors: EINVAL if the file system is not on the list, or what is not exactly one of the
// bits that are known.
func (m *mounts) Signal(td *machine.Thread, n uint64, what event.Fflags) error {
	src := m.source(td)
	src.Enter(td)
	err := error(syscall.EINVAL)
	if slices.Contains(m.points, n) && what != 0 && what&(what-1) == 0 && what&^event.VQAll == 0 {
		src.Post(td, int64(what))
		err = nil
	}
	td.Commit(event.Acted)
	src.Exit(td)
	return err
}

// mountFilter is EVFILT_FS: it "establishes a file system monitor identified by ident",
// any number, and says what has happened to the list since it was retrieved last, or was
// made: EV_CLEAR is forced. Which file system it was it does not say. Fflags and data of
// a change mean nothing, everybody is told of all. (filt_fs)
//
// A hint is added to what has not been retrieved.
var mountFilter = &kqueue.Filter{
	Name:  "file systems",
	Clear: true,
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		kn.Fflags |= event.Fflags(hint)
		return kn.Fflags != 0
	},
}
