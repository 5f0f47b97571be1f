package device_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// A twin of a listener has packets where that has bytes.
type bpfTwin struct {
	store, hold        [][]byte
	immediate          bool
	received, dropped  int64
	shortest           int
	released, detached bool
}

// framed returns what packets take in a buffer.
func framed(packets [][]byte) (n int) {
	for _, p := range packets {
		n = (n+device.BpfAlign-1)/device.BpfAlign*device.BpfAlign + device.BpfHeader + len(p)
	}
	return n
}

func (w *bpfTwin) tap(p []byte) {
	if w.received++; len(p) < w.shortest {
		return
	}
	p = p[:min(len(p), device.BpfBuffer-device.BpfHeader)]
	if framed(append(slices.Clone(w.store), p)) > device.BpfBuffer {
		if w.hold != nil {
			w.dropped++
			return
		}
		w.hold, w.store = w.store, nil
	}
	w.store = append(w.store, p)
}

func (w *bpfTwin) read() (packets [][]byte, err error) {
	if w.hold == nil {
		w.hold, w.store = w.store, nil
	}
	packets, w.hold = w.hold, nil
	if packets == nil {
		err = syscall.EAGAIN
		if w.detached {
			err = syscall.ENXIO
		}
	}
	return packets, err
}

// FuzzBpf reads the first byte as a strategy and the others as operations on two
// listeners of an interface, of two bytes each. It does them to these and to twins, and
// looks at each answer, each packet, and what is told of the first listener.
func FuzzBpf(f *testing.F) {
	f.Add([]byte{0, 0, 9, 2, 0, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 2, 0, 2, 0, 2, 0})
	f.Add([]byte{1, 4, 1, 0, 9, 1, 200, 4, 0, 0, 1, 6, 60, 0, 3, 0, 9, 3, 0, 8, 0, 2, 0, 2, 0})
	f.Add([]byte{2, 1, 255, 1, 255, 1, 255, 1, 9, 7, 0, 1, 9, 3, 0, 9, 9, 0, 9, 2, 0, 2, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 1 || len(script) > 200 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.end()
		b := newBpfLab(l)
		other, err := b.d.Open(l.td)
		l.must(err)
		b.add(0)
		ds := [2]*device.Bpf{b.d, other}
		ws := [2]*bpfTwin{{}, {}}
		next := byte(0)
		for ops := script[1:]; len(ops) >= 2; ops = ops[2:] {
			i, n := int(ops[0]&1), int(ops[1])
			d, w := ds[i], ws[i]
			over := error(nil)
			switch {
			case w.released:
				over = syscall.EBADF
			case w.detached:
				over = syscall.ENXIO
			}
			closed := over
			if over == syscall.ENXIO {
				closed = nil
			}
			var got, want string
			switch ops[0] / 2 % 5 {
			case 0: // a packet, of the wire or of the listener
				p := make([]byte, 1+n*9)
				for j := range p {
					next++
					p[j] = next
				}
				var err error
				if n%2 == 0 && len(p) <= device.BpfLongest {
					_, err = d.Write(l.td, p)
				} else {
					_, err = d.Tap(l.td, p)
				}
				if over == nil {
					for _, w := range ws {
						if !w.released {
							w.tap(p)
						}
					}
				}
				got, want = fmt.Sprint(err), fmt.Sprint(over)
			case 1:
				buf := make([]byte, device.BpfBuffer)
				k, err := d.Read(l.td, buf)
				got = fmt.Sprint(k, err)
				var packets [][]byte
				if err := closed; err != nil {
					want = fmt.Sprint(0, err)
				} else {
					packets, err = w.read()
					want = fmt.Sprint(framed(packets), err)
				}
				for c := range device.Captured(buf[:k]) {
					if len(packets) == 0 || !slices.Equal(c.Data, packets[0]) || c.Length < len(c.Data) {
						t.Fatalf("read of %d: a packet of %d bytes, %d were left to come", k, len(c.Data), len(packets))
					}
					packets = packets[1:]
				}
				if len(packets) > 0 {
					t.Fatalf("read of %d: %d packets are missing", k, len(packets))
				}
			case 2:
				got, want = fmt.Sprint(d.Immediate(l.td, n&1 != 0)), fmt.Sprint(closed)
				w.immediate = n&1 != 0
			case 3:
				got, want = fmt.Sprint(d.Shortest(l.td, n)), fmt.Sprint(closed)
				if closed == nil {
					*w = bpfTwin{immediate: w.immediate, shortest: n, detached: w.detached}
				}
			default:
				switch {
				case i == 1 && n%4 == 0:
					d.Release(l.td)
					*w = bpfTwin{released: true, detached: w.detached}
				case n%16 == 9:
					got, want = fmt.Sprint(d.Unplug(l.td)), fmt.Sprint(over)
					if over == nil {
						ws[0].detached, ws[1].detached = true, true
					}
				}
			}
			if got != want {
				t.Fatalf("listener %d, operation %d of %d: %s, want %s", i, ops[0]/2%5, n, got, want)
			}
			w = ws[0]
			told := framed(w.hold)
			if w.hold == nil && (w.immediate || w.detached) {
				told = framed(w.store)
			}
			switch {
			case w.detached && told == 0:
				kev := b.on(event.EOF|event.HUP|event.NoData, 0)
				kev.Fflags = event.Fflags(syscall.ENXIO)
				l.expect(kev)
			case w.detached:
				kev := b.on(event.EOF|event.HUP, int64(told))
				kev.Fflags = event.Fflags(syscall.ENXIO)
				l.expect(kev)
			case told > 0:
				l.expect(b.on(0, int64(told)))
			default:
				l.expect()
			}
			b.stats(w.received, w.dropped)
			l.must(b.d.Audit(l.td))
		}
		if !ws[1].released {
			other.Release(l.td)
		}
	})
}

// FuzzCaptured reads packets out of any bytes: they lie in those, one behind the other.
func FuzzCaptured(f *testing.F) {
	f.Add([]byte("short"))
	f.Add(make([]byte, 100))
	f.Add(append(make([]byte, 24), 26, 0, 1, 2, 3))
	f.Add(append([]byte("0123456789abcdef\x03\x00\x00\x00\xff\xff\xff\xff\x1a\x00abc"), make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for c := range device.Captured(b) {
			if n += device.BpfHeader + len(c.Data); n > len(b) {
				t.Fatalf("%d bytes of packets in %d", n, len(b))
			}
		}
	})
}
