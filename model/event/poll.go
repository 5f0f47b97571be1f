package event

import (
	"strconv"
	"strings"
)

// PollEvents are the conditions of poll(2) and epoll(7), with the values that
// Linux gives them on most of its architectures. An epoll item keeps its modes
// in the same word.
//
// Names drop the prefix of C: POLLIN, which is EPOLLIN, is [PollIn].
type PollEvents uint32

// Conditions. PollErr, PollHup and PollNval are told whether asked for or not.
const (
	PollIn     PollEvents = 0x0001 // what a read would take, an end of file included
	PollPri    PollEvents = 0x0002 // out-of-band data, or another exceptional condition
	PollOut    PollEvents = 0x0004 // room for a write
	PollErr    PollEvents = 0x0008 // an error is pending, or nobody will ever read what is written
	PollHup    PollEvents = 0x0010 // both directions are over
	PollNval   PollEvents = 0x0020 // no such descriptor (poll only)
	PollRdNorm PollEvents = 0x0040 // as PollIn
	PollRdBand PollEvents = 0x0080 // data of a priority band
	PollWrNorm PollEvents = 0x0100 // as PollOut
	PollWrBand PollEvents = 0x0200 // room for data of a priority band
	PollRdHup  PollEvents = 0x2000 // the peer will write no more
)

// Modes of an epoll item.
const (
	EpollExclusive PollEvents = 1 << 28 // wake one of the epolls that watch the file
	EpollWakeup    PollEvents = 1 << 29 // keep the system awake; ignored
	EpollOneShot   PollEvents = 1 << 30 // disable the item once it has been returned
	EpollET        PollEvents = 1 << 31 // return the item once for each activation
)

var pollWords = []word{
	flag("IN", uint32(PollIn)), flag("PRI", uint32(PollPri)), flag("OUT", uint32(PollOut)), flag("ERR", uint32(PollErr)),
	flag("HUP", uint32(PollHup)), flag("NVAL", uint32(PollNval)), flag("RDNORM", uint32(PollRdNorm)), flag("RDBAND", uint32(PollRdBand)),
	flag("WRNORM", uint32(PollWrNorm)), flag("WRBAND", uint32(PollWrBand)), flag("RDHUP", uint32(PollRdHup)),
	flag("EXCLUSIVE", uint32(EpollExclusive)), flag("WAKEUP", uint32(EpollWakeup)), flag("ONESHOT", uint32(EpollOneShot)), flag("ET", uint32(EpollET)),
}

// String returns the names of the conditions without POLL, joined by |; bits
// that have no name are in hexadecimal, and no conditions at all are 0.
func (e PollEvents) String() string { return join(uint32(e), pollWords) }

// ParsePollEvents reads the text form of conditions, see [PollEvents.String].
// The error names the word at fault and what was expected in its place.
func ParsePollEvents(s string) (PollEvents, error) {
	v, err := split("condition", s, pollWords, 32)
	return PollEvents(v), err
}

// A PollFD is one entry of the array that poll(2) is given. An entry whose FD
// is negative is passed over, its Revents 0.
type PollFD struct {
	FD      int32
	Events  PollEvents // asked for
	Revents PollEvents // what held
}

// String returns the entry as one line that [ParsePollFD] reads back, such as
//
//	3 IN|OUT
//	3 IN|OUT revents=OUT
func (p PollFD) String() string {
	s := strconv.Itoa(int(p.FD)) + " " + p.Events.String()
	if p.Revents != 0 {
		s += " revents=" + p.Revents.String()
	}
	return s
}

// ParsePollFD reads the text form of an entry, see [PollFD.String]. The error
// names the word at fault and what was expected in its place.
func ParsePollFD(s string) (p PollFD, err error) {
	words := strings.Fields(s)
	if len(words) < 2 || len(words) > 3 {
		return PollFD{}, wrong("entry", strings.TrimSpace(s), `a descriptor and conditions, as in "3 IN|OUT"`)
	}
	n, err := strconv.ParseInt(words[0], 0, 32)
	if err != nil {
		return PollFD{}, wrong("descriptor", words[0], "a number of 32 bits")
	}
	p.FD = int32(n)
	if p.Events, err = ParsePollEvents(words[1]); err != nil {
		return PollFD{}, err
	}
	if len(words) == 3 {
		revents, ok := strings.CutPrefix(words[2], "revents=")
		if !ok {
			return PollFD{}, wrong("word", words[2], "revents= or the end")
		}
		if p.Revents, err = ParsePollEvents(revents); err != nil {
			return PollFD{}, err
		}
	}
	return p, nil
}
