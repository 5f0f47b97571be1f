package machine

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine/sched"
)

// NewVirtual returns a virtual machine on a random walk that takes down its Trace.
func NewVirtual(ncpu int, seed uint64) *Machine {
	m := Virtual(ncpu, sched.NewRandom(seed))
	v := m.vm.(*virtual)
	v.trace = func(t *vthread) {
		traces[m] = append(traces[m], fmt.Sprintf("%s %s %s", t.td.Name, t.at, v.name(t.obj)))
	}
	return m
}

var traces = map[*Machine][]string{}

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
