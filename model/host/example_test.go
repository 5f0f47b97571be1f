//go:build linux

package host_test

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"

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

// A file that is watched for what happens to it.
func Example_vnode() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	td := m.Attach("example", 0)
	defer td.Detach()
	h, err := host.New(k)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(td)

	file, err := os.CreateTemp("", "watched")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0) // the host closes what it opens
	if err != nil {
		log.Fatal(err)
	}
	if _, err := h.Open(td, fd); err != nil {
		log.Fatal(err)
	}

	q := k.NewQueue(td, h)
	defer q.Close(td)
	add := []event.Kevent{{
		Ident: uint64(fd), Filter: event.Vnode, Flags: event.Add | event.Clear,
		Fflags: event.NoteWrite | event.NoteExtend | event.NoteDelete,
	}}
	if _, err := q.Kevent(td, add, nil, 0); err != nil {
		log.Fatal(err)
	}
	tell := func() {
		events := make([]event.Kevent, 8)
		n, err := q.Kevent(td, nil, events, kqueue.Forever)
		if err != nil {
			log.Fatal(err)
		}
		for _, e := range events[:n] {
			fmt.Println(strings.Fields(e.String())[3])
		}
	}
	file.WriteString("hello")
	tell()
	os.Remove(file.Name())
	tell()
	// Output:
	// fflags=WRITE|EXTEND
	// fflags=DELETE
}

// A child that is waited for without wait(2), beside anything else that a queue
// can watch.
func Example_proc() {
	m := machine.Native(1)
	k := kqueue.New(m, giant.New(m))
	td := m.Attach("example", 0)
	defer td.Detach()
	h, err := host.New(k)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close(td)
	q := k.NewQueue(td, h)
	defer q.Close(td)

	child := exec.Command("/bin/sh", "-c", "exit 3")
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	add := []event.Kevent{{Ident: uint64(child.Process.Pid), Filter: event.Proc, Flags: event.Add, Fflags: event.NoteExit}}
	events := make([]event.Kevent, 1)
	n, err := q.Kevent(td, add, events, kqueue.Forever)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range events[:n] {
		fmt.Println("exit status", unix.WaitStatus(e.Data).ExitStatus())
	}
	child.Wait() // it is a zombie until then
	// Output: exit status 3
}
