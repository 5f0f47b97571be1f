package bench

import (
	"fmt"
	"maps"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
)

// epolls is a harvest of ready descriptors, by epoll_wait over kqueue and by
// kevent itself. Both come through the table of descriptors of one process. The
// rival is Linux's epoll on real pipes.
var epolls = &Workload{
	Name: "epoll",
	Doc:  "harvests of up to 64 by kevent and by epoll over kqueue; an event is one descriptor returned",
	Notes: []string{
		"bytes=move: edge-triggered; an event is a byte into a pipe, its share of a harvest and its read. Else level-triggered, the same are ready all the time, and an event is its share of the harvest alone.",
	},
	shapes: byTurns(
		harvestShapes(map[string]any{"by": "kevent"}, nil, newHarvester(keventHarvest)),
		harvestShapes(map[string]any{"by": "epoll"}, nil, newHarvester(epollHarvest))),
	rivals: harvestShapes(map[string]any{"op": "linux-epoll"}, roomForPolls, realHarvester),
}

// byTurns brings two lists together, so that what is compared is printed together.
func byTurns(a, b []shape) (both []shape) {
	for i := range a {
		both = append(both, a[i], b[i])
	}
	return both
}

// room is how many events a harvest has room for.
const room = 64

// A harvester is a set of pipes that some way of harvesting watches.
type harvester struct {
	// harvest does not wait. It returns how many events there are; pipe says
	// what an event is of.
	harvest func(td *machine.Thread) (int, error)
	pipe    func(event int) int
	read    func(td *machine.Thread, pipe int) (int, error)
	write   func(td *machine.Thread, pipe int) error
}

func harvestShapes(params map[string]any, fits func(fds int) error, open func(t *trial, n int, edge bool) (*harvester, func(), error)) []shape {
	var shapes []shape
	for _, s := range []pollSize{
		{fds: 1000, ready: 1, core: true}, {fds: 1000, ready: room, core: true}, {fds: 1000, ready: 1000},
		{fds: 1000, ready: 1, move: true}, {fds: 1000, ready: room, move: true, core: true}, {fds: 10000, ready: room, move: true},
	} {
		sh := shape{
			params: s.params(),
			core:   s.core,
			run: func(t *trial) error {
				h, done, err := open(t, s.fds, s.move)
				if err != nil {
					return err
				}
				defer done()
				if err := h.fill(t, s); err != nil {
					return err
				}
				return t.race(worker{move: h.mover(s)})
			},
		}
		maps.Copy(sh.params, params)
		if fits != nil {
			sh.fits = func() error { return fits(s.fds) }
		}
		shapes = append(shapes, sh)
	}
	return shapes
}

// mover returns what harvests n events.
func (h *harvester) mover(s pollSize) func(td *machine.Thread, n int) (int, error) {
	step := s.fds / s.ready
	if !s.move {
		return func(td *machine.Thread, n int) (int, error) {
			want := min(s.ready, room)
			got := 0
			for got < n {
				k, err := h.harvest(td)
				if err != nil {
					return got, err
				}
				if k != want {
					return got, unbalanced("a harvest", want, k)
				}
				got += k
			}
			for i := range want {
				if pipe := h.pipe(i); pipe%step != 0 || pipe >= step*s.ready {
					return got, fmt.Errorf("a harvest returned pipe %d, which is empty", pipe)
				}
			}
			return got, nil
		}
	}
	at := 0
	return func(td *machine.Thread, n int) (int, error) {
		got := 0
		for got < n {
			at = (at + 1) % s.fds
			for i := range s.ready {
				if err := h.write(td, (at+i*step)%s.fds); err != nil {
					return got, fmt.Errorf("write: %w", err)
				}
			}
			k, err := h.harvest(td)
			if err != nil {
				return got, err
			}
			if k != s.ready {
				return got, unbalanced("a harvest", s.ready, k)
			}
			for i := range k {
				if r, err := h.read(td, h.pipe(i)); r != 1 {
					return got, fmt.Errorf("pipe %d was returned, and a read of it returns %d, %v", h.pipe(i), r, err)
				}
			}
			got += k
		}
		return got, nil
	}
}

// fill puts a byte into each pipe that is to be ready all the time.
func (h *harvester) fill(t *trial, s pollSize) error {
	td := t.m.Attach("filler", 0)
	defer td.Detach()
	for i := 0; i < s.ready && !s.move; i++ {
		if err := h.write(td, i*(s.fds/s.ready)); err != nil {
			return err
		}
	}
	return nil
}

// newHarvester watches in-process pipes, which by does.
func newHarvester(by func(td *machine.Thread, e *estate, edge bool) (harvest func(*machine.Thread) (int, error), pipe func(int) int, err error)) func(t *trial, n int, edge bool) (*harvester, func(), error) {
	return func(t *trial, n int, edge bool) (*harvester, func(), error) {
		td := t.m.Attach("maker", 0)
		defer td.Detach()
		e, err := t.estate(td, n)
		if err != nil {
			return nil, nil, err
		}
		harvest, pipe, err := by(td, e, edge)
		return &harvester{harvest: harvest, pipe: pipe, read: e.reader(), write: e.writer()}, func() {}, err
	}
}

func keventHarvest(td *machine.Thread, e *estate, edge bool) (func(*machine.Thread) (int, error), func(int) int, error) {
	kq, err := e.Kqueue(td)
	if err != nil {
		return nil, nil, err
	}
	flags := event.Add
	if edge {
		flags |= event.Clear
	}
	for i := range e.rs {
		if _, err := e.Kevent(td, kq, []event.Kevent{{Ident: uint64(i), Filter: event.Read, Flags: flags}}, nil, 0); err != nil {
			return nil, nil, fmt.Errorf("EV_ADD of pipe %d: %w", i, err)
		}
	}
	events := make([]event.Kevent, room)
	return func(td *machine.Thread) (int, error) { return e.Kevent(td, kq, nil, events, 0) },
		func(i int) int { return int(events[i].Ident) }, nil
}

func epollHarvest(td *machine.Thread, e *estate, edge bool) (func(*machine.Thread) (int, error), func(int) int, error) {
	ep, err := poll.EpollCreate1(td, e.Process, 0)
	if err != nil {
		return nil, nil, err
	}
	asks := event.PollIn
	if edge {
		asks |= event.EpollET
	}
	for i := range e.rs {
		if err := poll.EpollCtl(td, e.Process, ep, event.EpollAdd, i, &poll.EpollEvent{Events: asks, Data: uint64(i)}); err != nil {
			return nil, nil, fmt.Errorf("EPOLL_CTL_ADD of pipe %d: %w", i, err)
		}
	}
	events := make([]poll.EpollEvent, room)
	return func(td *machine.Thread) (int, error) { return poll.EpollWait(td, e.Process, ep, events, 0) },
		func(i int) int { return int(events[i].Data) }, nil
}

// realHarvester watches real pipes by Linux's epoll.
func realHarvester(t *trial, n int, edged bool) (*harvester, func(), error) {
	fds, err := t.pool.alone(n)
	if err != nil {
		return nil, nil, err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("epoll_create1: %w", err)
	}
	one, buf := []byte{'e'}, make([]byte, 64)
	done := func() {
		unix.Close(ep)
		empty(fds, buf)
	}
	asks := uint32(unix.EPOLLIN)
	if edged {
		asks |= edge
	}
	for i, fd := range fds {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: asks, Fd: int32(i)}); err != nil {
			done()
			return nil, nil, fmt.Errorf("EPOLL_CTL_ADD: %w", err)
		}
	}
	events := make([]unix.EpollEvent, room)
	return &harvester{
		harvest: func(*machine.Thread) (int, error) {
			n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), room, 0, 0, 0)
			if errno != 0 {
				return 0, fmt.Errorf("epoll_pwait: %w", errno)
			}
			return int(n), nil
		},
		pipe: func(i int) int { return int(events[i].Fd) },
		read: func(_ *machine.Thread, pipe int) (int, error) { return read(fds[pipe], buf) },
		write: func(_ *machine.Thread, pipe int) error {
			_, err := write(fds[pipe], one)
			return err
		},
	}, done, nil
}
