package bench

import "github.com/kqlab/kqlab/model/kqueue"

// blockingfilter is single with a filter that nobody has declared MP-safe. It
// runs under the mplock, and to wait for that is a block, which costs a token
// or a CPU its protection: so the knote is fenced meanwhile. Under the giant
// lock the mplock is held already. With two threads, which share nothing but
// the mplock, there is something to wait for.
var blockingfilter = &Workload{
	Name: "blockingfilter",
	Doc:  "filters that are not MP-safe take the mplock inside; an event is as in single",
	shapes: []shape{
		{params: map[string]any{"filter": "safe", "threads": 1}, core: true, run: filtering(calledCounting, 1)},
		{params: map[string]any{"filter": "unsafe", "threads": 1}, core: true, run: filtering(unsafeCounting, 1)},
		{params: map[string]any{"filter": "safe", "threads": 2}, run: filtering(calledCounting, 2)},
		{params: map[string]any{"filter": "unsafe", "threads": 2}, run: filtering(unsafeCounting, 2)},
	},
}

func filtering(ops *kqueue.Filter, threads int) func(t *trial) error {
	return func(t *trial) error {
		var workers []worker
		for cpu := range threads {
			w, err := t.loop(cpu, 64, ops)
			if err != nil {
				return err
			}
			workers = append(workers, w)
		}
		return t.race(workers...)
	}
}
