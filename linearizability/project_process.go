package linearizability

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/spec"
)

// processes is the key of what is checked of processes besides what knotes of them tell. No
// descriptor has such a number.
var processes = key{queue: none, ident: 1 << 40, filter: event.Proc}

// keyOf returns the key of the knote that a change or an event speaks of. All knotes of a
// kqueue that watch processes are one, since each may come of another.
func keyOf(queue int, kev event.Kevent) key {
	if kev.Filter == event.Proc {
		return key{queue, 0, event.Proc}
	}
	return key{queue, kev.Ident, kev.Filter}
}

// hasDeeds reports whether anything is done to processes.
func (p *plan) hasDeeds() bool {
	for i := range p.h {
		if deeds(p.h[i].Op.Call) {
			return true
		}
	}
	return false
}

// deed returns the parts of an operation on a process, or of one that says what becomes
// of a signal, none if the knote sees nothing of it. Who watches a descriptor sees which
// processes have one, and so all that becomes of them; who counts a signal sees all if
// it is one that processes send when they end.
func (p *plan) deed(k key, r *Record) (parts []part) {
	switch {
	case k.filter == event.Proc || k.tied():
	case k.filter == event.Signal && k.ident == uint64(syscall.SIGCHLD):
	case k.filter == event.Signal && r.Op.Call == event.CallKill && r.Op.Pid == 1 && uint64(r.Op.Sig) == k.ident:
	default:
		return nil
	}
	if r.Op.Call == event.CallSigmask {
		return nil // see History.mask
	}
	if r.Op.Call == event.CallSigaction || r.Op.Call == event.CallWait {
		return []part{{does: whole}}
	}
	n := map[event.Call]int{event.CallFork: 5, event.CallExec: 3, event.CallExit: 6, event.CallKill: 2}[r.Op.Call]
	ends := r.Op.Call == event.CallExit
	if r.Op.Call == event.CallKill && r.Op.Pid != 1 {
		n, ends = 7, true
	}
	if ends && k.tied() {
		n += 3 * p.descriptors(k)
	}
	blocks := p.h.mask(r)
	for i := range n {
		if r.Op.Call == event.CallFork && i == n-1 && k.filter == event.Proc {
			parts = append(parts, part{does: followed})
		}
		parts = append(parts, part{does: proceeds, blocks: blocks})
	}
	return parts
}

// descriptors returns how many there may be of what a tied knote sees.
func (p *plan) descriptors(k key) (n int) {
	for i := range p.h {
		r := &p.h[i]
		switch fd := r.Op.FD; {
		case r.Result.Errno != 0 || r.Result.Pending:
		case makes(r.Op.Call) && p.sees(k, int(r.Result.N)):
			n += r.Op.Call.Makes()
		case (r.Op.Call == event.CallDup || r.Op.Call == event.CallDup2 || opens(r.Op.Call)) && p.sees(k, fd):
			n++
		}
	}
	return n
}

// sees reports whether a knote has to do with a descriptor.
func (p *plan) sees(k key, fd int) bool {
	g := p.groups.of(fd)
	return g == k.queue || k.filter == event.FS && fd == theMounts || k.tied() && k.ident < 1<<31 && g == p.groups.of(int(k.ident))
}

// proceed takes part p of an operation on a process.
func (s *state) proceed(c *progress, p *part, lax laxity) bool {
	if p.index == 0 {
		c.deed = spec.Start(p.rec.Op, p.blocks)
	}
	if p.does == followed {
		if s.Births(&c.deed) > 0 {
			s.Bear(&c.deed)
		}
		return true
	}
	s.Go(&c.deed, &p.rec.Op)
	if !p.last {
		return true
	}
	for !c.deed.Done() {
		s.Go(&c.deed, &p.rec.Op)
	}
	return lax >= laxities || p.rec.Result.Pending ||
		p.rec.Result.Equal(event.Result{N: c.deed.N, N2: c.deed.N2, Errno: c.deed.Errno})
}
