package linearizability

import (
	"cmp"
	"slices"

	"github.com/anishathalye/porcupine"
	"github.com/kqlab/kqlab/model/spec"
)

// witness tries to find an order of the steps without a search: of those that
// may come next it takes the first to return that the specification allows, and
// never looks back. True is a proof, it has found an order; false says nothing.
func witness(k key, ops []porcupine.Operation) bool {
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	left := make([]*porcupine.Operation, len(ops))
	for i := range ops {
		left[i] = &ops[i]
	}
	now := []state{{State: spec.New(spec.AnyOrder | spec.AnyNumber)}}
	var next []*porcupine.Operation
	for len(left) > 0 {
		// What was called before anything that is left has returned.
		next = next[:0]
		first := left[0].Return
		for _, op := range left {
			if op.Call > first {
				break
			}
			first = min(first, op.Return)
			next = append(next, op)
		}
		slices.SortStableFunc(next, func(a, b *porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
		taken := slices.IndexFunc(next, func(op *porcupine.Operation) bool {
			var after []state
			for _, s := range now {
				for _, n := range step(s, op.Input.(*part), k, strict) {
					if !slices.ContainsFunc(after, n.equal) {
						after = append(after, n)
					}
				}
			}
			if len(after) == 0 {
				return false
			}
			now = after
			return true
		})
		if taken < 0 {
			return false
		}
		i := slices.Index(left, next[taken])
		left = slices.Delete(left, i, i+1)
	}
	return true
}
