package event

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A syntax is how an operation is written: its name, words that must follow in
// their order, words that may in any, and perhaps a colon and a list.
type syntax struct {
	name  string
	makes int // descriptors, if it goes well
	args  []arg
	opts  []opt
	list  *list
}

// An arg is a word that must be there.
type arg struct {
	what string
	read func(op *Op, word string) error
	text func(op *Op) string
}

// An opt is a word that may be there: a key with its sign of equality, and a
// value, or without a key one of the words that its arg knows. Its text is empty
// if it is not needed.
type opt struct {
	key string
	arg
}

// A list is what may stand behind a colon, with semicolons between the entries.
type list struct {
	what string
	read func(op *Op, entry string) error
	text func(op *Op) []string
}

// number is a word that is a number of so many bits, low or more.
func number[T int | int64 | uint64](what string, bits int, low int64, field func(op *Op) *T) arg {
	return arg{what,
		func(op *Op, s string) error {
			n, err := strconv.ParseInt(s, 0, bits)
			if err != nil || n < low {
				return wrong(what, s, fmt.Sprintf("a number of %d bits, at least %d", bits, low))
			}
			*field(op) = T(n)
			return nil
		},
		func(op *Op) string { return fmt.Sprint(*field(op)) },
	}
}

// name is a word that is one of some names; not all values need have one.
func name[T ~uint8](what string, names []string, field func(op *Op) *T) arg {
	want := strings.Join(slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" }), ", ")
	return arg{what,
		func(op *Op, s string) error {
			i := slices.Index(names, s)
			if i < 0 || s == "" {
				return wrong(what, s, want)
			}
			*field(op) = T(i)
			return nil
		},
		func(op *Op) string { return nameOf(*field(op), what, names) },
	}
}

// bits is a word of names joined by |.
func bits[T ~uint32](what string, words []word, field func(op *Op) *T) arg {
	return arg{what,
		func(op *Op, s string) error {
			v, err := split(what, s, words, 32)
			*field(op) = T(v)
			return err
		},
		func(op *Op) string { return join(uint32(*field(op)), words) },
	}
}

// optional is a key with a value that need not be given if it is zero.
func optional(key string, value arg) opt {
	text := value.text
	var zero Op
	value.text = func(op *Op) string {
		if s := text(op); s != text(&zero) {
			return s
		}
		return ""
	}
	return opt{key, value}
}

// MaxFile is the highest number of a file: it is three directories deep.
const MaxFile = 999

// path is a word that is the number of a file.
func path(what string, field func(op *Op) *int) arg {
	return arg{what,
		func(op *Op, s string) error {
			n, err := strconv.ParseUint(s, 0, 32)
			if err != nil || n > MaxFile {
				return wrong(what, s, fmt.Sprintf("a number up to %d, whose digits are a path", MaxFile))
			}
			*field(op) = int(n)
			return nil
		},
		func(op *Op) string { return strconv.Itoa(*field(op)) },
	}
}

// The words that must be there.
var (
	fd          = number("descriptor", 32, math.MinInt32, func(op *Op) *int { return &op.FD })
	newFD       = number("new descriptor", 32, math.MinInt32, func(op *Op) *int { return &op.To })
	watchedFD   = number("watched descriptor", 32, math.MinInt32, func(op *Op) *int { return &op.To })
	level       = number("level", 64, math.MinInt64, func(op *Op) *int64 { return &op.N })
	transferred = number("count of bytes, or a negative number", 64, math.MinInt64, func(op *Op) *int64 { return &op.N })
	count       = number("count of bytes", 64, 0, func(op *Op) *int64 { return &op.N })
	port        = number("port", 32, math.MinInt32, func(op *Op) *int64 { return &op.N })
	backlog     = number("backlog", 32, math.MinInt32, func(op *Op) *int { return &op.Backlog })
	nfds        = number("count of descriptors", 32, math.MinInt32, func(op *Op) *int64 { return &op.N })
	sockType    = name("socket type", sockTypeNames, func(op *Op) *SockType { return &op.Sock })
	side        = name("side", sideNames, func(op *Op) *Side { return &op.Side })
	keyName     = name("key", keyNames, func(op *Op) *Key { return &op.Key })
	epollOp     = name("epoll operation", epollOpNames, func(op *Op) *EpollOp { return &op.Ctl })
	modes       = bits("mode", termiosWords, func(op *Op) *Termios { return &op.Modes })
	deviceName  = name("device", deviceNames, func(op *Op) *Device { return &op.Device })
	controlName = name("control", controlNames, func(op *Op) *Control { return &op.Control })
	units       = number("count of units", 64, 0, func(op *Op) *int64 { return &op.N })
	value       = number("value", 64, math.MinInt64, func(op *Op) *int64 { return &op.N })
	conditions  = bits("condition", pollWords, func(op *Op) *PollEvents { return &op.Events })

	pid        = number("process", 32, math.MinInt32, func(op *Op) *int { return &op.Pid })
	sig        = number("signal", 32, math.MinInt32, func(op *Op) *int { return &op.Sig })
	status     = number("status", 32, 0, func(op *Op) *int64 { return &op.N })
	sigAction  = name("action", sigActionNames, func(op *Op) *SigAction { return &op.Action })
	sigHow     = name("way", sigHowNames, func(op *Op) *SigHow { return &op.How })
	file       = path("file", func(op *Op) *int { return &op.File })
	toFile     = path("new file", func(op *Op) *int { return &op.To })
	size       = number("size", 64, math.MinInt64, func(op *Op) *int64 { return &op.N })
	offset     = number("offset", 64, math.MinInt64, func(op *Op) *int64 { return &op.N })
	mountPoint = number("file system", 32, 0, func(op *Op) *int64 { return &op.N })

	sigs = arg{"set of signals",
		func(op *Op, s string) (err error) { op.Sigs, err = parseSigset(s); return err },
		func(op *Op) string { return op.Sigs.String() },
	}
)

// The words that may be there.
var (
	wait = optional("wait=", name("wait", waitNames, func(op *Op) *Wait { return &op.Wait }))
	room = optional("room=", arg{"room",
		func(op *Op, s string) error {
			n, err := strconv.ParseInt(s, 0, 32)
			if err != nil || n < 0 {
				return wrong("room", s, "a number from 0 to 2^31-1")
			}
			op.Room = int(n)
			return nil
		},
		func(op *Op) string { return strconv.Itoa(op.Room) },
	})
	udata = optional("udata=", arg{"udata",
		func(op *Op, s string) (err error) {
			if op.Udata, err = strconv.ParseUint(s, 0, 64); err != nil {
				return wrong("udata", s, "a number from 0 to 2^64-1")
			}
			return nil
		},
		func(op *Op) string { return strconv.FormatUint(op.Udata, 10) },
	})
	mask = opt{"mask=", arg{"mask",
		func(op *Op, s string) (err error) {
			op.Masked = true
			op.Sigs, err = parseSigset(s)
			return err
		},
		func(op *Op) string {
			if !op.Masked {
				return ""
			}
			return op.Sigs.String()
		},
	}}
	manner = opt{"", arg{"manner",
		func(op *Op, s string) error {
			for name := range strings.SplitSeq(s, "|") {
				i := slices.IndexFunc(mannerWords, func(m word) bool { return m.name == name })
				if i < 0 {
					return wrong("manner", name, "blocks, unsafe")
				}
				op.Manner |= Manner(mannerWords[i].bits)
			}
			return nil
		},
		func(op *Op) string {
			if op.Manner == 0 {
				return ""
			}
			return op.Manner.String()
		},
	}}
	key = opt{"", arg{"key",
		keyName.read,
		func(op *Op) string {
			if op.Key == NoKey {
				return ""
			}
			return op.Key.String()
		},
	}}
	urgent = opt{"", arg{"flag",
		func(op *Op, s string) error {
			if op.OOB = s == "oob"; !op.OOB {
				return wrong("flag", s, "oob")
			}
			return nil
		},
		func(op *Op) string {
			if op.OOB {
				return "oob"
			}
			return ""
		},
	}}
)

// The lists.
var (
	changes = &list{"changes",
		func(op *Op, entry string) error {
			kev, err := ParseKevent(entry)
			op.Changes = append(op.Changes, kev)
			return err
		},
		func(op *Op) []string { return texts(op.Changes) },
	}
	polled = &list{"entries",
		func(op *Op, entry string) error {
			p, err := ParsePollFD(entry)
			op.FDs = append(op.FDs, p)
			return err
		},
		func(op *Op) []string { return texts(op.FDs) },
	}
	selected = &list{"sets",
		func(op *Op, entry string) error {
			p, err := parseSelected(entry)
			op.FDs = append(op.FDs, p)
			return err
		},
		func(op *Op) (all []string) {
			for _, p := range op.FDs {
				all = append(all, selectedText(p))
			}
			return all
		},
	}
)

func texts[T fmt.Stringer](all []T) (out []string) {
	for _, x := range all {
		out = append(out, x.String())
	}
	return out
}

// sets are the letters of the three sets of select(2), and what each asks for.
var sets = []struct {
	letter byte
	asks   PollEvents
}{{'r', PollIn}, {'w', PollOut}, {'e', PollPri}}

// parseSelected reads a descriptor and the sets that it is in.
func parseSelected(s string) (p PollFD, err error) {
	words := strings.Fields(s)
	if len(words) != 2 {
		return p, wrong("entry", strings.TrimSpace(s), `a descriptor and its sets, as in "3 rw"`)
	}
	n, err := strconv.ParseInt(words[0], 0, 32)
	if err != nil {
		return p, wrong("descriptor", words[0], "a number of 32 bits")
	}
	p.FD = int32(n)
	rest := words[1]
	for _, set := range sets {
		if rest != "" && rest[0] == set.letter {
			p.Events |= set.asks
			rest = rest[1:]
		}
	}
	if rest != "" || p.Events == 0 {
		return p, wrong("sets", words[1], "some of r, w and e, in this order")
	}
	return p, nil
}

func selectedText(p PollFD) string {
	s := strconv.Itoa(int(p.FD)) + " "
	for _, set := range sets {
		if p.Events&set.asks != 0 {
			s += string(set.letter)
		}
	}
	return s
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
//	write 4 6 nl
//	dup 3
//	dup2 3 7
//	close 3
//	kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD
//	socketpair stream
//	socket dgram
//	listen 3 7 1
//	connect 4 7
//	accept 3
//	send 4 100 oob
//	recv 5 1 oob
//	shutdown 4 write
//	sockerr 4
//	fifo
//	reopen 3 read
//	pty
//	termios 4 canon|echo
//	poll wait=forever: 3 IN; 4 OUT|PRI
//	select 5 wait=finite: 3 r; 4 rwe
//	epoll
//	epoll_ctl 0 add 3 IN|ET udata=7
//	epoll_wait 0 room=8 wait=forever
//	device mouse
//	input 3 2
//	output 4 100
//	unplug 3
//	control 5 immediate 1
//	poll wait=forever mask=2|15: 3 IN
//	fork 1
//	exec 2
//	exit 2 1
//	wait 2
//	kill 1 15
//	sigaction 15 catch
//	sigmask block 2|15
//	disk
//	aio 3 read 100
//	complete 4 100
//	aio_cancel 4
//	aio_error 4
//	aio_return 4
//	creat 5
//	open 12
//	mkdir 1
//	rmdir 1
//	unlink 5
//	rename 5 12
//	link 5 6
//	chmod 5
//	revoke 5
//	truncate 3 100
//	seek 3 0
//	mount 1
//	unmount 1
//
// Behind a write may stand what the last byte is to a terminal, one of nl, eof, erase
// and kill. Room is 0 and wait is zero unless they are given; the entries of a list are
// separated by semicolons. The filter of a probe that blocks sleeps for a moment
// in each call; one that is unsafe is not MP-safe. Behind listen stand the port and
// how many connections may wait, behind connect the port. Input and output are acts of what is
// at the other side of a device, of so many units. Of select the first
// number is one more than the highest descriptor that it looks at, and r, w and e
// are its sets of descriptors to read, to write and with an exceptional condition.
// With a mask, a set of signals by their numbers, poll is ppoll(2), select pselect(2)
// and epoll_wait epoll_pwait(2). Behind fork, exec, exit, wait and kill stands a
// process; 1 is that of the threads, which act for all others. The digits of a file's
// number are names, of which each but the last is a directory in the one before: file 12
// is 2 in directory 1, and 0 is the root.
func (op Op) String() string {
	var b strings.Builder
	b.WriteString(op.Call.String())
	if !op.Call.Known() {
		return b.String()
	}
	g := &grammar[op.Call]
	for _, a := range g.args {
		b.WriteString(" " + a.text(&op))
	}
	for _, o := range g.opts {
		if s := o.text(&op); s != "" {
			b.WriteString(" " + o.key + s)
		}
	}
	if g.list != nil {
		if entries := g.list.text(&op); len(entries) > 0 {
			b.WriteString(": " + strings.Join(entries, "; "))
		}
	}
	return b.String()
}

// ParseOp reads the text form of an operation, see [Op.String]. The error names
// the word at fault and what was expected in its place.
func ParseOp(s string) (Op, error) {
	head, entries, listed := strings.Cut(s, ":")
	words := strings.Fields(head)
	if len(words) == 0 {
		return Op{}, wrong("operation", s, "a call: "+strings.Join(callNames, ", "))
	}
	i := slices.Index(callNames, words[0])
	if i < 0 {
		return Op{}, wrong("call", words[0], strings.Join(callNames, ", "))
	}
	op := Op{Call: Call(i + 1)}
	g := &grammar[op.Call]
	words = words[1:]
	for i, a := range g.args {
		if i >= len(words) {
			return Op{}, fmt.Errorf("event: %s ends: want a %s", g.name, a.what)
		}
		if err := a.read(&op, words[i]); err != nil {
			return Op{}, err
		}
	}
	if err := g.options(&op, words[len(g.args):]); err != nil {
		return Op{}, err
	}
	switch {
	case !listed:
		return op, nil
	case g.list == nil:
		return Op{}, wrong("word", ":", "the end: "+g.name+" has no list, as the changes of kevent are")
	}
	for entry := range strings.SplitSeq(entries, ";") {
		if err := g.list.read(&op, entry); err != nil {
			return Op{}, err
		}
	}
	return op, nil
}

// options reads the words that may be there, each once.
func (g *syntax) options(op *Op, words []string) error {
	left := slices.Clone(g.opts)
	for _, w := range words {
		i := slices.IndexFunc(left, func(o opt) bool { return strings.HasPrefix(w, o.key) })
		if i < 0 {
			return wrong("word", w, g.rest(left))
		}
		if err := left[i].read(op, w[len(left[i].key):]); err != nil {
			return err
		}
		left = slices.Delete(left, i, i+1)
	}
	return nil
}

// rest says what may follow behind some words of an operation.
func (g *syntax) rest(left []opt) string {
	var want []string
	for _, o := range left {
		want = append(want, o.key)
	}
	if g.list != nil {
		want = append(want, "a colon before the "+g.list.what)
	}
	return strings.Join(append(want, "the end of "+g.name), ", or ")
}
