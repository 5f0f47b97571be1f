//go:build linux

package host_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/host"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
	"golang.org/x/sys/unix"
)

// BenchmarkPipetest is libevent's benchmark on real pipes: of n pipes k hold a
// byte at any time; each event is one byte read and one written to the next
// pipe. One op is one event. "raw" is an epoll loop, edge-triggered, by bare
// system calls that take no trip through Go's scheduler; "fionread" asks also
// how much can be read, as every kqueue must. Goal 9 is kqueue against that.
//
// The loops alternate with -count, so that drift falls on all alike:
//
//	go test -run '^$' -bench Pipetest -count 10 ./model/host
func BenchmarkPipetest(b *testing.B) {
	for _, size := range []struct{ n, k int }{{100, 1}, {1000, 1}, {1000, 1000}} {
		b.Run(fmt.Sprintf("n=%d/k=%d", size.n, size.k), func(b *testing.B) {
			b.Run("loop=raw", func(b *testing.B) { rawPipetest(b, size.n, size.k, false) })
			b.Run("loop=fionread", func(b *testing.B) { rawPipetest(b, size.n, size.k, true) })
			for _, s := range strategies.All {
				b.Run("loop="+s.Name, func(b *testing.B) { kqueuePipetest(b, s, size.n, size.k, false) })
			}
			b.Run("loop=giant-attached", func(b *testing.B) {
				kqueuePipetest(b, strategies.All[0], size.n, size.k, true)
			})
		})
	}
}

// openPipes makes n pipes and puts a byte into the first k.
func openPipes(b *testing.B, n, k int) (r, w []int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if uint64(2*n+64) > limit.Cur {
		b.Skipf("%d pipes need %d descriptors, the limit is %d", n, 2*n+64, limit.Cur)
	}
	var p [2]int
	for i := range n {
		if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			b.Fatal(err)
		}
		r, w = append(r, p[0]), append(w, p[1])
		if i < k {
			writeByte(w[i])
		}
	}
	return r, w
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

var scrap [64]byte

func writeByte(fd int) {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&scrap)), 1)
}

func readByte(fd int) {
	unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&scrap)), 1)
}

func rawPipetest(b *testing.B, n, k int, ask bool) {
	r, w := openPipes(b, n, k)
	defer closeAll(r)
	defer closeAll(w)
	ep, err := unix.EpollCreate1(0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(ep)
	for i, fd := range r {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(i)}); err != nil {
			b.Fatal(err)
		}
	}
	events := make([]unix.EpollEvent, 1024)
	var avail int32
	sum := 0
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		got, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), 0, 0, 0)
		if errno != 0 {
			continue // a signal of Go's scheduler
		}
		for i := range events[:got] {
			at := int(events[i].Fd)
			if ask {
				unix.RawSyscall(unix.SYS_IOCTL, uintptr(r[at]), unix.TIOCINQ, uintptr(unsafe.Pointer(&avail)))
				sum += int(avail)
			}
			readByte(r[at])
			if at++; at == n {
				at = 0
			}
			writeByte(w[at])
		}
		done += int(got)
	}
	if ask && sum < b.N {
		b.Fatalf("FIONREAD found %d bytes in %d events", sum, b.N)
	}
}

func kqueuePipetest(b *testing.B, s strategies.Entry, n, k int, attach bool) {
	m := machine.Native(1)
	r, w := openPipes(b, n, k)
	defer closeAll(w)
	body := func(td *machine.Thread) {
		kernel := kqueue.New(m, s.New(m))
		h, err := host.New(kernel)
		if err != nil {
			b.Error(err)
			return
		}
		defer h.Close(td)
		q := kernel.NewQueue(td, h)
		defer q.Close(td)
		for i, fd := range r {
			if _, err := h.Open(td, fd); err != nil {
				b.Error(err)
				return
			}
			change := []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.Clear, Udata: uint64(i)}}
			if _, err := q.Kevent(td, change, nil, 0); err != nil {
				b.Error(err)
				return
			}
		}
		events := make([]event.Kevent, 1024)
		sum := 0
		b.ReportAllocs()
		b.ResetTimer()
		for done := 0; done < b.N; {
			got, err := q.Kevent(td, nil, events, kqueue.Forever)
			if err != nil {
				b.Error(err)
				return
			}
			for i := range events[:got] {
				ev := &events[i]
				sum += int(ev.Data)
				at := int(ev.Udata)
				readByte(int(ev.Ident))
				if at++; at == n {
					at = 0
				}
				writeByte(w[at])
			}
			done += got
		}
		b.StopTimer()
		if sum < b.N {
			b.Errorf("%d bytes in %d events", sum, b.N)
		}
	}
	if attach {
		td := m.Attach("pipetest", 0)
		defer td.Detach()
		body(td)
		return
	}
	m.Go("pipetest", 0, body)
	if err := m.Run(); err != nil {
		b.Error(err)
	}
}
