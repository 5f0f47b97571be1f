package device_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
)

// A socketLab is two sockets that are connected, and a listener if they are of Inet.
type socketLab struct {
	*lab
	net      *device.Network
	a, b, l  *device.Socket
	afd, bfd uint64
	lfd      uint64
}

func pairLab(l *lab, t event.SockType) *socketLab {
	p := &socketLab{lab: l}
	var err error
	p.a, p.b, err = device.NewSocketPair(l.td, l.k, t)
	l.must(err)
	p.afd, p.bfd = l.open(p.a), l.open(p.b)
	return p
}

func inetLab(l *lab) *socketLab {
	p := &socketLab{lab: l, net: device.NewNetwork(l.k)}
	p.l, p.a = p.socket(event.Stream), p.socket(event.Stream)
	l.must(p.l.Listen(l.td, 80, 1))
	l.must(p.a.Connect(l.td, 80))
	var err error
	p.b, err = p.l.Accept(l.td)
	l.must(err)
	p.lfd, p.afd, p.bfd = l.open(p.l), l.open(p.a), l.open(p.b)
	return p
}

func (p *socketLab) socket(t event.SockType) *device.Socket {
	p.Helper()
	s, err := p.net.NewSocket(p.td, device.Inet, t)
	p.must(err)
	return s
}

func (p *socketLab) close(fd uint64) { p.Helper(); p.must(p.p.Close(p.td, int(fd))) }

func (p *socketLab) write(s *device.Socket, n, put int, err error) {
	p.Helper()
	if got, e := s.Write(p.td, make([]byte, n)); got != put || e != err {
		p.Fatalf("write of %d: %d, %v, want %d, %v", n, got, e, put, err)
	}
}

func (p *socketLab) read(s *device.Socket, n, took int, err error) {
	p.Helper()
	if got, e := s.Read(p.td, make([]byte, n)); got != took || e != err {
		p.Fatalf("read of %d: %d, %v, want %d, %v", n, got, e, took, err)
	}
}

func (p *socketLab) set(s *device.Socket, o device.SocketOption, v int) {
	p.Helper()
	p.must(s.SetOption(p.td, o, v))
}

// on is a change to a filter of a, or what it returns.
func (p *socketLab) on(f event.Filter, flags event.Flags, fflags event.Fflags, data int64) event.Kevent {
	return event.Kevent{Ident: p.afd, Filter: f, Flags: flags, Fflags: fflags, Data: data}
}

func TestSocketEvents(t *testing.T) {
	const reset = event.Fflags(syscall.ECONNRESET)
	const hup = event.EOF | event.HUP
	tests := []struct {
		what string
		do   func(p *socketLab)
	}{
		{"READ: bytes, and the end", func(p *socketLab) {
			p.change(p.on(event.Read, event.Add, 0, 0), nil)
			p.expect()
			p.write(p.b, 5, 5, nil)
			p.expect(p.on(event.Read, 0, 0, 5))
			p.must(p.b.Shutdown(p.td, event.WriteSide))
			p.expect(p.on(event.Read, event.EOF, 0, 5))
			p.read(p.a, 9, 5, nil)
			p.expect(p.on(event.Read, event.EOF|event.NoData, 0, 0))
			p.must(p.a.Shutdown(p.td, event.WriteSide))
			p.expect(p.on(event.Read, hup|event.NoData, 0, 0))
		}},
		{"READ with EV_CLEAR: each write and each change is news", func(p *socketLab) {
			p.change(p.on(event.Read, event.Add|event.Clear, 0, 0), nil)
			p.write(p.b, 1, 1, nil)
			p.expect(p.on(event.Read, event.Clear, 0, 1))
			p.expect()
			p.write(p.b, 1, 1, nil)
			p.expect(p.on(event.Read, event.Clear, 0, 2))
			p.must(p.b.Shutdown(p.td, event.WriteSide))
			p.expect(p.on(event.Read, event.Clear|event.EOF, 0, 2))
			p.must(p.b.Shutdown(p.td, event.WriteSide))
			p.expect()
			p.must(p.a.Shutdown(p.td, event.WriteSide))
			p.expect(p.on(event.Read, event.Clear|hup, 0, 2))
		}},
		{"the error in fflags, until it is taken", func(p *socketLab) {
			p.change(p.on(event.Read, event.Add, 0, 0), nil)
			p.change(p.on(event.Write, event.Add|event.Disable, 0, 0), nil)
			p.write(p.a, 3, 3, nil)
			p.write(p.b, 2, 2, nil)
			p.close(p.bfd)
			p.expect(p.on(event.Read, hup, reset, 2))
			p.read(p.a, 9, 2, nil)
			p.expect(p.on(event.Read, hup|event.NoData, reset, 0))
			p.change(p.on(event.Write, event.Enable, 0, 0), nil)
			p.expect(p.on(event.Read, hup|event.NoData, reset, 0), p.on(event.Write, hup|event.NoData, reset, 0))
			p.change(p.on(event.Except, event.Add, 0, 0), nil)
			p.change(p.on(event.Read, event.Delete, 0, 0), nil)
			p.expect(p.on(event.Write, hup|event.NoData, reset, 0), p.on(event.Except, hup, 0, int64(reset)))
			p.read(p.a, 9, 0, syscall.ECONNRESET)
			p.expect(p.on(event.Write, hup|event.NoData, 0, 0), p.on(event.Except, hup, 0, 0))
		}},
		{"SO_RCVLOWAT is the mark of knotes without one, SO_RCVBUF its limit", func(p *socketLab) {
			p.set(p.a, device.RcvLowat, 3)
			p.change(p.on(event.Read, event.Add, 0, 0), nil)
			p.write(p.b, 2, 2, nil)
			p.expect()
			p.change(p.on(event.Read, event.Add, event.NoteLowat, 2), nil)
			p.expect(p.on(event.Read, 0, 0, 2))
			p.change(p.on(event.Read, event.Add, event.NoteLowat, 100), nil)
			p.expect()
			p.set(p.a, device.RcvBuf, 2)
			p.expect(p.on(event.Read, 0, 0, 2))
			p.change(p.on(event.Read, event.Add, event.NoteLowat, -1), syscall.EINVAL)
			p.change(p.on(event.Read, event.Add, event.NoteOOB, 0), syscall.EINVAL)
		}},
		{"WRITE: room, which is that of the smaller buffer", func(p *socketLab) {
			p.change(p.on(event.Write, event.Add, 0, 0), nil)
			p.expect(p.on(event.Write, 0, 0, device.SocketBuffer))
			p.set(p.a, device.SndBuf, 100)
			p.expect(p.on(event.Write, 0, 0, 100))
			p.set(p.b, device.RcvBuf, 8)
			p.expect(p.on(event.Write, 0, 0, 8))
			p.write(p.a, 9, 8, nil)
			p.write(p.a, 1, 0, syscall.EAGAIN)
			p.expect()
			p.read(p.b, 1, 1, nil)
			p.expect() // SO_SNDLOWAT is 50
			p.set(p.a, device.SndLowat, 1)
			p.expect(p.on(event.Write, 0, 0, 1))
		}},
		{"WRITE with EV_CLEAR: when the room passes the mark, or for who was refused", func(p *socketLab) {
			p.set(p.a, device.SndBuf, 8)
			p.change(p.on(event.Write, event.Add|event.Clear, 0, 0), nil)
			p.expect(p.on(event.Write, event.Clear, 0, 8))
			p.write(p.a, 8, 8, nil)
			p.read(p.b, 3, 3, nil)
			p.expect()
			p.read(p.b, 1, 1, nil)
			p.expect(p.on(event.Write, event.Clear, 0, 4))
			p.read(p.b, 1, 1, nil)
			p.expect()
			p.write(p.a, 6, 5, nil)
			p.read(p.b, 5, 5, nil)
			p.expect(p.on(event.Write, event.Clear, 0, 5))
		}},
		{"WRITE when reading is shut at the other end", func(p *socketLab) {
			p.change(p.on(event.Write, event.Add|event.Clear, 0, 0), nil)
			p.write(p.a, device.SocketBuffer, device.SocketBuffer, nil)
			p.write(p.a, 1, 0, syscall.EAGAIN)
			p.expect()
			p.must(p.b.Shutdown(p.td, event.ReadSide))
			if p.net == nil {
				p.expect(p.on(event.Write, event.Clear|event.EOF|event.NoData, 0, 0))
				return
			}
			p.expect(p.on(event.Write, event.Clear, 0, device.SocketBuffer))
			p.write(p.a, 9, 9, nil)
		}},
		{"EXCEPT: nothing but the end of both, and errors", func(p *socketLab) {
			p.change(p.on(event.Except, event.Add|event.Clear, event.NoteOOB, 0), nil)
			p.change(p.on(event.Except, event.Add, event.NoteLowat, 0), syscall.EINVAL)
			p.write(p.b, 1, 1, nil)
			p.must(p.b.Shutdown(p.td, event.WriteSide))
			p.expect()
			p.must(p.a.Shutdown(p.td, event.WriteSide))
			p.expect(p.on(event.Except, event.Clear|hup, 0, 0))
			p.expect()
		}},
		{"other filters", func(p *socketLab) {
			p.change(p.on(event.Vnode, event.Add, 0, 0), syscall.EINVAL)
		}},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			t.Run("local", func(t *testing.T) { each(t, func(l *lab) { test.do(pairLab(l, event.Stream)) }) })
			t.Run("inet", func(t *testing.T) { each(t, func(l *lab) { test.do(inetLab(l)) }) })
		})
	}
}

func TestSocketOOBEvents(t *testing.T) {
	each(t, func(l *lab) {
		p := inetLab(l)
		p.change(p.on(event.Except, event.Add|event.Clear, event.NoteOOB, 0), nil)
		p.change(p.on(event.Read, event.Add, 0, 0), nil)
		n, err := p.b.SendOOB(p.td, []byte{1, 2, 3})
		if n != 3 || err != nil {
			t.Fatal(n, err)
		}
		p.expect(p.on(event.Read, 0, 0, 2), p.on(event.Except, event.Clear, event.NoteOOB, 0))
		p.expect(p.on(event.Read, 0, 0, 2))
		if n, err := p.b.SendOOB(p.td, []byte{4}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		p.expect(p.on(event.Read, 0, 0, 2), p.on(event.Except, event.Clear, event.NoteOOB, 0))
		b := make([]byte, 9)
		if n, err := p.a.RecvOOB(p.td, b); n != 1 || err != nil || b[0] != 4 {
			t.Fatalf("out-of-band data: %d, %v, %d, want the second byte sent so, 4", n, err, b[0])
		}
		// Who does not ask for it is not told.
		p.change(p.on(event.Except, event.Add, 0, 0), nil)
		p.expect(p.on(event.Read, 0, 0, 2))
		p.set(p.b, device.SndBuf, 4)
		if n, err := p.b.SendOOB(p.td, []byte{5, 6, 7, 8}); n != 0 || err != syscall.EAGAIN {
			t.Fatal(n, err)
		}
	})
}

func TestListenerEvents(t *testing.T) {
	each(t, func(l *lab) {
		p := inetLab(l)
		on := func(flags event.Flags, n int64) event.Kevent {
			return event.Kevent{Ident: p.lfd, Filter: event.Read, Flags: flags, Data: n}
		}
		p.must(p.l.Listen(l.td, 80, 2))
		p.change(on(event.Add|event.Clear, 0), nil)
		p.expect()
		a, b, c := p.socket(event.Stream), p.socket(event.Stream), p.socket(event.Stream)
		cfd := p.open(c)
		p.must(a.Connect(l.td, 80))
		p.expect(on(event.Clear, 1))
		p.must(b.Connect(l.td, 80))
		p.expect(on(event.Clear, 2))
		if err := c.Connect(l.td, 80); err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
		p.change(event.Kevent{Ident: cfd, Filter: event.Write, Flags: event.Add}, nil)
		p.expect()
		if _, err := p.l.Accept(l.td); err != nil {
			t.Fatal(err)
		}
		p.expect(on(event.Clear, 2), event.Kevent{Ident: cfd, Filter: event.Write, Data: device.SocketBuffer})
		p.close(cfd)
		p.close(p.lfd)
		if _, err := a.Read(l.td, make([]byte, 1)); err != syscall.EAGAIN {
			t.Errorf("a read from who has been accepted: %v", err)
		}
		if _, err := b.Read(l.td, make([]byte, 1)); err != syscall.ECONNRESET {
			t.Errorf("a read from who waited to be accepted: %v", err)
		}
	})
}

func TestDatagramEvents(t *testing.T) {
	each(t, func(l *lab) {
		p := pairLab(l, event.Datagram)
		p.set(p.b, device.RcvBuf, 10)
		p.set(p.a, device.SndBuf, 10)
		p.change(p.on(event.Read, event.Add|event.Clear, 0, 0), nil)
		p.change(p.on(event.Write, event.Add|event.Clear, event.NoteLowat, 8), nil)
		p.expect(p.on(event.Write, event.Clear, 0, 10))
		p.write(p.b, 0, 0, nil)
		p.expect(p.on(event.Read, event.Clear, 0, 0))
		p.write(p.b, 3, 3, nil)
		p.expect(p.on(event.Read, event.Clear, 0, 3))
		p.write(p.a, 11, 0, syscall.EMSGSIZE)
		p.write(p.a, 3, 3, nil)
		p.write(p.a, 6, 6, nil)
		p.write(p.a, 2, 0, syscall.EAGAIN)
		p.read(p.b, 2, 2, nil) // and the third byte is lost
		p.expect()
		p.read(p.b, 9, 6, nil)
		p.expect(p.on(event.Write, event.Clear, 0, 10))
		// One that was refused though there was more than the mark.
		p.change(p.on(event.Write, event.Add, event.NoteLowat, 1), nil)
		p.expect(p.on(event.Write, event.Clear, 0, 10))
		p.write(p.a, 2, 2, nil)
		p.write(p.a, 4, 4, nil)
		p.write(p.a, 5, 0, syscall.EAGAIN)
		p.expect()
		p.read(p.b, 9, 2, nil)
		p.expect(p.on(event.Write, event.Clear, 0, 6))
		p.read(p.b, 9, 4, nil)
		p.expect() // no news
		for range device.MaxDatagrams {
			p.write(p.a, 0, 0, nil)
		}
		p.write(p.a, 0, 0, syscall.EAGAIN)
		p.read(p.b, 1, 0, nil)
		p.expect(p.on(event.Write, event.Clear, 0, 10))
	})
}
