package poll_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A lab is a process on a machine of two CPUs, and a thread with a Poller.
type lab struct {
	testing.TB
	m  *machine.Machine
	k  *kqueue.Kernel
	p  *proc.Process
	td *machine.Thread
	*poll.Poller
}

func newLab(t testing.TB, s strategies.Entry) *lab {
	m := machine.Native(2)
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	td := m.Attach("test", 0)
	p := proc.New(k)
	return &lab{t, m, k, p, td, poll.New(td, k, p)}
}

func (l *lab) end() {
	l.must(l.Poller.Close(l.td))
	l.td.Detach()
}

// each runs f under every strategy.
func each(t *testing.T, f func(l *lab)) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			l := newLab(t, s)
			defer l.end()
			f(l)
		})
	}
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lab) open(f kqueue.File) int {
	l.Helper()
	fd, err := l.p.Open(l.td, f)
	l.must(err)
	return fd
}

// A pipe is its two ends and their descriptors.
type pipe struct {
	r, w   *device.PipeEnd
	rd, wr int
}

func (l *lab) pipe() pipe {
	l.Helper()
	r, w := device.NewPipe(l.td, l.k)
	return pipe{r, w, l.open(r), l.open(w)}
}

func (l *lab) write(p pipe, n int) {
	l.Helper()
	if got, err := p.w.Write(l.td, make([]byte, n)); got != n || err != nil {
		l.Fatalf("Write of %d bytes: %d, %v", n, got, err)
	}
}

func (l *lab) read(p pipe, n int) {
	l.Helper()
	if got, err := p.r.Read(l.td, make([]byte, n)); got != n || err != nil {
		l.Fatalf("Read of %d bytes: %d, %v", n, got, err)
	}
}

// fill fills a pipe.
func (l *lab) fill(p pipe) { l.Helper(); l.write(p, device.PipeSize) }

// poll polls the array without waiting and expects what it should look like then.
func (l *lab) poll(fds []event.PollFD, want ...event.PollEvents) {
	l.Helper()
	n, err := l.Poll(l.td, fds, 0)
	if err != nil {
		l.Fatalf("Poll(%v): %v", fds, err)
	}
	var got []event.PollEvents
	set := 0
	for _, f := range fds {
		got = append(got, f.Revents)
		if f.Revents != 0 {
			set++
		}
	}
	if !slices.Equal(got, want) || n != set {
		l.Fatalf("Poll: %d, %v; want %v", n, fds, want)
	}
}

// zero is the timeout of a select that does not wait.
var zero time.Duration
