package device

import (
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// A harm is something that is done to a T, and the invariant that its audit must find
// broken then; "" if none is.
type harm[T any] struct {
	want string
	do   func(d T)
}

// finds makes a T for each harm, and looks at what its audit says of it.
func finds[T interface {
	Audit(td *machine.Thread) error
}](t *testing.T, new func(td *machine.Thread, k *kqueue.Kernel) (T, error), harms []harm[T]) {
	t.Helper()
	for i, h := range append([]harm[T]{{"", func(T) {}}}, harms...) {
		m := machine.Native(1)
		td := m.Attach("test", 0)
		d, err := new(td, kqueue.New(m, strategies.All[0].New(m)))
		if err != nil {
			t.Fatal(err)
		}
		h.do(d)
		err = d.Audit(td)
		if h.want == "" && err != nil || h.want != "" && (err == nil || !strings.HasPrefix(err.Error(), h.want+":")) {
			t.Errorf("harm %d: the audit says %v, want %q", i, err, h.want)
		}
		td.Detach()
	}
}

// Each invariant that an audit looks at of a disk is found when it is broken.
func TestDiskAuditFinds(t *testing.T) {
	finds(t, func(td *machine.Thread, k *kqueue.Kernel) (*Disk, error) {
		d := NewDisk(td, k)
		d.Submit(td, event.ReadSide, 1)
		_, err := d.Submit(td, event.ReadSide, 1)
		return d, err
	}, []harm[*Disk]{
		{"Q1", func(d *Disk) { d.flight.next.state = finished }},
		{"Q1", func(d *Disk) { d.flight.err = syscall.EIO }},
		{"Q1", func(d *Disk) { d.flight.d = &Disk{} }},
		{"Q2", func(d *Disk) { d.n++ }},
		{"Q2", func(d *Disk) { d.flight = d.flight.next }},
		{"Q2", func(d *Disk) { d.flight.next = d.flight }},
		{"Q3", func(d *Disk) { d.gone = true }},
	})
}

// So it is of a request device.
func TestPassAuditFinds(t *testing.T) {
	finds(t, func(td *machine.Thread, k *kqueue.Kernel) (*Pass, error) {
		p := NewPass(td, k)
		p.Write(td, make([]byte, 3*PassCommand))
		return p, p.Complete(td, 1)
	}, []harm[*Pass]{
		{"P1", func(p *Pass) { p.done.at[0] = p.flight.at[0] }},
		{"P1", func(p *Pass) { p.done.at[0] = PassTags }},
		{"P2", func(p *Pass) { p.flight.n = PassTags }},
		{"P2", func(p *Pass) { p.done.n = -1 }},
		{"P2", func(p *Pass) { p.absent = true }},
		{"P3", func(p *Pass) { p.released = true }},
	})
}

// And of a listener of packets.
func TestBpfAuditFinds(t *testing.T) {
	finds(t, func(td *machine.Thread, k *kqueue.Kernel) (*Bpf, error) {
		d := NewBpf(td, k)
		_, err := d.Tap(td, make([]byte, 9))
		return d, err
	}, []harm[*Bpf]{
		{"C1", func(d *Bpf) { d.gone = true }},
		{"C1", func(d *Bpf) { d.w.listeners = nil }},
		{"C1", func(d *Bpf) { d.w.listeners = append(d.w.listeners, d) }},
		{"C2", func(d *Bpf) { d.stored = BpfBuffer + 1 }},
		{"C2", func(d *Bpf) { d.held = -1 }},
		{"C3", func(d *Bpf) { d.state = bpfTimedOut }},
		{"C3", func(d *Bpf) { d.timeout, d.state, d.w.detached = second, bpfWaiting, true }},
	})
}
