package machine

// NewVirtual returns a machine whose threads run one at a time, in an order
// that the seed decides. See vm_test.go.
func NewVirtual(ncpu int, seed uint64) *Machine { return newBaton(ncpu, seed) }

// Abandon ends the threads of a virtual machine that sleep still.
func (m *Machine) Abandon() { m.vm.(*baton).abandon() }

// Trace returns the points that a virtual machine has passed, in order.
func (m *Machine) Trace() []string { return m.vm.(*baton).trace }

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
