package netconn_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/netconn"
)

// A site is a real server of net/http on a stack, and a real client of it.
type site struct {
	*testing.T
	stack    *netconn.Stack
	server   *httptest.Server
	client   *http.Client
	accepted atomic.Int32
}

// serve starts a site; change may change the server before. What it leaves, each finds.
func serve(t *testing.T, s *netconn.Stack, h http.HandlerFunc, change func(*http.Server)) *site {
	l, err := s.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	p := &site{T: t, stack: s}
	p.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	p.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.accepted.Add(1)
		}
	}
	if change != nil {
		change(p.server.Config)
	}
	p.server.Start()
	p.client = &http.Client{Transport: &http.Transport{DialContext: s.DialContext, MaxIdleConnsPerHost: 100}}
	return p
}

func (p *site) end() {
	p.client.CloseIdleConnections()
	p.server.Close()
}

// post sends a body, and returns the answer's.
func (p *site) post(body []byte) ([]byte, error) {
	r, err := p.client.Post(p.server.URL, "text/plain", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, errors.New(r.Status)
	}
	return io.ReadAll(r.Body)
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(b)
}

func TestHTTPKeepAlive(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		p := serve(t, s, echo, nil)
		defer p.end()
		for i := range 20 {
			want := fmt.Append(nil, "request ", i)
			if got, err := p.post(want); !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%q, %v, want %q", got, err, want)
			}
		}
		if n := p.accepted.Load(); n != 1 {
			t.Errorf("20 requests took %d connections, want 1", n)
		}
	})
}

func TestHTTPParallel(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		p := serve(t, s, echo, nil)
		defer p.end()
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				for j := range 5 {
					want := fmt.Append(nil, "request ", i, j)
					if got, err := p.post(want); !bytes.Equal(got, want) || err != nil {
						t.Errorf("%q, %v, want %q", got, err, want)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestHTTPLargeBodies(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		// What comes is answered with its sum, then with itself, while it comes.
		p := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			sum := sha256.New()
			io.Copy(w, io.TeeReader(r.Body, sum))
			w.Write(sum.Sum(nil))
		}, nil)
		defer p.end()
		body := make([]byte, 4<<20)
		rand.NewChaCha8([32]byte{1}).Read(body)
		got, err := p.post(body)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if !bytes.Equal(got, append(body, sum[:]...)) {
			t.Errorf("the answer's %d bytes are not what was sent, and its sum", len(got))
		}
	})
}

func TestHTTPShutdown(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		began, answer := make(chan bool), make(chan bool)
		p := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 0 {
				began <- true
				<-answer
			}
			echo(w, r)
		}, nil)
		defer p.end()
		if _, err := p.post(nil); err != nil { // leaves an idle connection
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			got, err := p.post([]byte("late"))
			if err == nil && string(got) != "late" {
				err = fmt.Errorf("%q, want %q", got, "late")
			}
			done <- err
		}()
		<-began
		down := make(chan error)
		go func() { down <- p.server.Config.Shutdown(context.Background()) }()
		for { // until the listener is closed
			c, err := s.DialContext(t.Context(), "tcp", p.server.Listener.Addr().String())
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if err == nil {
				c.Close()
			}
			time.Sleep(time.Millisecond)
		}
		select {
		case err := <-down:
			t.Errorf("the server is down, %v, with a request under way", err)
		default:
		}
		answer <- true
		if err := <-done; err != nil {
			t.Errorf("the request under way: %v", err)
		}
		if err := <-down; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		p.client.CloseIdleConnections() // or one may be used that it has not yet seen the end of
		if _, err := p.post(nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a request after Shutdown: %v, want ECONNREFUSED", err)
		}
	})
}

// A client that gives up, by its own clock or because it is told to, is gone to the
// server too.
func TestHTTPTimeouts(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		const most = 20 // requests
		began, gone := make(chan bool, most), make(chan bool, most)
		p := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
			began <- true
			<-r.Context().Done() // the server sees that the client is gone
			gone <- true
		}, nil)
		defer p.end()

		// A timeout may be over before the request has come to the server.
		p.client.Timeout = 10 * time.Millisecond
		for come := false; !come; p.client.Timeout *= 2 {
			_, err := p.post(nil)
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Fatalf("a request that is not answered: %v, want a timeout", err)
			}
			select {
			case <-began:
				come = true
			default:
			}
		}
		<-gone

		p.client.Timeout = 0
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-began; cancel() }()
		r, err := http.NewRequestWithContext(ctx, "GET", p.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.client.Do(r); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that is taken back: %v", err)
		}
		<-gone
	})
}

// Who connects to a server and says nothing is not waited for.
func TestHTTPHeaderTimeout(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		p := serve(t, s, echo, func(c *http.Server) { c.ReadHeaderTimeout = 20 * time.Millisecond })
		defer p.end()
		c, err := s.DialContext(t.Context(), "tcp", p.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("read %d, %v, want the end", n, err)
		}
	})
}

// A dial that waits for room in the backlog ends with its context, or when there is
// room.
func TestDialWaits(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		l, err := s.Listen(80)
		if err != nil {
			t.Fatal(err)
		}
		var all []net.Conn
		for len(all) < netconn.Backlog {
			c, err := s.Dial(80)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if c, err := s.DialContext(ctx, "tcp", "kqlab:80"); c != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialed %v, %v, want context.DeadlineExceeded", c, err)
		}
		dialed := make(chan error)
		for range 2 {
			go func() {
				c, err := s.Dial(80)
				if err == nil {
					defer c.Close()
					_, err = c.Write([]byte{1})
				}
				dialed <- err
			}()
		}
		time.Sleep(time.Millisecond)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
		if err := <-dialed; err != nil {
			t.Error(err)
		}
		l.Close()
		if err := <-dialed; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a dial that waited for room when the listener was closed: %v, want ECONNREFUSED", err)
		}
		if _, err := s.DialContext(ctx, "tcp", "kqlab:80"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a dial whose time is over: %v", err)
		}
		for _, c := range all {
			c.Close()
		}
	})
}

// A dial that waits when its listener is closed, and finds another one without room at
// the port when it looks again, waits for that.
func TestDialWaitsForTheNext(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		td := s.Machine().Attach("listener", 0)
		defer td.Detach()
		socket := func() *device.Socket {
			c, err := s.Network().NewSocket(td, device.Inet, event.Stream)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		// full has l listen, and c take all the room, unless the dial is before it.
		full := func(l, c *device.Socket) {
			if err := l.Listen(td, 80, 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Connect(td, 80); err != nil && err != syscall.EINPROGRESS {
				t.Fatal(err)
			}
		}
		for range 50 {
			l, c, l2, c2 := socket(), socket(), socket(), socket()
			full(l, c)
			dialed := make(chan error)
			go func() {
				c, err := s.Dial(80)
				if err == nil {
					c.Close()
				}
				dialed <- err
			}()
			for s.InUse() == 0 {
				runtime.Gosched()
			}
			time.Sleep(100 * time.Microsecond) // for the dial to wait, mostly
			l.Release(td)
			full(l2, c2)
			time.Sleep(100 * time.Microsecond) // for the dial to have come to the second, mostly
			l2.Release(td)
			if err := <-dialed; err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatalf("a dial whose listener was closed: %v, want ECONNREFUSED, or that it came in at the next", err)
			}
			c.Release(td)
			c2.Release(td)
		}
	})
}
