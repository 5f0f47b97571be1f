package kqueue

import (
	"fmt"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A Kernel is the kqueue subsystem of one machine under one strategy.
type Kernel struct {
	m        *machine.Machine
	strategy Strategy
	open     [11]Opener // by -Filter
	nest     machine.Mutex

	made, last *Queue // of a virtual machine, by next: see note
}

// An Opener finds, or makes, the source that an ident of its filter names, for
// filters whose ident is not a descriptor: Timer, User, Proc, Signal. Files is what the
// queue was made with, by which an opener knows whose signals, say, are meant; it may be
// nil. It is called in no domain, when a knote is about to be made. Its error is the
// answer to EV_ADD.
type Opener func(td *machine.Thread, files Files, ident uint64) (*Source, *Filter, error)

// New returns a kernel on machine m with strategy s. It knows no filters but
// those of descriptors until they are installed.
func New(m *machine.Machine, s Strategy) *Kernel {
	k := &Kernel{m: m, strategy: s}
	k.nest.Name = "nest"
	return k
}

// Reset makes the kernel as it was when it was made, on a virtual machine that has
// been reset: no queue, source or knote that was made before is used any more. The
// strategy must have been reset too.
func (k *Kernel) Reset() { k.made, k.last = nil, nil }

// Machine returns the machine that the kernel runs on.
func (k *Kernel) Machine() *machine.Machine { return k.m }

// Install makes filter f known, before any queue is made. It panics if f does
// not exist.
func (k *Kernel) Install(f event.Filter, open Opener) {
	if !valid(f) {
		panic(fmt.Sprintf("kqueue: Install of filter %d, want %d to %d", f, event.FS, event.Read))
	}
	k.open[-f] = open
}

// Opener returns what was installed for filter f, nil if nothing was. Who wants each of
// its knotes to ask another filter installs an Opener of its own around it.
func (k *Kernel) Opener(f event.Filter) Opener {
	if !valid(f) {
		return nil
	}
	return k.open[-f]
}

func valid(f event.Filter) bool { return f <= event.Read && f >= event.FS }

// A File is what a descriptor stands for.
type File interface {
	// Source returns the source and the filter that serve f on this file, or
	// an error: EINVAL if it has no such condition. It is called in no domain
	// and must not wait. (fo_kqfilter)
	Source(f event.Filter) (*Source, *Filter, error)
	// Sources returns all sources that Source may return.
	Sources() []*Source
	// Release is called once, when the last descriptor is gone and no knote
	// through it is left. (fo_close)
	Release(td *machine.Thread)
}

// Files resolves descriptor numbers: the descriptor table of a process.
type Files interface {
	// Desc returns the life that number fd has now, or EBADF.
	Desc(td *machine.Thread, fd uint64) (*Desc, error)
}

// A Wrapper is Files of which the knotes ask other filters than those of the files,
// which ask those in turn.
type Wrapper interface {
	Files
	// Wrap returns the filter that a knote of that ident is to ask instead of its
	// file's own. It is called by whoever makes a change, after Desc.
	Wrap(ident uint64, f event.Filter, own *Filter) *Filter
}

// A Desc is one life of one descriptor number: from open, dup or dup2 until
// close. A knote is tied to it and not to the number, so a number that is used
// again never meets an old knote.
type Desc struct {
	File   File
	closed machine.Uint32
	over   bool // closed, and none of its sources has a knote of it
}

var descs = machine.NewStock[Desc](nil)

// NewDesc begins a life of a number that stands for f.
func NewDesc(td *machine.Thread, f File) *Desc {
	d := descs.New(td)
	d.File = f
	return d
}

// Close ends the life: when it returns, no queue has a knote of it. Changes
// that name it later answer EBADF. It does not release the file. It may block.
// (knote_fdclose)
//
// The order is: closed first, then the source's domain. Register appends to
// the source's list first and looks at closed then (trap 10):
//
//	EV_ADD                      close
//	looks: open
//	                            closed=1; source: no notes of mine; file gone
//	appends to the list         <- a knote on a closed descriptor for ever
func (d *Desc) Close(td *machine.Thread) {
	d.closed.Store(td, 1)
	for _, s := range d.File.Sources() {
		d.end(td, s)
	}
	d.over = true // no lock: who attaches a knote of it has been waited for
	finish(td)
}

// end ends all knotes of d on source s, and waits for those that another
// thread is cleaning.
func (d *Desc) end(td *machine.Thread, s *Source) {
	s.Enter(td)
	for kn := s.notes.first; kn != nil; {
		switch {
		case kn.state&marked != 0 || kn.desc != d:
			kn = kn.snext
			continue
		case kn.state&(busy|gone) != 0:
			s.await(td, kn)
		default:
			kn.state.end()
			clean(td, kn, s.place)
			s.Enter(td)
		}
		kn = s.notes.first // the list may have changed: look again
	}
	s.Exit(td)
}
