package linearizability

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// deeds reports whether a call does something to a process, as it is named there. It
// speaks of no descriptor.
func deeds(c event.Call) bool { return c >= event.CallFork && c <= event.CallKill }

// disposes reports whether a call says what becomes of signals.
func disposes(c event.Call) bool { return c == event.CallSigaction || c == event.CallSigmask }

// deed takes a step of an operation on a process.
func (r *replay) deed(c *call, rec *Record, step event.Step) bool {
	r.starts(c, rec)
	return r.s.GoAs(&c.deed, &rec.Op, step)
}

// starts has an operation on a process begin, if it has not.
func (r *replay) starts(c *call, rec *Record) {
	if !c.entered {
		c.entered, c.deed = true, spec.Start(rec.Op, r.h.mask(rec))
	}
}

// done is returns for it. Steps that the kernel has not named are as late as they can be.
func (r *replay) done(c *call, rec *Record) bool {
	r.starts(c, rec)
	for !c.deed.Done() {
		r.s.Go(&c.deed, &rec.Op)
	}
	return rec.Result.Equal(event.Result{N: c.deed.N, N2: c.deed.N2, Errno: c.deed.Errno})
}

// disposed makes what a sigaction says so, once. What a thread blocks is looked up in
// the history, see [History.mask], and matters to no other.
func (r *replay) disposed(c *call, rec *Record) bool {
	if c.applied {
		return true
	}
	c.applied = true
	errno := syscall.Errno(0)
	if rec.Op.Call == event.CallSigaction {
		errno = r.s.Sigaction(rec.Op)
	}
	return rec.Result.Pending || rec.Result.Equal(event.Result{Errno: errno})
}

// mask returns which signals the thread of rec blocks when it calls: what its own calls
// of sigmask have made of that with which all threads begin, which those of setup have.
func (h History) mask(rec *Record) (mask event.Sigset) {
	for i := range h {
		o := &h[i]
		if o.Call >= rec.Call {
			break
		}
		if o.Op.Call == event.CallSigmask && o.Result.Errno == 0 && (o.Thread == rec.Thread || o.Thread == setup) {
			mask = spec.NewMask(mask, o.Op)
		}
	}
	return mask
}

// setup is the thread whose calls are all made before the others begin.
const setup = 0

// interrupted reports whether a call says, and may say, that a signal has ended its wait;
// whether there was one is looked at by signals.
func interrupted(rec *Record) bool {
	return spec.Interruptible(rec.Op) && rec.Result.Equal(event.Result{Errno: syscall.EINTR})
}
