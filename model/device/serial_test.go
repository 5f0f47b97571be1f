package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A serialLab is a serial line that is open. Of a ptyLab it has what reads and writes.
type serialLab struct {
	*ptyLab
	s  *device.Serial
	fd uint64
}

func newSerialLab(l *lab) *serialLab {
	s := &serialLab{ptyLab: &ptyLab{lab: l}, s: device.NewSerial(l.td, l.k)}
	s.fd = l.open(s.s)
	return s
}

// receive expects so many bytes to be taken in.
func (s *serialLab) receive(b string, taken int) {
	s.Helper()
	if n, err := s.s.Receive(s.td, []byte(b)); n != taken || err != nil {
		s.Fatalf("Receive of %.20q: %d, %v, want %d", b, n, err, taken)
	}
}

// transmit expects these bytes to go out.
func (s *serialLab) transmit(room int, want string) {
	s.Helper()
	b := make([]byte, room)
	if n, err := s.s.Transmit(s.td, b); string(b[:n]) != want || err != nil {
		s.Fatalf("Transmit of %d: %.40q, %v, want %.40q", room, b[:n], err, want)
	}
}

func (s *serialLab) overruns(want int64) {
	s.Helper()
	if n, err := s.s.Overruns(s.td); n != want || err != nil {
		s.Fatalf("%d bytes lost, %v, want %d", n, err, want)
	}
}

func TestSerial(t *testing.T) {
	const in, out, outLowat = device.TtyInput, device.TtyOutput, device.TtyLowat
	tests := []struct {
		what string
		do   func(s *serialLab)
	}{
		{"bytes come as they are, and are not echoed", func(s *serialLab) {
			s.add(s.fd, event.Read, event.Clear, 0)
			s.receive("ab"+erase, 3)
			s.expect(on(s.fd, event.Read, event.Clear, 3))
			s.read(s.s, "ab"+erase)
			s.empty(s.s)
			s.transmit(10, "")
		}},
		{"with modes it is a terminal like any other", func(s *serialLab) {
			s.must(s.s.SetModes(s.td, device.TtyModes()))
			s.add(s.fd, event.Read, event.Clear, 0)
			s.receive("abc"+erase, 4)
			s.expect()
			s.receive("\n", 1)
			s.expect(on(s.fd, event.Read, event.Clear, 3))
			s.transmit(100, "abc\b \b\n")
			s.read(s.s, "ab\n")
			s.receive("\x13", 1) // ^S
			s.write(s.s, "x")
			s.transmit(10, "")
			s.receive("\x11", 1)
			s.transmit(10, "x")
		}},
		{"what comes without room is lost", func(s *serialLab) {
			s.receive(x(in-1), in-1)
			s.overruns(0)
			s.receive("abc", 1)
			s.receive("d", 0)
			s.overruns(3)
			s.get(s.s, 1, "x", nil)
			s.receive("e", 1)
			s.overruns(3)
		}},
		{"a transmit interrupt makes room", func(s *serialLab) {
			s.add(s.fd, event.Write, event.Clear, 0)
			s.expect(on(s.fd, event.Write, event.Clear, out))
			s.write(s.s, x(out))
			s.put(s.s, "y", 0, syscall.EAGAIN)
			s.transmit(outLowat-1, x(outLowat-1))
			s.expect()
			if n, err := s.s.Output(s.td, 1); n != 1 || err != nil {
				s.Fatalf("Output: %d, %v", n, err)
			}
			s.expect(on(s.fd, event.Write, event.Clear, outLowat))
			s.must(s.s.Flush(s.td, device.ToWrite))
			s.expect(on(s.fd, event.Write, event.Clear, out))
			s.transmit(10, "")
		}},
		{"a lost carrier hangs up", func(s *serialLab) {
			for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
				s.add(s.fd, f, event.Clear, 0)
			}
			s.expect(on(s.fd, event.Write, event.Clear, out))
			s.receive("ab", 2)
			s.write(s.s, "cd")
			o, err := s.s.Open(s.td)
			s.must(err)
			s.must(s.s.Carrier(s.td, true))
			s.expect(on(s.fd, event.Read, event.Clear, 2))
			s.must(s.s.Carrier(s.td, false))
			const over = event.Clear | hungUp | event.NoData
			s.expect(on(s.fd, event.Read, over, 0), on(s.fd, event.Except, over, 0), on(s.fd, event.Write, over, 0))
			s.must(s.s.Audit(s.td))
			s.must(s.s.Carrier(s.td, false))
			s.expect()
			s.must(s.s.Carrier(s.td, true)) // it stays hung up
			s.expect()
			for _, each := range []*device.Serial{s.s, o} {
				s.read(each, "")
				s.put(each, "x", 0, syscall.EIO)
				_, err := each.Open(s.td)
				s.errors(syscall.EIO, err, each.SetModes(s.td, device.Modes{}))
			}
			s.receive("x", 0)
			s.transmit(10, "")
		}},
		{"unplugged it is hung up, and has no interrupts", func(s *serialLab) {
			s.add(s.fd, event.Read, 0, 0)
			s.must(s.s.Unplug(s.td))
			s.expect(on(s.fd, event.Read, hungUp|event.NoData, 0))
			_, receives := s.s.Input(s.td, 1)
			_, transmits := s.s.Output(s.td, 1)
			s.errors(syscall.ENXIO, receives, transmits, s.s.Carrier(s.td, true), s.s.Unplug(s.td))
			s.read(s.s, "")
		}},
		{"all opens are the same line", func(s *serialLab) {
			o, err := s.s.Open(s.td)
			s.must(err)
			s.receive("abc", 3)
			s.get(o, 2, "ab", nil)
			s.read(s.s, "c")
			o.Release(s.td)
			s.receive("d", 1)
			s.read(s.s, "d")
			_, receives := o.Receive(s.td, nil)
			_, opens := o.Open(s.td)
			_, counts := o.Overruns(s.td)
			s.errors(syscall.EBADF, receives, opens, counts, o.Carrier(s.td, true), o.Unplug(s.td))
		}},
		{"controls have names", func(s *serialLab) {
			for _, n := range []int64{0, 1, 3} {
				s.receive("a", 1)
				s.must(s.s.Control(s.td, event.Flush, n))
				s.empty(s.s)
			}
			s.write(s.s, "b")
			s.must(s.s.Control(s.td, event.Flush, 1))
			s.transmit(9, "b")
			s.write(s.s, "b")
			s.must(s.s.Control(s.td, event.Flush, 2))
			s.transmit(9, "")
			s.errors(syscall.EINVAL, s.s.Control(s.td, event.Flush, 4), s.s.Control(s.td, event.Flush, -1))
			s.errors(syscall.ENOTTY, s.s.Control(s.td, event.Immediate, 1), s.s.Control(s.td, event.Up, 1), s.s.Control(s.td, 0, 0))
			s.must(s.s.Control(s.td, event.Carrier, 1))
			s.must(s.s.Control(s.td, event.Carrier, 0))
			s.read(s.s, "")
			s.errors(syscall.EIO, s.s.Control(s.td, event.Flush, 0))
		}},
		{"filters, fflags and data that it has not", func(s *serialLab) {
			for _, kev := range []event.Kevent{
				{Filter: event.Vnode}, {Filter: event.Read, Fflags: event.NoteOOB}, {Filter: event.Write, Fflags: event.NoteLowat, Data: -1},
				{Filter: event.Except, Fflags: event.NoteLowat},
			} {
				kev.Ident, kev.Flags = s.fd, event.Add
				s.change(kev, syscall.EINVAL)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) { test.do(newSerialLab(l)) })
		})
	}
}

// What comes while somebody reads as told is read or lost; what is written goes out; and
// who waits is told when the line hangs up.
func TestSerialBothWays(t *testing.T) {
	const bytes = 5000
	each(t, func(l *lab) {
		s := newSerialLab(l)
		s.add(s.fd, event.Read, event.Clear, 0)
		wq := l.k.NewQueue(l.td, l.p)
		defer wq.Close(l.td)
		_, err := wq.Kevent(l.td, []event.Kevent{{Ident: s.fd, Filter: event.Write, Flags: event.Add | event.Clear}}, nil, 0)
		l.must(err)
		var got tally
		out, in, lost := 0, 0, 0
		l.m.Go("hardware", 1, func(td *machine.Thread) {
			room := make([]byte, 40)
			transmit := func() {
				n, err := s.s.Transmit(td, room)
				if out += n; err != nil {
					t.Error(err)
				}
			}
			for i := range bytes {
				n, err := s.s.Receive(td, []byte{byte(i)})
				if lost += 1 - n; err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					transmit()
				}
			}
			for out < bytes && !t.Failed() {
				transmit()
			}
			got.await(td, bytes-lost)
			if err := s.s.Carrier(td, false); err != nil {
				t.Error(err)
			}
		})
		l.m.Go("writer", 0, func(td *machine.Thread) {
			var e [1]event.Kevent
			for put := 0; put < bytes && !t.Failed(); {
				n, err := s.s.Write(td, []byte(x(min(300, bytes-put))))
				if put += n; err == syscall.EAGAIN {
					if n, err := wq.Kevent(td, nil, e[:], kqueue.Forever); n != 1 || err != nil {
						t.Errorf("Kevent: %d, %v", n, err)
					}
				}
			}
		})
		l.m.Go("reader", 0, func(td *machine.Thread) {
			b := make([]byte, 100)
			for ended := false; !ended; {
				ended = s.await(td).Flags&event.EOF != 0
				for {
					n, err := s.s.Read(td, b)
					if n == 0 || err != nil {
						break
					}
					for range n {
						got.add(td)
					}
					in += n
				}
			}
		})
		l.run()
		s.overruns(int64(lost))
		if in != bytes-lost || out != bytes {
			t.Errorf("%d bytes read and %d lost of %d, %d went out", in, lost, bytes, out)
		}
	})
}
