package poll_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/poll"
	"github.com/kqlab/kqlab/strategies"
)

// BenchmarkEpoll is a harvest of batch events from as many read ends of pipes, which
// stay ready: by EpollWait, and in turn with it by kevent, from knotes that are as the
// items are. An operation is one event of either. The ratio is that of the medians.
func BenchmarkEpoll(b *testing.B) {
	for _, batch := range []int{1, 64} {
		for _, s := range strategies.All {
			b.Run(fmt.Sprintf("batch=%d/%s", batch, s.Name), func(b *testing.B) {
				l := newLab(b, s)
				defer l.end()
				kevs := make([]event.Kevent, batch)
				events := make([]poll.EpollEvent, batch)
				ep := l.epoll()
				kq, err := l.p.Kqueue(l.td)
				l.must(err)
				for i := range batch {
					p, q := l.pipe(), l.pipe()
					l.write(p, 1)
					l.write(q, 1)
					kevs[i] = event.Kevent{Ident: uint64(p.rd), Filter: event.Read, Flags: event.Add, Udata: uint64(i)}
					l.ctl(ep, event.EpollAdd, q.rd, epin, uint64(i))
				}
				_, err = l.p.Kevent(l.td, kq, kevs, nil, 0)
				l.must(err)
				const round = 1024 // events
				var times [2][]time.Duration
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += round {
					start := time.Now()
					for range round / batch {
						if n, err := l.p.Kevent(l.td, kq, nil, kevs, kqueue.Forever); n != batch || err != nil {
							b.Fatalf("Kevent: %d, %v; want %d events", n, err, batch)
						}
					}
					middle := time.Now()
					for range round / batch {
						if n, err := poll.EpollWait(l.td, l.p, ep, events, kqueue.Forever); n != batch || err != nil {
							b.Fatalf("EpollWait: %d, %v; want %d events", n, err, batch)
						}
					}
					times[0] = append(times[0], middle.Sub(start))
					times[1] = append(times[1], time.Since(middle))
				}
				b.StopTimer()
				for i := range times {
					slices.Sort(times[i])
				}
				kevent, epoll := times[0][len(times[0])/2], times[1][len(times[1])/2]
				b.ReportMetric(float64(kevent)/round, "kevent-ns/event")
				b.ReportMetric(float64(epoll)/round, "epoll-ns/event")
				b.ReportMetric(float64(epoll)/float64(kevent), "epoll/kevent")
			})
		}
	}
}
