package machine

import "github.com/kqlab/kqlab/model/machine/sched"

// Who goes on, of the threads of a virtual machine.

// pick decides who goes on, t having come to a point or nobody. Nil is nobody:
// all threads are asleep, or the execution has no end.
//
//go:norace
func (v *virtual) pick(t *vthread) *vthread {
	if v.trace != nil && t != nil && t.blocked == nil && !t.parked {
		v.trace(t)
	}
	if v.passed > 0 || len(v.touched) > 0 {
		v.tell()
	}
	for {
		if v.steps++; v.steps > mostSteps {
			v.failed = &LivelockError{mostSteps}
			return nil
		}
		if v.stale {
			v.list()
		}
		can, cands, current := v.can, v.cands, -1
		if t != nil {
			current = t.place
		}
		if v.due == Forever {
			can, cands, current = can[1:], cands[1:], current-1
		}
		i := 0
		switch {
		case len(can) == 0:
			return nil
		case v.idle:
			if i = max(current, 0); cands[i] == nil && len(can) > 1 {
				i++
			}
		case len(can) == 1:
			if v.observer != nil {
				v.observer.Forced(can[0], v)
			}
		default:
			i = v.s.Next(can, max(current, -1), v)
		}
		if cands[i] != nil {
			if v.chosen, v.lasts = cands[i], 0; v.steady != nil && v.witness == nil && !v.idle && v.trace == nil {
				v.lasts = min(v.steady.Lasts(), mostSteps-v.steps)
			}
			return v.chosen
		}
		v.clock, v.stale = v.due, true
		if v.witness != nil && !v.idle {
			v.witness.Touched(sched.Time, sched.Write)
		}
	}
}

// goesOn reports whether t, which has come to a point, goes on because the scheduler
// has said so of the decisions that follow its last one.
//
//go:norace
func (v *virtual) goesOn(t *vthread) bool {
	if t != v.chosen || v.stale || v.passed >= v.lasts {
		return false
	}
	v.passed++
	v.steps++
	return true
}

// Unscheduled, with true, has the scheduler of a virtual machine not asked, nor
// told of anything, until it is called with false: nobody is preempted, then the
// first thread comes, and the time passes when no thread can go on. Only objects are
// placed as it chooses, see [Machine.DrawPlacement]. So it is with
// what is the same in all executions. It is called when no thread runs. On a native
// machine it panics.
func (m *Machine) Unscheduled(on bool) {
	m.virtual("Unscheduled").idle = on
}

// list lists who can go on, and finds when the clock would stop next.
//
//go:norace
func (v *virtual) list() {
	v.stale, v.due = false, Forever
	v.can, v.cands = append(v.can[:0], sched.Clock), append(v.cands[:0], nil)
	for _, t := range v.threads {
		t.place = -1
		switch {
		case t.blocked != nil || t.armed != 0 && t.td.virtual != nil:
			continue // waits for a lock, or for the end of the callout's run before
		case (t.armed != 0 || t.parked && !t.woken) && t.until > v.clock:
			v.due = min(v.due, t.until)
			continue
		}
		t.place = len(v.can)
		v.can, v.cands = append(v.can, t.id), append(v.cands, t)
	}
}
