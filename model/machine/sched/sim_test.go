package sched_test

import (
	"fmt"
	"strings"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// A sim is the smallest machine that schedulers can be tried on: threads are lists
// of operations on a few objects. A lock that is held blocks who tries it, as the
// machine's do: the attempt is a step, and there may be another once it is free.
// Objects are numbered as they are met, so differently from execution to execution.
type sim struct {
	prog  program
	state final
	lock  [objects + 1]int // who holds it
	wait  [threads + 1]int // the lock that a thread waits for
	park  [threads + 1]int // the channel on which it is parked
	due   [threads + 1]int // the instant until which it sleeps
	born  [threads + 1]bool
	now   int
	met   [3*objects + 1]int // the number under which schedulers know an object
	names int                // objects met

	can       []int
	word      []byte // the thread of each step
	decisions int
	lie       func(sched.Op) sched.Op // what the schedulers are told; nil for the truth
}

const threads, objects = 4, 4

// A final is what an execution comes to: two that differ in no more than the order
// of independent operations come to the same.
type final struct {
	mem [objects + 1]int
	reg [threads + 1]int
	pc  [threads + 1]int
}

// A program is the operations of each thread, from number 1.
type program [][]op

type op struct {
	kind kind
	arg  int // an object, a thread to start, a time to sleep, or a number of possibilities
}

type kind uint8

const (
	read kind = iota
	write
	add // what is there keeps the order in which threads added
	lock
	unlock
	start
	sleep
	choose
	try  // a lock; the thread goes on without it if another holds it
	park // until it is woken
	nap  // until it is woken, or the next instant
	wake
)

// prog reads a program: threads parted by |, each a list of operations such as
// r1 w1 +1 (1 )1 s2 z1 ?2.
func prog(text string) (p program) {
	for th := range strings.SplitSeq(text, "|") {
		var ops []op
		for _, f := range strings.Fields(th) {
			ops = append(ops, op{kind(strings.IndexByte("rw+()sz?tpnk", f[0])), int(f[1] - '0')})
		}
		p = append(p, ops)
	}
	return p
}

func (p program) String() string {
	var b strings.Builder
	for i, th := range p {
		if i > 0 {
			b.WriteString(" |")
		}
		for _, o := range th {
			fmt.Fprintf(&b, " %c%d", "rw+()sz?tpnk"[o.kind], o.arg)
		}
	}
	return b.String()
}

// Pending implements sched.View.
func (m *sim) Pending(thread int) sched.Op {
	if thread == sched.Clock {
		return sched.Op{}
	}
	if !m.able(thread) {
		panic(fmt.Sprintf("asked for the operation of thread %d, which may not go on", thread))
	}
	told := m.next(thread)
	if m.lie != nil {
		told = m.lie(told)
	}
	told.Object = m.met[told.Object]
	return told
}

// next returns the next operation of a thread, with the machine's own number of its
// object.
func (m *sim) next(thread int) sched.Op {
	o := m.prog[thread-1][m.state.pc[thread]]
	told := sched.Op{Point: uint8(o.kind)}
	switch o.kind {
	case read, write, add:
		told.Object, told.Reads = o.arg, o.kind == read
	case lock, try, unlock:
		told.Object = objects + o.arg
	case park, nap, wake:
		told.Object = 2*objects + o.arg
	}
	return told
}

func (m *sim) able(t int) bool {
	return m.born[t] && m.state.pc[t] < len(m.prog[t-1]) && m.wait[t] == 0 && m.park[t] == 0 && m.due[t] == 0
}

// run makes an execution. The scheduler has begun it.
func (m *sim) run(s sched.Scheduler) final {
	*m = sim{prog: m.prog, lie: m.lie, can: m.can, word: m.word[:0]}
	for t := 1; t <= len(m.prog); t++ {
		m.born[t] = true
	}
	for _, th := range m.prog {
		for _, o := range th {
			if o.kind == start {
				m.born[o.arg] = false
			}
		}
	}
	observer, _ := s.(sched.Observer)
	for last := -1; ; {
		m.can = m.can[:0]
		current := -1
		for t := range m.prog {
			if m.due[t+1] != 0 {
				m.can = append(m.can, sched.Clock)
				break
			}
		}
		for t := 1; t <= len(m.prog); t++ {
			if m.able(t) {
				if t == last {
					current = len(m.can)
				}
				m.can = append(m.can, t)
				if o := m.next(t).Object; o != 0 && m.met[o] == 0 {
					m.names++
					m.met[o] = m.names
				}
			}
		}
		switch len(m.can) {
		case 0:
			return m.state
		case 1:
			last = m.can[0]
			if observer != nil {
				observer.Forced(last, m)
			}
		default:
			m.decisions++
			last = m.can[s.Next(m.can, current, m)]
		}
		m.word = append(m.word, byte('0'+last))
		m.step(last, s)
	}
}

func (m *sim) step(t int, s sched.Scheduler) {
	tell := func(object int, how sched.Access) {
		if sched.Witnesses(s) {
			s.(sched.Witness).Touched(object, how)
		}
	}
	touched := func(how sched.Access) { tell(sched.Time, how) }
	if t == sched.Clock {
		touched(sched.Write)
		m.pass()
		return
	}
	if does := m.Pending(t); does.Reads {
		tell(does.Object, sched.Read)
	} else if does.Object != 0 {
		tell(does.Object, sched.Write)
	}
	o := m.prog[t-1][m.state.pc[t]]
	switch o.kind {
	case read:
		m.note(t, m.state.mem[o.arg])
	case write:
		m.state.mem[o.arg] = 100*t + m.state.pc[t]
	case add:
		m.state.mem[o.arg] = 5*m.state.mem[o.arg] + t
	case lock:
		if m.lock[o.arg] != 0 {
			m.wait[t] = o.arg
			return
		}
		m.lock[o.arg] = t
	case try:
		m.note(t, m.lock[o.arg])
		if m.lock[o.arg] == 0 {
			m.lock[o.arg] = t
		}
	case unlock:
		if m.lock[o.arg] != t {
			break // what was tried was not had
		}
		m.lock[o.arg] = 0
		for u, l := range m.wait {
			if l == o.arg {
				m.wait[u] = 0
			}
		}
	case start:
		m.born[o.arg] = true
	case sleep:
		touched(sched.Read)
		m.due[t] = m.now + o.arg
	case choose:
		m.note(t, s.Choose(o.arg))
	case nap:
		touched(sched.Read)
		m.due[t] = m.now + 1
		fallthrough
	case park:
		m.park[t] = o.arg
	case wake:
		touched(sched.Read) // who naps may have been woken by that
		for u, c := range m.park {
			if c == o.arg {
				m.park[u], m.due[u] = 0, 0
				m.note(u, 1)
			}
		}
	}
	m.state.pc[t]++
}

// note has a thread remember what it has seen.
func (m *sim) note(t, seen int) { m.state.reg[t] = m.state.reg[t]*31 + seen + 1 }

// pass lets the time pass until the next instant at which somebody wakes up.
func (m *sim) pass() {
	next := 0
	for _, d := range m.due {
		if d != 0 && (next == 0 || d < next) {
			next = d
		}
	}
	m.now = next
	for t, d := range m.due {
		if d == next {
			m.due[t], m.park[t] = 0, 0
		}
	}
}

// An own is a view of threads that are each on an object of its own, but for the
// first two.
type own struct{}

func (own) Pending(thread int) sched.Op { return sched.Op{Object: max(2, thread)} }
