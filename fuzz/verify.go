package fuzz

import (
	"fmt"
	"time"

	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/event"
)

const linear = "the specification"

// searchLimit is how long one history is searched. Most take less than a
// millisecond; one that takes a second would take for ever.
const searchLimit = time.Second

// verify checks the history of a report: first by counting, which says the more
// in words, then against the specification. It leaves word of what could not be
// decided.
//
// Completeness is asked for in its weak form. The strong one holds of a call
// that nobody comes between; but a scan ends where the list ended when it began,
// and may pass over what another has taken meanwhile and put back:
//
//	scan                        another scan
//	marks the end: USER, READ
//	takes USER
//	                            takes READ, level-triggered
//	                            puts it back, behind the mark
//	comes to the mark
func (r *Report) verify() {
	if r.Finding = Check(r.History); r.Finding != nil {
		return
	}
	if a, b := overtaken(r.History); a != nil {
		r.Undecided = fmt.Sprintf("%v may have looked its descriptor up before %v", *a, *b)
		return
	}
	v := linearizability.Check(r.History, linearizability.Options{Limit: searchLimit, Weak: true})
	r.Unchecked = v.Unchecked
	switch v.Verdict {
	case linearizability.Violation:
		r.Finding = &Finding{linear, v.String()}
	case linearizability.Undecided:
		r.Undecided = v.String()
	}
}

// overtaken returns an operation on a device that overlaps the end of its
// descriptor, and that end. Such an operation has two steps, the look at the
// table and the act on the device, and between them the descriptor may go:
//
//	write 2 5                   another thread
//	2 is the pipe
//	                            close 2
//	                            read 1: EAGAIN
//	writes: 5
//
// The making of a pipe has two steps as well, a descriptor each, and the first
// may be closed before there is the second. The specification knows these
// operations as one step, and would call that impossible.
func overtaken(h linearizability.History) (op, end *linearizability.Record) {
	for i := range h {
		op := &h[i]
		a := op.Op.FD
		b := a
		switch op.Op.Call {
		default:
			continue
		case event.MakePipe:
			a, b = int(op.Result.N), int(op.Result.N2)
		case event.Set, event.ReadPipe, event.WritePipe:
		}
		for j := range h {
			end := &h[j]
			fd := end.Op.FD
			switch end.Op.Call {
			default:
				continue
			case event.Close:
			case event.Dup2:
				fd = end.Op.To
			}
			if (fd == a || fd == b) && !before(op, end) && !before(end, op) {
				return op, end
			}
		}
	}
	return nil, nil
}
