package event

import "strconv"

// A Step is one indivisible act of an operation, the least that another thread
// can come between. The kernel names the instant of each with
// machine.Thread.Commit: from there on, in this order, others see what it did.
//
// The steps of an operation come in this order:
//
//	kqueue, probe, dup   Made, as what makes any other file of nothing; before it of a
//	                     device Acted, if there can be one only, which is so or not
//	pipe                 Made, Made: one for each end; so socketpair and pty
//	set, read, write     Found, Acted, as what does anything else to a file
//	connect, accept      Found, and Acted for each socket that has part in it, as in
//	                     listen and in send to a port; then Made of what answers a
//	                     descriptor, as reopen
//	creat, open          Acted, then Made of what answers a descriptor
//	mkdir, unlink, ...   Acted for each file and directory that is told; so of creat, and
//	                     one if it is refused
//	dup2, close          Unlinked, Reaped, Released, and Acted for each who waited to be
//	                     accepted
//	kevent               Found, and of each change Change, Found, Changed;
//	                     then Took for each event, before it Pruned if it is a kqueue's
//
// One that has come to its end early lacks the last of them, and steps whose
// instant is all the same may be missing: see package linearizability.
type Step uint8

// The steps.
const (
	Made     Step = iota + 1 // a descriptor is in the table
	Found                    // a descriptor has been looked up, there or not
	Acted                    // the device has done it, or refused
	Change                   // the call turns to its next change
	Changed                  // the change is made, or refused
	Pruned                   // the call begins to count what a kqueue has to deliver
	Took                     // an event is retrieved: what it says holds, and what follows from its retrieval is so
	Unlinked                 // the number is free, or has its new life, or was free
	Reaped                   // the knotes of the life that ended are gone
	Released                 // its file is, if it was the last
)

var stepNames = [...]string{
	Made: "made", Found: "found", Acted: "acted", Change: "change", Changed: "changed", Pruned: "pruned",
	Took: "took", Unlinked: "unlinked", Reaped: "reaped", Released: "released",
}

// String returns the name of the step as it is in the text of a history.
func (s Step) String() string {
	if s >= Made && s <= Released {
		return stepNames[s]
	}
	return "step " + strconv.Itoa(int(s))
}

// ParseStep reads the name of a step, see [Step.String]. The error names the
// word and what was expected in its place.
func ParseStep(name string) (Step, error) {
	for s := Made; s <= Released; s++ {
		if stepNames[s] == name {
			return s, nil
		}
	}
	want := ""
	for _, n := range stepNames[Made:] {
		want += ", " + n
	}
	return 0, wrong("step", name, "one of "+want[2:])
}
