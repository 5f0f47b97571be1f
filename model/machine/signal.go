package machine

// A thread may be told to come out of whatever it waits for, without that having
// come: by a signal. The machine knows of a signal only the word that says that the
// thread has something to see to, and how to wake one thread and no other.

// Catch has td see to it, in calls that wait, that word is not 0: then such a call
// ends with EINTR. Who sets word calls [Thread.Unsleep] after that. Nil, as at the
// beginning, is never. It is called by td itself. (TIF_SIGPENDING; tsleep with PCATCH)
func (td *Thread) Catch(word *Uint32) { td.signaled = word }

// Signaled reports whether the word of [Thread.Catch] is not 0. A call that is
// about to sleep asks between Interlock and Sleep:
//
//	who waits                   who sends
//	asks: 0
//	                            the word is 1
//	                            Unsleep: it is on no wait channel
//	Interlock, Sleep            <- it sleeps on
func (td *Thread) Signaled() bool { return td.signaled != nil && td.signaled.Load(td) != 0 }

// Unsleep wakes t if it sleeps, or has interlocked a wait channel: whatever it waits
// for, it looks again. It never blocks. t must not end meanwhile. (setrunnable)
func (td *Thread) Unsleep(t *Thread) {
	if td.stops != nil {
		td.stops.step(td, PointWakeup, &t.wchan)
	}
	for {
		wc := t.wchan.Load()
		if wc == nil || wc.unsleep(td, t) {
			return
		}
	}
}

// unsleep reports false if t has gone to another wait channel.
func (wc *WaitChan) unsleep(td, t *Thread) bool {
	if td.vm != nil {
		td.vm.touch(wc, Writes)
	}
	wc.mu.Lock()
	if t.wchan.Load() != wc {
		wc.mu.Unlock()
		return false
	}
	queued := t.queued
	if queued {
		t.queued = false
		wc.unlink(t)
	}
	wc.mu.Unlock()
	if queued {
		td.setRunnable(t)
	}
	return true
}
