package bench

import (
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// pipetest is libevent's classic benchmark (bench.c by Niels Provos, 2003),
// over in-process pipes. All pipes are watched, some are active: they hold a
// byte. Who finds a byte in a pipe reads it and writes one into the next pipe,
// until all writes are done. What it shows is what the idle pipes cost.
//
// It departs from the classic in one point: what one kevent returns is read
// before the first of it is written on. Knotes are EV_CLEAR and epoll is
// edge-triggered, so a pipe must be read empty; where every pipe is active a
// byte written to the next, before that is read, would travel with the next's
// own, and soon one pipe would hold all bytes.
var pipetest = &Workload{
	Name:   "pipetest",
	Doc:    "many in-process pipes, a few active; an event is a byte: its write, its harvest, its read",
	shapes: pipeShapes(nil, nil, piping),
	rivals: slices.Concat(
		rivalShapes("epoll-pipes", byEpoll, false, roomFor),
		rivalShapes("poll-pipes", byPoll, false, roomFor),
	),
}

// sizes are the numbers of pipes, and of active ones among them.
var sizes = []struct {
	pipes, active int
	core          bool
}{
	{100, 1, true}, {100, 100, false},
	{1000, 1, true}, {1000, 100, false}, {1000, 1000, true},
	{9900, 1, true}, {9900, 100, false}, {9900, 9900, false},
}

// pipeShapes returns a shape for each size.
func pipeShapes(params map[string]any, fits func(pipes int) error, run func(t *trial, pipes, active int) error) []shape {
	var shapes []shape
	for _, s := range sizes {
		sh := shape{
			params: pipeParams(s.pipes, s.active),
			core:   s.core,
			run:    func(t *trial) error { return run(t, s.pipes, s.active) },
		}
		maps.Copy(sh.params, params)
		if fits != nil {
			sh.fits = func() error { return fits(s.pipes) }
		}
		shapes = append(shapes, sh)
	}
	return shapes
}

// pipeParams are the parameters of a size. There are as many writes as pipes.
func pipeParams(pipes, active int) map[string]any {
	return map[string]any{"pipes": pipes, "active": active, "writes": pipes}
}

// A ring moves bytes round a ring of pipes.
type ring struct {
	pipes, active, writes int
	// wait appends the pipes that are ready to ready, at least one.
	wait func(ready []int) ([]int, error)
	// read empties a pipe and returns how many bytes it had.
	read func(pipe int) (int, error)
	// write puts a byte into a pipe.
	write func(pipe int) error

	ready []int
	moves []int // pipes to write to
}

// room is for as many pipes as may be ready at once.
func (r *ring) room() {
	r.ready, r.moves = make([]int, 0, r.pipes+1), make([]int, 0, r.pipes+1)
}

// move starts the active pipes and moves bytes until all writes are done, then
// does it again, until n bytes have been read.
func (r *ring) move(n int) (int, error) {
	total := 0
	for total < n {
		sent, got := 0, 0
		for ; sent < r.active; sent++ {
			if err := r.write(sent * (r.pipes / r.active)); err != nil {
				return total, err
			}
		}
		left := min(r.writes, max(0, n-total-sent))
		for got < sent {
			var err error
			if r.ready, err = r.wait(r.ready[:0]); err != nil {
				return total, err
			}
			if len(r.ready) == 0 {
				return total, unbalanced("pipes", sent, got)
			}
			r.moves = r.moves[:0]
			for _, pipe := range r.ready {
				k, err := r.read(pipe)
				if err != nil {
					return total, fmt.Errorf("read of pipe %d: %w", pipe, err)
				}
				got += k
				for ; k > 0 && left > 0; k-- {
					left--
					r.moves = append(r.moves, pipe+1)
				}
			}
			for _, pipe := range r.moves {
				if pipe == r.pipes {
					pipe = 0
				}
				if err := r.write(pipe); err != nil {
					return total, fmt.Errorf("write to pipe %d: %w", pipe, err)
				}
			}
			sent += len(r.moves)
		}
		if got != sent {
			return total, unbalanced("pipes", sent, got)
		}
		total += got
	}
	return total, nil
}

// A pipeTable is the descriptor table of the read ends.
type pipeTable []*kqueue.Desc

func (p pipeTable) Desc(_ *machine.Thread, fd uint64) (*kqueue.Desc, error) {
	if fd >= uint64(len(p)) {
		return nil, syscall.EBADF
	}
	return p[fd], nil
}

func piping(t *trial, pipes, active int) error {
	maker := t.m.Attach("maker", 0)
	var rs, ws []*device.PipeEnd
	var table pipeTable
	for range pipes {
		r, w := device.NewPipe(maker, t.k)
		rs, ws = append(rs, r), append(ws, w)
		table = append(table, &kqueue.Desc{File: r})
	}
	q := t.k.NewQueue(maker, table)
	for i := range rs {
		add := []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: event.Add | event.Clear}}
		if _, err := q.Kevent(maker, add, nil, 0); err != nil {
			return fmt.Errorf("EV_ADD of pipe %d: %w", i, err)
		}
	}
	maker.Detach()

	var td *machine.Thread
	one, buf := []byte{'e'}, make([]byte, 64)
	events := make([]event.Kevent, 64)
	r := &ring{
		pipes: pipes, active: active, writes: pipes,
		wait: func(ready []int) ([]int, error) {
			k, err := q.Kevent(td, nil, events, 0)
			for i := range events[:k] {
				ready = append(ready, int(events[i].Ident))
			}
			return ready, err
		},
		read: func(pipe int) (int, error) { return rs[pipe].Read(td, buf) },
		write: func(pipe int) error {
			_, err := ws[pipe].Write(td, one)
			return err
		},
	}
	r.room()
	return t.race(worker{move: func(on *machine.Thread, n int) (int, error) {
		td = on
		return r.move(n)
	}})
}
