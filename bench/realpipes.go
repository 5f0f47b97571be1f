package bench

import (
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spare is how many descriptors are left for the rest of the process.
const spare = 64

// A pipePool keeps the real pipes of a run: to open ten thousand for each
// trial would take longer than the trials.
type pipePool struct {
	pipes []realPipe
	both  []int // pipes of one descriptor: see alone
	left  bool  // a trial that was left behind may still use them
}

type realPipe struct{ r, w int }

// first returns the first n pipes, those with the lowest descriptors, opening
// those that are missing.
func (p *pipePool) first(n int) (rs, ws []int, err error) {
	// For select: others may have taken the low descriptors.
	if missing := n - len(p.pipes); missing > 0 && (roomFor(missing) != nil || roomForSelect(missing) != nil) {
		p.lostAlone()
	}
	for len(p.pipes) < n {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			return nil, nil, fmt.Errorf("pipe %d: %w", len(p.pipes), err)
		}
		p.pipes = append(p.pipes, realPipe{fds[0], fds[1]})
	}
	slices.SortFunc(p.pipes, func(a, b realPipe) int { return a.r - b.r })
	for _, pipe := range p.pipes[:n] {
		rs, ws = append(rs, pipe.r), append(ws, pipe.w)
	}
	return rs, ws, nil
}

// lost says that the read ends of the first n pipes have been closed. All
// others are closed with them: what is opened next is to have low descriptors
// again, for select.
func (p *pipePool) lost(n int) {
	for i, pipe := range p.pipes {
		if i >= n {
			unix.Close(pipe.r)
		}
		unix.Close(pipe.w)
	}
	p.pipes = nil
}

// lostAlone closes the pipes of one descriptor.
func (p *pipePool) lostAlone() {
	for _, fd := range p.both {
		unix.Close(fd)
	}
	p.both = nil
}

func (p *pipePool) close() {
	if !p.left {
		p.lost(0)
		p.lostAlone()
	}
}

// roomFor says whether the process may open so many pipes.
func roomFor(pipes int) error { return roomForFiles(2*pipes, fmt.Sprintf("%d pipes", pipes)) }

// roomForFiles says whether the process may open n descriptors more, which is
// what something needs.
func roomForFiles(n int, what string) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	if need := uint64(n + openFiles() + spare); limit.Cur < need {
		return fmt.Errorf("%s take %d descriptors, and the limit (ulimit -n) is %d", what, need, limit.Cur)
	}
	return nil
}

// roomForSelect says whether select can watch so many pipes.
func roomForSelect(pipes int) error {
	if need := 2*pipes + openFiles() + spare; need > unix.FD_SETSIZE {
		return fmt.Errorf("%d pipes take descriptors up to %d, and select knows those below %d only", pipes, need, unix.FD_SETSIZE)
	}
	return roomFor(pipes)
}

// openFiles returns how many descriptors the process has open.
func openFiles() int {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 16 // few, as far as anybody can tell
	}
	return len(open)
}

// read and write go straight to the kernel. The descriptors never block, so
// the Go scheduler need not be told, which is a tenth of their price.

func read(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// fill asks how many bytes a descriptor has to read.
func fill(fd int) (int, error) {
	var n int32
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCINQ, uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// A waiter is a way of asking which of some descriptors can be read.
type waiter func(fds []int) (wait func(ready []int) ([]int, error), done func(), err error)

// rivalShapes returns the shapes of a reference over real pipes.
func rivalShapes(op string, by waiter, ask bool, fits func(pipes int) error) []shape {
	return pipeShapes(map[string]any{"op": op}, fits, func(t *trial, pipes, active int) error {
		return rivalPipes(t, pipes, active, by, ask)
	})
}

// rivalPipes runs pipetest over real pipes.
func rivalPipes(t *trial, pipes, active int, by waiter, ask bool) error {
	rs, ws, err := t.pool.first(pipes)
	if err != nil {
		return err
	}
	wait, done, err := by(rs)
	if err != nil {
		return err
	}
	defer done()
	one, buf := []byte{'e'}, make([]byte, 64)
	r := &ring{
		pipes: pipes, active: active, writes: pipes,
		wait: wait,
		read: func(pipe int) (int, error) { return read(rs[pipe], buf) },
		write: func(pipe int) error {
			_, err := write(ws[pipe], one)
			return err
		},
	}
	if ask {
		r.read = func(pipe int) (int, error) {
			n, err := fill(rs[pipe])
			if err != nil {
				return 0, err
			}
			k, err := read(rs[pipe], buf)
			if err == nil && k != min(n, len(buf)) {
				err = unbalanced("FIONREAD", n, k)
			}
			return k, err
		}
	}
	r.room()
	moved := 0
	err = t.stretch(func(n int) (err error) {
		moved, err = r.move(n)
		return err
	})
	t.figures[len(t.figures)-1].x = float64(t.took) / float64(moved)
	return err
}

// byEpoll waits with an edge-triggered epoll.
func byEpoll(fds []int) (func([]int) ([]int, error), func(), error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("epoll_create1: %w", err)
	}
	done := func() { unix.Close(ep) }
	for i, fd := range fds {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | edge, Fd: int32(i)}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			done()
			return nil, nil, fmt.Errorf("EPOLL_CTL_ADD: %w", err)
		}
	}
	events := make([]unix.EpollEvent, 64)
	return func(ready []int) ([]int, error) {
		k, err := unix.EpollWait(ep, events, 0)
		if err != nil {
			return ready, fmt.Errorf("epoll_wait: %w", err)
		}
		for i := range events[:k] {
			ready = append(ready, int(events[i].Fd))
		}
		return ready, nil
	}, done, nil
}

// edge is EPOLLET as the kernel's struct has it.
const edge = unix.EPOLLET & (1<<32 - 1)

func byPoll(fds []int) (func([]int) ([]int, error), func(), error) {
	set := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		set[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	return func(ready []int) ([]int, error) {
		k, err := unix.Poll(set, 0)
		if err != nil {
			return ready, fmt.Errorf("poll: %w", err)
		}
		for i := 0; len(ready) < k; i++ {
			if set[i].Revents != 0 {
				ready = append(ready, i)
			}
		}
		return ready, nil
	}, func() {}, nil
}

func bySelect(fds []int) (func([]int) ([]int, error), func(), error) {
	if top := slices.Max(fds); top >= unix.FD_SETSIZE {
		return nil, nil, fmt.Errorf("select cannot watch descriptor %d: FD_SETSIZE is %d", top, unix.FD_SETSIZE)
	}
	var all unix.FdSet
	all.Zero()
	for _, fd := range fds {
		all.Set(fd)
	}
	top := slices.Max(fds)
	return func(ready []int) ([]int, error) {
		set := all
		k, err := unix.Select(top+1, &set, nil, nil, &unix.Timeval{})
		if err != nil {
			return ready, fmt.Errorf("select: %w", err)
		}
		for i := 0; len(ready) < k; i++ {
			if set.IsSet(fds[i]) {
				ready = append(ready, i)
			}
		}
		return ready, nil
	}, func() {}, nil
}
