package bench

import (
	"fmt"
	"math"
	"slices"

	"github.com/kqlab/kqlab/model/machine"
)

// An asker is one way to ask some pipes which of them hold bytes, all of them in
// each call: what poll(2) and select(2) are.
type asker struct {
	// call asks, does not wait, and returns how many pipes are ready.
	call func(td *machine.Thread) (int, error)
	// found appends those that the last call has found.
	found func(ready []int) []int
	// read empties a pipe that holds few bytes, and returns how many it had.
	read func(td *machine.Thread, pipe int) (int, error)
	// write puts a byte into a pipe.
	write func(td *machine.Thread, pipe int) error
}

// A pollSize is how many descriptors a call names, and how many are ready.
type pollSize struct {
	fds, ready int
	move       bool // each turn empties those that are ready and fills others
	core       bool
}

var pollSizes = func() (sizes []pollSize) {
	for _, n := range []int{10, 100, 1000, 10000} {
		for _, k := range []int{1, int(math.Sqrt(float64(n)) + 0.5), n} {
			sizes = append(sizes, pollSize{n, k, false, n == 1000 && k != 32 || n == 10000 && k == 1})
		}
		sizes = append(sizes, pollSize{n, 1, true, n == 1000}, pollSize{n, n, true, false})
	}
	return sizes
}()

// pollDoc is what both poll and select say of an event.
const pollDoc = "one call that does not wait, over pipes some of which hold a byte; an event is a call"

var pollNotes = []string{
	"bytes=move: an event is a turn: a byte into each of so many pipes, a call, a look at its answer, a read of each that is ready. Else the same are ready in all calls, and an event is the call alone.",
}

// pollShapes returns a shape for each size.
func pollShapes(params map[string]any, fits func(fds int) error, ask func(t *trial, fds int) (*asker, func(), error)) []shape {
	var shapes []shape
	for _, s := range pollSizes {
		sh := shape{
			params: pollParams(s.fds, s.ready, s.move),
			core:   s.core,
			least:  max(2, min(leastEvents, 10000/s.fds)), // a call may take milliseconds
			run: func(t *trial) error {
				a, done, err := ask(t, s.fds)
				if err != nil {
					return err
				}
				defer done()
				return t.race(worker{move: a.mover(s)})
			},
		}
		for k, v := range params {
			sh.params[k] = v
		}
		if fits != nil {
			sh.fits = func() error { return fits(s.fds) }
		}
		shapes = append(shapes, sh)
	}
	return shapes
}

// pollParams are the parameters of a size.
func pollParams(fds, ready int, move bool) map[string]any {
	p := map[string]any{"fds": fds, "ready": ready}
	if move {
		p["bytes"] = "move"
	}
	return p
}

// mover returns what makes n calls.
func (a *asker) mover(s pollSize) func(td *machine.Thread, n int) (int, error) {
	step := s.fds / s.ready
	ready := make([]int, 0, s.fds)
	if s.move {
		at := 0
		return func(td *machine.Thread, n int) (int, error) {
			for range n {
				at = (at + 1) % s.fds
				for i := range s.ready {
					if err := a.write(td, (at+i*step)%s.fds); err != nil {
						return 0, fmt.Errorf("write: %w", err)
					}
				}
				k, err := a.call(td)
				if err != nil {
					return 0, err
				}
				ready = a.found(ready[:0])
				if k != s.ready || len(ready) != k {
					return 0, unbalanced("a call", s.ready, min(k, len(ready)))
				}
				for _, pipe := range ready {
					if got, err := a.read(td, pipe); got != 1 {
						return 0, fmt.Errorf("pipe %d was said to be ready, and a read of it returns %d, %v", pipe, got, err)
					}
				}
			}
			return n, nil
		}
	}
	filled := false
	return func(td *machine.Thread, n int) (int, error) {
		for i := 0; i < s.ready && !filled; i++ {
			if err := a.write(td, i*step); err != nil {
				return 0, fmt.Errorf("write: %w", err)
			}
		}
		filled = true
		for range n {
			k, err := a.call(td)
			if err != nil {
				return 0, err
			}
			if k != s.ready {
				return 0, unbalanced("a call", s.ready, k)
			}
		}
		ready = a.found(ready[:0])
		slices.Sort(ready)
		for i, pipe := range ready {
			if pipe != i*step || len(ready) != s.ready {
				return 0, fmt.Errorf("a call found %v ready, want each %dth of %d pipes", ready[:min(len(ready), 10)], step, s.fds)
			}
		}
		return n, nil
	}
}
