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
	// questions are about as many pipes each, and take turns: those of the second
	// come after those of the first.
	questions []question
	turn      int
	// closes makes a descriptor and closes it.
	closes func(td *machine.Thread) error
	// read empties a pipe that holds few bytes, and returns how many it had.
	read func(td *machine.Thread, pipe int) (int, error)
	// write puts a byte into a pipe.
	write func(td *machine.Thread, pipe int) error
}

// A question is a call with its array or its sets, which stay the same.
type question struct {
	// call asks, does not wait, and returns how many pipes are ready.
	call func(td *machine.Thread) (int, error)
	// found appends those that the last call has found, the first being 0.
	found func(ready []int) []int
}

// ask asks the next question.
func (a *asker) ask(td *machine.Thread) (int, error) {
	if a.turn++; a.turn == len(a.questions) {
		a.turn = 0
	}
	return a.questions[a.turn].call(td)
}

// found appends what the last question has found.
func (a *asker) found(ready []int) []int { return a.questions[a.turn].found(ready) }

// A pollSize is how many descriptors a call names, and how many are ready.
type pollSize struct {
	fds, ready int
	move       bool // each turn empties those that are ready and fills others
	other      bool // two arrays take turns
	closes     bool // the process closes a descriptor before each call
	core       bool
}

// arrays is how many arrays take turns.
func (s pollSize) arrays() int {
	if s.other {
		return 2
	}
	return 1
}

var pollSizes = func() (sizes []pollSize) {
	for _, n := range []int{10, 100, 1000, 10000} {
		for _, k := range []int{1, int(math.Sqrt(float64(n)) + 0.5), n} {
			sizes = append(sizes, pollSize{fds: n, ready: k, core: n == 1000 && k != 32 || n == 10000 && k == 1})
		}
		sizes = append(sizes, pollSize{fds: n, ready: 1, move: true, core: n == 1000}, pollSize{fds: n, ready: n, move: true})
	}
	for _, n := range []int{10, 1000} {
		sizes = append(sizes, pollSize{fds: n, ready: 1, other: true}, pollSize{fds: n, ready: n, other: true})
	}
	for _, n := range []int{1000, 10000} {
		sizes = append(sizes, pollSize{fds: n, ready: 1, closes: true})
	}
	return sizes
}()

// pollDoc is what both poll and select say of an event.
const pollDoc = "one call that does not wait, over pipes some of which hold a byte; an event is a call"

var pollNotes = []string{
	"arrays=2: two arrays, or sets, that have no descriptor in common take turns.",
	"closes=1: an event is a call, and a dup and a close of another descriptor before it.",
	"bytes=move: an event is a turn: a byte into each of so many pipes, a call, a look at its answer, a read of each that is ready. Else the same are ready in all calls, and an event is the call alone.",
}

// pollShapes returns a shape for each size that may be, all if that is nil.
func pollShapes(params map[string]any, may func(s pollSize) bool, fits func(fds int) error, open func(t *trial, s pollSize) (*asker, func(), error)) []shape {
	var shapes []shape
	for _, s := range pollSizes {
		if may != nil && !may(s) {
			continue
		}
		sh := shape{
			params: s.params(),
			core:   s.core,
			least:  max(2, min(leastEvents, 10000/s.fds)), // a call may take milliseconds
			run: func(t *trial) error {
				a, done, err := open(t, s)
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
			sh.fits = func() error { return fits(s.fds * s.arrays()) }
		}
		shapes = append(shapes, sh)
	}
	return shapes
}

// params are the parameters of a size.
func (s pollSize) params() map[string]any {
	p := map[string]any{"fds": s.fds, "ready": s.ready}
	if s.move {
		p["bytes"] = "move"
	}
	if s.other {
		p["arrays"] = 2
	}
	if s.closes {
		p["closes"] = 1
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
				k, err := a.ask(td)
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
		for i := 0; i < s.ready*s.arrays() && !filled; i++ {
			if err := a.write(td, i/s.ready*s.fds+i%s.ready*step); err != nil {
				return 0, fmt.Errorf("write: %w", err)
			}
		}
		filled = true
		for range n {
			if s.closes {
				if err := a.closes(td); err != nil {
					return 0, err
				}
			}
			k, err := a.ask(td)
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
