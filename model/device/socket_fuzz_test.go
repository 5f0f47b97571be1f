package device_test

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// A half is what a direction of a connection of Inet should hold.
type half struct {
	bytes  []byte
	mark   int // where the mark is, -1 if there is none
	urgent int // the byte, -1 if it has been taken
	ended  bool
}

// FuzzSocket reads the first byte as a strategy, the second and the third as the sizes
// of buffers, and the others as operations of two bytes each. It does them to a
// connection and to slices, and looks at what each answers, at the bytes, and at the
// level-triggered events of one end after each.
func FuzzSocket(f *testing.F) {
	f.Add([]byte{0, 3, 200, 0, 5, 1, 9, 2, 3, 9, 1, 10, 0, 1, 9})
	f.Add([]byte{1, 255, 255, 0, 255, 2, 255, 3, 255, 8, 200, 9, 100, 4, 0, 5, 0})
	f.Add([]byte{2, 8, 8, 0, 9, 0, 9, 3, 3, 8, 2, 11, 0, 11, 0, 3, 9, 3, 9, 4, 0, 3, 9, 5, 0})
	f.Add([]byte{0, 4, 200, 8, 7, 8, 6, 8, 1, 0, 1, 8, 6, 3, 9, 8, 6})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 3 || len(script) > 200 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.end()
		p := inetLab(l)
		p.set(p.a, device.SndBuf, 1+int(script[1]))
		p.set(p.b, device.SndBuf, 1+int(script[2]))
		for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
			fflags := event.Fflags(0)
			if f == event.Except {
				fflags = event.NoteOOB
			}
			l.change(p.on(f, event.Add, fflags, 0), nil)
		}
		ends := [2]*device.Socket{p.a, p.b}
		sizes := [2]int{1 + int(script[1]), 1 + int(script[2])}
		to := [2]*half{{mark: -1, urgent: -1}, {mark: -1, urgent: -1}} // what i has to read
		next := byte(0)
		for ops := script[3:]; len(ops) >= 2; ops = ops[2:] {
			i, n := int(ops[0]&1), int(ops[1])
			s, in, out := ends[i], to[i], to[1-i]
			room := sizes[i] - len(out.bytes)
			fill := func(n int) []byte {
				b := make([]byte, n)
				for j := range b {
					next++
					b[j] = next
				}
				return b
			}
			what := ""
			var got, want string
			switch ops[0] / 2 % 6 {
			case 0:
				what = "write"
				b := fill(n)
				k, err := s.Write(l.td, b)
				got = fmt.Sprint(k, err)
				switch {
				case out.ended:
					want = fmt.Sprint(0, syscall.EPIPE)
				case n > 0 && room == 0:
					want = fmt.Sprint(0, syscall.EAGAIN)
				default:
					want = fmt.Sprint(min(n, room), error(nil))
					out.bytes = append(out.bytes, b[:min(n, room)]...)
				}
			case 1:
				what = "read"
				b := make([]byte, n)
				k, err := s.Read(l.td, b)
				got = fmt.Sprint(k, err, b[:k])
				take := min(n, len(in.bytes))
				if in.mark > 0 {
					take = min(take, in.mark)
				}
				switch {
				case n == 0 || take == 0 && in.ended:
					want = fmt.Sprint(0, error(nil), []byte{})
				case take == 0:
					want = fmt.Sprint(0, syscall.EAGAIN, []byte{})
				default:
					want = fmt.Sprint(take, error(nil), in.bytes[:take])
					in.bytes = in.bytes[take:]
					if in.mark -= take; in.mark < 0 { // it has been passed, or there was none
						in.mark, in.urgent = -1, -1
					}
				}
			case 2:
				what = "shutdown"
				s.Shutdown(l.td, event.WriteSide)
				out.ended = true
			case 3:
				what = "lowat"
				p.set(s, device.RcvLowat, 1+n)
				p.set(s, device.RcvLowat, 1)
			case 4:
				what = "send out of band"
				b := fill(n)
				k, err := s.SendOOB(l.td, b)
				got = fmt.Sprint(k, err)
				switch {
				case out.ended:
					want = fmt.Sprint(0, syscall.EPIPE)
				case n == 0:
					want = fmt.Sprint(0, error(nil))
				case n-1 > sizes[i]:
					want = fmt.Sprint(0, syscall.EMSGSIZE)
				case n-1 > room:
					want = fmt.Sprint(0, syscall.EAGAIN)
				default:
					want = fmt.Sprint(n, error(nil))
					out.bytes = append(out.bytes, b[:n-1]...)
					out.mark, out.urgent = len(out.bytes), int(b[n-1])
				}
			case 5:
				what = "receive out of band"
				b := make([]byte, 1)
				k, err := s.RecvOOB(l.td, b)
				got = fmt.Sprint(k, err, b)
				want = fmt.Sprint(0, syscall.EINVAL, []byte{0})
				if in.urgent >= 0 {
					want = fmt.Sprint(1, error(nil), []byte{byte(in.urgent)})
					in.urgent = -1
				}
			}
			if got != want {
				t.Fatalf("%s of %d by %d: %s, want %s", what, n, i, got, want)
			}
			at, err := s.AtMark(l.td)
			if in := to[i]; err != nil || at != (in.mark == 0) {
				t.Fatalf("at the mark: %v, %v, want %v", at, err, in.mark == 0)
			}
			eventsOf(p, to[0], to[1], sizes)
		}
	})
}

// eventsOf fails unless the events of a are what they should be, given what it has to
// read and what the other has.
func eventsOf(p *socketLab, in, out *half, sizes [2]int) {
	p.Helper()
	want := map[event.Filter]event.Kevent{}
	over := event.EOF
	if in.ended && out.ended {
		over |= event.HUP
		want[event.Except] = p.on(event.Except, over, 0, 0)
	}
	if in.mark >= 0 {
		e := p.on(event.Except, want[event.Except].Flags, event.NoteOOB, 0)
		want[event.Except] = e
	}
	if in.ended {
		want[event.Read] = p.on(event.Read, over, 0, int64(len(in.bytes)))
		if len(in.bytes) == 0 {
			want[event.Read] = p.on(event.Read, over|event.NoData, 0, 0)
		}
	} else if len(in.bytes) > 0 {
		want[event.Read] = p.on(event.Read, 0, 0, int64(len(in.bytes)))
	}
	if room := sizes[0] - len(out.bytes); out.ended {
		want[event.Write] = p.on(event.Write, over|event.NoData, 0, 0)
	} else if room >= max(1, sizes[0]/2) {
		want[event.Write] = p.on(event.Write, 0, 0, int64(room))
	}
	var events [4]event.Kevent
	n, err := p.q.Kevent(p.td, nil, events[:], 0)
	if err != nil || n != len(want) {
		p.Fatalf("events %v, %v, want %v", events[:n], err, want)
	}
	for _, e := range events[:n] {
		if e != want[e.Filter] {
			p.Fatalf("event %v, want %v", e, want[e.Filter])
		}
	}
}

// Datagrams come whole, in order, one a read, and what does not fit is lost with its
// own.
func TestDatagramContent(t *testing.T) {
	each(t, func(l *lab) {
		p := pairLab(l, event.Datagram)
		r := random(t, 0)
		var held [][]byte
		next := byte(0)
		for range 2000 {
			if r.IntN(2) == 0 {
				b := make([]byte, r.IntN(300))
				for i := range b {
					next++
					b[i] = next
				}
				if n, err := p.a.Write(l.td, b); err == nil {
					held = append(held, b[:n])
				} else if err != syscall.EAGAIN || len(held) < device.MaxDatagrams {
					l.Fatalf("write with %d held: %v", len(held), err)
				}
				continue
			}
			b := make([]byte, 1+r.IntN(300))
			n, err := p.b.Read(l.td, b)
			if len(held) == 0 {
				if n != 0 || err != syscall.EAGAIN {
					l.Fatalf("read of nothing: %d, %v", n, err)
				}
				continue
			}
			want := held[0][:min(len(b), len(held[0]))]
			held = held[1:]
			if err != nil || !bytes.Equal(b[:n], want) {
				l.Fatalf("read %v, %v, want %v", b[:n], err, want)
			}
		}
	})
}

// What a byte through a connection costs, as BenchmarkPipe.
func BenchmarkSocket(b *testing.B) {
	transferred(b, func(td *machine.Thread, k *kqueue.Kernel) (reader, writer, error) {
		r, w, err := device.NewSocketPair(td, k, event.Stream)
		return r, w, err
	})
}
