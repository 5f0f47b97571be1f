package linearizability

import "github.com/kqlab/kqlab/model/event"

// What is found without a descriptor has a number that no descriptor can have, so that
// histories are projected onto it as onto one: the file system, with which all open files
// are in a group, and the list of what is mounted.
const (
	theFiles  = 1<<30 + iota
	theMounts = 1<<30 + iota
)

// byName reports whether a call finds what it acts on without a descriptor.
func byName(c event.Call) bool { return c.Names() || c.Mounts() }

// subject returns the number of what an operation acts on.
func subject(op *event.Op) int {
	switch {
	case op.Call.Names():
		return theFiles
	case op.Call.Mounts():
		return theMounts
	}
	return op.FD
}

// tellings returns how many steps an operation on names may have: it tells one file or
// directory after another.
func tellings(c event.Call) int {
	switch c {
	case event.CallRename:
		return 4
	case event.CallUnlink, event.CallLink, event.CallRmdir:
		return 2
	}
	return 1
}
