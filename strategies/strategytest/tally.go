package strategytest

import (
	"sync/atomic"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A tally is a file whose filter keeps account of its calls: what is rung must
// be heard once by each knote, whoever was attached is detached once, and
// nobody is after the file was released.
type tally struct {
	src  *kqueue.Source
	ops  *kqueue.Filter
	slow machine.Mutex

	attached, detached atomic.Int64
	calls              atomic.Int64 // of Event
	rung               atomic.Int64
	released           atomic.Bool
	late               atomic.Bool // detached after the release
	twice              atomic.Bool // more detached than attached
}

// newTally makes one; with blocks its filter waits for a mutex, and so may lose
// the domain.
func newTally(td *machine.Thread, k *kqueue.Kernel, blocks bool) *tally {
	f := &tally{src: k.NewSource(td)}
	f.slow.Name = "tally"
	pass := func(td *machine.Thread) {
		if blocks {
			f.slow.Lock(td)
			f.slow.Unlock(td)
		}
	}
	f.ops = &kqueue.Filter{
		Name:   "tally",
		Clear:  true,
		Blocks: blocks,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
			pass(td)
			f.attached.Add(1)
			return nil
		},
		Detach: func(td *machine.Thread, kn *kqueue.Knote) {
			pass(td)
			if f.released.Load() {
				f.late.Store(true)
			}
			if f.detached.Add(1) > f.attached.Load() {
				f.twice.Store(true)
			}
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			pass(td)
			f.calls.Add(1)
			kn.Pending += hint
			kn.Data = kn.Pending
			return kn.Pending > 0
		},
	}
	return f
}

func (f *tally) ring(td *machine.Thread) {
	f.rung.Add(1)
	f.src.Notify(td, 1)
}

func (f *tally) Source(fl event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if fl != event.Read {
		return nil, nil, syscall.EINVAL
	}
	return f.src, f.ops, nil
}

func (f *tally) Sources() []*kqueue.Source { return []*kqueue.Source{f.src} }

func (f *tally) Release(*machine.Thread) { f.released.Store(true) }

// wrong says what is wrong with the account, when everything is closed.
func (f *tally) wrong() string {
	switch {
	case f.late.Load():
		return "a knote was detached after its file had been released"
	case f.twice.Load():
		return "a knote was detached that was not attached"
	case f.attached.Load() != f.detached.Load():
		return "a knote is still attached although everything is closed"
	}
	return ""
}
