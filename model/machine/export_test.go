package machine

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// NewVirtual returns a virtual machine on a random walk that takes down its Trace.
func NewVirtual(ncpu int, seed uint64) *Machine {
	m := Virtual(ncpu, sched.NewRandom(seed))
	v := m.vm
	v.trace = func(t *vthread) { traces[m] = append(traces[m], v.point(t)) }
	return m
}

// point says what a thread is about to do. It may be a thread that another has made.
//
//go:norace
func (v *virtual) point(t *vthread) string {
	return fmt.Sprintf("%s %s %s", t.td.Name, t.at, v.name(t.obj))
}

// RaceEnabled says that the race detector is on.
const RaceEnabled = raceEnabled

var traces = map[*Machine][]string{}

// steps returns how many points a virtual machine has passed.
//
//go:norace
func (m *Machine) steps() int { return m.vm.steps }

// Trace returns the points that a virtual machine has passed, in order.
func (m *Machine) Trace() []string { return traces[m] }

// receiver is a function that receives mail.
type receiver func(td *Thread)

func (f receiver) Receive(td *Thread) { f(td) }

// count returns how many threads are on wc.
func (wc *WaitChan) count() int32 {
	wc.mu.Lock()
	defer wc.mu.Unlock()
	n := int32(0)
	for td := wc.first; td != nil; td = td.next {
		n++
	}
	return n
}
