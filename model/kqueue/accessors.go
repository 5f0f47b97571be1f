package kqueue

import "github.com/kqlab/kqlab/model/event"

// What a filter may know of the knote that it is asked about. All of it is
// immutable from Attach to Detach.

// Source returns the source that the knote watches.
func (kn *Knote) Source() *Source { return kn.src }

// File returns the file of the descriptor that the knote was added with, or
// nil if its filter is not one of descriptors. (kn_fp)
func (kn *Knote) File() File {
	if kn.desc == nil {
		return nil
	}
	return kn.desc.File
}

// Keep returns which of OneShot, Clear and Dispatch the knote was added with.
func (kn *Knote) Keep() event.Flags { return kn.keep }
