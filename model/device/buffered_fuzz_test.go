package device_test

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// A twin is what a buffered device should be, one unit after another.
type twin struct {
	facts
	units  []byte // the key of each that is there
	part   int    // bytes of the first that are read
	last   byte
	going  int // units to go out
	over   syscall.Errno
	normal [2]int64 // the marks of knotes that have none
	own    [2]int64 // those of the knotes; 0 if none
}

func (w *twin) come() byte {
	if w.last++; w.last == 0 {
		w.last = 1
	}
	return w.last
}

func (w *twin) input(n int) (int, error) {
	switch {
	case w.in == 0:
		return 0, syscall.ENODEV
	case w.over != 0 && w.over != syscall.EHOSTDOWN:
		return 0, w.over
	}
	took := 0
	for range n {
		if w.full == kept && len(w.units) == w.in {
			break
		}
		key := w.come()
		switch {
		case w.over != 0:
			continue
		case len(w.units) < w.in:
		case w.full == newest:
			continue
		case w.full == oldest:
			w.units, w.part = w.units[1:], 0
		case w.full == all:
			w.units = []byte{0}
		}
		w.units = append(w.units, key)
		took++
	}
	return took, nil
}

func (w *twin) read(n int) ([]byte, error) {
	switch {
	case w.in == 0:
		return nil, syscall.ENODEV
	case w.over != 0:
		return nil, w.over
	case n == 0:
		return nil, nil
	case w.whole && n < w.unit:
		return nil, syscall.EINVAL
	case len(w.units) == 0:
		return nil, syscall.EAGAIN
	}
	if w.whole {
		n -= n % w.unit
	}
	var b []byte
	for len(b) < n && len(w.units) > 0 {
		b = append(b, w.units[0])
		if w.part++; w.part == w.unit {
			w.units, w.part = w.units[1:], 0
			if w.one {
				break
			}
		}
	}
	if w.one && !w.rest && w.part > 0 {
		w.units, w.part = w.units[1:], 0
	}
	return b, nil
}

func (w *twin) write(n int) (int, error) {
	switch {
	case w.out == 0 && !w.network:
		return 0, syscall.ENODEV
	case w.over != 0:
		return 0, w.over
	case n == 0:
		return 0, nil
	case w.network && n > 16384:
		return 0, syscall.EIO
	case w.network:
		return n, nil
	}
	sent := 0
	for sent < n && w.going < w.out {
		sent += min(w.unit, n-sent)
		w.going++
	}
	if sent == 0 {
		return 0, syscall.EAGAIN
	}
	return sent, nil
}

func (w *twin) output(n int) (int, error) {
	switch {
	case w.out == 0:
		return 0, syscall.ENODEV
	case w.over != 0:
		return 0, w.over
	}
	n = min(n, w.going)
	w.going -= n
	return n, nil
}

func (w *twin) empty() { w.units, w.part, w.going = nil, 0, 0 }

func (w *twin) unplug() error {
	switch {
	case w.gone == 0:
		return syscall.ENODEV
	case w.over == w.gone:
		return w.over
	}
	w.over = w.gone
	w.empty()
	return nil
}

func (w *twin) control(c event.Control, n int64) error {
	has := c == event.Up && w.network || c == event.Lowat && w.lowat || c == event.Flush && w.flush
	switch {
	case w.over != 0 && w.over == w.gone:
		return w.over
	case !has:
		return syscall.ENOTTY
	case c == event.Flush:
		w.empty()
	case c == event.Lowat && n < 1:
		return syscall.EINVAL
	case c == event.Lowat:
		w.normal = [2]int64{min(n, int64(w.in*w.unit)), min(n, int64(w.out*w.unit))}
	case n == 0:
		w.over = syscall.EHOSTDOWN
		w.empty()
	default:
		w.over = 0
	}
	return nil
}

// events returns what the level-triggered knotes of all conditions should say.
func (w *twin) events(fd uint64) (all []event.Kevent) {
	for i, f := range []event.Filter{event.Read, event.Write, event.Except} {
		e := event.Kevent{Ident: fd, Filter: f}
		switch {
		case f == event.Read && w.in == 0, f == event.Write && w.out == 0 && !w.network:
			continue
		case w.over != 0:
			if e.Flags = event.EOF | event.HUP | event.NoData; f == event.Except {
				e.Data = int64(w.over)
			} else {
				e.Fflags = event.Fflags(w.over)
			}
			all = append(all, e)
			continue
		case f == event.Read:
			e.Data = int64(len(w.units)*w.unit - w.part)
		case f == event.Write && w.network:
			e.Data = 16384
		case f == event.Write:
			e.Data = int64((w.out - w.going) * w.unit)
		default:
			continue
		}
		mark := w.normal[i]
		if w.own[i] > 0 {
			mark = w.own[i]
		}
		if e.Data >= mark {
			all = append(all, e)
		}
	}
	return all
}

// most is the highest mark that a filter can have.
func (w *twin) most(f event.Filter) int64 {
	switch {
	case f == event.Read:
		return int64(w.in * w.unit)
	case w.network:
		return 16384
	}
	return int64(w.out * w.unit)
}

// FuzzBuffered reads the first byte as a strategy, whether the drivers are MP-safe, and
// a device, and the others as operations of two bytes each. It does them to the device
// and to its twin, and looks at what each answers, at the bytes, and at the
// level-triggered events of all conditions after each.
func FuzzBuffered(f *testing.F) {
	for i := range bufferedFacts {
		f.Add(byte(i), byte(i), []byte{0, 3, 1, 5, 0x70, 200, 0x71, 255, 2, 9, 3, 4, 0x72, 99, 2, 1, 0x73, 9, 8, 3, 5, 7, 0x56, 2, 6, 0, 7, 0, 0, 9, 7, 1, 9, 0, 4, 0, 0, 1, 1, 1})
		f.Add(byte(i+1), byte(i), []byte{0x71, 0, 0x70, 255, 0x70, 255, 1, 3, 0, 1, 1, 99, 6, 0, 0x30, 90, 0x71, 7, 0x71, 64, 0, 1})
	}
	f.Fuzz(func(t *testing.T, how, which byte, script []byte) {
		if len(script) > 200 {
			return
		}
		l := newLab(t, strategies.All[int(how)%len(strategies.All)])
		defer l.end()
		fact := bufferedFacts[int(which)%len(bufferedFacts)]
		bus := device.NewBus(l.k)
		bus.MPSafe = how&0x80 != 0
		b := newBufferedLab(l, bus, fact.of)
		w := &twin{facts: fact, normal: fact.mark}
		for ; len(script) >= 2; script = script[2:] {
			n := int(script[1]) << (script[0] >> 4 & 7)
			var what, got, want string
			switch script[0] & 15 % 10 {
			case 0:
				what, got, want = "input", saying(b.d.Input(l.td, n)), saying(w.input(n))
			case 1:
				p := make([]byte, n)
				k, err := b.d.Read(l.td, p)
				q, err2 := w.read(n)
				what, got, want = "read", saying(k, err), saying(len(q), err2)
				if !bytes.Equal(p[:k], q) {
					t.Fatalf("a %v: read %v, want %v", fact.of, p[:k], q)
				}
			case 2:
				what, got, want = "write", saying(b.d.Write(l.td, make([]byte, n))), saying(w.write(n))
			case 3:
				what, got, want = "output", saying(b.d.Output(l.td, n)), saying(w.output(n))
			case 4:
				what, got, want = "unplug", name(b.d.Unplug(l.td)), name(w.unplug())
			case 5, 6, 7:
				c := [...]event.Control{event.Lowat, event.Flush, event.Up}[script[0]&15%10-5]
				what, got, want = c.String(), name(b.d.Control(l.td, c, int64(n))), name(w.control(c, int64(n)))
			case 8, 9:
				i := int(script[0]&15%10 - 8)
				f := [...]event.Filter{event.Read, event.Write}[i]
				if _, _, err := b.d.Source(f); err != nil {
					continue
				}
				kev := event.Kevent{Ident: b.fd, Filter: f, Flags: event.Add, Fflags: event.NoteLowat, Data: int64(n)}
				if w.own[i] = min(max(int64(n), 1), w.most(f)); n == 0 {
					kev.Fflags, w.own[i] = 0, 0
				}
				l.change(kev, nil)
			}
			if got != want {
				t.Fatalf("a %v: %s %d: %s, want %s", fact.of, what, n, got, want)
			}
			b.look(w.events(b.fd))
			l.must(b.d.Audit(l.td))
		}
	})
}

// look fails unless the events are these, in any order.
func (b *bufferedLab) look(want []event.Kevent) {
	b.Helper()
	var events [4]event.Kevent
	n, err := b.q.Kevent(b.td, nil, events[:], 0)
	got := map[event.Kevent]bool{}
	for _, e := range events[:n] {
		got[e] = true
	}
	same := err == nil && n == len(want)
	for _, e := range want {
		same = same && got[e]
	}
	if !same {
		b.Fatalf("events %v, %v, want %v", events[:n], err, want)
	}
}
