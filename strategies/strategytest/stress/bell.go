package stress

import (
	"syscall"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A bell counts how often it is rung, each knote for itself: a filter whose
// events must neither be lost nor be reported twice, as those of EVFILT_SIGNAL.
// The count travels as the hint, so that a walk that came by a knote twice
// would be seen (bug D19).
type bell struct {
	src  *kqueue.Source
	ops  *kqueue.Filter
	slow machine.Mutex // what the filter of a blocking bell waits for

	// interrupt rings too: it may not wait for a knote that is being asked, and
	// leaves word.
	interrupt *machine.Callout
}

func newBell(td *machine.Thread, k *kqueue.Kernel, c character) *bell {
	b := &bell{src: k.NewSource(td)}
	b.slow.Name = "bell"
	b.ops = &kqueue.Filter{
		Name:   "bell",
		Clear:  true,
		Unsafe: c == unsafe,
		Blocks: c == blocking,
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
			if c == blocking {
				// A wait for this is a block: token and CPU are lost meanwhile.
				b.slow.Lock(td)
				b.slow.Unlock(td)
			}
			kn.Pending += hint
			kn.Data = kn.Pending
			return kn.Pending > 0
		},
	}
	return b
}

// A character says what a filter's calls do to its domain.
type character uint8

const (
	quick character = iota
	unsafe
	blocking
)

func (b *bell) ring(td *machine.Thread, times int64) { b.src.Notify(td, times) }

// hold keeps the filter of a blocking bell waiting while f runs.
func (b *bell) hold(td *machine.Thread, f func()) {
	b.slow.Lock(td)
	f()
	b.slow.Unlock(td)
}

func (b *bell) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if f != event.Read {
		return nil, nil, syscall.EINVAL
	}
	return b.src, b.ops, nil
}

func (b *bell) Sources() []*kqueue.Source { return []*kqueue.Source{b.src} }

func (b *bell) Release(*machine.Thread) {}
