package fuzz

import (
	"math/bits"
	"slices"

	"github.com/kqlab/kqlab/fuzz/script"
)

// said is the set of what a script says of executions under a strategy, by the place
// of the line.
func said(s *script.Script, strategy string) (set uint32) {
	for i, x := range s.Sometimes {
		if x.Under == "" || x.Under == strategy {
			set |= 1 << i
		}
	}
	return set
}

// happened returns what of a set has come about in the execution of a report, which
// came by these places.
func happened(set uint32, r *Report, places []string) (have uint32) {
	for i, x := range r.Script.Sometimes {
		if set&(1<<i) == 0 {
			continue
		}
		all := true
		for _, c := range x.All {
			if c.Place != "" {
				all = all && slices.Contains(places, c.Place)
			} else {
				all = all && answered(c, r)
			}
		}
		if all {
			have |= 1 << i
		}
	}
	return have
}

// answered reports whether the operation of a condition was answered like that. One
// that was not begun was not.
func answered(c script.Condition, r *Report) bool {
	op := 0
	for i := range r.History {
		if rec := &r.History[i]; rec.Thread == c.Thread {
			if op++; op == c.Op {
				return c.Of(rec.Result)
			}
		}
	}
	return false
}

// A Reach says of a line of a script whether it has come about.
type Reach struct {
	script.Sometimes
	Reached bool
}

// reaches returns what script 0 says under the strategy.
func (w *explorers) reaches() (all []Reach) {
	for i := range bits.Len32(w.said) {
		if w.said&(1<<i) != 0 {
			all = append(all, Reach{w.first.Sometimes[i], w.had&(1<<i) != 0})
		}
	}
	return all
}

// Missed returns what must come about sometimes and has not.
func (e *Explored) Missed() (all []script.Sometimes) {
	for _, r := range e.Sometimes {
		if !r.Reached {
			all = append(all, r.Sometimes)
		}
	}
	return all
}
