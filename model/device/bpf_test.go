package device_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A bpfLab is a listener that has a descriptor.
type bpfLab struct {
	*lab
	d  *device.Bpf
	fd uint64
}

func newBpfLab(l *lab) *bpfLab {
	b := &bpfLab{lab: l, d: device.NewBpf(l.td, l.k)}
	b.fd = l.open(b.d)
	return b
}

// tap expects a packet to be captured so far.
func (b *bpfLab) tap(d *device.Bpf, packet string, captured int) {
	b.Helper()
	if n, err := d.Tap(b.td, []byte(packet)); n != captured || err != nil {
		b.Fatalf("Tap of %d bytes: %d, %v, want %d", len(packet), n, err, captured)
	}
}

// read expects a read to return so many bytes, and in them these packets.
func (b *bpfLab) read(d *device.Bpf, want int, packets ...string) {
	b.Helper()
	buf := make([]byte, device.BpfBuffer)
	n, err := d.Read(b.td, buf)
	if n != want || err != nil {
		b.Fatalf("Read: %d, %v, want %d", n, err, want)
	}
	var got []string
	for c := range device.Captured(buf[:n]) {
		got = append(got, string(c.Data))
		if c.At > b.td.Now() || c.Length < len(c.Data) {
			b.Errorf("captured at %v, which is to come, or %d bytes of %d", c.At, len(c.Data), c.Length)
		}
	}
	if !slices.Equal(got, packets) {
		b.Fatalf("Read: packets %.20q, want %.20q", got, packets)
	}
}

func (b *bpfLab) refused(d *device.Bpf, room int, want error) {
	b.Helper()
	if n, err := d.Read(b.td, make([]byte, room)); n != 0 || err != want {
		b.Fatalf("Read of %d: %d, %v, want %v", room, n, err, want)
	}
}

func (b *bpfLab) add(flags event.Flags) {
	b.Helper()
	b.change(event.Kevent{Ident: b.fd, Filter: event.Read, Flags: event.Add | flags}, nil)
}

// on is Read of the listener, with data.
func (b *bpfLab) on(flags event.Flags, data int64) event.Kevent {
	return event.Kevent{Ident: b.fd, Filter: event.Read, Flags: flags, Data: data}
}

func (b *bpfLab) stats(received, dropped int64) {
	b.Helper()
	r, d, err := b.d.Stats(b.td)
	if r != received || d != dropped || err != nil {
		b.Fatalf("Stats: %d received, %d dropped, %v, want %d and %d", r, d, err, received, dropped)
	}
}

const header = device.BpfHeader

func TestBpf(t *testing.T) {
	full := strings.Repeat("f", 2020) // two fill a buffer
	most := strings.Repeat("m", 2000) // and two of these leave room for a byte
	tests := []struct {
		what string
		do   func(b *bpfLab)
	}{
		{"what is in the store is told of when it is full", func(b *bpfLab) {
			b.add(0)
			b.tap(b.d, full, 2020)
			b.tap(b.d, full, 2020)
			b.expect()
			b.tap(b.d, "third", 5)
			size := 2048 + header + 2020
			b.expect(b.on(0, int64(size)))
			b.read(b.d, size, full, full)
			b.expect()
			b.read(b.d, header+5, "third") // a read that does not wait takes the store
			b.refused(b.d, device.BpfBuffer, syscall.EAGAIN)
		}},
		{"headers lie at multiples of a word", func(b *bpfLab) {
			b.tap(b.d, "abc", 3)
			b.tap(b.d, "defg", 4)
			b.read(b.d, 32+header+4, "abc", "defg")
		}},
		{"without room packets are dropped, and counted", func(b *bpfLab) {
			for range 4 {
				b.tap(b.d, most, 2000)
			}
			b.tap(b.d, most, 0)
			b.tap(b.d, "x", 1) // fits the store
			b.tap(b.d, most, 0)
			b.stats(7, 2)
			b.read(b.d, 2032+header+2000, most, most)
			b.tap(b.d, most, 2000) // the store is the hold buffer now
			b.read(b.d, 2*2032+header+1, most, most, "x")
			b.read(b.d, header+2000, most)
			b.stats(8, 2)
			b.must(b.d.Flush(b.td))
			b.stats(0, 0)
		}},
		{"a packet that is longer than a buffer is cut", func(b *bpfLab) {
			long := strings.Repeat("l", 5000)
			b.tap(b.d, long, device.BpfBuffer-header)
			b.read(b.d, device.BpfBuffer, long[:device.BpfBuffer-header])
		}},
		{"a read has room for a buffer, no more and no less", func(b *bpfLab) {
			b.tap(b.d, "x", 1)
			b.refused(b.d, 0, syscall.EINVAL)
			b.refused(b.d, device.BpfBuffer-1, syscall.EINVAL)
			b.refused(b.d, device.BpfBuffer+1, syscall.EINVAL)
			b.read(b.d, header+1, "x")
		}},
		{"in immediate mode each packet is told of", func(b *bpfLab) {
			b.add(event.Clear)
			b.tap(b.d, "one", 3)
			b.expect()
			b.must(b.d.Immediate(b.td, true))
			b.expect(b.on(event.Clear, header+3))
			b.must(b.d.Immediate(b.td, true)) // no news
			b.expect()
			b.tap(b.d, "two", 3)
			b.expect(b.on(event.Clear, 32+header+3))
			b.must(b.d.Immediate(b.td, false))
			b.tap(b.d, "three", 5)
			b.expect()
		}},
		{"the hold buffer is what a read returns, whatever is in the store", func(b *bpfLab) {
			b.must(b.d.Immediate(b.td, true))
			b.add(0)
			b.tap(b.d, full, 2020)
			b.tap(b.d, full, 2020)
			b.tap(b.d, "x", 1)
			b.expect(b.on(0, 2048+header+2020))
			b.read(b.d, 2048+header+2020, full, full)
			b.expect(b.on(0, header+1))
		}},
		{"packets that the filter does not want are counted, and no more", func(b *bpfLab) {
			b.tap(b.d, "gone", 4)
			b.must(b.d.Shortest(b.td, 3))
			b.tap(b.d, "ab", 0)
			b.tap(b.d, "abc", 3)
			b.stats(2, 0)
			b.read(b.d, header+3, "abc")
			if err := b.d.Shortest(b.td, -1); err != syscall.EINVAL {
				b.Errorf("Shortest of -1: %v", err)
			}
		}},
		{"each listener has its copy, the writer too", func(b *bpfLab) {
			o, err := b.d.Open(b.td)
			b.must(err)
			b.must(o.Shortest(b.td, 3))
			if n, err := b.d.Write(b.td, []byte("abc")); n != 3 || err != nil {
				b.Fatalf("Write: %d, %v", n, err)
			}
			b.tap(o, "d", 0)
			b.read(b.d, 32+header+1, "abc", "d")
			b.read(o, header+3, "abc")
			o.Release(b.td)
			b.tap(b.d, "e", 1)
			b.read(b.d, header+1, "e")
			_, err = o.Open(b.td)
			b.errors(syscall.EBADF, err, o.Unplug(b.td), o.Flush(b.td))
			b.refused(o, device.BpfBuffer, syscall.EBADF)
		}},
		{"a write is one packet, that an Ethernet takes", func(b *bpfLab) {
			if n, err := b.d.Write(b.td, nil); n != 0 || err != nil {
				b.Errorf("Write of nothing: %d, %v", n, err)
			}
			_, err := b.d.Write(b.td, make([]byte, device.BpfLongest+1))
			b.errors(syscall.EMSGSIZE, err)
			if n, err := b.d.Write(b.td, make([]byte, device.BpfLongest)); n != device.BpfLongest || err != nil {
				b.Errorf("Write: %d, %v", n, err)
			}
		}},
		{"when the interface goes what was captured is read, and then there is an end", func(b *bpfLab) {
			gone := func(flags event.Flags, data int64) event.Kevent {
				kev := b.on(event.EOF|event.HUP|flags, data)
				kev.Fflags = event.Fflags(syscall.ENXIO)
				return kev
			}
			over := func(flags event.Flags) event.Kevent {
				return event.Kevent{Ident: b.fd, Filter: event.Except, Flags: event.EOF | event.HUP | flags, Data: int64(syscall.ENXIO)}
			}
			b.change(event.Kevent{Ident: b.fd, Filter: event.Except, Flags: event.Add}, nil)
			b.add(0)
			b.tap(b.d, "x", 1)
			b.expect()
			b.must(b.d.Unplug(b.td))
			b.expect(over(0), gone(0, header+1))
			b.must(b.d.Audit(b.td))
			b.read(b.d, header+1, "x")
			b.expect(over(event.NoData), gone(event.NoData, 0))
			b.refused(b.d, device.BpfBuffer, syscall.ENXIO)
			_, taps := b.d.Input(b.td, 3)
			_, writes := b.d.Write(b.td, []byte("x"))
			_, opens := b.d.Open(b.td)
			b.errors(syscall.ENXIO, taps, writes, opens, b.d.Unplug(b.td))
		}},
		{"filters and fflags that it has not", func(b *bpfLab) {
			for _, kev := range []event.Kevent{
				{Filter: event.Write}, {Filter: event.Vnode}, {Filter: event.Read, Fflags: event.NoteLowat, Data: 5}, {Filter: event.Read, Fflags: 1 << 31},
				{Filter: event.Except, Fflags: event.NoteLowat},
			} {
				kev.Ident, kev.Flags = b.fd, event.Add
				b.change(kev, syscall.EINVAL)
			}
			b.add(0)
			b.change(event.Kevent{Ident: b.fd, Filter: event.Read, Flags: event.Add, Fflags: event.NoteLowat}, syscall.EINVAL)
			b.errors(syscall.EINVAL, b.d.Timeout(b.td, -1))
		}},
		{"controls have names", func(b *bpfLab) {
			b.must(b.d.Control(b.td, event.Immediate, 1))
			b.tap(b.d, "x", 1)
			b.add(0)
			b.expect(b.on(0, header+1))
			b.must(b.d.Control(b.td, event.Flush, 0))
			b.expect()
			b.must(b.d.Control(b.td, event.Immediate, 0))
			b.must(b.d.Control(b.td, event.Timeout, 3600_000))
			if n := b.m.Armed(); n != 1 {
				b.Errorf("%d callouts run, want the timeout", n)
			}
			b.errors(syscall.EINVAL, b.d.Control(b.td, event.Timeout, -1), b.d.Control(b.td, event.Timeout, 1<<62), b.d.Control(b.td, event.Buffer, 32))
			b.errors(syscall.ENOTTY, b.d.Control(b.td, event.Carrier, 1), b.d.Control(b.td, event.Lowat, 1), b.d.Control(b.td, event.Up, 1), b.d.Control(b.td, 0, 1))
			b.must(b.d.Control(b.td, event.Timeout, 0))
			if n := b.m.Armed(); n != 0 {
				b.Errorf("%d callouts run, and there is no timeout", n)
			}
		}},
		{"a device takes n bytes as a packet", func(b *bpfLab) {
			for want, n := range map[int]int{0: 0, 100: 100, device.BpfBuffer - header: 9000} {
				if got, err := b.d.Input(b.td, n); got != want || err != nil {
					b.Errorf("Input of %d: %d, %v, want %d", n, got, err, want)
				}
				b.must(b.d.Flush(b.td))
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) { test.do(newBpfLab(l)) })
		})
	}
}

// errors expects all of some errors to be the same.
func (l *lab) errors(want error, all ...error) {
	l.Helper()
	for i, err := range all {
		if err != want {
			l.Errorf("error %d is %v, want %v", i, err, want)
		}
	}
}

// The read timeout begins with who comes to watch, ends with what tells them, and begins
// again with a read.
func TestBpfTimeout(t *testing.T) {
	const soon, late = 200 * time.Microsecond, time.Hour
	each(t, func(l *lab) {
		b := newBpfLab(l)
		await := func(data int64) {
			b.Helper()
			if got := b.await(b.td); got != b.on(event.Clear, data) {
				b.Fatalf("after the timeout: %v, want data %d", got, data)
			}
		}
		b.must(b.d.Timeout(b.td, soon))
		b.tap(b.d, "one", 3)
		if n := b.m.Armed(); n != 0 {
			b.Errorf("%d callouts run, and nobody watches", n)
		}
		b.add(event.Clear)
		await(header + 3)
		b.tap(b.d, "two", 3) // it is over: told at once
		b.expect(b.on(event.Clear, 32+header+3))
		b.read(b.d, 32+header+3, "one", "two")
		b.tap(b.d, "three", 5)
		await(header + 5)
		b.read(b.d, header+5, "three")
		b.must(b.d.Timeout(b.td, late))
		if n := b.m.Armed(); n != 1 {
			b.Errorf("%d callouts run, want the timeout", n)
		}
		b.tap(b.d, "four", 4)
		b.expect()
		b.must(b.d.Timeout(b.td, soon))
		await(header + 4)
		b.must(b.d.Timeout(b.td, late))
		b.must(b.d.Unplug(b.td))
		if n := b.m.Armed(); n != 0 {
			b.Errorf("%d callouts run, and there is no interface", n)
		}
	})
}

// What runs when a listener is closed has ended when the close has.
func TestBpfClosedWhileItTimesOut(t *testing.T) {
	each(t, func(l *lab) {
		for range 50 {
			d := device.NewBpf(l.td, l.k)
			fd := l.open(d)
			l.must(d.Timeout(l.td, time.Microsecond))
			l.change(event.Kevent{Ident: fd, Filter: event.Read, Flags: event.Add}, nil)
			l.must(l.p.Close(l.td, int(fd)))
			if n := l.m.Armed(); n != 0 {
				l.Fatalf("%d callouts run on what is closed", n)
			}
		}
	})
}

// Packets come while somebody reads as told: all are read or dropped, none twice.
func TestBpfCapturesAll(t *testing.T) {
	const packets, writers = 300, 2
	for _, immediate := range []bool{true, false} {
		t.Run(fmt.Sprint("immediate ", immediate), func(t *testing.T) {
			each(t, func(l *lab) {
				b := newBpfLab(l)
				b.must(b.d.Immediate(b.td, immediate))
				b.must(b.d.Timeout(b.td, 100*time.Microsecond))
				b.add(event.Clear)
				total := 0
				for w := range writers {
					l.m.Go(fmt.Sprint("writer ", w), w, func(td *machine.Thread) {
						for i := range packets {
							if _, err := b.d.Tap(td, fmt.Appendf(nil, "%d %d%s", w, i, strings.Repeat(".", 300))); err != nil {
								t.Error(err)
							}
						}
						if _, err := b.d.Tap(td, fmt.Appendf(nil, "%d end", w)); err != nil {
							t.Error(err)
						}
					})
				}
				l.m.Go("reader", 0, func(td *machine.Thread) {
					buf := make([]byte, device.BpfBuffer)
					last := [writers]int{-1, -1}
					for {
						received, dropped, _ := b.d.Stats(td)
						if received == writers*(packets+1) && int64(total) == received-dropped {
							return
						}
						b.await(td)
						for {
							n, err := b.d.Read(td, buf)
							if err != nil {
								break
							}
							for c := range device.Captured(buf[:n]) {
								total++
								var w, i int
								if k, _ := fmt.Sscanf(string(c.Data), "%d %d", &w, &i); k == 2 {
									if i <= last[w] {
										t.Errorf("packet %d of writer %d comes after %d", i, w, last[w])
									}
									last[w] = i
								}
							}
						}
					}
				})
				l.run()
				received, dropped, err := b.d.Stats(l.td)
				if err != nil || received != writers*(packets+1) || int64(total)+dropped != received {
					t.Errorf("%d packets read, %d dropped, of %d; %v", total, dropped, received, err)
				}
			})
		})
	}
}
