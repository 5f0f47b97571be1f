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
	for _, size := range []struct{ n, k int }{{100, 1}, {100, 100}, {1000, 1}, {1000, 1000}, {9900, 1}, {9900, 9900}} {
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

// busy starts the timed stretch. What it returns ends it, and reports the CPU time
// of an op beside the time that has passed: the machine may have others to serve.
func busy(b *testing.B) (done func()) {
	now := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			b.Fatal(err)
		}
		return ts.Nano()
	}
	b.ReportAllocs()
	b.ResetTimer()
	begin := now()
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(now()-begin)/float64(b.N), "cpu-ns/op")
	}
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
	defer busy(b)()
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
		stop := busy(b)
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
		stop()
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

// BenchmarkDispatch is a pipe whose knote is disabled by each event and enabled
// again: one op is a byte written, taken and read, and the enabling. A kqueue needs no
// system call for that, since its descriptors are edge-triggered in epoll. "oneshot"
// is EPOLLONESHOT and EPOLL_CTL_MOD, what EV_DISPATCH would be if it were mapped to
// that; "edge" is an epoll that needs no enabling.
func BenchmarkDispatch(b *testing.B) {
	for _, mode := range []uint32{unix.EPOLLET & (1<<32 - 1), unix.EPOLLONESHOT} {
		name := "loop=edge"
		if mode == unix.EPOLLONESHOT {
			name = "loop=oneshot"
		}
		b.Run(name, func(b *testing.B) {
			r, w := openPipes(b, 1, 0)
			defer closeAll(r)
			defer closeAll(w)
			ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			if err != nil {
				b.Fatal(err)
			}
			defer unix.Close(ep)
			ev := unix.EpollEvent{Events: unix.EPOLLIN | mode}
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, r[0], &ev); err != nil {
				b.Fatal(err)
			}
			var got [8]unix.EpollEvent
			var avail int32
			defer busy(b)()
			for range b.N {
				writeByte(w[0])
				for {
					n, _, _ := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(ep), uintptr(unsafe.Pointer(&got)), uintptr(len(got)), 0, 0, 0)
					if n == 1 {
						break
					}
				}
				unix.RawSyscall(unix.SYS_IOCTL, uintptr(r[0]), unix.TIOCINQ, uintptr(unsafe.Pointer(&avail)))
				readByte(r[0])
				if mode == unix.EPOLLONESHOT {
					unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), unix.EPOLL_CTL_MOD, uintptr(r[0]), uintptr(unsafe.Pointer(&ev)), 0, 0)
				}
			}
		})
	}
	for _, s := range strategies.All {
		b.Run("loop="+s.Name, func(b *testing.B) {
			m := machine.Native(1)
			r, w := openPipes(b, 1, 0)
			defer closeAll(w)
			m.Go("dispatch", 0, func(td *machine.Thread) {
				kernel := kqueue.New(m, s.New(m))
				h, err := host.New(kernel)
				if err != nil {
					b.Error(err)
					return
				}
				defer h.Close(td)
				q := kernel.NewQueue(td, h)
				defer q.Close(td)
				if _, err := h.Open(td, r[0]); err != nil {
					b.Error(err)
					return
				}
				change := []event.Kevent{{Ident: uint64(r[0]), Filter: event.Read, Flags: event.Add | event.Dispatch}}
				if _, err := q.Kevent(td, change, nil, 0); err != nil {
					b.Error(err)
				}
				change[0].Flags = event.Enable
				var got [8]event.Kevent
				defer busy(b)()
				for range b.N {
					writeByte(w[0])
					if n, err := q.Kevent(td, change, got[:], 0); n != 1 || err != nil {
						b.Errorf("%d events, %v, want 1", n, err)
						return
					}
					readByte(r[0])
				}
			})
			if err := m.Run(); err != nil {
				b.Error(err)
			}
		})
	}
}
