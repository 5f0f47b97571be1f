package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
)

// polls is poll(2) over kqueue. Its rivals are Linux's own, over real pipes, and
// the poll of the old way, over its own pipes: see oldKernel.
var polls = &Workload{
	Name:   "poll",
	Doc:    pollDoc,
	Notes:  pollNotes,
	shapes: pollShapes(nil, nil, nil, newAsker(pollerPoll)),
	rivals: slices.Concat(
		pollShapes(map[string]any{"op": "linux-poll"}, nil, roomForPolls, realAsker(pollCall)),
		pollShapes(map[string]any{"op": "selinfo-poll"}, noCloses, nil, oldAsker(oldPollCall)),
	),
}

// An estate is a process with in-process pipes. Its descriptors are the read ends,
// from 0 on.
type estate struct {
	*proc.Process
	rs, ws []*device.PipeEnd
}

func (t *trial) estate(td *machine.Thread, pipes int) (*estate, error) {
	e := &estate{Process: proc.New(t.k)}
	for i := range pipes {
		r, w := device.NewPipe(td, t.k)
		e.rs, e.ws = append(e.rs, r), append(e.ws, w)
		if fd, err := e.Open(td, r); fd != i || err != nil {
			return nil, fmt.Errorf("the read end of pipe %d has descriptor %d, %v", i, fd, err)
		}
	}
	return e, nil
}

// reader returns what empties a pipe that holds few bytes, for one thread.
func (e *estate) reader() func(td *machine.Thread, pipe int) (int, error) {
	buf := make([]byte, 64)
	return func(td *machine.Thread, pipe int) (int, error) { return e.rs[pipe].Read(td, buf) }
}

// writer returns what puts a byte into a pipe.
func (e *estate) writer() func(td *machine.Thread, pipe int) error {
	one := []byte{'e'}
	return func(td *machine.Thread, pipe int) error {
		_, err := e.ws[pipe].Write(td, one)
		return err
	}
}

// newAsker asks in-process pipes through a Poller, which by calls.
func newAsker(by func(p *poll.Poller, fds []int) question) func(t *trial, s pollSize) (*asker, func(), error) {
	return func(t *trial, s pollSize) (*asker, func(), error) {
		td := t.m.Attach("maker", 0)
		defer td.Detach()
		e, err := t.estate(td, s.fds*s.arrays())
		if err != nil {
			return nil, nil, err
		}
		p := poll.New(td, t.k, e.Process)
		a := &asker{
			closes: func(td *machine.Thread) error {
				fd, err := e.Dup(td, 0)
				if err != nil {
					return err
				}
				return e.Close(td, fd)
			},
			read:  e.reader(),
			write: e.writer(),
		}
		for i := range s.arrays() {
			a.questions = append(a.questions, by(p, numbers(i*s.fds, s.fds)))
		}
		return a, func() {}, nil
	}
}

func pollerPoll(p *poll.Poller, fds []int) question {
	set := pollSet(fds)
	return question{
		func(td *machine.Thread) (int, error) { return p.Poll(td, set, 0) },
		func(ready []int) []int { return polled(ready, set) },
	}
}

// selects is select(2) over kqueue, and its rivals as those of polls.
var selects = &Workload{
	Name:  "select",
	Doc:   pollDoc,
	Notes: slices.Concat(pollNotes, crowdNotes),
	shapes: slices.Concat(
		pollShapes(nil, nil, nil, newAsker(pollerSelect)),
		crowdShapes(nil, newCrowd),
	),
	rivals: slices.Concat(
		pollShapes(map[string]any{"op": "linux-select"}, nil, roomForPolls, realAsker(selectCall)),
		pollShapes(map[string]any{"op": "selinfo-select"}, noCloses, nil, oldAsker(oldSelectCall)),
		crowdShapes(map[string]any{"op": "selinfo-select"}, oldCrowd),
	),
}

func pollerSelect(p *poll.Poller, fds []int) question {
	all, set := poll.NewFDSet(fds...), new(poll.FDSet)
	nfds := slices.Max(fds) + 1
	var none time.Duration
	return question{
		func(td *machine.Thread) (int, error) {
			set.Copy(all)
			return p.Select(td, nfds, set, nil, nil, &none)
		},
		func(ready []int) []int {
			for i, fd := range fds {
				if set.IsSet(fd) {
					ready = append(ready, i)
				}
			}
			return ready
		},
	}
}
