package catalog

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
)

// A World is what devices are made in: a kernel that knows all filters, and what there
// is one of in it.
type World struct {
	Kernel  *kqueue.Kernel
	Process *proc.Process
	Network *device.Network
	Bus     *device.Bus
	Files   *device.VFS

	// Queue is the one that watches the units that are being made.
	Queue *kqueue.Queue

	last uint64 // given by Next
}

// NewWorld makes a world on a kernel that knows no filter yet.
func NewWorld(k *kqueue.Kernel) *World {
	device.Install(k)
	return &World{
		Kernel: k, Process: proc.New(k), Network: device.NewNetwork(k), Bus: device.NewBus(k), Files: device.NewVFS(k),
	}
}

// Next returns a number that no unit of the world has had: a port, or the ident of what
// has no descriptor. They are 1, 2, 3, ...
func (w *World) Next() uint64 {
	w.last++
	return w.last
}

// Reset makes the world as it was when it was made, on a virtual machine that has been
// reset, as its strategy has.
func (w *World) Reset() {
	w.Kernel.Reset()
	w.Process.Reset()
	w.Network.Reset()
	w.Bus.Reset()
	w.Files.Reset()
	w.Queue, w.last = nil, 0
}

// Audit looks at the structures of the world when all threads but td have ended or
// sleep in Kevent, and says what does not hold, as the audits do of which it is made.
func (w *World) Audit(td *machine.Thread) error {
	if err := w.Process.Audit(td); err != nil {
		return err
	}
	if err := w.Network.Audit(td); err != nil {
		return err
	}
	return w.Files.Audit(td)
}

// Empty says what is left when all descriptors have been closed; nil if nothing is.
func (w *World) Empty() error {
	if err := w.Process.Empty(); err != nil {
		return err
	}
	if err := w.Bus.Empty(); err != nil {
		return err
	}
	return w.Files.Empty()
}

// Alone runs f on the only thread of a world under a strategy. The machine is virtual:
// while the thread waits the time passes.
func Alone(new func(*machine.Machine) kqueue.Strategy, f func(td *machine.Thread, w *World)) {
	m := machine.Virtual(1, sched.NewReplay(nil))
	defer m.Abandon()
	m.Unscheduled(true)
	w := NewWorld(kqueue.New(m, new(m)))
	m.Go("catalog", 0, func(td *machine.Thread) {
		w.Queue = w.Kernel.NewQueue(td, w.Process)
		f(td, w)
	})
	if err := m.Run(); err != nil {
		panic("catalog: " + err.Error())
	}
}
