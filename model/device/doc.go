// Package device holds what can be watched: pipes, fifos, pseudo-terminals, serial lines,
// sockets, files and mounts, disks with their requests, packet capture, request devices,
// devices that are a buffer between a program and an interrupt, those without hardware,
// timers, user events, and a test device. Package catalog has a table of them.
//
// A device is some state, the [kqueue.Source] that guards it, and the filters
// that look at it. Whoever changes the state does so in the source's domain and
// posts before leaving it; there is no other way to wake anybody. A device that
// a descriptor can stand for is a [kqueue.File] besides. The whole of one:
//
//	type counter struct {
//		src *kqueue.Source
//		n   int64 // guarded by src
//	}
//
//	var counted = &kqueue.Filter{Name: "counter",
//		Attach: func(td *machine.Thread, kn *kqueue.Knote) error { kn.Hook = kn.File(); return nil },
//		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
//			kn.Data = kn.Hook.(*counter).n
//			return kn.Data > 0
//		}}
//
//	func (c *counter) Add(td *machine.Thread) { c.src.Enter(td); c.n++; c.src.Post(td, 0); c.src.Exit(td) }
//	func (c *counter) Source(f event.Filter) (*kqueue.Source, *kqueue.Filter, error) { return c.src, counted, nil }
//	func (c *counter) Sources() []*kqueue.Source { return []*kqueue.Source{c.src} }
//	func (c *counter) Release(td *machine.Thread) {}
//
// State is changed before Post, never after it: a filter that is asked first
// says no, and nobody asks again (DragonFly bug 44aa8f0264, in bpf).
package device

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/proc"
)

// Install makes the filters whose ident is not a descriptor known to the
// kernel: Timer and User, and those of processes, see [proc.Install]. It is called before
// any queue is made.
func Install(k *kqueue.Kernel) {
	proc.Install(k)
	k.Install(event.Timer, own(k, timerFilter))
	k.Install(event.User, own(k, userFilter))
}
