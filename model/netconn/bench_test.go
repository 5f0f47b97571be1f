package netconn_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kqlab/kqlab/strategies"
)

// A lane is one of those that are compared: how to make one, and a round of it.
type lane struct {
	name  string
	round func() error
	took  time.Duration
}

// compare has b.N rounds of each lane, some at a time of each in turn, so that drift
// falls on all alike, and reports what a round takes, and how many times as long as
// one of tcp, which is the last lane.
func compare(b *testing.B, lanes []*lane) {
	const some = 200
	b.ResetTimer()
	for left := b.N; left > 0; left -= some {
		for _, l := range lanes {
			start := time.Now()
			for range min(left, some) {
				if err := l.round(); err != nil {
					b.Fatalf("%s: %v", l.name, err)
				}
			}
			l.took += time.Since(start)
		}
	}
	tcp := lanes[len(lanes)-1]
	for _, l := range lanes {
		b.ReportMetric(float64(l.took.Nanoseconds())/float64(b.N), l.name+"-ns")
		if l != tcp {
			b.ReportMetric(float64(l.took)/float64(tcp.took), l.name+"/tcp")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkEcho is a message to a goroutine that sends it back: over the sockets of
// each strategy, over net.Pipe, which holds nothing and has no kernel at all, and over
// TCP of this machine.
//
//	go test -run '^$' -bench Echo -count 5 ./model/netconn
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{1, 64 << 10} {
		b.Run(fmt.Sprint("size=", size), func(b *testing.B) {
			var lanes []*lane
			add := func(name string, near, far net.Conn) {
				b.Cleanup(func() { near.Close() })
				go func() {
					defer far.Close()
					io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, make([]byte, 64<<10))
				}()
				sent, got := make([]byte, size), make([]byte, size)
				lanes = append(lanes, &lane{name: name, round: func() error {
					if _, err := near.Write(sent); err != nil {
						return err
					}
					_, err := io.ReadFull(near, got)
					return err
				}})
			}
			for _, e := range strategies.All {
				s := newStack(e)
				b.Cleanup(func() { s.Close() })
				near, far, err := connected(s)
				if err != nil {
					b.Fatal(err)
				}
				add(e.Name, near, far)
			}
			if size == 1 { // a write to it ends when all is read, so an echo of much would wait for itself
				near, far := net.Pipe()
				add("net.Pipe", near, far)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			near, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			far, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			add("tcp", near, far)
			compare(b, lanes)
		})
	}
}

// BenchmarkHTTP is a request to a real server of net/http on a connection that is
// kept, over the sockets of each strategy and over TCP of this machine.
//
//	go test -run '^$' -bench HTTP -count 5 ./model/netconn
func BenchmarkHTTP(b *testing.B) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	var lanes []*lane
	add := func(name string, server *httptest.Server, dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
		client := &http.Client{Transport: &http.Transport{DialContext: dial}}
		b.Cleanup(func() { client.CloseIdleConnections(); server.Close() })
		lanes = append(lanes, &lane{name: name, round: func() error {
			r, err := client.Get(server.URL)
			if err != nil {
				return err
			}
			defer r.Body.Close()
			_, err = io.Copy(io.Discard, r.Body)
			return err
		}})
	}
	for _, e := range strategies.All {
		s := newStack(e)
		b.Cleanup(func() { s.Close() })
		l, err := s.Listen(80)
		if err != nil {
			b.Fatal(err)
		}
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: hello}}
		server.Start()
		add(e.Name, server, s.DialContext)
	}
	add("tcp", httptest.NewServer(hello), new(net.Dialer).DialContext)
	compare(b, lanes)
}
