//go:build !race

package fuzz_test

import (
	"context"
	"testing"

	"github.com/kqlab/kqlab/strategies"
)

// An execution allocates nothing, once what it needs is there: the more of them there
// are, the less is there of what an exploration takes anyhow, and of what grows with
// the outcomes that have been seen.
func TestExploreAllocatesNothing(t *testing.T) {
	const few, many = 1_000, 4_000
	for _, e := range strategies.All {
		for _, what := range []struct{ scenario, scheduler string }{
			{"standard", "random"}, {"standard", "pct:3"}, {"dup2-against-poll", "random"}, {"epoll-del-against-wait", "random"},
			{"backlog-is-full", "random"}, {"urgent-byte", "random"}, {"datagrams-come-whole", "random"}, {"nobody-at-the-port", "random"},
			{"rename-to-each-other", "random"}, {"mounts-for-two", "random"}, {"revoke-against-all", "random"},
		} {
			t.Run(e.Name+"/"+what.scenario+"/"+what.scheduler, func(t *testing.T) {
				allocations := func(n int) float64 {
					x := explorationOf(t, what.scenario, e, what.scheduler, n, 1)
					searched := 0
					count := testing.AllocsPerRun(1, func() {
						got := x.Explore(context.Background())
						if got.Executions != n || got.Failure != nil {
							t.Fatalf("%d executions, want %d; %v", got.Executions, n, got.Failure)
						}
						searched = got.Searched
					})
					if searched > 0 {
						t.Errorf("%d histories were searched, which allocates: want none here", searched)
					}
					return count
				}
				each := (allocations(many) - allocations(few)) / (many - few)
				if each > 0.01 {
					t.Errorf("%.3f allocations an execution, want none", each)
				}
				t.Logf("%.4f allocations an execution", each)
			})
		}
	}
}
