// Package script is the text form of a concurrent test of a kqueue: which
// objects there are, and what each thread does to them. A script names no
// strategy; the same text runs under all of them.
//
//	# What the reader should look at.
//	seed 7
//
//	setup cpu=1
//	  kqueue                              # 0
//	  pipe                                # 1 2
//	  kevent 0: READ 1 ADD|CLEAR udata=1
//
//	thread cpu=0
//	  kevent 0 room=8 wait=forever
//
//	thread cpu=1
//	  write 2 5
//	  close 1
//
// Blank lines and what follows # are for people; the lines with # at the very
// top are kept, as the script's Doc. Words are separated by spaces and tabs. An
// operation is a line in the text form of [event.Op].
//
// First the sections named setup are carried out, one after another, each on
// its CPU: they make what the threads begin with, and where a strategy places
// objects by CPU the section says which one. A queue is nested in another by
// watching its descriptor; EVFILT_USER and EVFILT_TIMER begin with their
// EV_ADD. The descriptors are those of one process, which gives out the lowest
// number that is free. Then all threads run at once. One that is asleep when
// nothing runs any more is woken by closing its queue, and ends there. Timers that
// expire again and again do so for some milliseconds; then they stop, or nothing
// would ever come to rest.
//
// Before the first section may stand what must come about in some of the executions, or
// the script does not show what it is for: what an operation answers, wholly or in
// part, or that the kernel came by a place that it names; see [Sometimes].
//
//	sometimes 1.1 => pending and 2.1 => ok
//
// A script may end with the schedule of one execution on a virtual machine, as the
// turns that it takes off the usual way, or as the numbers of all decisions:
//
//	schedule strategy=pcpu
//	  1@2.1.unlock.kq-token.3 clock@1.2.asleep.kevent
//
//	schedule strategy=pcpu
//	  0 2 1 1 0 2
//
// If more was left to the scheduler than who goes on, the first line says so:
// placement=drawn, and spurious=2 for two wakeups; see [Choices].
//
// The threads are those of process 1. Its children, which fork makes, do nothing by
// themselves: threads act for them. In a script that speaks of signals, by kill, sigaction,
// sigmask or a mask, all threads join the process before the first begins, so that signals
// come to them; they begin with the mask that setup leaves. A handler does nothing, and is
// seen by the waits that it interrupts.
//
// How long a finite wait is, and whatever else an operation leaves open, is
// drawn from the seed.
package script

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kqlab/kqlab/model/event"
)

// The limits of a script. One that is beyond them does not parse: such a test
// shows a reader nothing, and may take for ever.
const (
	MaxThreads = 6       // threads, and sections of setup
	MaxCPU     = 1       // a script runs on two CPUs
	MaxOps     = 1000    // of one section or thread
	MaxChanges = 64      // of one kevent
	MaxPolled  = 64      // entries of one poll or select
	MaxRoom    = 64      // events of one kevent
	MaxBytes   = 1 << 17 // of one read or write; units of one input or output
	MaxFD      = 63      // the highest number that dup2 may make

	MaxSelected = 1023    // the highest number in a set of select
	MaxTimer    = 1000    // milliseconds of a timer
	MinPeriod   = 20      // microseconds of a timer that expires again and again
	MaxStatus   = 255     // of an exit
	MaxChoice   = 1 << 20 // of a decision; there are fewer timers that could all be due at once
	maxText     = 1 << 20 // bytes of a script

	decisionsInLine = 40
)

// A Script is a concurrent test.
type Script struct {
	Doc  []string // what it shows: the comment at its top, a line each, without #
	Seed uint64

	// Sometimes has what must come about in some of the executions.
	Sometimes []Sometimes

	Setup   []Thread // carried out one after another, before
	Threads []Thread // carried out at once

	// Schedule is how the threads are to be scheduled, on a virtual machine,
	// in an execution that is worth seeing again; nil if nothing is said.
	Schedule *Schedule
}

// A Schedule is one execution of a script under one strategy: what was decided,
// wherever several things were possible, from the moment at which the threads
// began.
type Schedule struct {
	Strategy string
	Choices
	Decisions []int

	// Turns are those that an execution takes off the usual way, each at a place that
	// an edit elsewhere does not move; package fuzz knows what the words mean. If they
	// are not nil they are what is written.
	Turns []string
}

// Usual is written for a schedule without a turn.
const Usual = "usual"

// Choices are what a scheduler decides of an execution besides who goes on. The zero
// value is nothing.
type Choices struct {
	// Placement says that it chooses the CPU of each object: see
	// [machine.Machine.DrawPlacement].
	Placement bool

	// Spurious is how many sleeps at most may end with no wakeup, from the moment at
	// which the threads begin: see [machine.Machine.AllowSpurious].
	Spurious int
}

// MaxSpurious is the most that Spurious may be.
const MaxSpurious = 100

const drawnPlacement, spurious = "placement=drawn", "spurious="

// words are those of a schedule's first line.
func (c Choices) words() (words string) {
	if c.Placement {
		words += " " + drawnPlacement
	}
	if c.Spurious > 0 {
		words += fmt.Sprint(" ", spurious, c.Spurious)
	}
	return words
}

// read reads one of them, and reports whether it is one.
func (c *Choices) read(word string) bool {
	if word == drawnPlacement && !c.Placement {
		c.Placement = true
		return true
	}
	text, ok := strings.CutPrefix(word, spurious)
	n, err := strconv.ParseUint(text, 10, 31)
	if !ok || err != nil || n < 1 || n > MaxSpurious || c.Spurious != 0 {
		return false
	}
	c.Spurious = int(n)
	return true
}

// A Thread is what one thread does, in this order.
type Thread struct {
	CPU int // where it is at home
	Ops []event.Op
}

// Ops returns how many operations the script has, setup and threads together.
func (s *Script) Ops() int {
	n := 0
	for _, list := range [][]Thread{s.Setup, s.Threads} {
		for _, t := range list {
			n += len(t.Ops)
		}
	}
	return n
}

// The size of a script whose executions can all be made, at few preemptions.
const (
	smallThreads = 3
	smallOps     = 3 // of a thread
)

// Small reports whether the script is so small that all its executions with few
// preemptions can be made.
func (s *Script) Small() bool {
	return len(s.Threads) <= smallThreads && !slices.ContainsFunc(s.Threads, func(t Thread) bool { return len(t.Ops) > smallOps })
}

// Periodic reports whether there may be a timer that expires again and again: one
// that has been made without EV_ONESHOT. NOTE_ABSTIME is no bar to that, since a
// later EV_ADD can make a period of the instant.
func (s *Script) Periodic() bool {
	for _, list := range [][]Thread{s.Setup, s.Threads} {
		for _, t := range list {
			for _, op := range t.Ops {
				for _, kev := range op.Changes {
					if kev.Filter == event.Timer && kev.Flags&(event.Add|event.OneShot) == event.Add {
						return true
					}
				}
			}
		}
	}
	return false
}

// String returns the script as text that [Parse] reads back. Behind each
// operation of setup that makes descriptors stand their numbers.
func (s *Script) String() string {
	var b strings.Builder
	for _, line := range s.Doc {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	fmt.Fprintf(&b, "seed %d\n", s.Seed)
	for _, x := range s.Sometimes {
		b.WriteString(x.String() + "\n")
	}
	var made numbers
	for _, t := range s.Setup {
		fmt.Fprintf(&b, "\nsetup cpu=%d\n", t.CPU)
		for _, op := range t.Ops {
			line := "  " + op.String()
			if n := made.do(op); n != "" {
				line = fmt.Sprintf("%-30s  # %s", line, n)
			}
			b.WriteString(line + "\n")
		}
	}
	for _, t := range s.Threads {
		fmt.Fprintf(&b, "\nthread cpu=%d\n", t.CPU)
		for _, op := range t.Ops {
			b.WriteString("  " + op.String() + "\n")
		}
	}
	if s.Schedule != nil {
		fmt.Fprintf(&b, "\nschedule strategy=%s%s\n", s.Schedule.Strategy, s.Schedule.Choices.words())
		if s.Schedule.Turns != nil {
			b.WriteString(wrapped(s.Schedule.Turns))
			return b.String()
		}
		for line := range slices.Chunk(s.Schedule.Decisions, decisionsInLine) {
			b.WriteString(" ")
			for _, d := range line {
				fmt.Fprintf(&b, " %d", d)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// wrapped is the text of turns, in lines of not much more than a terminal's.
func wrapped(turns []string) string {
	if len(turns) == 0 {
		return "  " + Usual + "\n"
	}
	text, width := "", 0
	for i, t := range turns {
		switch {
		case i == 0:
			text, width = "  "+t, 2+len(t)
		case width+1+len(t) > 98:
			text += "\n  " + t
			width = 2 + len(t)
		default:
			text += " " + t
			width += 1 + len(t)
		}
	}
	return text + "\n"
}

// Numbers are the descriptors that are open, as far as a list of operations
// that is carried out in order says.
type numbers map[int]bool

// do carries out op, and returns the numbers of the descriptors that it makes.
func (open *numbers) do(op event.Op) string {
	if *open == nil {
		*open = numbers{}
	}
	lowest := func() int {
		fd := 0
		for (*open)[fd] {
			fd++
		}
		(*open)[fd] = true
		return fd
	}
	switch op.Call {
	case event.CallDup, event.CallAccept, event.CallReopen:
		if (*open)[op.FD] {
			return fmt.Sprint(lowest())
		}
	case event.CallDup2:
		if (*open)[op.FD] && op.To >= 0 {
			(*open)[op.To] = true
		}
	case event.CallClose:
		delete(*open, op.FD)
	default:
		switch op.Call.Makes() {
		case 1:
			return fmt.Sprint(lowest())
		case 2:
			return fmt.Sprint(lowest(), " ", lowest())
		}
	}
	return ""
}
