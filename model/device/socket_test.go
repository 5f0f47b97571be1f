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
			l.Fatal(n, err)
		}
		p.expect(p.on(event.Read, 0, 0, 2), p.on(event.Except, event.Clear, event.NoteOOB, 0))
		p.expect(p.on(event.Read, 0, 0, 2))
		if n, err := p.b.SendOOB(p.td, []byte{4}); n != 1 || err != nil {
			l.Fatal(n, err)
		}
		p.expect(p.on(event.Read, 0, 0, 2), p.on(event.Except, event.Clear, event.NoteOOB, 0))
		b := make([]byte, 9)
		if n, err := p.a.RecvOOB(p.td, b); n != 1 || err != nil || b[0] != 4 {
			l.Fatalf("out-of-band data: %d, %v, %d, want the second byte sent so, 4", n, err, b[0])
		}
		// Who does not ask for it is not told.
		p.change(p.on(event.Except, event.Add, 0, 0), nil)
		p.expect(p.on(event.Read, 0, 0, 2))
		p.set(p.b, device.SndBuf, 4)
		if n, err := p.b.SendOOB(p.td, []byte{5, 6, 7, 8}); n != 0 || err != syscall.EAGAIN {
			l.Fatal(n, err)
		}
		if n, err := p.b.SendOOB(p.td, make([]byte, 6)); n != 0 || err != syscall.EMSGSIZE {
			l.Fatalf("to send what there never is room for: %d, %v, want EMSGSIZE", n, err)
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
		d := p.socket(event.Stream)
		cfd := p.open(c)
		p.must(a.Connect(l.td, 80))
		p.expect(on(event.Clear, 1))
		p.must(b.Connect(l.td, 80))
		p.expect(on(event.Clear, 2))
		if err := c.Connect(l.td, 80); err != syscall.EINPROGRESS {
			l.Fatal(err)
		}
		p.change(event.Kevent{Ident: cfd, Filter: event.Write, Flags: event.Add}, nil)
		p.expect()
		if _, err := p.l.Accept(l.td); err != nil {
			l.Fatal(err)
		}
		p.expect(on(event.Clear, 2), event.Kevent{Ident: cfd, Filter: event.Write, Data: device.SocketBuffer})
		p.close(cfd)
		if err := d.Connect(l.td, 80); err != syscall.EINPROGRESS {
			l.Fatal(err)
		}
		p.close(p.lfd)
		if err, _ := d.TakeError(l.td); err != syscall.ECONNREFUSED {
			t.Errorf("of who waited for room %v is pending, want ECONNREFUSED", err)
		}
		if local, remote, err := d.Ports(l.td); local == 0 || remote != 0 || err != nil {
			t.Errorf("who was refused has port %d and a peer at %d, %v, want a port and no peer", local, remote, err)
		}
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

// What is wrong with a call is said by its errno, and changes nothing.
func TestSocketErrors(t *testing.T) {
	each(t, func(l *lab) {
		p := inetLab(l)
		local := func(t event.SockType) *device.Socket {
			s, err := p.net.NewSocket(l.td, device.Local, t)
			p.must(err)
			return s
		}
		stream, dgram := p.socket(event.Stream), p.socket(event.Datagram)
		pair := pairLab(l, event.Stream)
		bound := p.socket(event.Stream)
		p.must(bound.Bind(l.td, 81))
		gone := p.socket(event.Stream)
		gone.Release(l.td)
		gone.Release(l.td)
		paired := pairLab(l, event.Datagram)
		paired.a.Release(l.td)
		byte1 := make([]byte, 1)
		just := func(_ any, err error) error { return err }
		ports := func(_, _ int, err error) error { return err }
		for _, test := range []struct {
			what      string
			got, want error
		}{
			{"a socket of no family", just(p.net.NewSocket(l.td, 0, event.Stream)), syscall.EAFNOSUPPORT},
			{"a socket of no type", just(p.net.NewSocket(l.td, device.Inet, 3)), syscall.EPROTONOSUPPORT},
			{"a datagram socket of Local", just(p.net.NewSocket(l.td, device.Local, event.Datagram)), syscall.EPROTONOSUPPORT},
			{"a pair of no type", pairErr(device.NewSocketPair(l.td, l.k, 0)), syscall.EPROTONOSUPPORT},

			{"bind to no port", stream.Bind(l.td, -1), syscall.EADDRNOTAVAIL},
			{"bind beyond the ports", stream.Bind(l.td, 65536), syscall.EADDRNOTAVAIL},
			{"bind to a port that is taken", stream.Bind(l.td, 80), syscall.EADDRINUSE},
			{"bind to that of another type", dgram.Bind(l.td, 80), nil},
			{"bind to that of another family", local(event.Stream).Bind(l.td, 80), nil},
			{"bind twice", dgram.Bind(l.td, 82), syscall.EINVAL},
			{"bind one of a pair", pair.a.Bind(l.td, 82), syscall.EINVAL},

			{"listen where another does", stream.Listen(l.td, 80, 1), syscall.EADDRINUSE},
			{"listen at another port", p.l.Listen(l.td, 82, 1), syscall.EINVAL},
			{"listen at its own", bound.Listen(l.td, 81, -5), nil},
			{"listen on a connection", p.a.Listen(l.td, 82, 1), syscall.EINVAL},
			{"listen on what was accepted", p.b.Listen(l.td, 82, 1), syscall.EINVAL},
			{"listen for datagrams", dgram.Listen(l.td, 82, 1), syscall.EOPNOTSUPP},
			{"listen for datagrams of a pair", paired.b.Listen(l.td, 82, 1), syscall.EOPNOTSUPP},

			{"accept on a connection", just(p.a.Accept(l.td)), syscall.EINVAL},
			{"accept on one of a pair", just(pair.a.Accept(l.td)), syscall.EINVAL},
			{"accept datagrams", just(dgram.Accept(l.td)), syscall.EOPNOTSUPP},
			{"accept datagrams of a pair", just(paired.b.Accept(l.td)), syscall.EOPNOTSUPP},

			{"connect to no port", stream.Connect(l.td, 0), syscall.EADDRNOTAVAIL},
			{"connect to where nobody is", stream.Connect(l.td, 83), syscall.ECONNREFUSED},
			{"connect to itself", bound.Connect(l.td, 81), syscall.EOPNOTSUPP},
			{"connect once more", p.b.Connect(l.td, 80), syscall.EISCONN},
			{"connect one of a pair", pair.a.Connect(l.td, 80), syscall.EISCONN},
			{"connect a datagram socket", dgram.Connect(l.td, 80), nil},
			{"connect it to another", dgram.Connect(l.td, 81), nil},

			{"send to a port by a stream", just(p.a.WriteTo(l.td, byte1, 80)), syscall.EOPNOTSUPP},
			{"send to a port by one of a pair", just(paired.b.WriteTo(l.td, byte1, 80)), syscall.EOPNOTSUPP},
			{"out of band by datagrams", just(dgram.SendOOB(l.td, byte1)), syscall.EOPNOTSUPP},
			{"out of band by a pair", just(pair.a.SendOOB(l.td, byte1)), syscall.EOPNOTSUPP},
			{"out of band, not connected", just(p.l.SendOOB(l.td, byte1)), syscall.ENOTCONN},
			{"shut nothing", p.a.Shutdown(l.td, 0), syscall.EINVAL},
			{"shut more than both", p.a.Shutdown(l.td, 4), syscall.EINVAL},

			{"set no option", p.a.SetOption(l.td, 9, 1), syscall.ENOPROTOOPT},
			{"set a buffer of nothing", p.a.SetOption(l.td, device.RcvBuf, 0), syscall.EINVAL},
			{"set a mark below nothing", p.a.SetOption(l.td, device.SndLowat, -1), syscall.EINVAL},
			{"set too large a buffer", p.a.SetOption(l.td, device.SndBuf, device.MaxSocketBuffer+1), syscall.ENOBUFS},
			{"ask for no option", just(p.a.Option(l.td, 9)), syscall.ENOPROTOOPT},

			{"released: read", just(gone.Read(l.td, byte1)), syscall.EBADF},
			{"released: read nothing", just(gone.Read(l.td, nil)), syscall.EBADF},
			{"released: write", just(gone.Write(l.td, nil)), syscall.EBADF},
			{"released: receive", ports(gone.ReadFrom(l.td, byte1)), syscall.EBADF},
			{"released: send out of band", just(gone.SendOOB(l.td, byte1)), syscall.EBADF},
			{"released: receive out of band", just(gone.RecvOOB(l.td, byte1)), syscall.EBADF},
			{"released: at the mark", just(gone.AtMark(l.td)), syscall.EBADF},
			{"released: shut", gone.Shutdown(l.td, event.BothSides), syscall.EBADF},
			{"released: its error", just(gone.TakeError(l.td)), syscall.EBADF},
			{"released: bind", gone.Bind(l.td, 85), syscall.EBADF},
			{"released: listen", gone.Listen(l.td, 85, 1), syscall.EBADF},
			{"released: connect", gone.Connect(l.td, 80), syscall.EBADF},
			{"released: accept", just(gone.Accept(l.td)), syscall.EBADF},
			{"released: its ports", ports(gone.Ports(l.td)), syscall.EBADF},
			{"released: set", gone.SetOption(l.td, device.RcvBuf, 1), syscall.EBADF},
			{"released: ask", just(gone.Option(l.td, device.RcvBuf)), syscall.EBADF},
			{"released, of a pair: bind", paired.a.Bind(l.td, 85), syscall.EBADF},
			{"released, of a pair: write", just(paired.a.Write(l.td, byte1)), syscall.EBADF},
		} {
			if test.got != test.want {
				t.Errorf("%s: %v, want %v", test.what, test.got, test.want)
			}
		}
		for o, want := range map[device.SocketOption]int{device.RcvBuf: device.SocketBuffer, device.SndBuf: device.SocketBuffer, device.RcvLowat: 1, device.SndLowat: 2048} {
			if got, err := p.a.Option(l.td, o); got != want || err != nil {
				t.Errorf("option %d: %d, %v, want %d", o, got, err, want)
			}
		}
		p.must(p.net.Audit(l.td))
	})
}

func pairErr(_, _ *device.Socket, err error) error { return err }

// All ports can be given away, and then there is none.
func TestPortsRunOut(t *testing.T) {
	each(t, func(l *lab) {
		net := device.NewNetwork(l.k)
		var all []*device.Socket
		for {
			s, err := net.NewSocket(l.td, device.Inet, event.Datagram)
			l.must(err)
			if err := s.Bind(l.td, 0); err != nil {
				if err != syscall.EADDRINUSE || len(all) != 65536-49152 {
					l.Fatalf("port %d: %v", len(all), err)
				}
				break
			}
			all = append(all, s)
		}
		s, err := net.NewSocket(l.td, device.Inet, event.Datagram)
		l.must(err)
		if err := s.Connect(l.td, 49152); err != syscall.EADDRNOTAVAIL {
			t.Errorf("connect: %v, want EADDRNOTAVAIL", err)
		}
		if n, err := s.WriteTo(l.td, nil, 49152); n != 0 || err != syscall.EADDRNOTAVAIL {
			t.Errorf("send: %d, %v, want EADDRNOTAVAIL", n, err)
		}
		all[7].Release(l.td)
		l.must(s.Bind(l.td, 0))
		if local, _, _ := s.Ports(l.td); local != 49152+7 {
			t.Errorf("port %d, want the one that is free, %d", local, 49152+7)
		}
	})
}
