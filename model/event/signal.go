package event

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxSignal is the highest number of a signal, the lowest is 1. (_NSIG - 1)
const MaxSignal = 64

// A Sigset is a set of signals: signal n is bit n-1. (sigset_t)
type Sigset uint64

// Signals returns the set of the given signals; those that do not exist are not
// in it.
func Signals(sigs ...int) (set Sigset) {
	for _, n := range sigs {
		if n >= 1 && n <= MaxSignal {
			set |= 1 << (n - 1)
		}
	}
	return set
}

// Has reports whether signal n is in the set.
func (s Sigset) Has(n int) bool { return s&Signals(n) != 0 }

// String returns the numbers of the signals in the set, joined by |, as they are in
// the text of an [Op]; the empty set is 0.
func (s Sigset) String() string {
	if s == 0 {
		return "0"
	}
	var names []string
	for n := 1; n <= MaxSignal; n++ {
		if s.Has(n) {
			names = append(names, strconv.Itoa(n))
		}
	}
	return strings.Join(names, "|")
}

func parseSigset(word string) (set Sigset, err error) {
	if word == "0" {
		return 0, nil
	}
	for name := range strings.SplitSeq(word, "|") {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > MaxSignal {
			return 0, wrong("signal", name, fmt.Sprintf("numbers from 1 to %d with | between them, or 0 alone for none", MaxSignal))
		}
		set |= Signals(n)
	}
	return set, nil
}

// A SigAction is what becomes of a signal that a thread takes.
type SigAction uint8

// The actions.
const (
	SigDefault SigAction = iota + 1 // what the system does: most signals end the process (SIG_DFL)
	SigIgnore                       // nothing (SIG_IGN)
	SigCatch                        // a handler is called, and a call that waits is interrupted
)

var sigActionNames = []string{SigDefault: "default", SigIgnore: "ignore", SigCatch: "catch"}

// String returns the name of the action as it is in the text of an [Op].
func (a SigAction) String() string { return nameOf(a, "action", sigActionNames) }

// A SigHow is what a sigprocmask(2) does with the set that it is given.
type SigHow uint8

// The ways.
const (
	SigBlock   SigHow = iota + 1 // block those too (SIG_BLOCK)
	SigUnblock                   // block those no more (SIG_UNBLOCK)
	SigSetMask                   // block those and no others (SIG_SETMASK)
)

var sigHowNames = []string{SigBlock: "block", SigUnblock: "unblock", SigSetMask: "set"}

// String returns the name as it is in the text of an [Op].
func (h SigHow) String() string { return nameOf(h, "way", sigHowNames) }
