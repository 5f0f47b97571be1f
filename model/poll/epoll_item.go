package poll

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

// An item is one of an epoll: the joint of its file, tied to a life of its own, which
// ends with the file and not with a descriptor. What its modes are is the main
// knote's: EV_CLEAR is ET, EV_DISPATCH is ONESHOT.
type item struct {
	joint
	ep    *Epoll
	file  *proc.Description
	fd    int
	ident uint64
	desc  *kqueue.Desc
	tie   proc.Tie
	modes event.PollEvents // guarded by ep.mu
}

var items = machine.NewStock(func(it *item) {
	it.joint.clean()
	*it = item{tie: it.tie, joint: it.joint, ep: it.ep}
})

// newItem returns an item of file that has no knotes yet. Error: that of join.
func newItem(td *machine.Thread, ep *Epoll, file *proc.Description, fd int) (*item, error) {
	it := items.New(td)
	if it.ep == nil {
		it.tie.Gone = it.gone
	}
	it.ep, it.file, it.fd = ep, file, fd
	it.desc = kqueue.NewDesc(td, file.File)
	return it, it.join(file.File)
}

// watchable reports whether any condition of a file can be waited for.
func watchable(f kqueue.File) bool {
	if classOf(f) == event.PollAlways {
		return false
	}
	for _, filter := range filters {
		if _, _, err := f.Source(filter); err == nil {
			return true
		}
	}
	return false
}

// gone is called when the file goes.
func (it *item) gone(td *machine.Thread) {
	ep := it.ep
	ep.mu.Lock(td)
	if ep.byKey[itemKey{it.file, it.fd}] == it {
		ep.drop(td, it)
	}
	ep.mu.Unlock(td)
}
