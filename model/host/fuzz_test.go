//go:build linux

package host_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
)

// FuzzChanges applies arbitrary changes to real descriptors under each
// strategy. Each is answered with an errno or done, all strategies answer
// alike, and after closing everything no event is left.
func FuzzChanges(f *testing.F) {
	f.Add([]byte{0, 0xff, 1, 0, 0, 0, 2, 0xfe, 1, 0, 1, 9, 1, 0xff, 0x91, 0, 0, 0})
	f.Add([]byte{5, 0xfc, 1, 0, 2, 0, 5, 0xff, 1, 0, 0, 5, 6, 0xfc, 0x21, 0, 0x7f, 5, 7, 0xfe, 1, 0, 0, 5, 5, 0xfc, 2, 0, 0, 5})
	f.Add([]byte{0, 0xfb, 1, 0, 0x80, 0, 0, 0xfb, 1, 0, 0x40, 0, 1, 0xfb, 1, 0, 0, 0, 10, 0xfa, 1, 0, 0, 0, 10, 0xfa, 2, 0, 0, 0, 9, 0xfa, 1, 0, 0, 0})
	f.Add([]byte{3, 0xf8, 1, 0, 2, 0, 3, 0xf8, 2, 0, 2, 0, 200, 0xff, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		hang := time.AfterFunc(time.Minute, func() {
			buf := make([]byte, 1<<20)
			panic(fmt.Sprintf("%x hangs\n%s", in, buf[:runtime.Stack(buf, true)]))
		})
		defer hang.Stop()
		var first []syscall.Errno
		for _, s := range strategies.All {
			got := fuzzChanges(t, s, in)
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				t.Errorf("%s answers %v, %s %v", s.Name, got, strategies.All[0].Name, first)
			}
		}
	})
}

// fuzzChanges takes six bytes a change: which descriptor, filter, flags (two),
// fflags, data.
func fuzzChanges(t *testing.T, s strategies.Entry, in []byte) (answers []syscall.Errno) {
	m := machine.Native(1)
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	td := m.Attach("fuzz", 0)
	defer td.Detach()
	h, err := host.New(k)
	if err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	e, err := unix.Eventfd(1, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	sock, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fuzz")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	fds := []int{p[0], p[1], e, sock[0], sock[1]}
	for _, file := range []struct {
		name string
		mode int
	}{{dir + "/file", unix.O_RDWR | unix.O_CREAT}, {dir, unix.O_RDONLY}, {"/dev/null", unix.O_RDWR}} {
		fd, err := unix.Open(file.name, file.mode|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds {
		if _, err := h.Open(td, fd); err != nil {
			t.Fatal(err)
		}
	}
	q := k.NewQueue(td, h)
	var events [8]event.Kevent
	for ; len(in) >= 6; in = in[6:] {
		kev := event.Kevent{
			Ident:  uint64(in[0]) << 24, // no open descriptor
			Filter: event.Filter(int8(in[1])),
			Flags:  event.Flags(binary.LittleEndian.Uint16(in[2:])),
			Fflags: event.Fflags(in[4]),
			Data:   int64(int8(in[5])),
		}
		switch {
		case kev.Filter == event.Proc:
			kev.Fflags <<= 24
			if in[0] == 0 {
				kev.Ident = uint64(os.Getpid())
			}
		case kev.Filter == event.Signal:
			kev.Ident = uint64(in[0])
		case int(in[0]) < len(fds):
			kev.Ident = uint64(fds[in[0]])
		}
		var errno syscall.Errno
		if _, err := q.Kevent(td, []event.Kevent{kev}, nil, 0); err != nil && !errors.As(err, &errno) {
			t.Errorf("%v: %v, want an errno", kev, err)
		}
		answers = append(answers, errno)
		if _, err := q.Kevent(td, nil, events[:], 0); err != nil {
			t.Errorf("after %v: %v", kev, err)
		}
		unix.Write(fds[int(in[5])%len(fds)], []byte{1})
	}
	if err := h.Close(td); err != nil {
		t.Error(err)
	}
	n, err := q.Kevent(td, nil, events[:], 0)
	for _, e := range events[:n] {
		if e.Filter != event.User && e.Filter != event.Timer && e.Filter != event.Signal {
			t.Errorf("%v of a closed descriptor", e)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if err := q.Close(td); err != nil {
		t.Error(err)
	}
	return answers
}
