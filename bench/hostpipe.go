package bench

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/machine"
)

// hostpipe is pipetest over the pipes of Linux: the queue's caller takes the
// interrupts out of an epoll set itself. The same reads and writes under a bare
// epoll, poll and select stand beside it. The fair rival is the epoll loop that
// asks FIONREAD, since kevent reports how many bytes there are.
var hostpipe = &Workload{
	Name:   "hostpipe",
	Doc:    "pipetest over real pipes; an event is a byte: its write, its harvest, its read",
	shapes: few(pipeShapes(nil, roomFor, hostPiping)),
	rivals: slices.Concat(
		few(rivalShapes("epoll-pipes", byEpoll, false, roomFor)),
		few(rivalShapes("fionread-pipes", byEpoll, true, roomFor)),
		few(rivalShapes("poll-pipes", byPoll, false, roomFor)),
		few(rivalShapes("select-pipes", bySelect, false, roomForSelect)),
	),
}

// few drops sizes whose setup would take the time of all others.
func few(shapes []shape) []shape {
	return slices.DeleteFunc(shapes, func(s shape) bool {
		return s.params["pipes"].(int) > 1000 && s.params["active"].(int) > 1
	})
}

func hostPiping(t *trial, pipes, active int) (err error) {
	rs, ws, err := t.pool.first(pipes)
	if err != nil {
		return err
	}
	defer t.pool.lost(pipes) // the host closes what it opens
	maker := t.m.Attach("maker", 0)
	defer maker.Detach()
	h, err := host.New(t.k)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close(maker)) }()
	q := t.k.NewQueue(maker, h)
	for i, fd := range rs {
		if _, err := h.Open(maker, fd); err != nil {
			return fmt.Errorf("open of pipe %d: %w", i, err)
		}
		add := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.Clear, Udata: uint64(i)}}
		if _, err := q.Kevent(maker, add, nil, 0); err != nil {
			return fmt.Errorf("EV_ADD of pipe %d: %w", i, err)
		}
	}

	var td *machine.Thread
	one, buf := []byte{'e'}, make([]byte, 64)
	events := make([]event.Kevent, 64)
	r := &ring{
		pipes: pipes, active: active, writes: pipes,
		wait: func(ready []int) ([]int, error) {
			k, err := q.Kevent(td, nil, events, 0)
			for i := range events[:k] {
				ready = append(ready, int(events[i].Udata))
			}
			return ready, err
		},
		read: func(pipe int) (int, error) { return read(rs[pipe], buf) },
		write: func(pipe int) error {
			_, err := write(ws[pipe], one)
			return err
		},
	}
	r.room()
	return t.race(worker{move: func(on *machine.Thread, n int) (int, error) {
		td = on
		return r.move(n)
	}})
}
