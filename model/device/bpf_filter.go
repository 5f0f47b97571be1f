package device

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// The filters of a listener.
var (
	bpfRead = &kqueue.Filter{
		Name: "bpf read",
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			d := kn.File().(*Bpf)
			if kn.Want != 0 {
				return syscall.EINVAL
			}
			kn.Hook = d
			d.watchers++
			d.start(td)
			return nil
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) { kn.Hook.(*Bpf).watchers-- },
		Touch: func(td *machine.Thread, kn *kqueue.Knote, kev *event.Kevent) error {
			if kev.Fflags != 0 {
				return syscall.EINVAL
			}
			return nil
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			d := kn.Hook.(*Bpf)
			kn.Data = int64(d.waiting())
			if d.w.detached {
				kn.Fflags = event.Fflags(syscall.ENXIO)
				return ended(kn, true, kn.Data == 0)
			}
			return kn.Data > 0
		},
	}
	bpfExcept = exceptional("bpf except", func(d *Bpf, kn *kqueue.Knote) bool {
		if !d.w.detached {
			return false
		}
		kn.Data = int64(syscall.ENXIO)
		return ended(kn, true, d.waiting() == 0)
	})
)
