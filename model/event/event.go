// Package event holds the words that the kernel and its specification share:
// the Kevent record, its filters and its flags, with the values that
// DragonFly BSD gives them in <sys/event.h>. It imports nothing of kqlab and
// holds no state.
//
// Names drop the prefixes of C: EVFILT_READ is [Read], EV_ADD is [Add],
// NOTE_TRIGGER is [NoteTrigger].
package event

// A Kevent is one change handed to a kqueue, or one event taken from it.
type Kevent struct {
	Ident  uint64 // what is watched: a descriptor number, or any number for Timer and User
	Filter Filter // which condition of it
	Flags  Flags  // actions on the way in, conditions on the way out
	Fflags Fflags // flags that belong to the filter (NOTE_...)
	Data   int64  // value that belongs to the filter; an errno when Flags has Error
	Udata  uint64 // the caller's own, handed back unchanged
}

// A Filter names the condition that a knote watches. Filters are negative, as
// in every BSD.
type Filter int16

// The filters of DragonFly BSD.
const (
	Read   Filter = -1
	Write  Filter = -2
	AIO    Filter = -3
	Vnode  Filter = -4
	Proc   Filter = -5
	Signal Filter = -6
	Timer  Filter = -7
	Except Filter = -8
	User   Filter = -9
	FS     Filter = -10
)

// Flags are the actions of a change and the conditions of an event.
type Flags uint16

// Actions, to be given in a change.
const (
	Add      Flags = 0x0001 // make the knote, or modify it; enables it
	Delete   Flags = 0x0002 // remove it
	Enable   Flags = 0x0004 // allow it to be returned
	Disable  Flags = 0x0008 // keep it, but do not return it
	OneShot  Flags = 0x0010 // delete it once it has been returned
	Clear    Flags = 0x0020 // reset its state once it has been returned
	Receipt  Flags = 0x0040 // answer this change with an Error record, data 0 if it went well
	Dispatch Flags = 0x0080 // disable it once it has been returned
)

// Conditions, set by the kernel in what it returns.
const (
	HUP    Flags = 0x0800 // both ends are gone
	NoData Flags = 0x1000 // EOF, and nothing is left to read
	Error  Flags = 0x4000 // Data is an errno
	EOF    Flags = 0x8000 // the other end is gone
)

// Fflags belong to a filter; their meaning differs from filter to filter.
type Fflags uint32

// Flags of Read, Write and Except.
const (
	NoteLowat Fflags = 0x1 // Data is the low-water mark of this knote
	NoteOOB   Fflags = 0x2 // out-of-band data (Except)
)

// Flags of User. The top two bits say what becomes of the low 24.
const (
	NoteFFNop      Fflags = 0x00000000 // ignore the given bits
	NoteFFAnd      Fflags = 0x40000000 // and them in
	NoteFFOr       Fflags = 0x80000000 // or them in
	NoteFFCopy     Fflags = 0xc0000000 // replace by them
	NoteFFCtrlMask Fflags = 0xc0000000
	NoteFlagsMask  Fflags = 0x00ffffff
	NoteTrigger    Fflags = 0x01000000 // fire
)

// Flags of Timer: the unit of Data, milliseconds if none is given.
const (
	NoteSeconds  Fflags = 0x01
	NoteMSeconds Fflags = 0x02
	NoteUSeconds Fflags = 0x04
	NoteNSeconds Fflags = 0x08
	NoteAbsTime  Fflags = 0x10 // Data is an instant on the machine's clock, not a period
)

// Flags of Vnode: what has happened to the file.
const (
	NoteDelete Fflags = 0x01 // it was unlinked
	NoteWrite  Fflags = 0x02 // it was written to
	NoteExtend Fflags = 0x04 // it has become longer
	NoteAttrib Fflags = 0x08 // its attributes were changed
	NoteLink   Fflags = 0x10 // its count of links has changed
	NoteRename Fflags = 0x20 // it was renamed
	NoteRevoke Fflags = 0x40 // access to it was revoked, or its file system unmounted
)

// Flags of FS: what has become of a file system (struct vfsquery). DragonFly tells of
// VQ_MOUNT and VQ_UNMOUNT.
const (
	VQNotResp     Fflags = 0x01 // its server does not answer
	VQNeedAuth    Fflags = 0x02 // its server asks who this is
	VQLowDisk     Fflags = 0x04 // it is nearly full
	VQMount       Fflags = 0x08 // it has been mounted
	VQUnmount     Fflags = 0x10 // it has been unmounted
	VQDead        Fflags = 0x20 // it is dead, and must be unmounted by force
	VQAssist      Fflags = 0x40 // it needs help from a program
	VQNotRespLock Fflags = 0x80 // the locks of its server do not answer

	VQAll = VQNotResp | VQNeedAuth | VQLowDisk | VQMount | VQUnmount | VQDead | VQAssist | VQNotRespLock
)

// Flags of Proc: what the process has done.
const (
	NoteExit     Fflags = 0x80000000 // ended; Data is its status, as of wait(2)
	NoteFork     Fflags = 0x40000000 // called fork
	NoteExec     Fflags = 0x20000000 // called exec
	NoteTrack    Fflags = 0x00000001 // follow it across fork
	NoteTrackErr Fflags = 0x00000002 // a child could not be followed
	NoteChild    Fflags = 0x00000004 // this is the child; Data is the process ID of the parent
)
