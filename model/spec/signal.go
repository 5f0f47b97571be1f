package spec

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// How signals are judged. EVFILT_SIGNAL counts each that is sent to the process, before
// it is looked at what becomes of it: "ignored and blocked signals counted". So the sum
// of what knotes return is what was sent, no more and no less.
//
// What becomes of a signal is said here for one thread, which takes at once what it does
// not block. Where there are several, which of them takes it is open: see [MayTake].

const (
	unblockable = event.Sigset(1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1))

	// harmless are ignored unless they are caught. The second line stops a process by
	// default, of which nothing is to be seen here.
	harmless = event.Sigset(1<<(syscall.SIGCHLD-1)|1<<(syscall.SIGCONT-1)|1<<(syscall.SIGURG-1)|1<<(syscall.SIGWINCH-1)) |
		event.Sigset(1<<(syscall.SIGSTOP-1)|1<<(syscall.SIGTSTP-1)|1<<(syscall.SIGTTIN-1)|1<<(syscall.SIGTTOU-1))
)

// Dispositions are what a process does with signals. What it blocks is that of its one
// thread.
type dispositions struct {
	ignored, caught event.Sigset // by sigaction; the rest is as it is by default
	blocked         event.Sigset
}

// drops returns the signals that nothing comes of where they are not blocked.
func (g *dispositions) drops() event.Sigset { return g.ignored | harmless&^g.caught }

// disposed returns what a process does with signals.
func (s *State) disposed(pid int) *dispositions {
	if p := s.entry(pid); p != nil {
		return &p.has
	}
	return &s.has
}

// signalKnote checks a change of a knote that counts a signal.
func signalKnote(kev event.Kevent) syscall.Errno {
	if kev.Ident == 0 || kev.Ident > event.MaxSignal || kev.Fflags != 0 {
		return syscall.EINVAL
	}
	return 0
}

// signal sends signal n to the first process.
func (s *State) signal(n int) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.filter == event.Signal && kn.ident == uint64(n) {
			kn.pending++
			s.tell(i)
		}
	}
	s.visit()
	s.pending |= event.Signals(n) & s.has.blocked
}

// kill: a child has one thread, which does nothing, so a signal that it neither blocks nor
// ignores nor catches ends it at once. One that has begun to end has no signals.
func (s *State) kill(d *Deed, op *event.Op) {
	if op.Pid == first {
		s.signal(op.Sig)
		d.ends(0, 0)
		return
	}
	p := s.entry(op.Pid)
	if set := event.Signals(op.Sig); p.course != running || set&(p.has.blocked|p.has.caught|p.has.drops()) != 0 {
		d.ends(0, 0)
		return
	}
	d.status = int64(op.Sig & 0x7f)
	d.then(event.Acted, dies)
}

// Sigaction answers a sigaction(2): "who ignores a signal that is pending drops it".
func (s *State) Sigaction(op event.Op) syscall.Errno {
	set := event.Signals(op.Sig)
	if set&^unblockable == 0 {
		return syscall.EINVAL
	}
	s.has.ignored &^= set
	s.has.caught &^= set
	switch op.Action {
	case event.SigIgnore:
		s.has.ignored |= set
	case event.SigCatch:
		s.has.caught |= set
	}
	s.pending &^= set & s.has.drops()
	return 0
}

// Sigmask answers a sigprocmask(2) of the one thread.
func (s *State) Sigmask(op event.Op) syscall.Errno {
	s.has.blocked = NewMask(s.has.blocked, op)
	s.pending &= s.has.blocked
	return 0
}

// NewMask returns what a thread blocks that has blocked old, after sigmask op.
func NewMask(old event.Sigset, op event.Op) event.Sigset {
	set := op.Sigs
	switch op.How {
	case event.SigBlock:
		set |= old
	case event.SigUnblock:
		set = old &^ set
	}
	return set &^ unblockable
}

// interrupts reports whether a call that would wait, with the mask that op has for it,
// is interrupted: a signal that is pending is not blocked by that, and is not ignored.
// What was sent before the call began counts: that is what the mask is for.
func (s *State) interrupts(op event.Op) bool {
	return op.Masked && Interruptible(op) && s.pending&^op.Sigs&^s.has.drops() != 0
}

// Interruptible reports whether a call may be ended by a signal. A poll(2) or select(2) that
// is not to wait may, too: of nothing that is ready and a signal the latter is told, as
// Linux does.
func Interruptible(op event.Op) bool {
	return op.Wait != event.NoWait || op.Call == event.CallPoll || op.Call == event.CallSelect
}

// interrupted has the thread take the signals that its wait has let through.
func (s *State) interrupted(op event.Op) {
	s.pending &= op.Sigs
}

// Interrupting returns the signals that interrupt a call where they are not blocked,
// by what sigaction op makes of its signal: none, or that.
func Interrupting(op event.Op) event.Sigset {
	set := event.Signals(op.Sig)
	switch op.Action {
	case event.SigIgnore:
		return 0
	case event.SigDefault:
		return set &^ harmless
	}
	return set
}

// InterruptingAtFirst are those that do so if there was no sigaction.
const InterruptingAtFirst = ^harmless
