package poll_test

import (
	"fmt"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies/giant"
)

// A pipe is polled at both ends.
func Example() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	td := m.Attach("me", 0)
	defer td.Detach()
	process := proc.New(k)

	r, w := device.NewPipe(td, k)
	rd, _ := process.Open(td, r)
	wr, _ := process.Open(td, w)

	p := poll.New(td, k, process)
	defer p.Close(td)
	fds := []event.PollFD{{FD: int32(rd), Events: event.PollIn}, {FD: int32(wr), Events: event.PollOut}, {FD: 9}}
	n, err := p.Poll(td, fds, kqueue.Forever)
	fmt.Println(n, err, fds)

	w.Write(td, []byte("x"))
	process.Close(td, wr)
	n, err = p.Poll(td, fds[:1], 0)
	fmt.Println(n, err, fds[0])
	// Output:
	// 2 <nil> [0 IN 1 OUT revents=OUT 9 0 revents=NVAL]
	// 1 <nil> 0 IN revents=IN|HUP
}

// select(2) replaces what is asked for by what is ready.
func ExamplePoller_Select() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	td := m.Attach("me", 0)
	defer td.Detach()
	process := proc.New(k)
	a, b, _ := device.NewSocketPair(td, k, event.Stream)
	afd, _ := process.Open(td, a)
	bfd, _ := process.Open(td, b)
	a.Write(td, []byte("to b"))

	p := poll.New(td, k, process)
	defer p.Close(td)
	read, write := poll.NewFDSet(afd, bfd), poll.NewFDSet(afd)
	n, err := p.Select(td, bfd+1, read, write, nil, nil)
	fmt.Println(n, err, read, write)
	// Output:
	// 2 <nil> {1} {0}
}
