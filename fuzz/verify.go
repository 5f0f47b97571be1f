package fuzz

import (
	"time"

	"github.com/kqlab/kqlab/linearizability"
)

const linear = "the specification"

// searchLimit is how long one history is searched. Most take less than a
// millisecond; one that takes a second would take for ever.
const searchLimit = time.Second

// verify holds the history of a report against the specification. What that
// forbids is also looked at by counting, which says the more in words; and so is
// what it has not been asked. It leaves word of what could not be decided.
func (r *Report) verify(c *linearizability.Checker) {
	v := c.Check(r.History, linearizability.Options{Limit: searchLimit})
	r.Linear, r.Unchecked = v, v.Unchecked
	if v.Verdict == linearizability.OK && len(v.Unchecked) == 0 {
		return
	}
	if r.Finding = Check(r.History); r.Finding != nil {
		return
	}
	switch v.Verdict {
	case linearizability.Violation:
		r.Finding = &Finding{linear, v.String()}
	case linearizability.Undecided:
		r.Undecided = v.String()
	}
}
