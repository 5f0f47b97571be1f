package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// A Goal is a bound on a ratio, and what was reached.
type Goal struct {
	Number   int     `json:"goal"`     // as in the list of goals
	Text     string  `json:"text"`     // what is compared with what
	Strategy string  `json:"strategy"` // empty if it is about all
	Ratio    float64 `json:"ratio"`
	Bound    float64 `json:"bound"`
	AtLeast  bool    `json:"at_least"` // the ratio should be at least the bound, else at most
	Reached  bool    `json:"reached"`
}

func (g Goal) String() string {
	relation, verdict := "at most", "missed"
	if g.AtLeast {
		relation = "at least"
	}
	if g.Reached {
		verdict = "reached"
	}
	return fmt.Sprintf("goal %d, %s: %s: %.3g, want %s %.3g: %s", g.Number, g.Strategy, g.Text, g.Ratio, relation, g.Bound, verdict)
}

// bounds are the goals that not all strategies share, by strategy.
var bounds = map[string]struct{ stays, visits, pipes, speedup, note float64 }{
	"giant":       {stays: 1.8, pipes: 8},
	"globaltoken": {stays: 2},
	"pcpu":        {stays: 1.1, visits: 2.1, pipes: 12, speedup: 1.85, note: 0.4},
	"finegrained": {stays: 3.4, speedup: 1.85},
	"lockfree":    {stays: 3.6, speedup: 1.85},
}

const (
	everyPipes = 5     // pipetest against epoll, for every strategy
	noAllocs   = 0.005 // an event: what prints as 0; the runtime itself allocates now and then
)

// Goals returns the goals that the records have figures for: 1, 2, 4, 6 to 10 of the project's list, each for every strategy that it speaks of.
// Where a goal speaks of several parameter sets, the ratio is the worst of
// those that were measured.
func Goals(recs []Record) []Goal {
	f := find(recs)
	var goals []Goal
	var names []string
	for i := range recs {
		if n := recs[i].Strategy; n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	atMost := func(number int, name, text string, ratio, bound float64) {
		if !math.IsNaN(ratio) && bound > 0 {
			goals = append(goals, Goal{number, text, name, ratio, bound, false, ratio <= bound})
		}
	}
	atLeast := func(number int, name, text string, ratio, bound float64) {
		if !math.IsNaN(ratio) && bound > 0 {
			goals = append(goals, Goal{number, text, name, ratio, bound, true, ratio >= bound})
		}
	}
	ns := func(workload, name string, params map[string]any) float64 {
		return f.median(workload, params, name, "ns/event")
	}
	op := func(op string) float64 { return ns("reference", "", map[string]any{"op": op}) }
	m := op("mutex")
	each := func(goal func(name string)) {
		for _, name := range names {
			goal(name)
		}
	}

	each(func(name string) {
		b := bounds[name]
		atMost(1, name, "single, batch 64, ÷ M", ns("single", name, map[string]any{"batch": 64})/m, b.stays)
		atMost(1, name, "single, batch 64, a visit a call, ÷ M", ns("single", name, map[string]any{"batch": 64, "thread": "visits"})/m, b.visits)
	})
	each(func(name string) {
		x, at := f.worst("pipetest", name, "epoll-pipes", true)
		atLeast(2, name, "epoll on real pipes ÷ pipetest, worst at "+at, x, max(everyPipes, bounds[name].pipes))
		few, many := pipeParams(100, 1), pipeParams(9900, 1)
		atMost(2, name, "pipetest, 9,900 pipes ÷ 100 pipes", ns("pipetest", name, many)/ns("pipetest", name, few), 1.2)
	})
	each(func(name string) {
		atLeast(4, name, "disjoint, two threads ÷ one", f.median("disjoint", map[string]any{"batch": 64, "threads": 2}, name, "speedup"), bounds[name].speedup)
	})
	each(func(name string) {
		atMost(6, name, "wake ÷ a channel hand-off", ns("wake", name, map[string]any{"cpus": 1})/op("channel"), 1.6)
	})
	each(func(name string) {
		atMost(7, name, "churn ÷ EPOLL_CTL_ADD and DEL", ns("churn", name, map[string]any{"others": 64})/op("epoll_ctl"), 1.0/8)
		atMost(7, name, "churn, allocations an event", f.allocs([]string{"churn"}, name), noAllocs)
		atMost(7, name, "fanout, 64 queues, ÷ M", ns("fanout", name, map[string]any{"queues": 64})/m, bounds[name].note)
	})
	for _, call := range []string{"poll", "select"} {
		each(func(name string) {
			p := pollSize{fds: 1000, ready: 1}.params()
			atLeast(8, name, "Linux's "+call+" ÷ "+call+", 1,000 fds, 1 ready", ns("reference", "", with(p, "op", "linux-"+call))/ns(call, name, p), 5)
			x, at := f.worst(call, name, "linux-"+call, false)
			atMost(8, name, call+" ÷ Linux's, worst at "+at, x, 1.5)
		})
	}
	each(func(name string) {
		x, at := f.epoll(name)
		atMost(8, name, "epoll ÷ kevent, the harvest alone, worst at "+at, x, 1.2)
	})
	each(func(name string) {
		x, at := f.worst("hostpipe", name, "fionread-pipes", false)
		atMost(9, name, "hostpipe ÷ epoll with FIONREAD, worst at "+at, x, 1.15)
	})
	each(func(name string) {
		atMost(10, name, "allocations an event, on the path that has most", f.allocs(f.workloads, name), noAllocs)
	})
	return goals
}

// worst returns the worst ratio of a workload over pipes to a rival at the same
// size: the smallest of rival over strategy, or the largest of strategy over
// rival; and at which size.
func (f *finder) worst(workload, name, op string, rivalFirst bool) (worst float64, at string) {
	worst = math.NaN()
	for i := range f.all {
		r := &f.all[i]
		if r.Workload != workload || r.Strategy != name || r.Metric != "ns/event" {
			continue
		}
		rival := f.median("reference", with(r.Parameters, "op", op), "", "ns/event")
		x := r.Median / rival
		if rivalFirst {
			x = rival / r.Median
		}
		switch {
		case math.IsNaN(x):
		case math.IsNaN(worst), rivalFirst && x < worst, !rivalFirst && x > worst:
			worst, at = x, briefText(r.Parameters)
		}
	}
	return worst, at
}

// epoll returns the largest ratio of a harvest by epoll over one by kevent, where a
// harvest is all that is measured, and at which parameters.
func (f *finder) epoll(name string) (worst float64, at string) {
	worst = math.NaN()
	for i := range f.all {
		r := &f.all[i]
		if r.Workload != "epoll" || r.Strategy != name || r.Metric != "ns/event" || r.Parameters["by"] != "epoll" || r.Parameters["bytes"] != nil {
			continue
		}
		x := r.Median / rivalsOf("epoll")[1].cost(f, r)
		if !math.IsNaN(x) && !(x <= worst) {
			p := maps.Clone(r.Parameters)
			delete(p, "by")
			worst, at = x, paramText(p)
		}
	}
	return worst, at
}

// allocs returns the allocations an event of the workload that has most. Each
// is the smallest of its rounds: whatever else the process does can only add. What
// a dup allocates, a life of a number, is no event's.
func (f *finder) allocs(workloads []string, name string) float64 {
	most := math.NaN()
	for i := range f.all {
		r := &f.all[i]
		if r.Strategy == name && r.Metric == "allocs/event" && r.Parameters["closes"] == nil && slices.Contains(workloads, r.Workload) && !(r.Min <= most) {
			most = r.Min
		}
	}
	return most
}
