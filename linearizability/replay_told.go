package linearizability

import (
	"slices"

	"github.com/kqlab/kqlab/model/spec"
)

// A told is a knote that a step of another has told, at an instant.
type told struct {
	ref   spec.Ref
	at    int64
	shown bool // another that it has told was taken since
}

// tells notes, after a step, what it has told the scans of others of.
func (r *replay) tells(by int32, at int64) {
	for i := range r.calls {
		c := &r.calls[i]
		if !c.passing {
			continue
		}
		now := r.s.Due(nil, c.queue)
		c.told = slices.DeleteFunc(c.told, func(t told) bool {
			return !slices.ContainsFunc(now, func(d spec.Due) bool { return d.Ref == t.ref })
		})
		if int32(i) != by {
			for _, ref := range spec.HalfTold(c.due, now) {
				c.told = append(c.told, told{ref: ref, at: at})
			}
		}
		c.due = now
	}
}

// passes notes that the scan of a call begins, of one that returns though there is room.
func (r *replay) passes(c *call) {
	c.passing = true
	if !r.free(HalfTold) {
		c.due = r.s.Due(c.due[:0], c.queue)
	}
}

// shows notes that a call has taken a knote, and so shows what was told together with
// that. Once it has taken its last it should have returned that, as far as it was due.
func (c *call) shows(last bool, took, returns func(spec.Ref) bool) {
	for _, t := range c.told {
		if took(t.ref) {
			for i := range c.told {
				c.told[i].shown = c.told[i].shown || c.told[i].at == t.at
			}
		}
	}
	if !last {
		return
	}
	for _, t := range c.told {
		if t.shown && !returns(t.ref) && !slices.Contains(c.left, t.ref) {
			c.left = append(c.left, t.ref)
		}
	}
}
