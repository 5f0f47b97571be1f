package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// A ptyLab is a pseudo-terminal, both sides of which are open.
type ptyLab struct {
	*lab
	m        *device.Pty
	s        *device.Tty
	mfd, sfd uint64
}

func newPtyLab(l *lab) *ptyLab {
	p := &ptyLab{lab: l}
	p.m, p.s = device.NewPty(l.td, l.k)
	p.mfd, p.sfd = l.open(p.m), l.open(p.s)
	return p
}

type stream interface {
	Read(*machine.Thread, []byte) (int, error)
	Write(*machine.Thread, []byte) (int, error)
}

// write expects all of s to be written; put so much of it, and an error.
func (p *ptyLab) write(f stream, s string) { p.Helper(); p.put(f, s, len(s), nil) }

func (p *ptyLab) put(f stream, s string, put int, want error) {
	p.Helper()
	if n, err := f.Write(p.td, []byte(s)); n != put || err != want {
		p.Fatalf("write of %.20q: %d, %v, want %d, %v", s, n, err, put, want)
	}
}

// read expects a read with room for much to return s; get one with so much room to
// return that and an error.
func (p *ptyLab) read(f stream, s string) { p.Helper(); p.get(f, 3000, s, nil) }

func (p *ptyLab) get(f stream, room int, s string, want error) {
	p.Helper()
	b := make([]byte, room)
	if n, err := f.Read(p.td, b); string(b[:n]) != s || err != want {
		p.Fatalf("read of %d: %.40q, %v, want %.40q, %v", room, b[:n], err, s, want)
	}
}

func (p *ptyLab) empty(f stream) { p.Helper(); p.get(f, 10, "", syscall.EAGAIN) }

func (p *ptyLab) close(fd uint64) { p.Helper(); p.must(p.p.Close(p.td, int(fd))) }

func (p *ptyLab) modes(change func(m *device.Modes)) {
	p.Helper()
	m := device.TtyModes()
	change(&m)
	p.must(p.s.SetModes(p.td, m))
}

func (p *ptyLab) raw() { p.Helper(); p.modes(func(m *device.Modes) { *m = device.Modes{Min: 1} }) }
func (p *ptyLab) silent() {
	p.Helper()
	p.modes(func(m *device.Modes) { m.Echo = false })
}

func (p *ptyLab) add(fd uint64, f event.Filter, flags event.Flags, mark int64) {
	p.Helper()
	kev := event.Kevent{Ident: fd, Filter: f, Flags: event.Add | flags}
	if mark != 0 {
		kev.Fflags, kev.Data = event.NoteLowat, mark
	}
	p.change(kev, nil)
}

func on(fd uint64, f event.Filter, flags event.Flags, data int64) event.Kevent {
	return event.Kevent{Ident: fd, Filter: f, Flags: flags, Data: data}
}

// x is n bytes that mean nothing to the line discipline.
func x(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

const (
	eof, erase, kill = "\x04", "\x7f", "\x15"
	hungUp           = event.EOF | event.HUP
)

func TestPty(t *testing.T) {
	const in, out, outLowat = device.TtyInput, device.TtyOutput, device.TtyLowat
	tests := []struct {
		what string
		do   func(p *ptyLab)
	}{
		{"a line is read when it has an end", func(p *ptyLab) {
			p.write(p.m, "ab")
			p.empty(p.s)
			p.write(p.m, "c\nde")
			p.get(p.s, 2, "ab", nil)
			p.read(p.s, "c\n")
			p.empty(p.s)
			p.write(p.m, "\n\nf\n")
			p.read(p.s, "de\n")
			p.read(p.s, "\n")
			p.get(p.s, 0, "", nil)
			p.read(p.s, "f\n")
		}},
		{"EOL ends a line too, if there is one", func(p *ptyLab) {
			p.write(p.m, ";\x00\n")
			p.read(p.s, ";\x00\n")
			p.modes(func(m *device.Modes) { m.EOL = ';' })
			p.write(p.m, "a;b\n")
			p.read(p.s, "a;")
			p.read(p.s, "b\n")
			p.write(p.m, "c;")
			p.modes(func(m *device.Modes) { m.EOL = 0 })
			p.must(p.m.Audit(p.td)) // what was a line is one
			p.read(p.s, "c;")
		}},
		{"EOF ends a line and is not read; with nothing before it that is the end", func(p *ptyLab) {
			p.write(p.m, "ab"+eof+eof+"c\n")
			p.get(p.s, 2, "ab", nil)
			p.read(p.s, "")
			p.read(p.s, "c\n")
			p.write(p.m, "abc"+eof)
			p.get(p.s, 2, "ab", nil)
			p.get(p.s, 1, "c", nil)
			p.empty(p.s)
		}},
		{"ERASE and KILL edit what is not a line yet", func(p *ptyLab) {
			p.write(p.m, "one\n"+erase+kill+"abd"+erase+"c\n")
			p.write(p.m, "gone"+kill+"x\n")
			p.read(p.s, "one\n")
			p.read(p.s, "abc\n")
			p.read(p.s, "x\n")
		}},
		{"echo", func(p *ptyLab) {
			p.write(p.m, "ab"+erase+"c\n")
			p.read(p.m, "ab\b \bc\n")
			p.write(p.m, erase+"de"+kill+eof)
			p.read(p.m, "de\b \b\b \b")
			p.silent()
			p.write(p.m, "quiet\n")
			p.empty(p.m)
			p.write(p.s, "loud")
			p.get(p.m, 2, "lo", nil)
			p.read(p.m, "ud")
		}},
		{"a line that is too long is cut", func(p *ptyLab) {
			p.silent()
			p.write(p.m, x(in+100))
			p.empty(p.s)
			p.write(p.m, "\n")
			p.put(p.m, "y", 0, syscall.EAGAIN)
			p.read(p.s, x(in)+"\n")
			p.write(p.m, "y\n")
			p.read(p.s, "y\n")
		}},
		{"what is full can still be edited", func(p *ptyLab) {
			p.silent()
			p.write(p.m, x(in+1)+erase+"y"+"z\n")
			p.read(p.s, x(in-1)+"y\n")
			p.write(p.m, x(in)+kill+"\n")
			p.read(p.s, "\n")
		}},
		{"with a line in it so much fits", func(p *ptyLab) {
			p.silent()
			p.put(p.m, "\n"+x(in), in, nil)
			p.put(p.m, "\n", 0, syscall.EAGAIN)
			p.write(p.m, "")
			p.read(p.s, "\n")
			p.write(p.m, "yz\n")
			p.read(p.s, x(in-1)+"y\n")
		}},
		{"raw, all is bytes", func(p *ptyLab) {
			p.raw()
			p.put(p.m, "a\n"+eof+kill+erase+x(in), in, nil)
			p.put(p.m, "\n", 0, syscall.EAGAIN)
			p.get(p.s, 5, "a\n"+eof+kill+erase, nil)
			p.read(p.s, x(in-5))
			p.empty(p.s)
			p.empty(p.m)
		}},
		{"VMIN is for who waits, or 0", func(p *ptyLab) {
			p.modes(func(m *device.Modes) { *m = device.Modes{Min: 5} })
			p.write(p.m, "abc")
			p.read(p.s, "abc")
			p.modes(func(m *device.Modes) { *m = device.Modes{} })
			p.read(p.s, "")
		}},
		{"lines cease to matter", func(p *ptyLab) {
			p.silent()
			p.write(p.m, "a\nb"+eof+"c")
			p.raw()
			p.read(p.s, "a\nb"+eof+"c")
		}},
		{"lines begin to matter", func(p *ptyLab) {
			p.raw()
			p.write(p.m, "a\nbc"+erase+eof+"xx"+kill+"d")
			p.modes(func(m *device.Modes) {})
			p.empty(p.m) // they have no echo
			p.read(p.s, "a\n")
			p.read(p.s, "b")
			p.empty(p.s)
			p.write(p.m, "\n")
			p.read(p.s, "d\n")
		}},
		{"the output is full of writes, then of echoes", func(p *ptyLab) {
			p.put(p.s, x(out+1), out, nil)
			p.put(p.s, "y", 0, syscall.EAGAIN)
			p.write(p.s, "")
			p.put(p.m, x(300), 300, nil)
			p.read(p.m, x(out+200))
			p.empty(p.m)
			p.write(p.s, "y")
		}},
		{"output stops and starts", func(p *ptyLab) {
			p.write(p.s, "ab")
			p.must(p.s.Stop(p.td, true))
			p.write(p.s, "c")
			p.empty(p.m)
			p.must(p.s.Stop(p.td, false))
			p.read(p.m, "abc")
			p.write(p.m, "\x13")
			p.write(p.s, "d")
			p.empty(p.m)
			p.write(p.m, "x")
			p.empty(p.m)
			p.write(p.m, "\x11")
			p.read(p.m, "dx")
			p.raw()
			p.write(p.m, "\x13\x11")
			p.read(p.s, "x\x13\x11")
		}},
		{"flush", func(p *ptyLab) {
			p.write(p.m, "a\nb")
			p.write(p.s, "out")
			p.must(p.s.Flush(p.td, device.ToRead))
			p.write(p.m, "c\n")
			p.read(p.s, "c\n")
			p.must(p.s.Stop(p.td, true))
			p.must(p.s.Flush(p.td, device.ToWrite))
			p.empty(p.m)
			p.write(p.s, "again")
			for _, none := range []device.Access{0, device.ToReadAndWrite + 1} {
				if err := p.s.Flush(p.td, none); err != syscall.EINVAL {
					p.Errorf("flush of %d: %v, want EINVAL", none, err)
				}
			}
			p.read(p.m, "again")
		}},
		{"the master is gone", func(p *ptyLab) {
			p.write(p.m, "lost\n")
			p.close(p.mfd)
			p.read(p.s, "")
			p.put(p.s, "a", 0, syscall.EIO)
			p.put(p.m, "a", 0, syscall.EBADF)
			p.get(p.m, 1, "", syscall.EBADF)
			for _, err := range []error{p.s.SetModes(p.td, device.Modes{}), p.s.Flush(p.td, device.ToRead), p.s.Stop(p.td, true)} {
				if err != syscall.EIO {
					p.Errorf("%v, want EIO", err)
				}
			}
			if _, err := p.s.Reopen(p.td); err != syscall.EIO {
				p.Errorf("Reopen: %v", err)
			}
			for _, err := range []error{p.m.SetModes(p.td, device.Modes{}), p.m.Packet(p.td, true)} {
				if err != syscall.EBADF {
					p.Errorf("%v, want EBADF", err)
				}
			}
			if _, err := p.m.Open(p.td); err != syscall.EBADF {
				p.Errorf("Open: %v", err)
			}
		}},
		{"the slave is gone, and comes back with its first modes", func(p *ptyLab) {
			p.raw()
			p.write(p.m, "lost")
			p.write(p.s, "kept")
			p.must(p.s.Stop(p.td, true))
			p.close(p.sfd)
			p.get(p.m, 3, "kep", nil)
			p.read(p.m, "t")
			p.read(p.m, "")
			p.put(p.m, "a", 0, syscall.EIO)
			if err := p.m.SetModes(p.td, device.Modes{}); err != syscall.EAGAIN {
				p.Errorf("SetModes: %v", err)
			}
			p.put(p.s, "a", 0, syscall.EBADF)
			p.get(p.s, 1, "", syscall.EBADF)
			if _, err := p.s.Reopen(p.td); err != syscall.EBADF {
				p.Errorf("Reopen: %v", err)
			}
			p.s.Release(p.td)
			s, err := p.m.Open(p.td)
			p.must(err)
			p.empty(p.m)
			p.empty(s)
			p.write(p.m, "a")
			p.empty(s)
			p.read(p.m, "a")
			s2, err := s.Reopen(p.td)
			p.must(err)
			s.Release(p.td)
			p.write(p.m, "\n")
			p.read(s2, "a\n")
		}},

		{"READ of the slave: lines", func(p *ptyLab) {
			p.silent()
			p.add(p.sfd, event.Read, 0, 0)
			p.write(p.m, "ab")
			p.expect()
			p.write(p.m, "\nc")
			p.expect(on(p.sfd, event.Read, 0, 3))
			p.write(p.m, eof)
			p.expect(on(p.sfd, event.Read, 0, 5))
			p.read(p.s, "ab\n")
			p.expect(on(p.sfd, event.Read, 0, 2))
			p.read(p.s, "c")
			p.expect()
			p.write(p.m, eof)
			p.expect(on(p.sfd, event.Read, 0, 1))
			p.read(p.s, "")
			p.expect()
		}},
		{"READ of the slave with EV_CLEAR: each line is news, no byte is", func(p *ptyLab) {
			p.silent()
			p.add(p.sfd, event.Read, event.Clear, 0)
			p.write(p.m, "a\n")
			p.expect(on(p.sfd, event.Read, event.Clear, 2))
			p.write(p.m, "b")
			p.expect()
			p.write(p.m, "c\n")
			p.expect(on(p.sfd, event.Read, event.Clear, 5))
			p.read(p.s, "a\n")
			p.expect()
		}},
		{"READ of the slave: VMIN and VTIME", func(p *ptyLab) {
			p.modes(func(m *device.Modes) { *m = device.Modes{Min: 3} })
			p.add(p.sfd, event.Read, 0, 0)
			p.write(p.m, "ab")
			p.expect()
			p.modes(func(m *device.Modes) { *m = device.Modes{Min: 2} })
			p.expect(on(p.sfd, event.Read, 0, 2))
			p.modes(func(m *device.Modes) { *m = device.Modes{Min: 9, Time: 1} })
			p.expect(on(p.sfd, event.Read, 0, 2))
			p.read(p.s, "ab")
			p.expect()
			p.modes(func(m *device.Modes) { *m = device.Modes{} })
			p.expect()
		}},
		{"READ of the slave: modes give and take", func(p *ptyLab) {
			p.silent()
			p.add(p.sfd, event.Read, event.Clear, 0)
			p.write(p.m, "ab")
			p.expect()
			p.raw()
			p.expect(on(p.sfd, event.Read, event.Clear, 2))
			p.write(p.m, "c")
			p.silent()
			p.expect()
			p.write(p.m, "\n")
			p.expect(on(p.sfd, event.Read, event.Clear, 4))
		}},
		{"READ of the slave with a mark", func(p *ptyLab) {
			p.silent()
			p.add(p.sfd, event.Read, 0, 4)
			p.write(p.m, "a\n")
			p.expect()
			p.write(p.m, "b\n")
			p.expect(on(p.sfd, event.Read, 0, 4))
			p.add(p.sfd, event.Read, 0, 1<<40)
			p.expect()
			p.put(p.m, x(in), in-4, nil)
			p.raw()
			p.expect(on(p.sfd, event.Read, 0, in))
		}},
		{"WRITE of the slave", func(p *ptyLab) {
			p.add(p.sfd, event.Write, 0, 0)
			p.expect(on(p.sfd, event.Write, 0, out))
			p.write(p.s, x(out-outLowat))
			p.expect(on(p.sfd, event.Write, 0, outLowat))
			p.write(p.m, "e") // its echo takes room
			p.expect()
			p.get(p.m, 1, "x", nil)
			p.expect(on(p.sfd, event.Write, 0, outLowat))
			p.add(p.sfd, event.Write, event.Clear, 1)
			p.expect(on(p.sfd, event.Write, 0, outLowat))
			p.write(p.s, x(outLowat))
			p.expect()
			p.must(p.s.Flush(p.td, device.ToWrite))
			p.expect(on(p.sfd, event.Write, 0, out))
		}},
		{"READ of the master: output and echoes", func(p *ptyLab) {
			p.add(p.mfd, event.Read, event.Clear, 0)
			p.write(p.m, "a")
			p.expect(on(p.mfd, event.Read, event.Clear, 1))
			p.write(p.s, "bc")
			p.expect(on(p.mfd, event.Read, event.Clear, 3))
			p.silent()
			p.write(p.m, "d\n")
			p.expect()
			p.must(p.s.Stop(p.td, true))
			p.write(p.s, "e")
			p.expect()
			p.must(p.s.Stop(p.td, false))
			p.expect(on(p.mfd, event.Read, event.Clear, 4))
			p.write(p.m, "\x13")
			p.expect()
			p.write(p.m, "\x11")
			p.expect(on(p.mfd, event.Read, event.Clear, 4))
		}},
		{"WRITE of the master", func(p *ptyLab) {
			p.silent()
			p.add(p.mfd, event.Write, 0, 0)
			p.expect(on(p.mfd, event.Write, 0, in))
			p.write(p.m, "\n")
			p.expect(on(p.mfd, event.Write, 0, in-1))
			p.write(p.m, x(in-1))
			p.expect()
			p.read(p.s, "\n")
			p.expect(on(p.mfd, event.Write, 0, 1))
			p.write(p.m, x(2))
			p.expect(on(p.mfd, event.Write, 0, 1)) // no end of a line yet
			p.raw()
			p.expect()
			p.silent()
			p.expect(on(p.mfd, event.Write, 0, 1))
			p.must(p.s.Flush(p.td, device.ToRead))
			p.expect(on(p.mfd, event.Write, 0, in))
		}},
		{"WRITE of the master: KILL makes room", func(p *ptyLab) {
			p.silent()
			p.add(p.mfd, event.Write, event.Clear, in)
			p.expect(on(p.mfd, event.Write, event.Clear, in))
			p.write(p.m, x(in))
			p.expect()
			p.write(p.m, erase)
			p.expect()
			p.write(p.m, kill)
			p.expect(on(p.mfd, event.Write, event.Clear, in))
		}},
		{"the master is gone: events", func(p *ptyLab) {
			for _, f := range []event.Filter{event.Read, event.Write, event.Except} {
				p.add(p.sfd, f, event.Clear, 0)
			}
			p.write(p.m, "a\n")
			p.expect(on(p.sfd, event.Write, event.Clear, out-2), on(p.sfd, event.Read, event.Clear, 2))
			p.close(p.mfd)
			over := event.Clear | hungUp | event.NoData
			p.expect(on(p.sfd, event.Read, over, 0), on(p.sfd, event.Except, over, 0), on(p.sfd, event.Write, over, 0))
			p.expect()
		}},
		{"the slave is gone: events, and it comes back", func(p *ptyLab) {
			s2, err := p.s.Reopen(p.td)
			p.must(err)
			p.add(p.mfd, event.Read, 0, 0)
			p.add(p.mfd, event.Except, 0, 0)
			p.add(p.mfd, event.Write, event.Clear, 0)
			p.expect(on(p.mfd, event.Write, event.Clear, in))
			s2.Release(p.td)
			p.expect()
			p.write(p.s, "ab")
			p.close(p.sfd)
			p.expect(on(p.mfd, event.Read, hungUp, 2), on(p.mfd, event.Except, hungUp, 0), on(p.mfd, event.Write, event.Clear|hungUp|event.NoData, 0))
			p.read(p.m, "ab")
			p.expect(on(p.mfd, event.Read, hungUp|event.NoData, 0), on(p.mfd, event.Except, hungUp|event.NoData, 0))
			s3, err := p.m.Open(p.td)
			p.must(err)
			p.expect(on(p.mfd, event.Write, event.Clear, in))
			s3.Release(p.td)
		}},
		{"packet mode", func(p *ptyLab) {
			p.must(p.m.Packet(p.td, true))
			p.silent()
			kev := event.Kevent{Ident: p.mfd, Filter: event.Except, Flags: event.Add | event.Clear, Fflags: event.NoteOOB}
			p.change(kev, nil)
			p.add(p.mfd, event.Read, 0, 0)
			p.write(p.s, "ab")
			p.expect(on(p.mfd, event.Read, 0, 2))
			p.read(p.m, "\x00ab")
			p.must(p.s.Flush(p.td, device.ToRead))
			urgent := on(p.mfd, event.Except, event.Clear, 0)
			urgent.Fflags = event.NoteOOB
			p.expect(on(p.mfd, event.Read, 0, 1), urgent)
			p.must(p.s.Stop(p.td, true))
			p.expect(on(p.mfd, event.Read, 0, 1), urgent)
			p.write(p.s, "c")
			p.expect(on(p.mfd, event.Read, 0, 1), urgent)
			p.read(p.m, string(rune(device.PacketFlushRead|device.PacketStop)))
			p.empty(p.m)
			p.expect()
			p.must(p.s.Stop(p.td, false))
			p.read(p.m, string(rune(device.PacketStart)))
			p.read(p.m, "\x00c")
			p.must(p.s.Stop(p.td, true))
			p.must(p.s.Flush(p.td, device.ToWrite))
			p.get(p.m, 1, string(rune(device.PacketStart|device.PacketFlushWrite)), nil)
			p.must(p.m.Packet(p.td, false))
			p.must(p.s.Flush(p.td, device.ToReadAndWrite))
			p.empty(p.m)
		}},
		{"wrong filters and marks", func(p *ptyLab) {
			for _, fd := range []uint64{p.mfd, p.sfd} {
				p.change(on(fd, event.Vnode, event.Add, 0), syscall.EINVAL)
				for _, f := range []event.Filter{event.Read, event.Write} {
					for _, fflags := range []event.Fflags{event.NoteOOB, event.NoteLowat | event.NoteOOB, 4} {
						kev := on(fd, f, event.Add, 1)
						kev.Fflags = fflags
						p.change(kev, syscall.EINVAL)
					}
					kev := on(fd, f, event.Add, -1)
					kev.Fflags = event.NoteLowat
					p.change(kev, syscall.EINVAL)
				}
				kev := on(fd, event.Except, event.Add, 1)
				kev.Fflags = event.NoteLowat
				p.change(kev, syscall.EINVAL)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) { each(t, func(l *lab) { test.do(newPtyLab(l)) }) })
	}
}

func TestPtyAllocations(t *testing.T) {
	each(t, func(l *lab) {
		p := newPtyLab(l)
		p.add(p.sfd, event.Read, event.Clear, 0)
		p.add(p.mfd, event.Read, event.Clear, 0)
		line, b := []byte("ab\x7fc\n"), make([]byte, 16)
		events := make([]event.Kevent, 4)
		n := allocations(1000, func() {
			if n, err := p.m.Write(l.td, line); n != len(line) || err != nil {
				l.Fatal(n, err)
			}
			if n, err := l.q.Kevent(l.td, nil, events, 0); n != 2 || err != nil {
				l.Fatal(n, err)
			}
			if n, err := p.s.Read(l.td, b); n != 3 || err != nil {
				l.Fatal(n, err)
			}
			if n, err := p.m.Read(l.td, b); n != 7 || err != nil {
				l.Fatal(n, err)
			}
			if err := p.s.SetModes(l.td, device.TtyModes()); err != nil {
				l.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
