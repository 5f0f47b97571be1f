package bench

// disjoint is the work of single done by two threads that share nothing, each
// on its own CPU with its own sources and queue. Whatever makes two slower
// than one, per event, the strategy has brought in.
var disjoint = &Workload{
	Name:   "disjoint",
	Doc:    "1 and 2 threads, each with its own sources and queue; an event is as in single, over both",
	shapes: []shape{{params: map[string]any{"batch": 64}, core: true, run: disjointly}},
	rivals: []shape{{params: map[string]any{"op": "parallel"}, core: true, run: parallel}},
}

func disjointly(t *trial) error {
	var each [ncpu]float64
	for i := range each {
		threads := i + 1
		t.part, t.value = "threads", threads
		var workers []worker
		for cpu := range threads {
			w, err := t.loop(cpu, 64, counting)
			if err != nil {
				return err
			}
			workers = append(workers, w)
		}
		if err := t.race(workers...); err != nil {
			return err
		}
		each[i] = t.last("ns/event")
	}
	t.figure("speedup", "x", each[0]/each[1])
	return nil
}
