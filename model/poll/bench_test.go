package poll_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// BenchmarkPoll is one call of poll(2) on n read ends of pipes, of which active
// have a byte: here under each strategy, and Linux's own.
func BenchmarkPoll(b *testing.B) {
	for _, size := range [][2]int{{1, 1}, {10, 1}, {100, 1}, {100, 100}, {1000, 1}, {1000, 100}, {1000, 1000}, {10000, 1}, {10000, 10000}} {
		n, active := size[0], size[1]
		name := fmt.Sprintf("n=%d/active=%d/", n, active)
		for _, s := range strategies.All {
			b.Run(name+s.Name, func(b *testing.B) {
				l := newLab(b, s)
				defer l.end()
				var fds []event.PollFD
				for i := range n {
					p := l.pipe()
					fds = append(fds, event.PollFD{FD: int32(p.rd), Events: event.PollIn})
					if i < active {
						l.write(p, 1)
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					if got, err := l.Poll(l.td, fds, 0); got != active || err != nil {
						b.Fatalf("Poll: %d, %v", got, err)
					}
				}
			})
		}
		b.Run(name+"linux", func(b *testing.B) {
			lim := unix.Rlimit{}
			unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
			lim.Cur = lim.Max
			unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
			var fds []unix.PollFd
			for i := range n {
				var p [2]int
				if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
					b.Skip(err)
				}
				defer syscall.Close(p[0])
				defer syscall.Close(p[1])
				fds = append(fds, unix.PollFd{Fd: int32(p[0]), Events: unix.POLLIN})
				if i < active {
					unix.Write(p[1], []byte{1})
				}
			}
			time.Sleep(0)
			for b.Loop() {
				if got, err := unix.Poll(fds, 0); got != active || err != nil {
					b.Fatalf("poll: %d, %v", got, err)
				}
			}
		})
	}
}
