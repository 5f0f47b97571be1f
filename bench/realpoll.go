package bench

import (
	"fmt"
	"slices"
	"strconv"
	"unsafe"

	"github.com/kqlab/kqlab/model/machine"
	"golang.org/x/sys/unix"
)

// alone returns n real pipes of one descriptor each, those with the lowest, so
// that twice as many fit below a limit. Linux opens both ends of a pipe by one
// descriptor if it is asked by way of /proc.
func (p *pipePool) alone(n int) ([]int, error) {
	if missing := n - len(p.both); missing > 0 && roomForFiles(missing+2, "") != nil {
		p.lost(0) // pairs are opened again when somebody wants them
	}
	for len(p.both) < n {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			return nil, fmt.Errorf("pipe %d: %w", len(p.both), err)
		}
		fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fds[0]), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		unix.Close(fds[0])
		unix.Close(fds[1])
		if err != nil {
			return nil, fmt.Errorf("pipe %d, opened for both: %w", len(p.both), err)
		}
		p.both = append(p.both, fd)
	}
	slices.Sort(p.both)
	return p.both[:n], nil
}

// roomForPolls says whether the process may open so many pipes of one descriptor.
func roomForPolls(fds int) error { return roomForFiles(fds+2, fmt.Sprintf("%d pipes", fds)) }

// realAsker asks real pipes by a system call, which by makes of descriptors.
func realAsker(by func(fds []int) question) func(t *trial, s pollSize) (*asker, func(), error) {
	return func(t *trial, s pollSize) (*asker, func(), error) {
		fds, err := t.pool.alone(s.fds * s.arrays())
		if err != nil {
			return nil, nil, err
		}
		one, buf := []byte{'e'}, make([]byte, 64)
		a := &asker{
			closes: func(*machine.Thread) error {
				fd, _, errno := unix.RawSyscall(unix.SYS_DUP, uintptr(fds[0]), 0, 0)
				if errno != 0 {
					return fmt.Errorf("dup: %w", errno)
				}
				unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
				return nil
			},
			read: func(_ *machine.Thread, pipe int) (int, error) { return read(fds[pipe], buf) },
			write: func(_ *machine.Thread, pipe int) error {
				_, err := write(fds[pipe], one)
				return err
			},
		}
		for array := range slices.Chunk(fds, s.fds) {
			a.questions = append(a.questions, by(array))
		}
		return a, func() { empty(fds, buf) }, nil
	}
}

// empty leaves nothing in the pipes for the next trial.
func empty(fds []int, buf []byte) {
	for _, fd := range fds {
		read(fd, buf)
	}
}

// The system calls go straight to the kernel, as read and write do. With a
// timeout of 0 Linux does not register with what it asks, which is its best case.

var now unix.Timespec // the timeout 0

func pollCall(fds []int) question {
	set := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		set[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	call := func(*machine.Thread) (int, error) {
		n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&set[0])), uintptr(len(set)), uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		if errno != 0 {
			return 0, fmt.Errorf("ppoll: %w", errno)
		}
		return int(n), nil
	}
	return question{call, func(ready []int) []int {
		for i := range set {
			if set[i].Revents != 0 {
				ready = append(ready, i)
			}
		}
		return ready
	}}
}

// selectCall has sets as large as it needs: FD_SETSIZE is a limit of the C
// library, not of Linux.
func selectCall(fds []int) question {
	top := slices.Max(fds) + 1
	all, set := make([]uint64, (top+63)/64), make([]uint64, (top+63)/64)
	for _, fd := range fds {
		all[fd>>6] |= 1 << (fd & 63)
	}
	call := func(*machine.Thread) (int, error) {
		copy(set, all)
		n, _, errno := unix.RawSyscall6(unix.SYS_PSELECT6, uintptr(top), uintptr(unsafe.Pointer(&set[0])), 0, 0, uintptr(unsafe.Pointer(&now)), 0)
		if errno != 0 {
			return 0, fmt.Errorf("pselect6: %w", errno)
		}
		return int(n), nil
	}
	return question{call, func(ready []int) []int { return members(ready, set, fds) }}
}

// members appends the indexes of the descriptors that a set has. It looks at each,
// as who uses FD_ISSET does.
func members(ready []int, set []uint64, fds []int) []int {
	for i, fd := range fds {
		if set[fd>>6]>>(fd&63)&1 != 0 {
			ready = append(ready, i)
		}
	}
	return ready
}
