package event

import "strconv"

// A Wait is how long a call is ready to wait. How long a finite wait is makes
// no difference to what it may answer.
type Wait uint8

// The waits.
const (
	NoWait  Wait = iota // a timeout of zero
	Finite              // some time
	Forever             // as long as it takes
)

var waitNames = []string{NoWait: "zero", Finite: "finite", Forever: "forever"}

// String returns the name of the wait as it is in the text of an [Op].
func (w Wait) String() string { return nameOf(w, "wait", waitNames) }

// A Manner is what the filter of a probe does in each call, beside what it is
// called for. It makes no difference to what a call may answer.
type Manner uint8

// The manners; a probe may have several, or none.
const (
	Blocks Manner = 1 << iota // sleeps for a moment, and so gives up its domain
	Unsafe                    // has the mplock, as one that is not MP-safe
)

var mannerWords = []word{flag("blocks", uint32(Blocks)), flag("unsafe", uint32(Unsafe))}

// String returns the names of the manners, joined by |, as they are in the text
// of an [Op]; none at all are 0.
func (m Manner) String() string { return join(uint32(m), mannerWords) }

// A SockType is what a socket carries.
type SockType uint8

// The types of sockets.
const (
	Stream   SockType = iota + 1 // bytes (SOCK_STREAM)
	Datagram                     // messages, each of which comes whole (SOCK_DGRAM)
)

var sockTypeNames = []string{Stream: "stream", Datagram: "dgram"}

// String returns the name of the type as it is in the text of an [Op].
func (t SockType) String() string { return nameOf(t, "socket type", sockTypeNames) }

// A Side is one direction of a file, or both.
type Side uint8

// The sides.
const (
	ReadSide  Side = iota + 1 // SHUT_RD, O_RDONLY
	WriteSide                 // SHUT_WR, O_WRONLY
	BothSides                 // SHUT_RDWR, O_RDWR
)

var sideNames = []string{ReadSide: "read", WriteSide: "write", BothSides: "both"}

// String returns the name of the side as it is in the text of an [Op].
func (s Side) String() string { return nameOf(s, "side", sideNames) }

// Reads reports whether the side is that of reading, or both.
func (s Side) Reads() bool { return s&ReadSide != 0 }

// Writes reports whether the side is that of writing, or both.
func (s Side) Writes() bool { return s&WriteSide != 0 }

// Termios are the modes of a terminal that have to do with when it is ready.
type Termios uint32

// The modes. A terminal without any is raw.
const (
	Canonical Termios = 1 << iota // a read takes whole lines (ICANON)
	Echo                          // what is typed is written too (ECHO)
)

var termiosWords = []word{{"raw", ^uint32(0), 0}, flag("canon", uint32(Canonical)), flag("echo", uint32(Echo))}

// String returns the names of the modes, joined by |, as they are in the text of
// an [Op].
func (m Termios) String() string { return join(uint32(m), termiosWords) }

// A Key is what the last of the bytes is that a call writes, as far as it makes a
// difference to a terminal.
type Key uint8

// The keys. All bytes but the last are no key, and mean nothing.
const (
	NoKey    Key = iota
	KeyNL        // ends a line
	KeyEOF       // ends one and is not part of it (^D)
	KeyErase     // takes back the byte before it
	KeyKill      // takes back all that is no line yet (^U)
)

var keyNames = []string{KeyNL: "nl", KeyEOF: "eof", KeyErase: "erase", KeyKill: "kill"}

// String returns the name of the key as it is in the text of an [Op].
func (k Key) String() string { return nameOf(k, "key", keyNames) }

// Byte returns the character that the key is; 0 is none.
func (k Key) Byte() byte {
	if int(k) < len(keyBytes) {
		return keyBytes[k]
	}
	return 0
}

var keyBytes = [...]byte{KeyNL: '\n', KeyEOF: 'D' & 0x1f, KeyErase: 0x7f, KeyKill: 'U' & 0x1f}

// An EpollOp is what epoll_ctl(2) does to an item, with the values of Linux.
type EpollOp uint8

// The operations of epoll_ctl(2).
const (
	EpollAdd EpollOp = iota + 1 // make the item
	EpollDel                    // remove it
	EpollMod                    // replace its events and its udata
)

var epollOpNames = []string{EpollAdd: "add", EpollDel: "del", EpollMod: "mod"}

// String returns the name of the operation as it is in the text of an [Op].
func (o EpollOp) String() string { return nameOf(o, "epoll operation", epollOpNames) }

// nameOf returns the name of one of few values.
func nameOf[T ~uint8](v T, what string, names []string) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return what + " " + strconv.Itoa(int(v))
}
