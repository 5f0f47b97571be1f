package device

import (
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// own opens a new source for each knote, at home where its maker is. Timers
// and user events of one ident in two queues have nothing in common, so there
// is nothing that they could share but a domain. An opener's source may be
// dropped unused, if another thread adds the same knote first.
func own(k *kqueue.Kernel, f *kqueue.Filter) kqueue.Opener {
	return func(td *machine.Thread, _ kqueue.Files, _ uint64) (*kqueue.Source, *kqueue.Filter, error) {
		return k.NewSource(td), f, nil
	}
}
