//go:build linux

package host_test

import (
	"fmt"
	"log"
	"os"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/giant"
	"golang.org/x/sys/unix"
)

// A pipe of Linux, watched by the number of its read end.
func Example() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	td := m.Attach("example", 0)
	defer td.Detach()
	h, err := host.New(k)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(td)

	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		log.Fatal(err)
	}
	w := os.NewFile(uintptr(pipe[1]), "pipe")
	if _, err := h.Open(td, pipe[0]); err != nil { // h owns the read end now
		log.Fatal(err)
	}

	q := k.NewQueue(td, h)
	defer q.Close(td)
	add := []event.Kevent{{Ident: uint64(pipe[0]), Filter: event.Read, Flags: event.Add}}
	if _, err := q.Kevent(td, add, nil, 0); err != nil {
		log.Fatal(err)
	}
	w.WriteString("hello")
	w.Close()

	events := make([]event.Kevent, 8)
	n, err := q.Kevent(td, nil, events, kqueue.Forever)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range events[:n] {
		fmt.Println(e.Ident == uint64(pipe[0]), e.Data, "bytes, then the end:", e.Flags&event.EOF != 0)
	}
	// Output: true 5 bytes, then the end: true
}
