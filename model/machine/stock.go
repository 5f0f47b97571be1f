package machine

import "sync/atomic"

// A Stock is where objects of one type come from that are made in the course of an
// execution: on a native machine from the heap, on a virtual one from what the
// executions before it have left. What is given out is given out once in an
// execution, so that no two objects of one are the same; [Machine.Reset] takes it
// all back.
type Stock[T any] struct {
	number int
	clean  func(*T)
}

var stocks atomic.Int32 // given a number

// NewStock returns the stock of a type, one for the whole program. Clean makes an
// object that has been used as good as a zero T, and may keep its memory; if it is
// nil the object is zeroed.
func NewStock[T any](clean func(used *T)) Stock[T] {
	if clean == nil {
		clean = zero[T]
	}
	return Stock[T]{int(stocks.Add(1)) - 1, clean}
}

// zero zeroes what nobody uses any more; who uses it next comes after that.
//
//go:norace
func zero[T any](x *T) { *x = *new(T) }

// New returns an object that is zero, but for memory that the stock's clean has
// kept.
func (s *Stock[T]) New(td *Thread) *T { return s.on(td.m) }

func (s *Stock[T]) on(m *Machine) *T {
	if m.vm == nil {
		return new(T)
	}
	v := m.vm
	if x, ok := v.take(s.number).(*T); ok {
		s.clean(x)
		return x
	}
	x := new(T)
	v.keep(s.number, x)
	return x
}

// A shelf has the objects of one stock.
type shelf struct {
	all  []any
	used int // given out in this execution, the first ones
}

// take takes an object from a shelf; nil if none is left. The threads of a virtual
// machine do so one at a time, and the race detector must not look: it is no order
// of theirs.
//
//go:norace
func (v *virtual) take(stock int) any {
	if stock >= len(v.shelves) {
		return nil
	}
	s := &v.shelves[stock]
	if s.used == len(s.all) {
		return nil
	}
	s.used++
	return s.all[s.used-1]
}

// keep notes an object that has been made since none was left.
//
//go:norace
func (v *virtual) keep(stock int, x any) {
	for len(v.shelves) <= stock {
		v.shelves = append(v.shelves, shelf{})
	}
	s := &v.shelves[stock]
	s.all = append(s.all, x)
	s.used++
}

// Reset makes a virtual machine as it was when it was made, but that it has memory:
// so a thousand executions cost no more of that than the one that needs most. What
// came from a [Stock] is given out again. Who has reset a machine abandons it in the end. Everything else that lies on the machine
// is its owner's to put back: a strategy, a kernel, a process.
//
// It reports false, and has done nothing, if the execution has not ended by itself:
// threads have been abandoned or left asleep, or something is held. Then the machine
// is of no more use. On a native machine it panics.
func (m *Machine) Reset() bool {
	v := m.virtual("Reset")
	if !v.atRest() {
		return false
	}
	m.live.Store(0)
	m.retire = Stats{}
	v.again = true
	clear(v.threads)
	v.threads, v.places = v.threads[:0], v.places[:0]
	v.ids, v.clock, v.steps, v.next, v.stopped = 0, 0, 0, nil, nil
	v.idle, v.stale, v.lasts, v.freely = false, true, 0, v.allowed
	v.meet()
	clear(v.objects)
	for i := range v.shelves {
		v.shelves[i].used = 0
	}
	return true
}

// atRest reports whether nothing is left of an execution but callouts that are armed.
func (v *virtual) atRest() bool {
	if v.dying || v.failed != nil || v.going > 0 || v.waiting > 0 {
		return false
	}
	for _, t := range v.threads {
		if t.co != nil {
			return false
		}
	}
	for _, c := range v.m.cpus {
		if c.held.Load() != 0 || c.attn.Load() != closer || c.mail.first.Load() != nil {
			return false
		}
	}
	if !raceEnabled {
		return !v.m.mp.mu.held
	}
	if !v.m.mp.mu.TryLock() {
		return false
	}
	v.m.mp.mu.Unlock()
	return true
}
