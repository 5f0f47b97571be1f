package fuzz

import (
	"fmt"

	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/linearizability"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// sampled reports whether the execution of that number, of script i, is made again
// to see that it comes out the same. All those that fail are.
func sampled(i, n int) bool { return n == 0 && i%16 == 0 }

// repeat makes the execution of a report again, by its decisions, and says what
// is different the second time; nil if nothing is. Then something decides that the
// scheduler does not see: a clock, the order of a map, a random number, memory that
// an earlier execution has left. No failure could be trusted to come again, and a
// search would not know what it has seen.
//
// A race may be one that is reported once in a process, and an order of locks
// comes of several executions: that those are found again is not asked for.
func repeat(s *script.Script, o Options, decisions []int, first *Report) *Finding {
	replay := sched.NewReplay(decisions)
	recorded := &sched.Recorded{Scheduler: replay}
	recorded.Begin()
	o.Scheduler, o.order, o.onlookers = recorded, nil, nil
	second := Run(s, o)
	differs := func(format string, args ...any) *Finding {
		return &Finding{sameAgain, "by the same decisions " + fmt.Sprintf(format, args...)}
	}
	if at := replay.Misfit(); at != 0 && at <= len(decisions) {
		return differs("decision %d of %d has another number of possibilities the second time", at, len(decisions))
	}
	if n := len(recorded.Schedule); n != len(decisions) {
		return differs("%d are asked for the first time, and %d the second", len(decisions), n)
	}
	for i := range max(len(first.History), len(second.History)) {
		a, b := record(first.History, i), record(second.History, i)
		if a != b {
			return differs("call %d is %s the first time, and %s the second", i, a, b)
		}
	}
	a, b := property(first.Finding), property(second.Finding)
	if a != b {
		return differs("the first execution breaks %s, and the second %s", a, b)
	}
	return nil
}

func record(h linearizability.History, i int) string {
	if i >= len(h) {
		return "none"
	}
	return h[i].String()
}

func property(f *Finding) string {
	if f == nil || f.Property == noRace || f.Property == oneOrder {
		return "nothing"
	}
	return f.Property
}
