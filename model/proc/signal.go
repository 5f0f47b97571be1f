package proc

import (
	"fmt"
	"math/bits"
	"strings"
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Sigset is a set of signals: signal n is bit n-1. (sigset_t)
type Sigset uint64

// MaxSignal is the highest number of a signal, the lowest is 1. (_NSIG - 1)
const MaxSignal = 64

// Signals returns the set of the given signals. It panics if one does not exist.
func Signals(sigs ...syscall.Signal) (set Sigset) {
	for _, sig := range sigs {
		if !exists(sig) {
			panic(fmt.Sprintf("proc: signal %d, want 1 to %d", int(sig), MaxSignal))
		}
		set |= bit(sig)
	}
	return set
}

// Has reports whether sig is in the set.
func (s Sigset) Has(sig syscall.Signal) bool { return exists(sig) && s&bit(sig) != 0 }

// String returns the numbers of the signals in the set, such as {2 15}.
func (s Sigset) String() string {
	var b strings.Builder
	for sig := syscall.Signal(1); sig <= MaxSignal; sig++ {
		if s.Has(sig) {
			fmt.Fprintf(&b, " %d", int(sig))
		}
	}
	return "{" + strings.TrimPrefix(b.String(), " ") + "}"
}

func exists(sig syscall.Signal) bool { return sig >= 1 && sig <= MaxSignal }
func bit(sig syscall.Signal) Sigset  { return 1 << (sig - 1) }

const (
	// unblockable cannot be blocked, caught or ignored.
	unblockable = Sigset(1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1))

	// harmless are ignored unless they are caught. The second line would stop a process by
	// default, of which nothing that is modelled here could be seen.
	harmless = Sigset(1<<(syscall.SIGCHLD-1)|1<<(syscall.SIGCONT-1)|1<<(syscall.SIGURG-1)|1<<(syscall.SIGWINCH-1)) |
		Sigset(1<<(syscall.SIGSTOP-1)|1<<(syscall.SIGTSTP-1)|1<<(syscall.SIGTTIN-1)|1<<(syscall.SIGTTOU-1))
)

// An Action is what becomes of a signal: Default, Ignore, or a function that is
// called on the thread that takes it. By default a signal is ignored or ends the
// process, as [Process.Exit] does. The first process cannot end; that it would have is
// counted, see [Process.Fatal].
type Action struct {
	Ignore bool

	// Catch is called between two system calls of the thread, in no domain, and
	// may make others. Until it returns sig is blocked, and so is Mask.
	Catch func(td *machine.Thread, sig syscall.Signal)
	Mask  Sigset
}

// signals is what a process knows of signals.
type signals struct {
	mu      machine.Mutex
	lwps    []*Lwp            // guarded by mu: threads, in the order of their coming
	pending Sigset            // guarded by mu: that no thread has been chosen for, or that one has not taken yet
	actions [MaxSignal]Action // guarded by mu
	fatal   int               // guarded by mu
	mask    Sigset            // guarded by mu: of the thread that fork has made; the first to join has it
	over    bool              // guarded by mu: the process is about to end, or has

	watched [MaxSignal]*kqueue.Source // guarded by mu: of those that somebody has watched
	domain  *kqueue.Source            // guarded by mu: the first of them
}

// reset makes a process's signals as they were at first.
func (s *signals) reset() {
	clear(s.lwps[:cap(s.lwps)])
	*s = signals{lwps: s.lwps[:0]}
}

// An Lwp is a thread of a process, as far as signals go: what it blocks, and what
// waits for it. (struct lwp)
type Lwp struct {
	p       *Process
	td      *machine.Thread
	mask    Sigset // guarded by p.sig.mu
	pending Sigset // guarded by p.sig.mu: sent to this thread
	word    machine.Uint32
}

var lwps = machine.NewStock[Lwp](nil)

// Join makes td a thread of the process that signals come to, blocking none, or what the
// thread blocked that has forked the process, if td is the first to join. Calls
// that wait end with EINTR on it from now on, when it has caught one. A thread that
// has not joined never has a signal.
func (p *Process) Join(td *machine.Thread) *Lwp {
	l := lwps.New(td)
	l.p, l.td = p, td
	td.Lwp = l
	td.Catch(&l.word)
	p.sig.mu.Lock(td)
	p.sig.lwps = append(p.sig.lwps, l)
	l.mask, p.sig.mask = p.sig.mask, 0
	l.recalc(td)
	p.sig.mu.Unlock(td)
	return l
}

// Part ends what Join began, before td ends. Signals of the process that td was to
// take are for another thread; what was sent to td itself is lost with it.
func (p *Process) Part(td *machine.Thread) {
	l := lwpOf(td)
	p.sig.mu.Lock(td)
	for i, o := range p.sig.lwps {
		if o == l {
			p.sig.lwps = append(p.sig.lwps[:i], p.sig.lwps[i+1:]...)
			break
		}
	}
	p.sig.retarget(td)
	p.sig.mu.Unlock(td)
	td.Catch(nil)
	td.Lwp = nil
}

func lwpOf(td *machine.Thread) *Lwp {
	l, _ := td.Lwp.(*Lwp)
	return l
}

// SetAction says what becomes of sig from now on, and returns what would have
// before. Who ignores a signal that is pending drops it. (sigaction(2))
//
// Error: EINVAL if sig does not exist, or is SIGKILL or SIGSTOP.
func (p *Process) SetAction(td *machine.Thread, sig syscall.Signal, a Action) (old Action, err error) {
	if !exists(sig) || unblockable.Has(sig) {
		return old, syscall.EINVAL
	}
	s := &p.sig
	s.mu.Lock(td)
	old, s.actions[sig-1] = s.actions[sig-1], a
	td.Commit(event.Acted)
	if s.ignores(sig) {
		s.pending &^= bit(sig)
		for _, l := range s.lwps {
			l.pending &^= bit(sig)
			l.recalc(td)
		}
	}
	s.mu.Unlock(td)
	return old, nil
}

// How a mask is changed.
type How uint8

// (SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK)
const (
	Block How = iota
	Unblock
	SetMask
)

// SetMask changes which signals td, which has joined, blocks, and returns which it
// did before. A pending signal that is not blocked any more is caught before this
// returns. SIGKILL and SIGSTOP cannot be blocked, and it is no error to try.
// (sigprocmask(2), pthread_sigmask(3))
//
// Error: EINVAL if there is no such how, or td has not joined.
func (p *Process) SetMask(td *machine.Thread, how How, set Sigset) (old Sigset, err error) {
	l := lwpOf(td)
	if l == nil {
		return 0, syscall.EINVAL
	}
	s := &p.sig
	s.mu.Lock(td)
	old = l.mask
	switch how {
	case Block:
		set |= old
	case Unblock:
		set = old &^ set
	case SetMask:
	default:
		s.mu.Unlock(td)
		return 0, syscall.EINVAL
	}
	l.block(td, set)
	td.Commit(event.Acted)
	s.mu.Unlock(td)
	l.Deliver(td)
	return old, nil
}

// Pending returns which signals are pending for td, blocked. (sigpending(2))
func (p *Process) Pending(td *machine.Thread) (set Sigset) {
	s := &p.sig
	s.mu.Lock(td)
	set = s.pending
	if l := lwpOf(td); l != nil {
		set |= l.pending
	}
	s.mu.Unlock(td)
	return set
}

// Fatal returns how many signals have come that would have ended the process, which is the
// first of its kernel. That one never ends, as no kernel lets it: who has no parent any
// more is its child. And its threads are those that all the rest is called from.
func (p *Process) Fatal(td *machine.Thread) int {
	p.sig.mu.Lock(td)
	n := p.sig.fatal
	p.sig.mu.Unlock(td)
	return n
}

// Kill sends sig to the process: to one thread of it, the first that does not block
// it, or to the first that will not. A signal that is pending already is not so
// twice. 0 sends nothing. td need not be of the process. It may block. (kill(2))
//
// A process that no thread has joined has one all the same, which fork has made: it takes
// what is ignored and what ends the process at once. What is caught is pending, until one
// joins. A process that has ended takes nothing.
//
// Error: EINVAL if sig does not exist.
func (p *Process) Kill(td *machine.Thread, sig syscall.Signal) error {
	return p.send(td, nil, sig)
}

// ThreadKill sends sig to the one thread to, which has joined and does not end
// meanwhile. (pthread_kill(3), tgkill(2))
//
// Errors: EINVAL if sig does not exist; ESRCH if to has not joined.
func (p *Process) ThreadKill(td, to *machine.Thread, sig syscall.Signal) error {
	l := lwpOf(to)
	if l == nil || l.p != p {
		return syscall.ESRCH
	}
	return p.send(td, l, sig)
}

func (p *Process) send(td *machine.Thread, l *Lwp, sig syscall.Signal) error {
	if sig == 0 {
		return nil
	}
	if !exists(sig) {
		return syscall.EINVAL
	}
	s := &p.sig
	s.mu.Lock(td)
	if s.over {
		td.Commit(event.Acted)
		s.mu.Unlock(td)
		return nil
	}
	fatal := false
	switch to := s.target(sig); {
	case l != nil:
		if l.mask.Has(sig) || !s.ignores(sig) { // a blocked one is never ignored yet: the action may change
			l.pending |= bit(sig)
			l.recalc(td)
		}
	case len(s.lwps) == 0 && p != p.table.first && !s.mask.Has(sig) && s.actions[sig-1].Catch == nil:
		fatal = !s.ignores(sig)
	case to == nil || !s.ignores(sig):
		s.pending |= bit(sig)
		if to != nil {
			to.flag(td)
		}
	}
	s.count(td, sig)
	if fatal {
		p.Exit(td, Killed(sig)) // if it has not ended meanwhile
	}
	// Who sends a signal to itself has caught it before the call returns.
	if own := lwpOf(td); own != nil {
		own.Deliver(td)
	}
	return nil
}

// ignores reports whether sig is dropped where it is not blocked. mu is held.
func (s *signals) ignores(sig syscall.Signal) bool {
	a := &s.actions[sig-1]
	return a.Ignore || a.Catch == nil && harmless.Has(sig)
}

// target returns the first thread that does not block sig, or nil. mu is held.
func (s *signals) target(sig syscall.Signal) *Lwp {
	for _, l := range s.lwps {
		if !l.mask.Has(sig) {
			return l
		}
	}
	return nil
}

// retarget chooses a thread anew for each signal of the process that is pending,
// since who was chosen may block it now, or be gone. mu is held. (retarget_shared_pending)
func (s *signals) retarget(td *machine.Thread) {
	for sig := syscall.Signal(1); s.pending != 0 && sig <= MaxSignal; sig++ {
		if s.pending.Has(sig) {
			if to := s.target(sig); to != nil {
				to.flag(td)
			}
		}
	}
}

// flag has l come out of what it waits for, to take a signal. mu is held.
func (l *Lwp) flag(td *machine.Thread) {
	if l.word.Load(td) == 0 {
		l.word.Store(td, 1)
	}
	if l.td != td {
		td.Unsleep(l.td)
	}
}

// recalc says whether there is anything for l to take. mu is held.
// (recalc_sigpending)
func (l *Lwp) recalc(td *machine.Thread) {
	if (l.pending|l.p.sig.pending)&^l.mask != 0 {
		l.flag(td)
	} else {
		l.word.Store(td, 0)
	}
}

// block sets the mask. mu is held, td is the thread of l.
func (l *Lwp) block(td *machine.Thread, set Sigset) {
	old := l.mask
	l.mask = set &^ unblockable
	l.recalc(td)
	if l.mask&^old&l.p.sig.pending != 0 {
		l.p.sig.retarget(td)
	}
}

// Deliver has td, the thread of l, catch what is pending for it and not blocked, and
// returns how many signals that was. Every call that may wait does so when it begins
// and when it ends; a thread that makes none takes its signals here. It is called in no
// domain. (userret, postsig)
func (l *Lwp) Deliver(td *machine.Thread) (caught int) {
	for l.word.Load(td) != 0 {
		sig, a := l.take(td)
		if sig == 0 {
			continue
		}
		caught++
		if a.Catch == nil {
			if l.p != l.p.table.first {
				l.p.Exit(td, Killed(sig)) // if it has not ended meanwhile
			}
			continue
		}
		old := l.mask
		l.setMask(td, old|a.Mask|bit(sig))
		a.Catch(td, sig)
		l.setMask(td, old)
	}
	return caught
}

// take takes the signal with the lowest number that l is to catch, or that would end
// the process; 0 if there is none. What is ignored goes. (issignal)
func (l *Lwp) take(td *machine.Thread) (sig syscall.Signal, a Action) {
	s := &l.p.sig
	s.mu.Lock(td)
	for set := (l.pending | s.pending) &^ l.mask; set != 0 && sig == 0; set &= set - 1 {
		sig = syscall.Signal(bits.TrailingZeros64(uint64(set)) + 1)
		a = s.actions[sig-1]
		if l.pending.Has(sig) {
			l.pending &^= bit(sig)
		} else {
			s.pending &^= bit(sig)
		}
		switch {
		case s.ignores(sig):
			sig = 0
		case a.Catch == nil && l.p == l.p.table.first:
			s.fatal++
		}
	}
	l.recalc(td)
	s.mu.Unlock(td)
	return sig, a
}

// setMask is block with no lock held.
func (l *Lwp) setMask(td *machine.Thread, set Sigset) {
	s := &l.p.sig
	s.mu.Lock(td)
	l.block(td, set)
	s.mu.Unlock(td)
}

// Waiting makes a system call that may wait, f, on a thread to which signals come. If
// mask is not nil it is the thread's mask while f waits, and no signal can come between
// the two: one that was blocked before has f return EINTR, however early it was sent.
// That is what pselect(2) is for, since select(2) after an unblocking is too late:
//
//	sigprocmask, unblock        the handler sets a flag
//	looks at the flag: not set
//	                            the signal is caught here
//	select: waits for ever
//
// f returns EINTR if it is told to, see [machine.Thread.Signaled], and is called once
// more if there was no signal to catch after all: another thread has taken it, or it is
// ignored. So its timeout is an instant. Signals are caught with the mask that f had,
// and with the thread's own before f; after anything else than EINTR, one that only
// mask let through stays pending.
func (p *Process) Waiting(td *machine.Thread, mask *Sigset, f func() (int, error)) (int, error) {
	l := lwpOf(td)
	if l == nil {
		return f()
	}
	l.Deliver(td)
	old := l.mask
	if mask != nil {
		l.setMask(td, *mask)
	}
	n, err := f()
	for err == syscall.EINTR && l.Deliver(td) == 0 {
		n, err = f()
	}
	if mask != nil {
		l.setMask(td, old)
	}
	l.Deliver(td)
	return n, err
}

// kevent is Kevent on a thread to which signals come.
func (p *Process) kevent(td *machine.Thread, q *kqueue.Queue, changes, events []event.Kevent, timeout time.Duration) (int, error) {
	var until time.Duration
	begun := false
	return p.Waiting(td, nil, func() (int, error) {
		switch {
		case timeout <= 0 || timeout == kqueue.Forever:
		case !begun:
			until = td.Now() + min(timeout, kqueue.Forever-td.Now())
		default:
			timeout = max(0, until-td.Now())
		}
		if begun {
			changes = nil // made, and without an error
		}
		begun = true
		return q.Kevent(td, changes, events, timeout)
	})
}
