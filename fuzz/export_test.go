package fuzz

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
)

// Draws reports whether scripts that are drawn may have the call.
func Draws(c event.Call) bool {
	acts := slices.Clone(common)
	for _, o := range objects {
		acts = append(acts, o.acts...)
		for _, m := range o.makes {
			acts = append(acts, m.act)
		}
	}
	return slices.ContainsFunc(acts, func(a act) bool { return a.call == c })
}
