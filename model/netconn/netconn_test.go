package netconn_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/netconn"
	"github.com/kqlab/kqlab/strategies"
)

func newStack(s strategies.Entry) *netconn.Stack { return stackOn(machine.Native(2), s) }

func stackOn(m *machine.Machine, s strategies.Entry) *netconn.Stack {
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	return netconn.New(k)
}

// each runs f under every strategy, and looks that no goroutine, no thread and no
// socket is left.
func each(t *testing.T, f func(t *testing.T, s *netconn.Stack)) {
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := newStack(e)
			f(t, s)
			left(t, s, before)
		})
	}
}

// left waits for what is on its way out, for long only if it stays.
func left(t *testing.T, s *netconn.Stack, before int) {
	t.Helper()
	var n, sockets, threads int
	for range 2000 {
		n, sockets, threads = runtime.NumGoroutine(), s.Open(), s.InUse()
		if n <= before && sockets == 0 && threads == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n > before || sockets != 0 || threads != 0 {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines left, %d sockets, %d threads in use\n%s", n-before, sockets, threads, stacks[:runtime.Stack(stacks, true)])
	}
	s.Close()
	alone(t, s.Machine())
}

// alone fails if any thread is attached to the machine: the machine says that all of
// its threads are asleep if one is that nobody will wake, unless another is attached.
func alone(t *testing.T, m *machine.Machine) {
	t.Helper()
	bed := machine.WaitChan{Name: "bed"}
	m.Go("sleeper", 0, func(td *machine.Thread) {
		td.Interlock(&bed)
		td.Sleep(machine.Forever)
	})
	end := make(chan error, 1)
	go func() { end <- m.Run() }()
	select {
	case err := <-end:
		if asleep := (*machine.DeadlockError)(nil); !errors.As(err, &asleep) || len(asleep.Sleepers) != 1 {
			t.Errorf("the machine says %v, want that one thread is asleep", err)
		}
	case <-time.After(time.Minute):
		t.Error("threads are attached after Close")
	}
	td := m.Attach("waker", 0)
	td.Wakeup(&bed)
	td.Detach()
	if err := m.Run(); err != nil {
		t.Error(err)
	}
}

// A thread that is left is found.
func TestThreadLeft(t *testing.T) {
	m := machine.Native(1)
	td := m.Attach("left", 0)
	bed := machine.WaitChan{Name: "bed"}
	m.Go("sleeper", 0, func(td *machine.Thread) {
		td.Interlock(&bed)
		td.Sleep(machine.Forever)
	})
	end := make(chan error, 1)
	go func() { end <- m.Run() }()
	select {
	case err := <-end:
		t.Errorf("the machine says %v with a thread attached", err)
	case <-time.After(50 * time.Millisecond):
	}
	td.Wakeup(&bed)
	td.Detach()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func connected(s *netconn.Stack) (a, b *netconn.Conn, err error) {
	l, err := s.Listen(0)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	a, err = s.Dial(l.Addr().(netconn.Addr).Port)
	if err != nil {
		return nil, nil, err
	}
	c, err := l.Accept()
	if err != nil {
		return nil, nil, err
	}
	return a, c.(*netconn.Conn), nil
}

// The suite of golang.org/x/net for anything that calls itself a net.Conn.
func TestNettest(t *testing.T) {
	for _, pipe := range []struct {
		name string
		make func(s *netconn.Stack) (a, b *netconn.Conn, err error)
	}{{"connection", connected}, {"pair", (*netconn.Stack).Pipe}} {
		t.Run(pipe.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *netconn.Stack) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					a, b, err := pipe.make(s)
					if err != nil {
						return nil, nil, nil, err
					}
					return a, b, func() { a.Close(); b.Close() }, nil
				})
			})
		})
	}
}

// The suite again on a machine that holds threads up at its points.
func TestNettestPerturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short the machine is not perturbed")
	}
	t.Logf("repeat with: go test ./model/netconn -run %s -seed %d", t.Name(), *seed)
	for _, e := range strategies.All {
		t.Run(e.Name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			m := machine.Native(2)
			m.Perturb(*seed, 20)
			s := stackOn(m, e)
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b, err := connected(s)
				if err != nil {
					return nil, nil, nil, err
				}
				return a, b, func() { a.Close(); b.Close() }, nil
			})
			left(t, s, before)
		})
	}
}

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the perturbed machine")

// is fails unless err is an OpError around want.
func is(t *testing.T, err, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, want) {
		t.Errorf("error %v, want a *net.OpError around %v", err, want)
	}
}

func TestDeadlines(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		a, b, err := connected(s)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		b.Write([]byte("here"))
		buf := make([]byte, 10)

		a.SetReadDeadline(time.Unix(1, 0))
		_, err = a.Read(buf)
		is(t, err, os.ErrDeadlineExceeded) // though there is something to read
		if e := err.(net.Error); !e.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if _, err := a.Write(buf[:1]); err != nil {
			t.Errorf("a write with a deadline for reads: %v", err)
		}
		a.SetReadDeadline(time.Time{})
		if n, err := a.Read(buf); n != 4 || err != nil {
			t.Errorf("a read after the deadline has been taken back: %d, %v", n, err)
		}

		// One that is set while a read waits, and one that is taken back.
		for _, by := range []struct {
			set  func()
			want error
		}{
			{func() { a.SetDeadline(time.Now()) }, os.ErrDeadlineExceeded},
			{func() { a.SetReadDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
			{func() {
				a.SetReadDeadline(time.Now().Add(time.Hour))
				a.SetReadDeadline(time.Time{})
				b.Write([]byte{1})
			}, nil},
			{func() { a.SetWriteDeadline(time.Unix(1, 0)); b.Write([]byte{1}) }, nil},
			{func() { a.Close() }, net.ErrClosed},
		} {
			a.SetDeadline(time.Time{})
			got := make(chan error)
			go func() {
				_, err := a.Read(buf[:1])
				got <- err
			}()
			for reads := false; !reads; reads, _ = a.Waiting() {
				runtime.Gosched()
			}
			by.set()
			if err := <-got; by.want != nil {
				is(t, err, by.want)
			} else if err != nil {
				t.Error(err)
			}
		}
		is(t, a.SetDeadline(time.Now()), net.ErrClosed)
		is(t, a.Close(), net.ErrClosed)
		_, err = a.Write(buf)
		is(t, err, net.ErrClosed)
	})
}

// A write is all or an error, and says how much there was room for.
func TestWriteDeadline(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		a, b, err := connected(s)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		a.SetWriteBuffer(1000)
		go func() {
			for writes := false; !writes; _, writes = a.Waiting() {
				runtime.Gosched()
			}
			a.SetWriteDeadline(time.Now())
		}()
		n, err := a.Write(make([]byte, 1500))
		is(t, err, os.ErrDeadlineExceeded)
		if n != 1000 {
			t.Errorf("wrote %d bytes, want 1000", n)
		}
		a.SetWriteDeadline(time.Time{})
		go io.ReadFull(b, make([]byte, 2500))
		if n, err := a.Write(make([]byte, 1500)); n != 1500 || err != nil {
			t.Errorf("wrote %d, %v, want 1500", n, err)
		}
	})
}

func TestHalfClose(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		a, b, err := connected(s)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		a.Write([]byte("question"))
		if err := a.CloseWrite(); err != nil {
			t.Error(err)
		}
		if got, err := io.ReadAll(b); string(got) != "question" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		b.Write([]byte("answer"))
		b.Close()
		if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		_, err = a.Write([]byte{1})
		is(t, err, syscall.EPIPE)
		if err := a.CloseRead(); err != nil {
			t.Error(err)
		}
		a.Close()
		is(t, a.CloseRead(), net.ErrClosed)
	})
}

func TestListener(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		_, err := s.Dial(80)
		is(t, err, syscall.ECONNREFUSED)
		l, err := s.Listen(80)
		if err != nil {
			t.Fatal(err)
		}
		if l.Addr().String() != "kqlab:80" || l.Addr().Network() != "kqlab" {
			t.Errorf("address %v of %s", l.Addr(), l.Addr().Network())
		}
		_, err = s.Listen(80)
		is(t, err, syscall.EADDRINUSE)
		l.SetDeadline(time.Now().Add(time.Millisecond))
		_, err = l.Accept()
		is(t, err, os.ErrDeadlineExceeded)
		l.SetDeadline(time.Time{})
		got := make(chan error)
		for range 3 {
			go func() {
				_, err := l.Accept()
				got <- err
			}()
		}
		time.Sleep(time.Millisecond)
		l.Close()
		for range 3 {
			is(t, <-got, net.ErrClosed)
		}
		l, err = s.Listen(80) // the port is free again
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Dial(80)
		if err != nil {
			t.Fatal(err)
		}
		if c.RemoteAddr().String() != "kqlab:80" || c.LocalAddr().(netconn.Addr).Port == 0 {
			t.Errorf("addresses %v, %v", c.LocalAddr(), c.RemoteAddr())
		}
		l.Close()
		_, err = c.Read(make([]byte, 1))
		is(t, err, syscall.ECONNRESET)
		c.Close()
	})
}

func TestPacketConn(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		a, err := s.ListenPacket(0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.ListenPacket(53)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.ListenPacket(53)
		is(t, err, syscall.EADDRINUSE)
		buf := make([]byte, 10)
		for _, to := range []net.Addr{netconn.Addr{Port: 53}, b.LocalAddr(), &net.UDPAddr{Port: 53}} {
			if n, err := a.WriteTo([]byte("hello"), to); n != 5 || err != nil {
				t.Errorf("write: %d, %v", n, err)
			}
			n, from, err := b.ReadFrom(buf)
			if string(buf[:n]) != "hello" || err != nil || from != a.LocalAddr() {
				t.Errorf("read %q from %v, %v, want %q from %v", buf[:n], from, err, "hello", a.LocalAddr())
			}
		}
		_, err = a.WriteTo(buf, nil)
		var bad *net.AddrError
		if !errors.As(err, &bad) {
			t.Errorf("to nowhere: %v", err)
		}
		_, err = a.WriteTo(make([]byte, 1<<17), b.LocalAddr())
		is(t, err, syscall.EMSGSIZE)
		if _, err := a.WriteTo(buf, netconn.Addr{Port: 54}); err != nil {
			t.Errorf("to where nobody is: %v", err)
		}
		a.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _, err = a.ReadFrom(buf)
		is(t, err, os.ErrDeadlineExceeded)
		got := make(chan error)
		go func() {
			_, _, err := b.ReadFrom(buf)
			got <- err
		}()
		time.Sleep(time.Millisecond)
		b.Close()
		is(t, <-got, net.ErrClosed)
		a.Close()
		_, err = a.WriteTo(buf, netconn.Addr{Port: 53})
		is(t, err, net.ErrClosed)
	})
}

func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		for _, address := range []string{"kqlab", "kqlab:", "kqlab:http", "kqlab:0", "kqlab:65536", "kqlab:-1", "a:b:c"} {
			if c, err := s.DialContext(t.Context(), "tcp", address); c != nil || err == nil {
				t.Errorf("dialed %q: %v, %v", address, c, err)
			}
		}
		if _, err := s.DialContext(t.Context(), "udp", "kqlab:80"); !errors.As(err, new(net.UnknownNetworkError)) {
			t.Errorf("network udp: %v", err)
		}
		for _, port := range []int{-1, 65536} {
			_, err := s.Listen(port)
			is(t, err, syscall.EADDRNOTAVAIL)
			_, err = s.Dial(port)
			is(t, err, syscall.EADDRNOTAVAIL)
		}
	})
}

// A message to and fro costs no allocation, though both sides wait.
func TestAllocations(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		a, b, err := connected(s)
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan bool)
		go func() {
			defer close(end)
			buf := make([]byte, 8)
			for {
				n, err := b.Read(buf)
				if err != nil {
					return
				}
				b.Write(buf[:n])
			}
		}()
		buf := make([]byte, 8)
		n := testing.AllocsPerRun(1000, func() {
			if _, err := a.Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(a, buf); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
		a.Close()
		<-end
		b.Close()
	})
}

// Whoever dials, accepts, reads, sets deadlines and closes, and closes what others are
// about, comes to an end, with an error that says so; and nothing is left.
func TestRacyListener(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		rounds := 100
		if testing.Short() {
			rounds = 20
		}
		expected := func(what string, err error) {
			for _, want := range []error{net.ErrClosed, os.ErrDeadlineExceeded, io.EOF, context.DeadlineExceeded,
				syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
				if errors.Is(err, want) {
					return
				}
			}
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for range rounds {
			l, err := s.Listen(80)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() { // serves until the listener is closed
					for {
						c, err := l.Accept()
						expected("accept", err)
						if errors.Is(err, net.ErrClosed) {
							return
						}
						if err != nil {
							continue
						}
						wg.Go(func() { c.SetDeadline(time.Now().Add(time.Millisecond)) })
						wg.Go(func() { c.Close() })
						_, err = c.Read(make([]byte, 1))
						expected("read", err)
						_, err = c.Write(make([]byte, 1))
						expected("write", err)
						c.Close()
					}
				})
				wg.Go(func() {
					for range 10 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*100*time.Microsecond)
						c, err := s.DialContext(ctx, "tcp", "kqlab:80")
						cancel()
						expected("dial", err)
						if err != nil {
							continue
						}
						_, err = c.Write(make([]byte, 100))
						expected("write", err)
						wg.Go(func() { c.Close() })
						_, err = c.Read(make([]byte, 1))
						expected("read", err)
						l.SetDeadline(time.Now().Add(time.Duration(i) * time.Microsecond))
						l.SetDeadline(time.Time{})
					}
					if i == 2 { // while the others dial yet
						expected("close", l.Close())
					}
				})
			}
			wg.Wait()
		}
	})
}
