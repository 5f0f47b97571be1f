package device_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// pollFifo is what poll(2) would say of an open of a fifo, as Linux's bits.
func pollFifo(t fatal, td *machine.Thread, k *kqueue.Kernel, f kqueue.File) (revents int16) {
	if e, ok := holds(t, td, k, f, event.Read); ok {
		if e.Data > 0 {
			revents |= unix.POLLIN
		}
		if e.Flags&event.HUP != 0 {
			revents |= unix.POLLHUP
		}
	}
	if e, ok := holds(t, td, k, f, event.Write); ok {
		revents |= unix.POLLOUT
		if e.Flags&event.HUP != 0 {
			revents |= unix.POLLERR
		}
	}
	if _, ok := holds(t, td, k, f, event.Except); ok != (revents&(unix.POLLHUP|unix.POLLERR) != 0) {
		t.Fatal("EXCEPT says", ok, "of", revents)
	}
	return revents
}

// polled is what the real poll(2) says.
func polled(t *rapid.T, fd int) int16 {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI}}
	if _, err := unix.Poll(p, 0); err != nil {
		t.Fatal(err)
	}
	return p[0].Revents
}

// The same opens, closes, reads and writes get the same answers from a real fifo,
// and poll says the same of it. It is kept from being full, where Linux counts pages,
// and has 4096 for PIPE_BUF. And a write of no bytes looks at nothing there.
func TestFifoAsLinux(t *testing.T) {
	dir := t.TempDir()
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(strategies.All).Draw(t, "strategy")
		m := machine.Native(1)
		k := kqueue.New(m, s.New(m))
		device.Install(k)
		td := m.Attach("test", 0)
		defer td.Detach()
		made++
		path := filepath.Join(dir, fmt.Sprint(made))
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		type both struct {
			ours *device.Fifo
			fd   int
		}
		first, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		opens := []both{{device.NewFifo(td, k), first}}
		defer func() {
			for _, o := range opens {
				unix.Close(o.fd)
			}
		}()
		var log strings.Builder
		held := 0
		buf := make([]byte, 100)
		same := func(what string, n int, err error, n2 int, err2 error) {
			t.Helper()
			fmt.Fprintf(&log, "%s: %d %v\n", what, n, err)
			if n != max(n2, 0) || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%sLinux: %d %v", log.String(), n2, err2)
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "operations") {
			i := rapid.IntRange(0, len(opens)-1).Draw(t, "open")
			o := opens[i]
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0, 1:
				mode := rapid.SampledFrom([]device.Access{device.ToRead, device.ToRead, device.ToWrite, device.ToWrite, device.ToReadAndWrite}).Draw(t, "mode")
				ours, err := o.ours.Reopen(td, mode)
				fd, err2 := unix.Open(path, []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR}[mode-1]|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
				same(fmt.Sprintf("open %d", mode), 0, err, 0, err2)
				if err == nil {
					opens = append(opens, both{ours, fd})
				}
			case 2, 3:
				if len(opens) == 1 {
					continue
				}
				o.ours.Release(td)
				same(fmt.Sprintf("close %d", i), 0, nil, 0, unix.Close(o.fd))
				opens = append(opens[:i], opens[i+1:]...)
			case 4, 5:
				n := rapid.IntRange(0, 30).Draw(t, "bytes")
				if held+n > 2000 {
					continue
				}
				n1, err := o.ours.Write(td, buf[:n])
				n2, err2 := unix.Write(o.fd, buf[:n])
				if n == 0 && err == syscall.EPIPE && err2 == nil {
					err = nil
				}
				same(fmt.Sprintf("write %d %d", i, n), n1, err, n2, err2)
				held += n1
			default:
				n := rapid.IntRange(0, 40).Draw(t, "bytes")
				n1, err := o.ours.Read(td, buf[:n])
				n2, err2 := unix.Read(o.fd, buf[:n])
				same(fmt.Sprintf("read %d %d", i, n), n1, err, n2, err2)
				held -= n1
			}
			for i, o := range opens {
				fmt.Fprintf(&log, "poll %d: ", i)
				same("bits", int(pollFifo(t, td, k, o.ours)), nil, int(polled(t, o.fd)), nil)
			}
		}
	})
}
