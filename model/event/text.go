package event

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// A word is the name of some bits of a flag word. The bits of mask must equal
// bits for the name to fit: control fields such as NOTE_FFCOPY are numbers of
// two bits and not flags.
type word struct {
	name       string
	mask, bits uint32
}

var filterNames = [...]string{
	-Read: "READ", -Write: "WRITE", -AIO: "AIO", -Vnode: "VNODE", -Proc: "PROC",
	-Signal: "SIGNAL", -Timer: "TIMER", -Except: "EXCEPT", -User: "USER", -FS: "FS",
}

var flagWords = []word{
	flag("ADD", uint32(Add)), flag("DELETE", uint32(Delete)), flag("ENABLE", uint32(Enable)), flag("DISABLE", uint32(Disable)),
	flag("ONESHOT", uint32(OneShot)), flag("CLEAR", uint32(Clear)), flag("RECEIPT", uint32(Receipt)), flag("DISPATCH", uint32(Dispatch)),
	flag("HUP", uint32(HUP)), flag("NODATA", uint32(NoData)), flag("ERROR", uint32(Error)), flag("EOF", uint32(EOF)),
}

var ioWords = []word{flag("LOWAT", uint32(NoteLowat)), flag("OOB", uint32(NoteOOB))}

var userWords = []word{
	{"FFAND", uint32(NoteFFCtrlMask), uint32(NoteFFAnd)},
	{"FFOR", uint32(NoteFFCtrlMask), uint32(NoteFFOr)},
	{"FFCOPY", uint32(NoteFFCtrlMask), uint32(NoteFFCopy)},
	flag("TRIGGER", uint32(NoteTrigger)),
}

var timerWords = []word{
	flag("SECONDS", uint32(NoteSeconds)), flag("MSECONDS", uint32(NoteMSeconds)), flag("USECONDS", uint32(NoteUSeconds)),
	flag("NSECONDS", uint32(NoteNSeconds)), flag("ABSTIME", uint32(NoteAbsTime)),
}

var vnodeWords = []word{
	flag("DELETE", uint32(NoteDelete)), flag("WRITE", uint32(NoteWrite)), flag("EXTEND", uint32(NoteExtend)), flag("ATTRIB", uint32(NoteAttrib)),
	flag("LINK", uint32(NoteLink)), flag("RENAME", uint32(NoteRename)), flag("REVOKE", uint32(NoteRevoke)),
}

var procWords = []word{
	flag("EXIT", uint32(NoteExit)), flag("FORK", uint32(NoteFork)), flag("EXEC", uint32(NoteExec)),
	flag("TRACK", uint32(NoteTrack)), flag("TRACKERR", uint32(NoteTrackErr)), flag("CHILD", uint32(NoteChild)),
}

var fsWords = []word{
	flag("NOTRESP", uint32(VQNotResp)), flag("NEEDAUTH", uint32(VQNeedAuth)), flag("LOWDISK", uint32(VQLowDisk)), flag("MOUNT", uint32(VQMount)),
	flag("UNMOUNT", uint32(VQUnmount)), flag("DEAD", uint32(VQDead)), flag("ASSIST", uint32(VQAssist)), flag("NOTRESPLOCK", uint32(VQNotRespLock)),
}

// errnos are those that calls answer, and that the answers to changes carry.
var errnos = map[string]syscall.Errno{
	"EPERM": syscall.EPERM, "ENOENT": syscall.ENOENT, "ESRCH": syscall.ESRCH, "EINTR": syscall.EINTR, "EIO": syscall.EIO,
	"EBADF": syscall.EBADF, "EAGAIN": syscall.EAGAIN, "ENOMEM": syscall.ENOMEM, "EACCES": syscall.EACCES, "EEXIST": syscall.EEXIST,
	"ENODEV": syscall.ENODEV, "EINVAL": syscall.EINVAL, "EMFILE": syscall.EMFILE, "ENOSPC": syscall.ENOSPC, "EPIPE": syscall.EPIPE,
	"ENOSYS": syscall.ENOSYS, "ELOOP": syscall.ELOOP, "EOVERFLOW": syscall.EOVERFLOW, "EOPNOTSUPP": syscall.EOPNOTSUPP,
	"ENOTSOCK": syscall.ENOTSOCK, "EDESTADDRREQ": syscall.EDESTADDRREQ, "EMSGSIZE": syscall.EMSGSIZE, "EPROTOTYPE": syscall.EPROTOTYPE,
	"EADDRINUSE": syscall.EADDRINUSE, "EADDRNOTAVAIL": syscall.EADDRNOTAVAIL, "ECONNABORTED": syscall.ECONNABORTED, "ECONNRESET": syscall.ECONNRESET, "ENOBUFS": syscall.ENOBUFS,
	"EISCONN": syscall.EISCONN, "ENOTCONN": syscall.ENOTCONN, "ECONNREFUSED": syscall.ECONNREFUSED, "EALREADY": syscall.EALREADY,
	"EINPROGRESS": syscall.EINPROGRESS, "ENXIO": syscall.ENXIO, "ENOTTY": syscall.ENOTTY, "EFAULT": syscall.EFAULT,
	"EBUSY": syscall.EBUSY, "ECHILD": syscall.ECHILD, "EHOSTDOWN": syscall.EHOSTDOWN,
	"ECANCELED": syscall.ECANCELED,
	"EISDIR":    syscall.EISDIR, "ENOTDIR": syscall.ENOTDIR, "ENOTEMPTY": syscall.ENOTEMPTY, "EFBIG": syscall.EFBIG, "ESPIPE": syscall.ESPIPE,
}

func flag(name string, bit uint32) word { return word{name, bit, bit} }

// fflagWords returns the names of the fflags that filter f knows.
func fflagWords(f Filter) []word {
	switch f {
	case Read, Write, Except:
		return ioWords
	case User:
		return userWords
	case Timer:
		return timerWords
	case Vnode:
		return vnodeWords
	case Proc:
		return procWords
	case FS:
		return fsWords
	}
	return nil
}

// String returns the name of the filter without EVFILT_, or its number if it
// has none.
func (f Filter) String() string {
	if f <= Read && f >= FS {
		return filterNames[-f]
	}
	return strconv.Itoa(int(f))
}

// String returns the names of the flags without EV_, joined by |; bits that
// have no name are in hexadecimal, and no flags at all are 0.
func (f Flags) String() string { return join(uint32(f), flagWords) }

func join(v uint32, words []word) string {
	var names []string
	for _, w := range words {
		if v&w.mask == w.bits {
			names = append(names, w.name)
			v &^= w.mask
		}
	}
	if v != 0 || len(names) == 0 {
		names = append(names, hex(v))
	}
	return strings.Join(names, "|")
}

func hex(v uint32) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(uint64(v), 16)
}

// String returns the record as one line that [ParseKevent] reads back, such as
//
//	READ 3 ADD|CLEAR fflags=LOWAT data=5 udata=7
//
// Filter and ident always stand there, the rest only if it is not 0. Names of
// fflags are those that the filter knows. An errno is written by its name: the data
// of a record with Error and of Except, and the fflags of an event of Read, Write or AIO.
func (kev Kevent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %d", kev.Filter, kev.Ident)
	if kev.Flags != 0 {
		fmt.Fprintf(&b, " %v", kev.Flags)
	}
	if kev.Fflags != 0 {
		b.WriteString(" fflags=" + kev.fflags())
	}
	if kev.Data != 0 {
		b.WriteString(" data=" + kev.data())
	}
	if kev.Udata != 0 {
		fmt.Fprintf(&b, " udata=%d", kev.Udata)
	}
	return b.String()
}

// fflags are those of the filter. Read, Write and AIO return an errno in them, and no sum of
// flags that either knows is so large.
func (kev *Kevent) fflags() string {
	if kev.failed() {
		if name := errnoName(int64(kev.Fflags)); name != "" {
			return name
		}
	}
	return join(uint32(kev.Fflags), fflagWords(kev.Filter))
}

func (kev *Kevent) failed() bool {
	switch kev.Filter {
	case Read, Write:
		return kev.Fflags > NoteLowat|NoteOOB
	}
	return kev.Filter == AIO
}

func (kev *Kevent) data() string {
	if kev.Flags&Error != 0 || kev.Filter == Except {
		if name := errnoName(kev.Data); name != "" {
			return name
		}
	}
	return strconv.FormatInt(kev.Data, 10)
}

// errnoName returns the name of an errno, nothing if it has none.
func errnoName(n int64) string {
	for name, errno := range errnos {
		if n == int64(errno) {
			return name
		}
	}
	return ""
}

// ParseKevent reads the text form of a record, see [Kevent.String]. Words are
// separated by white space; numbers are decimal, or hexadecimal after 0x. The
// error names the word at fault and what was expected in its place.
func ParseKevent(s string) (Kevent, error) {
	words := strings.Fields(s)
	if len(words) < 2 {
		return Kevent{}, fmt.Errorf("event %q: want a filter and an ident, as in \"READ 3 ADD\"", s)
	}
	var kev Kevent
	var err error
	if kev.Filter, err = parseFilter(words[0]); err != nil {
		return Kevent{}, err
	}
	if kev.Ident, err = strconv.ParseUint(words[1], 0, 64); err != nil {
		return Kevent{}, wrong("ident", words[1], "a number from 0 to 2^64-1")
	}
	words = words[2:]
	if len(words) > 0 && !strings.Contains(words[0], "=") {
		v, err := split("flag", words[0], flagWords, 16)
		if err != nil {
			return Kevent{}, err
		}
		kev.Flags, words = Flags(v), words[1:]
	}
	seen := map[string]bool{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || seen[key] {
			return Kevent{}, wrong("word", w, "fflags=, data= or udata=, each once, after at most one word of flags")
		}
		seen[key] = true
		if err := kev.set(key, value); err != nil {
			return Kevent{}, err
		}
	}
	return kev, nil
}

func wrong(what, got, want string) error {
	return fmt.Errorf("event: %s %q: want %s", what, got, want)
}

func parseFilter(s string) (Filter, error) {
	for i, name := range filterNames {
		if name != "" && name == s {
			return Filter(-i), nil
		}
	}
	n, err := strconv.ParseInt(s, 0, 16)
	if err != nil {
		return 0, wrong("filter", s, strings.Join(filterNames[1:], ", ")+" or a number from -32768 to 32767")
	}
	return Filter(n), nil
}

// set sets one of the fields that are given by name.
func (kev *Kevent) set(key, value string) (err error) {
	switch key {
	case "fflags":
		if errno, ok := errnos[value]; ok && (kev.Filter == Read || kev.Filter == Write || kev.Filter == AIO) {
			kev.Fflags = Fflags(errno)
			break
		}
		v, err := split("fflag of "+kev.Filter.String(), value, fflagWords(kev.Filter), 32)
		if err != nil {
			return err
		}
		kev.Fflags = Fflags(v)
	case "data":
		if errno, ok := errnos[value]; ok && (kev.Flags&Error != 0 || kev.Filter == Except) {
			kev.Data = int64(errno)
		} else if kev.Data, err = strconv.ParseInt(value, 0, 64); err != nil {
			return wrong("data", value, "a number from -2^63 to 2^63-1, or after ERROR the name of an errno")
		}
	case "udata":
		if kev.Udata, err = strconv.ParseUint(value, 0, 64); err != nil {
			return wrong("udata", value, "a number from 0 to 2^64-1")
		}
	default:
		return wrong("word", key+"=", "fflags=, data= or udata=")
	}
	return nil
}

// split is the inverse of join, for a word of so many bits.
func split(what, s string, words []word, bits int) (v uint32, err error) {
next:
	for _, name := range strings.Split(s, "|") {
		for _, w := range words {
			if w.name == name {
				v |= w.bits
				continue next
			}
		}
		n, err := strconv.ParseUint(name, 0, bits)
		if err != nil {
			var names []string
			for _, w := range words {
				names = append(names, w.name)
			}
			return 0, wrong(what, name, strings.Join(append(names, fmt.Sprintf("or a number of %d bits", bits)), ", "))
		}
		v |= uint32(n)
	}
	return v, nil
}
