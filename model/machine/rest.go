package machine

// What may be asked of a machine at rest, or by the thread that alone runs on it,
// without coming by a point.

// Look returns the value.
func (u *Uint32) Look() uint32 { return u.v.Load() }

// Waiting returns how many threads sleep on the wait channel or have interlocked it.
func (wc *WaitChan) Waiting() (n int) {
	wc.mu.Lock()
	defer wc.mu.Unlock()
	for td := wc.first; td != nil; td = td.next {
		n++
	}
	return n
}

// Locks returns how many tokens td holds, with repetitions, and how many mutexes, those
// only of a virtual machine whose locks are ordered: see [Machine.OrderLocks].
//
//go:norace
func (td *Thread) Locks() int {
	n := td.nheld
	for mu := td.kept; mu != nil; mu = mu.below {
		n++
	}
	return n
}

// Armed returns how many callouts are armed.
func (m *Machine) Armed() int { return int((m.live.Load() &^ stopped) / armed) }

// Quiesce stops all callouts, as [Machine.StopCallouts] does, and waits until those
// that have begun have ended. It is called when Run has returned, and there are no
// attached threads: then nothing runs.
func (m *Machine) Quiesce() {
	m.StopCallouts()
	if m.vm != nil {
		m.vm.quiesce()
		return
	}
	for !resting(m.live.Load()) {
		<-m.quiet
	}
}
