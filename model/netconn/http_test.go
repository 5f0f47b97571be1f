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
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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
		if _, err := p.post(nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a request after Shutdown: %v, want ECONNREFUSED", err)
		}
	})
}

func TestHTTPTimeouts(t *testing.T) {
	each(t, func(t *testing.T, s *netconn.Stack) {
		gone := make(chan bool, 2)
		p := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done() // the server sees that the client is gone
			gone <- true
		}, func(c *http.Server) { c.ReadHeaderTimeout = 20 * time.Millisecond })
		defer p.end()

		p.client.Timeout = 20 * time.Millisecond
		_, err := p.post(nil)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a request that is not answered: %v, want a timeout", err)
		}
		<-gone

		p.client.Timeout = 0
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", p.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.client.Do(r); !errors.Is(err, context.Canceled) {
			t.Errorf("a request that is taken back: %v", err)
		}
		<-gone

		// Who connects and says nothing is not waited for.
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
