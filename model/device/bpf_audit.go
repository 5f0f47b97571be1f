package device

import (
	"fmt"

	"github.com/kqlab/kqlab/model/machine"
)

// Audit is [Fifo.Audit] of a listener.
//
//	C1  the listener is not released, and its interface knows it
//	C2  there is not more in a buffer than fits
//	C3  the timeout runs or is over only if there is one, and an interface
func (d *Bpf) Audit(td *machine.Thread) error {
	visit(td, &d.w.src)
	return d.audit()
}

//go:norace
func (d *Bpf) audit() error {
	listed := 0
	for _, o := range d.w.listeners {
		if o == d {
			listed++
		}
	}
	switch {
	case d.gone || listed != 1:
		return fmt.Errorf("C1: a listener is released, %v, or its interface does not know it once, but %d times", d.gone, listed)
	case d.stored < 0 || d.stored > BpfBuffer || d.held < 0 || d.held > BpfBuffer:
		return fmt.Errorf("C2: a listener has %d bytes in its store, and %d in its hold buffer, of %d each", d.stored, d.held, BpfBuffer)
	case d.state != bpfIdle && (d.timeout == 0 || d.w.detached):
		return fmt.Errorf("C3: the read timeout of a listener is in state %d, and is %v; detached %v", d.state, d.timeout, d.w.detached)
	}
	return nil
}
