package sched

import "slices"

// A vector says of each thread how many steps of an execution are before something:
// one more than the number of its last step that is, and 0 if none is.
type vector []int

func (v vector) of(thread int) int {
	if thread < len(v) {
		return v[thread]
	}
	return 0
}

// join adds to v what is before another.
func (v *vector) join(w vector) {
	for len(*v) < len(w) {
		*v = append(*v, 0)
	}
	for t, n := range w {
		(*v)[t] = max((*v)[t], n)
	}
}

func (v *vector) set(thread, n int) {
	for len(*v) <= thread {
		*v = append(*v, 0)
	}
	(*v)[thread] = n
}

// A candidate is a thread with which an order may begin.
type candidate struct{ thread, first int }

// races orders the steps of the execution that has been made, and where a new one
// could have come before another sees to it that it will.
func (d *DPOR) races() {
	for t := range d.last {
		d.last[t] = -1
		d.edges[t] = d.edges[t][:0]
	}
	before := -1 // the step before
	for k := range d.path {
		n := &d.path[k]
		if n.choices > 0 {
			continue
		}
		if before >= 0 {
			d.abled(before, n, k >= d.fresh)
		}
		before = k
		t := n.thread()
		for len(d.last) <= t {
			d.last = append(d.last, -1)
			d.edges = append(d.edges, nil)
		}
		if k >= d.fresh {
			d.order(k)
		}
		d.last[t] = k
	}
	if before >= d.fresh && !d.skip {
		// Nobody went on after the last step.
		n := &d.path[before]
		for j := range n.can {
			if j != n.taken {
				n.state[j] |= wanted
			}
		}
	}
}

// abled looks at whom the step at node i has made able to go on at the next, n, and
// whom unable. The former begin after it. The latter would have gone on before it.
func (d *DPOR) abled(i int, n *node, fresh bool) {
	p := &d.path[i]
	for _, t := range n.can {
		// The clock is no thread that waits for one thing: somebody else
		// might have set it going before.
		if t != Clock && !slices.Contains(p.can, t) {
			for len(d.last) <= t {
				d.last = append(d.last, -1)
				d.edges = append(d.edges, nil)
			}
			d.edges[t].join(p.before)
		}
	}
	for j, t := range p.can {
		if fresh && t != p.thread() && !slices.Contains(n.can, t) {
			p.state[j] |= wanted
		}
	}
}

// order finds what is before the step at node k, and the races that end with it.
func (d *DPOR) order(k int) {
	n := &d.path[k]
	t := n.thread()
	n.before = n.before[:0]
	if l := d.last[t]; l >= 0 {
		n.before.join(d.path[l].before)
	}
	n.before.join(d.edges[t])
	// From the last to the first: what is before a step that is before this one
	// is no race.
	races := d.found[:0]
	for i := k - 1; i >= 0; i-- {
		p := &d.path[i]
		if p.choices > 0 || p.thread() == t || n.before.of(p.thread()) > i || !p.did.depends(&n.did) {
			continue
		}
		races = append(races, candidate{p.thread(), i})
		n.before.join(p.before)
	}
	n.before.set(t, k+1)
	d.found = races
	for _, r := range races {
		d.reverse(r.first, k)
	}
}

// reverse sees to it that at node i a thread is tried with which an execution may
// begin that has the step at node k before the one at i: one of those, of the steps
// that need not come after i, that need no other to be made first.
func (d *DPOR) reverse(i, k int) {
	p := &d.path[i]
	first := p.thread()
	var initials, others []candidate
	for j := i + 1; j <= k; j++ {
		n := &d.path[j]
		if n.choices > 0 || j < k && n.before.of(first) > i {
			continue
		}
		t := n.thread()
		known := func(c candidate) bool { return c.thread == t }
		if slices.ContainsFunc(initials, known) || slices.ContainsFunc(others, known) {
			continue
		}
		after := func(c candidate) bool { return n.before.of(c.thread) > c.first }
		if slices.ContainsFunc(initials, after) || slices.ContainsFunc(others, after) {
			others = append(others, candidate{t, j})
		} else {
			initials = append(initials, candidate{t, j})
		}
	}
	try := -1
	for _, c := range initials {
		at := slices.Index(p.can, c.thread)
		if at < 0 {
			continue
		}
		if p.state[at] != 0 {
			return // it sleeps, is to be tried, or has been
		}
		if try < 0 || c.thread == d.path[k].thread() {
			try = at
		}
	}
	if try >= 0 {
		p.state[try] = wanted
		return
	}
	if len(initials) == 1 && initials[0].thread == Clock {
		return // nothing was due there, and nobody else could have made it so
	}
	// Something else than operations decides who may go on. Then all are tried.
	for j := range p.state {
		p.state[j] |= wanted
	}
}
