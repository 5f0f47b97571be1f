package poll_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/strategies"
)

// A shape is an array of n read ends of pipes, of which active have a byte.
type shape struct{ n, active int }

func (s shape) String() string { return fmt.Sprintf("n=%d/active=%d", s.n, s.active) }

var shapes = []shape{{1, 1}, {10, 1}, {100, 1}, {100, 100}, {1000, 1}, {1000, 100}, {1000, 1000}, {9900, 1}, {9900, 100}, {9900, 9900}}

// linuxPipes makes real pipes of the shape, twice as many if two are asked for.
func linuxPipes(b *testing.B, s shape, times int) (fds []unix.PollFd) {
	lim := unix.Rlimit{}
	unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
	lim.Cur = lim.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
	for i := range s.n * times {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
			b.Skip(err)
		}
		b.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
		fds = append(fds, unix.PollFd{Fd: int32(p[0]), Events: unix.POLLIN})
		if i%s.n < s.active {
			unix.Write(p[1], []byte{1})
		}
	}
	return fds
}

func (l *lab) pipes(s shape, times int) (fds []event.PollFD) {
	for i := range s.n * times {
		p := l.pipe()
		fds = append(fds, event.PollFD{FD: int32(p.rd), Events: event.PollIn})
		if i%s.n < s.active {
			l.write(p, 1)
		}
	}
	return fds
}

// versus measures ours against theirs, in turn, and reports the median of each per
// call, and of their ratio.
func versus(b *testing.B, ours, theirs func() (int, error), active int) {
	check := func(f func() (int, error)) {
		if n, err := f(); n != active || err != nil {
			b.Fatalf("%d, %v, want %d", n, err, active)
		}
	}
	timed := func(f func() (int, error), calls int) time.Duration {
		begin := time.Now()
		for range calls {
			f()
		}
		return time.Since(begin) / time.Duration(calls)
	}
	check(ours)
	check(theirs)
	calls := max(1, int(200*time.Microsecond/max(1, timed(theirs, 3))))
	var us, them, ratio []float64
	for b.Loop() {
		o, t := timed(ours, calls), timed(theirs, calls)
		us, them, ratio = append(us, float64(o)), append(them, float64(t)), append(ratio, float64(t)/float64(o))
	}
	check(ours)
	median := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(us), "ns/call")
	b.ReportMetric(median(them), "linux-ns/call")
	b.ReportMetric(median(ratio), "x-faster")
}

// BenchmarkPoll is poll(2) with the same array each time.
func BenchmarkPoll(b *testing.B) {
	for _, s := range shapes {
		for _, entry := range strategies.All {
			b.Run(s.String()+"/"+entry.Name, func(b *testing.B) {
				l := newLab(b, entry)
				defer l.end()
				fds, real := l.pipes(s, 1), linuxPipes(b, s, 1)
				versus(b, func() (int, error) { return l.Poll(l.td, fds, 0) }, func() (int, error) { return unix.Poll(real, 0) }, s.active)
			})
		}
	}
}

// BenchmarkPollChanging is poll(2) with two arrays in turn that have no number in
// common: everything changes each time.
func BenchmarkPollChanging(b *testing.B) {
	for _, s := range []shape{{1, 1}, {10, 1}, {100, 1}, {100, 100}, {1000, 1}, {1000, 1000}, {4900, 1}, {4900, 4900}} {
		for _, entry := range strategies.All {
			b.Run(s.String()+"/"+entry.Name, func(b *testing.B) {
				l := newLab(b, entry)
				defer l.end()
				fds, real := l.pipes(s, 2), linuxPipes(b, s, 2)
				turn := 0
				versus(b, func() (int, error) {
					turn = s.n - turn
					return l.Poll(l.td, fds[turn:turn+s.n], 0)
				}, func() (int, error) { return unix.Poll(real[:s.n], 0) }, s.active)
			})
		}
	}
}

// BenchmarkPollClosing is poll(2) with the same array each time, of a process that
// has closed another descriptor in between.
func BenchmarkPollClosing(b *testing.B) {
	for _, s := range []shape{{100, 1}, {1000, 1}, {9900, 1}, {9900, 9900}} {
		for _, entry := range strategies.All {
			b.Run(s.String()+"/"+entry.Name, func(b *testing.B) {
				l := newLab(b, entry)
				defer l.end()
				fds, real := l.pipes(s, 1), linuxPipes(b, s, 1)
				versus(b, func() (int, error) {
					fd, _ := l.p.Dup(l.td, int(fds[0].FD))
					l.p.Close(l.td, fd)
					return l.Poll(l.td, fds, 0)
				}, func() (int, error) {
					fd, _ := unix.Dup(int(real[0].Fd))
					unix.Close(fd)
					return unix.Poll(real, 0)
				}, s.active)
			})
		}
	}
}

// BenchmarkSelect is select(2) with the same set each time, copied before each call.
func BenchmarkSelect(b *testing.B) {
	for _, s := range []shape{{1, 1}, {100, 1}, {100, 100}, {450, 1}, {450, 450}} {
		for _, entry := range strategies.All {
			b.Run(s.String()+"/"+entry.Name, func(b *testing.B) {
				l := newLab(b, entry)
				defer l.end()
				var ask, set poll.FDSet
				nfds := 0
				for _, f := range l.pipes(s, 1) {
					ask.Set(int(f.FD))
					nfds = max(nfds, int(f.FD)+1)
				}
				var real, realSet unix.FdSet
				realN := 0
				for _, f := range linuxPipes(b, s, 1) {
					real.Set(int(f.Fd))
					realN = max(realN, int(f.Fd)+1)
				}
				versus(b, func() (int, error) {
					set.Copy(&ask)
					return l.Select(l.td, nfds, &set, nil, nil, &zero)
				}, func() (int, error) {
					realSet = real
					return unix.Select(realN, &realSet, nil, nil, &unix.Timeval{})
				}, s.active)
			})
		}
	}
}
