package call

import (
	"syscall"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

func (c *Caller) socketpair(td *machine.Thread, op *event.Op) event.Result {
	a, b, err := device.NewSocketPair(td, c.k, op.Sock)
	if err != nil {
		return fails(err)
	}
	return c.openBoth(td, a, b)
}

func (c *Caller) socket(td *machine.Thread, op *event.Op) event.Result {
	s, err := c.w.Network.NewSocket(td, device.Inet, op.Sock)
	if err != nil {
		return fails(err)
	}
	return c.open(td, s)
}

// on does something to the socket that op calls upon.
func (c *Caller) on(td *machine.Thread, op *event.Op, do func(s *device.Socket) (int, error)) event.Result {
	f, err := c.p.File(td, op.FD)
	if err != nil {
		return fails(err)
	}
	s, ok := f.(*device.Socket)
	if !ok {
		return fails(syscall.ENOTSOCK)
	}
	return number(do(s))
}

func (c *Caller) listen(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) {
		if s.Type() == event.Datagram {
			return 0, s.Bind(td, int(op.N))
		}
		return 0, s.Listen(td, int(op.N), op.Backlog)
	})
}

func (c *Caller) connect(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) { return 0, s.Connect(td, int(op.N)) })
}

func (c *Caller) accept(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) {
		a, err := s.Accept(td)
		if err != nil {
			return 0, err
		}
		fd, err := c.p.Open(td, a)
		if err != nil {
			a.Release(td)
		}
		return fd, err
	})
}

func (c *Caller) send(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) {
		if op.OOB {
			return s.SendOOB(td, zeros[:op.N])
		}
		return s.Write(td, zeros[:op.N])
	})
}

func (c *Caller) recv(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) {
		if op.OOB {
			return s.RecvOOB(td, c.room(op.N))
		}
		return s.Read(td, c.room(op.N))
	})
}

func (c *Caller) shutdown(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) { return 0, s.Shutdown(td, op.Side) })
}

func (c *Caller) sockErr(td *machine.Thread, op *event.Op) event.Result {
	return c.on(td, op, func(s *device.Socket) (int, error) {
		errno, err := s.TakeError(td)
		return int(errno), err
	})
}
