package bench

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// references are measured in every run, whatever the workloads: what a
// computer's other means cost. They know nothing of kqueue.
var references = []shape{
	{params: map[string]any{"op": "mutex"}, core: true, run: mutexPair},
	{params: map[string]any{"op": "cas"}, core: true, run: compareAndSwap},
	{params: map[string]any{"op": "epoll"}, core: true, run: epollBatch, fits: func() error {
		return roomForFiles(65, "64 eventfds")
	}},
}

// stretch times f on its own, after a short warm-up.
func (t *trial) stretch(f func(n int) error) error {
	if err := f(t.warm()); err != nil {
		return err
	}
	runtime.GC()
	begin := time.Now()
	err := f(t.n)
	t.took = time.Since(begin)
	t.figure("ns/event", "ns", float64(t.took)/float64(t.n))
	return err
}

func mutexPair(t *trial) error {
	var s struct {
		mu sync.Mutex
		n  int
	}
	return t.stretch(func(n int) error {
		for range n {
			s.mu.Lock()
			s.n++
			s.mu.Unlock()
		}
		return nil
	})
}

func compareAndSwap(t *trial) error {
	word := new(atomic.Uint32)
	return t.stretch(func(n int) error {
		for range n {
			x := word.Load()
			if !word.CompareAndSwap(x, x+1) {
				return fmt.Errorf("a compare-and-swap failed without competition")
			}
		}
		return nil
	})
}

// channel hands a word to and fro between two goroutines.
func channel(t *trial) error {
	return t.stretch(func(n int) error {
		there, back := make(chan int), make(chan int)
		go func() {
			for x := range there {
				back <- x
			}
			close(back)
		}()
		for i := range n / 2 {
			there <- i
			if x := <-back; x != i {
				return unbalanced("channel", i, x)
			}
		}
		close(there)
		<-back
		return nil
	})
}

// line hands a cache line to and fro between two goroutines on two processors.
func line(t *trial) error {
	var word struct {
		_ [64]byte
		n atomic.Int64
		_ [64]byte
	}
	// await spins until the word is x.
	await := func(x int64) {
		for i := 1; word.n.Load() != x; i++ {
			if i&0xfff == 0 {
				runtime.Gosched()
			}
		}
	}
	const warm = 100 // exchanges, until both run
	rounds := int64(warm + t.n/2)
	ended := make(chan struct{})
	go func() {
		for i := range rounds {
			await(2*i + 1)
			word.n.Store(2*i + 2)
		}
		close(ended)
	}()
	var begin time.Time
	for i := range rounds {
		if i == warm {
			begin = time.Now()
		}
		word.n.Store(2*i + 1)
		await(2*i + 2)
	}
	t.took = time.Since(begin)
	<-ended
	t.figure("ns/event", "ns", float64(t.took)/float64(2*(rounds-warm)))
	return nil
}

// parallel does the same work on one goroutine and on two. That they are not
// twice as fast is then the computer's doing, and no strategy can be faster.
func parallel(t *trial) error {
	type private struct {
		mu sync.Mutex
		n  int
		_  [128]byte
	}
	work := func(p *private, n int) {
		for range n {
			p.mu.Lock()
			p.n++
			p.mu.Unlock()
		}
	}
	var each [2]time.Duration
	for i := range each {
		ps := make([]private, i+1)
		work(&ps[0], t.n/8)
		begin := time.Now()
		var wg sync.WaitGroup
		for j := range ps {
			wg.Go(func() { work(&ps[j], t.n) })
		}
		wg.Wait()
		each[i] = time.Since(begin)
	}
	t.took = each[0] + each[1]
	t.figure("ns/event", "ns", float64(each[1])/float64(2*t.n))
	t.figure("speedup", "x", 2*float64(each[0])/float64(each[1]))
	return nil
}

// epollBatch writes 64 eventfds and asks for them with one epoll_wait.
func epollBatch(t *trial) error {
	const batch = 64
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	defer unix.Close(ep)
	var fds [batch]int
	for i := range fds {
		if fds[i], err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		defer unix.Close(fds[i])
		ev := unix.EpollEvent{Events: unix.EPOLLIN | edge, Fd: int32(i)}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fds[i], &ev); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	one := binary.NativeEndian.AppendUint64(nil, 1)
	events := make([]unix.EpollEvent, batch)
	return t.stretch(func(n int) error {
		for sent := 0; sent < n; sent += batch {
			for _, fd := range fds {
				if _, err := write(fd, one); err != nil {
					return fmt.Errorf("eventfd write: %w", err)
				}
			}
			k, err := unix.EpollWait(ep, events, 0)
			if err != nil {
				return fmt.Errorf("epoll_wait: %w", err)
			}
			if k != batch {
				return unbalanced("epoll", batch, k)
			}
		}
		return nil
	})
}

// epollCtl adds and deletes one descriptor of an epoll that has others.
func epollCtl(t *trial) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	defer unix.Close(ep)
	fd := 0
	for range 65 {
		if fd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		defer unix.Close(fd)
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return t.stretch(func(n int) error {
		for range n {
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
				return fmt.Errorf("EPOLL_CTL_DEL: %w", err)
			}
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
				return fmt.Errorf("EPOLL_CTL_ADD: %w", err)
			}
		}
		return nil
	})
}
