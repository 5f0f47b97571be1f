package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Call names a system call, or an act on a device.
type Call uint8

// The calls. Descriptors are those of one process, lowest free number first.
const (
	Kqueue    Call = iota + 1 // make a kqueue: its descriptor
	MakePipe                  // make a pipe: the descriptors of its read end and its write end
	MakeProbe                 // make a probe, at level 0: its descriptor
	Set                       // make the level of probe FD N
	ReadPipe                  // take up to N bytes from FD, without blocking: how many
	WritePipe                 // put up to N bytes into FD, without blocking: how many
	Dup                       // make another descriptor for the file of FD: its number
	Dup2                      // make To a descriptor for the file of FD
	Close                     // end FD
	Poll                      // kevent(2) on kqueue FD: Changes, then up to Room events, waiting as Wait says
)

var callNames = [...]string{
	Kqueue: "kqueue", MakePipe: "pipe", MakeProbe: "probe", Set: "set", ReadPipe: "read", WritePipe: "write",
	Dup: "dup", Dup2: "dup2", Close: "close", Poll: "kevent",
}

// String returns the name of the call as it is in the text of an [Op].
func (c Call) String() string {
	if c >= Kqueue && c <= Poll {
		return callNames[c]
	}
	return "call " + strconv.Itoa(int(c))
}

// A Wait is how long a call of kevent(2) is ready to wait. How long a finite
// wait is makes no difference to what it may answer.
type Wait uint8

// The waits.
const (
	NoWait  Wait = iota // a timeout of zero
	Finite              // some time
	Forever             // as long as it takes
)

var waitNames = [...]string{NoWait: "zero", Finite: "finite", Forever: "forever"}

// String returns the name of the wait as it is in the text of an [Op].
func (w Wait) String() string {
	if w <= Forever {
		return waitNames[w]
	}
	return "wait " + strconv.Itoa(int(w))
}

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

// An Op is one operation of a user: what was called, and with what. Which
// fields count depends on Call; the others are zero.
type Op struct {
	Call    Call
	FD      int      // the descriptor called upon
	To      int      // Dup2
	Manner  Manner   // MakeProbe
	N       int64    // Set: the level; ReadPipe, WritePipe: bytes, 0 or more
	Changes []Kevent // Poll
	Room    int      // Poll: how many events there is room for, 0 or more
	Wait    Wait     // Poll
}

// A Result is what an [Op] answered.
type Result struct {
	Pending bool          // it has not returned, as far as is known
	Errno   syscall.Errno // 0 if it went well
	N       int64         // the descriptor made, of a pipe the read end; or bytes
	N2      int64         // of a pipe the write end
	Events  []Kevent      // Poll: what was returned, records with Error among it
}

// String returns the operation as one line that [ParseOp] reads back, one of
//
//	kqueue
//	pipe
//	probe
//	probe blocks|unsafe
//	set 5 12
//	read 3 100
//	write 4 100
//	dup 3
//	dup2 3 7
//	close 3
//	kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD
//
// Room is 0 and wait is zero unless they are given; changes are separated by
// semicolons. The filter of a probe that blocks sleeps for a moment in each call;
// one that is unsafe is not MP-safe.
func (op Op) String() string {
	var b strings.Builder
	b.WriteString(op.Call.String())
	switch op.Call {
	case MakeProbe:
		if op.Manner != 0 {
			fmt.Fprintf(&b, " %v", op.Manner)
		}
	case Set, ReadPipe, WritePipe:
		fmt.Fprintf(&b, " %d %d", op.FD, op.N)
	case Dup, Close:
		fmt.Fprintf(&b, " %d", op.FD)
	case Dup2:
		fmt.Fprintf(&b, " %d %d", op.FD, op.To)
	case Poll:
		fmt.Fprintf(&b, " %d", op.FD)
		if op.Room != 0 {
			fmt.Fprintf(&b, " room=%d", op.Room)
		}
		if op.Wait != NoWait {
			fmt.Fprintf(&b, " wait=%v", op.Wait)
		}
		if len(op.Changes) > 0 {
			b.WriteString(": " + joinKevents(op.Changes))
		}
	}
	return b.String()
}

func joinKevents(kevs []Kevent) string {
	words := make([]string, len(kevs))
	for i, kev := range kevs {
		words[i] = kev.String()
	}
	return strings.Join(words, "; ")
}

// Equal reports whether op and o are the same operation.
func (op Op) Equal(o Op) bool {
	return op.Call == o.Call && op.FD == o.FD && op.To == o.To && op.Manner == o.Manner && op.N == o.N && op.Room == o.Room && op.Wait == o.Wait &&
		slices.Equal(op.Changes, o.Changes)
}

// Equal reports whether r and o are the same result.
func (r Result) Equal(o Result) bool {
	return r.Pending == o.Pending && r.Errno == o.Errno && r.N == o.N && r.N2 == o.N2 && slices.Equal(r.Events, o.Events)
}

// ParseOp reads the text form of an operation, see [Op.String]. The error names
// the word at fault and what was expected in its place.
func ParseOp(s string) (Op, error) {
	head, changes, list := strings.Cut(s, ":")
	words := strings.Fields(head)
	if len(words) == 0 {
		return Op{}, wrong("operation", s, "a call: "+strings.Join(callNames[1:], ", "))
	}
	i := slices.Index(callNames[:], words[0])
	if i < 1 {
		return Op{}, wrong("call", words[0], strings.Join(callNames[1:], ", "))
	}
	op := Op{Call: Call(i)}
	if list && op.Call != Poll {
		return Op{}, wrong("word", ":", "the end: only kevent has a list of changes")
	}
	words, err := op.numbers(words[1:])
	if err != nil {
		return Op{}, err
	}
	for _, w := range words {
		if err := op.set(w); err != nil {
			return Op{}, err
		}
	}
	if list {
		op.Changes, err = parseKevents(changes)
	}
	return op, err
}

// numbers takes the numbers that the call has from the front of words.
func (op *Op) numbers(words []string) ([]string, error) {
	type number struct {
		what string
		low  int64
		set  func(int64)
	}
	fd := number{"descriptor", -1 << 31, func(n int64) { op.FD = int(n) }}
	var want []number
	switch op.Call {
	case Set:
		want = []number{fd, {"level", -1 << 63, func(n int64) { op.N = n }}}
	case ReadPipe, WritePipe:
		want = []number{fd, {"count of bytes", 0, func(n int64) { op.N = n }}}
	case Dup, Close, Poll:
		want = []number{fd}
	case Dup2:
		want = []number{fd, {"new descriptor", -1 << 31, func(n int64) { op.To = int(n) }}}
	}
	for i, w := range want {
		if i >= len(words) {
			return nil, fmt.Errorf("event: %v ends: want a %s", op.Call, w.what)
		}
		bits := 64
		if strings.HasSuffix(w.what, "descriptor") {
			bits = 32
		}
		n, err := strconv.ParseInt(words[i], 0, bits)
		if err != nil || n < w.low {
			return nil, wrong(w.what, words[i], "a number of "+strconv.Itoa(bits)+" bits, at least "+strconv.FormatInt(w.low, 10))
		}
		w.set(n)
	}
	return words[len(want):], nil
}

// set reads one of the words that may be left out.
func (op *Op) set(w string) error {
	if op.Call == MakeProbe && op.Manner == 0 {
		for name := range strings.SplitSeq(w, "|") {
			i := slices.IndexFunc(mannerWords, func(m word) bool { return m.name == name })
			if i < 0 {
				return wrong("manner", name, "blocks, unsafe")
			}
			op.Manner |= Manner(mannerWords[i].bits)
		}
		return nil
	}
	key, value, _ := strings.Cut(w, "=")
	if op.Call != Poll {
		return wrong("word", w, "the end of "+op.Call.String())
	}
	switch key {
	case "room":
		n, err := strconv.ParseInt(value, 0, 32)
		if err != nil || n < 0 {
			return wrong("room", value, "a number from 0 to 2^31-1")
		}
		op.Room = int(n)
	case "wait":
		i := slices.Index(waitNames[:], value)
		if i < 0 {
			return wrong("wait", value, strings.Join(waitNames[:], ", "))
		}
		op.Wait = Wait(i)
	default:
		return wrong("word", w, "room=, wait= or a colon before the changes")
	}
	return nil
}

func parseKevents(s string) ([]Kevent, error) {
	var kevs []Kevent
	for part := range strings.SplitSeq(s, ";") {
		kev, err := ParseKevent(part)
		if err != nil {
			return nil, err
		}
		kevs = append(kevs, kev)
	}
	return kevs, nil
}

// String returns the result as one line that [ParseResult] reads back, one of
//
//	pending
//	ok
//	EBADF
//	3
//	3 4
//	events READ 1 data=5; USER 2 CLEAR
//
// Ok is a result of zeros, such as that of a close that went well or of a
// kevent(2) that returned nothing; an errno without a name is errno and its
// number.
func (r Result) String() string {
	switch {
	case r.Pending:
		return "pending"
	case r.Errno != 0:
		for name, errno := range errnos {
			if r.Errno == errno {
				return name
			}
		}
		return "errno " + strconv.Itoa(int(r.Errno))
	case len(r.Events) > 0:
		return "events " + joinKevents(r.Events)
	case r.N2 != 0:
		return fmt.Sprintf("%d %d", r.N, r.N2)
	case r.N != 0:
		return strconv.FormatInt(r.N, 10)
	}
	return "ok"
}

// ParseResult reads the text form of a result, see [Result.String]; 0 may be
// written for ok. The error names the word at fault and what was expected in
// its place.
func ParseResult(s string) (r Result, err error) {
	s = strings.TrimSpace(s)
	first, rest, _ := strings.Cut(s, " ")
	errno, named := errnos[s]
	switch {
	case s == "pending":
		r.Pending = true
	case s == "ok":
	case named:
		r.Errno = errno
	case first == "errno":
		n, err := strconv.ParseUint(strings.TrimSpace(rest), 0, 31)
		if err != nil || n == 0 {
			return Result{}, wrong("errno", rest, "a number from 1 to 2^31-1")
		}
		r.Errno = syscall.Errno(n)
	case first == "events":
		r.Events, err = parseKevents(rest)
	default:
		words := strings.Fields(s)
		if len(words) == 0 || len(words) > 2 {
			return Result{}, wrong("result", s, results)
		}
		for i, w := range words {
			n, err := strconv.ParseInt(w, 0, 64)
			if err != nil {
				return Result{}, wrong("result", w, results)
			}
			if i == 0 {
				r.N = n
			} else {
				r.N2 = n
			}
		}
	}
	return r, err
}

const results = "ok, pending, one or two numbers, the name of an errno, errno and a number, or events and a list of them"
