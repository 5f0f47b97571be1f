package linearizability

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// What becomes of a signal that is sent to the threads of a history no step says, and
// which of them takes it is open, see [spec.MayTake]. So it is looked at whether there can
// be one who has: a wait that says EINTR needs a signal of its own that it may have
// taken, and one that sleeps on must not be the only one who could.

// A sending is a signal that has come to the process of the threads.
type sending struct {
	sig  int
	rec  *Record
	sure bool // it has come, and is not only one that may have
}

const (
	causeless  = "a wait is interrupted by a signal, each of which is taken once"
	signalLost = "no signal lost: a wait that lets a pending signal through is interrupted by it"
)

// signals calls wrong with what is wrong with the signals of a history: the index of the
// record that shows it, the rule, and what is allowed there.
func (h History) signals(wrong func(at int, rule, allowed string)) {
	sent := h.sendings()
	takers := make([]*Record, len(sent)) // of each, the wait that it accounts for
	for i := range h {
		if r := &h[i]; interrupted(r) && !h.accountsFor(r, sent, takers, make([]bool, len(sent))) {
			wrong(i, causeless, h.noCause(r, sent, takers))
		}
	}
	for i := range h {
		r := &h[i]
		if !sleeps(r) {
			continue
		}
		if k := slices.IndexFunc(sent, func(k sending) bool { return h.lost(k, r) }); k >= 0 {
			wrong(i, signalLost, fmt.Sprintf("only `EINTR`, by %v, of which no other call can have taken the signal", sent[k]))
		}
	}
}

// String returns who has sent a signal, with code between backticks.
func (k sending) String() string { return fmt.Sprintf("`%v` of thread %d", k.rec.Op, k.rec.Thread) }

// after returns an instant after which the signal was sent: its sender has called, and has
// found the process if its commit points say so.
func (k sending) after() int64 {
	if s := k.rec.Steps; len(s) > 0 && s[0].Step == event.Found {
		return s[0].At
	}
	return k.rec.Call
}

// noCause says what is allowed in the place of wait r, which no signal accounts for, and
// why none does.
func (h History) noCause(r *Record, sent []sending, takers []*Record) string {
	var whys []string
	for i, k := range sent {
		why := ""
		switch {
		case k.rec.Call >= r.Return:
			why = fmt.Sprintf("%v began when this call had returned", k)
		case !spec.MayTake(k.sig, h.waitMask(r)):
			why = fmt.Sprintf("the signal of %v is blocked here", k)
		case !h.mayInterrupt(k.sig, r.Return):
			why = fmt.Sprintf("the signal of %v is ignored", k)
		case takers[i] != nil:
			why = fmt.Sprintf("the signal of %v has ended `%v` of thread %d", k, takers[i].Op, takers[i].Thread)
		}
		if !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	switch n := len(whys); {
	case n == 0:
		whys = []string{"no signal was sent to the process"}
	case n > named:
		whys = append(whys[:named], fmt.Sprintf("likewise %d more", n-named))
	}
	return "anything but `EINTR`: " + strings.Join(whys, ", ")
}

const named = 3 // signals that it is said of why they are not the cause

// signaled reports whether a history has anything that signals looks at.
func (rec *Record) signaled() bool {
	return rec.Result.Errno == syscall.EINTR || sleeps(rec)
}

// sleeps reports whether a call waits at the end, as a signal may find it.
func sleeps(rec *Record) bool {
	return rec.Result.Pending && rec.Op.Wait == event.Forever && spec.Interruptible(rec.Op)
}

// sendings returns the signals that have come to the process. Who ends sends SIGCHLD, and
// once more for its children.
func (h History) sendings() (all []sending) {
	for i := range h {
		r := &h[i]
		switch c := r.Op.Call; {
		case r.Result.Errno != 0:
		case c == event.CallKill && r.Op.Pid == 1 && r.Op.Sig > 0:
			all = append(all, sending{r.Op.Sig, r, !r.Result.Pending})
		case c == event.CallExit || c == event.CallKill && r.Op.Sig > 0:
			all = append(all, sending{int(syscall.SIGCHLD), r, false}, sending{int(syscall.SIGCHLD), r, false})
		}
	}
	return all
}

// accountsFor finds a signal for wait r, and another for the wait that has had it.
func (h History) accountsFor(r *Record, sent []sending, takers []*Record, tried []bool) bool {
	for i, k := range sent {
		if tried[i] || k.rec.Call >= r.Return || !spec.MayTake(k.sig, h.waitMask(r)) || !h.mayInterrupt(k.sig, r.Return) {
			continue
		}
		tried[i] = true
		if takers[i] == nil || h.accountsFor(takers[i], sent, takers, tried) {
			takers[i] = r
			return true
		}
	}
	return false
}

// waitMask returns what the thread blocks while it waits in r.
func (h History) waitMask(r *Record) event.Sigset {
	if r.Op.Masked {
		return r.Op.Sigs
	}
	return h.mask(r)
}

// mayInterrupt reports whether a signal may have been one that interrupts before an
// instant.
func (h History) mayInterrupt(sig int, until int64) bool {
	if spec.InterruptingAtFirst.Has(sig) {
		return true
	}
	for i := range h {
		if r := &h[i]; r.Op.Call == event.CallSigaction && r.Call < until && r.Result.Errno == 0 && spec.Interrupting(r.Op).Has(sig) {
			return true
		}
	}
	return false
}

// lost reports whether wait r, which sleeps at the end, is the only one who could have
// taken a signal that was sent, or is one of several: no other thread lets it through from
// then on but while it waits with a mask, and no such wait was interrupted. If r has a mask
// it need not have been sent during r: that one which was before, and is pending, ends the
// wait is what the mask is for. If not, and that of the thread lets it through, it may have
// been taken on the way into the wait, unless a commit point says that it was under way:
//
//	calls select; takes the signal, sleeps      kill 1 2
//	calls select; looks for descriptor 0        kill 1 2: select must end
func (h History) lost(k sending, r *Record) bool {
	if !k.sure || !spec.MayTake(k.sig, h.waitMask(r)) || !h.interruptsFor(k) {
		return false
	}
	blocks := map[int]event.Sigset{} // by threads
	within := map[int]bool{}         // threads that were in their last wait, and are
	for i := range h {
		o := &h[i]
		mask, met := blocks[o.Thread]
		if !met {
			mask = blocks[setup]
		}
		blocks[o.Thread] = mask
		within[o.Thread] = sleeps(o) && len(o.Steps) > 0 && o.Steps[0].At < k.after()
		switch after := o.Return >= k.rec.Call; {
		case o.Op.Call == event.CallSigmask && o.Result.Errno == 0:
			now := spec.NewMask(mask, o.Op)
			if after && (spec.MayTake(k.sig, mask) || spec.MayTake(k.sig, now)) {
				return false
			}
			blocks[o.Thread] = now
		case after && interrupted(o) && spec.MayTake(k.sig, h.waitMask(o)):
			return false
		}
	}
	for thread, mask := range blocks {
		if (thread != setup || k.rec.Thread == setup) && !within[thread] && spec.MayTake(k.sig, mask) {
			return false
		}
	}
	return true
}

// interruptsFor reports whether a signal is sure to be one that interrupts from when it
// was sent on.
func (h History) interruptsFor(k sending) bool {
	sure := spec.InterruptingAtFirst.Has(k.sig)
	for i := range h {
		if o := &h[i]; o.Op.Call == event.CallSigaction && o.Op.Sig == k.sig && o.Result.Errno == 0 {
			if !spec.Interrupting(o.Op).Has(k.sig) {
				return false
			}
			sure = sure || o.Return < k.rec.Call
		}
	}
	return sure
}
