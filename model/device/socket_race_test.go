package device_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A world is a process with a network on some machine.
type world struct {
	t   *testing.T
	m   *machine.Machine
	k   *kqueue.Kernel
	p   *proc.Process
	net *device.Network
}

func newWorld(t *testing.T, m *machine.Machine, s strategies.Entry) *world {
	k := kqueue.New(m, s.New(m))
	return &world{t, m, k, proc.New(k), device.NewNetwork(k)}
}

// A holder is a thread with one socket, and a queue to wait for it with.
type holder struct {
	*world
	td *machine.Thread
	q  *kqueue.Queue
	s  *device.Socket
	fd uint64
}

func (w *world) holder(td *machine.Thread, s *device.Socket) *holder {
	fd, err := w.p.Open(td, s)
	if err != nil {
		panic(err)
	}
	return &holder{w, td, w.k.NewQueue(td, w.p), s, uint64(fd)}
}

func (w *world) socket(td *machine.Thread) *device.Socket {
	s, err := w.net.NewSocket(td, device.Inet, event.Stream)
	if err != nil {
		panic(err)
	}
	return s
}

// wait sleeps until the filter has an event, and returns its errno.
func (u *holder) wait(f event.Filter) error {
	var e [1]event.Kevent
	n, err := u.q.Kevent(u.td, []event.Kevent{{Ident: u.fd, Filter: f, Flags: event.Add | event.OneShot}}, nil, 0)
	if err == nil {
		n, err = u.q.Kevent(u.td, nil, e[:], kqueue.Forever)
	}
	if n != 1 || err != nil {
		u.t.Errorf("kevent: %d, %v", n, err)
	}
	return err
}

// again calls do until it does not answer EAGAIN, and waits in between.
func (u *holder) again(f event.Filter, do func() (int, error)) (int, error) {
	for {
		n, err := do()
		if err != syscall.EAGAIN {
			return n, err
		}
		u.wait(f)
	}
}

func (u *holder) read(b []byte) (int, error) {
	return u.again(event.Read, func() (int, error) { return u.s.Read(u.td, b) })
}

func (u *holder) write(b []byte) (int, error) {
	return u.again(event.Write, func() (int, error) { return u.s.Write(u.td, b) })
}

// connect connects to port 80, and waits if it must.
func (u *holder) connect() error {
	err := u.s.Connect(u.td, 80)
	if err != syscall.EINPROGRESS {
		return err
	}
	u.wait(event.Write)
	if errno, _ := u.s.TakeError(u.td); errno != 0 {
		return errno
	}
	return nil
}

func (u *holder) accept() *holder {
	for {
		s, err := u.s.Accept(u.td)
		if err == nil {
			return u.holder(u.td, s)
		}
		if err != syscall.EAGAIN {
			u.t.Errorf("accept: %v", err)
			return nil
		}
		u.wait(event.Read)
	}
}

func (u *holder) close() {
	if err := u.p.Close(u.td, int(u.fd)); err != nil {
		u.t.Errorf("close: %v", err)
	}
	u.q.Close(u.td)
}

// A story is what threads do with sockets. It is begun on a machine on which nothing
// runs, and returns what is to hold in the end.
type story struct {
	name string
	tell func(w *world) func() error
}

var stories = []story{
	{"connect, accept and echo", func(w *world) func() error {
		const clients = 2
		var said [clients]byte
		w.m.Go("server", 0, func(td *machine.Thread) {
			l := w.holder(td, w.socket(td))
			l.s.Listen(td, 80, 1)
			for i := range clients {
				c := w.holder(td, w.socket(td))
				w.m.Go(fmt.Sprint("client ", i), 1, func(td *machine.Thread) {
					c := w.holder(td, c.s) // a queue on its own CPU
					if err := c.connect(); err != nil {
						w.t.Errorf("connect: %v", err)
						return
					}
					c.write([]byte{byte(i + 1)})
					b := make([]byte, 2)
					c.read(b)
					said[i] = b[0]
					c.close()
				})
			}
			for range clients {
				c := l.accept()
				b := make([]byte, 2)
				n, _ := c.read(b)
				b[0] += 10
				c.write(b[:n])
				c.close()
			}
			l.close()
		})
		return func() error {
			for i, c := range said {
				if c != byte(i+11) {
					return fmt.Errorf("client %d has heard %d, want %d", i, c, i+11)
				}
			}
			return nil
		}
	}},
	{"the listener closes while others connect", func(w *world) func() error {
		var came [2]error
		w.m.Go("server", 0, func(td *machine.Thread) {
			l := w.holder(td, w.socket(td))
			l.s.Listen(td, 80, 1)
			for i := range came {
				w.m.Go(fmt.Sprint("client ", i), i, func(td *machine.Thread) {
					c := w.holder(td, w.socket(td))
					if came[i] = c.connect(); came[i] == nil {
						_, came[i] = c.read(make([]byte, 1))
					}
					c.close()
				})
			}
			l.close()
		})
		return func() error {
			for i, err := range came {
				if err != syscall.ECONNREFUSED && err != syscall.ECONNRESET {
					return fmt.Errorf("client %d: %v, want ECONNREFUSED or ECONNRESET", i, err)
				}
			}
			return nil
		}
	}},
	{"who connects is closed by another", func(w *world) func() error {
		accepted := 0
		w.m.Go("server", 0, func(td *machine.Thread) {
			l := w.holder(td, w.socket(td))
			l.s.Listen(td, 80, 1)
			first := w.holder(td, w.socket(td))
			if err := first.connect(); err != nil {
				w.t.Error(err)
			}
			c := w.holder(td, w.socket(td))
			w.m.Go("client", 1, func(td *machine.Thread) {
				if err := c.s.Connect(td, 80); err != nil && err != syscall.EINPROGRESS && err != syscall.EBADF && err != syscall.ECONNREFUSED {
					w.t.Errorf("connect: %v", err)
				}
			})
			w.m.Go("closer", 1, func(td *machine.Thread) { w.p.Close(td, int(c.fd)) })
			a := l.accept()
			accepted++
			if s, err := l.s.Accept(td); err == nil { // the client's, closed or not
				accepted++
				s.Release(td)
			}
			a.close()
			l.close()
			first.close()
		})
		return func() error {
			if accepted != 1 && accepted != 2 {
				return fmt.Errorf("%d accepted, want 1 or 2", accepted)
			}
			return nil
		}
	}},
	{"a write and a close", func(w *world) func() error {
		var wrote, read int
		var werr, rerr error
		w.m.Go("maker", 0, func(td *machine.Thread) {
			a, b, err := device.NewSocketPair(td, w.k, event.Stream)
			if err != nil {
				w.t.Error(err)
			}
			a.SetOption(td, device.SndBuf, 1)
			x, y := w.holder(td, a), w.holder(td, b)
			w.m.Go("writer", 1, func(td *machine.Thread) {
				x.td = td
				for werr == nil {
					var n int
					n, werr = x.write([]byte{1, 2})
					wrote += n
				}
				x.close()
			})
			w.m.Go("reader", 0, func(td *machine.Thread) {
				y.td = td
				read, rerr = y.read(make([]byte, 1))
				y.close()
			})
		})
		return func() error {
			if werr != syscall.EPIPE || rerr != nil || read != 1 || wrote < 1 || wrote > 2 {
				return fmt.Errorf("wrote %d, %v, read %d, %v; want 1 or 2, EPIPE, 1, nil", wrote, werr, read, rerr)
			}
			return nil
		}
	}},
	{"one end ends, and both of the other's threads wait", func(w *world) func() error {
		var read int
		var werr, rerr error
		w.m.Go("maker", 0, func(td *machine.Thread) {
			a, b, err := device.NewSocketPair(td, w.k, event.Stream)
			if err != nil {
				w.t.Error(err)
			}
			a.SetOption(td, device.SndBuf, 1)
			x, y := w.holder(td, a), w.holder(td, b)
			z := &holder{w, td, w.k.NewQueue(td, w.p), a, x.fd}
			w.m.Go("writer", 1, func(td *machine.Thread) {
				x.td = td
				for werr == nil {
					_, werr = x.write([]byte{1})
				}
			})
			w.m.Go("reader", 0, func(td *machine.Thread) {
				z.td = td
				for {
					n, err := z.read(make([]byte, 4))
					if read, rerr = read+n, err; n == 0 {
						return
					}
				}
			})
			w.m.Go("other", 1, func(td *machine.Thread) {
				y.td = td
				y.write([]byte{1, 2})
				y.s.Shutdown(td, event.ReadSide)
				y.s.Shutdown(td, event.WriteSide)
			})
		})
		return func() error {
			if werr != syscall.EPIPE || rerr != nil || read != 2 {
				return fmt.Errorf("a write %v, %d bytes read, %v; want EPIPE, 2, nil", werr, read, rerr)
			}
			return nil
		}
	}},
	{"datagrams, and nobody to have them", func(w *world) func() error {
		var got, refused int
		w.m.Go("maker", 0, func(td *machine.Thread) {
			s, _ := w.net.NewSocket(td, device.Inet, event.Datagram)
			r, _ := w.net.NewSocket(td, device.Inet, event.Datagram)
			r.Bind(td, 53)
			s.Connect(td, 53)
			x, y := w.holder(td, s), w.holder(td, r)
			w.m.Go("sender", 1, func(td *machine.Thread) {
				x.td = td
				for refused == 0 {
					if _, err := x.write([]byte{1}); err == syscall.ECONNREFUSED {
						refused++
					} else if err != nil {
						w.t.Errorf("write: %v", err)
					}
				}
				x.close()
			})
			w.m.Go("receiver", 0, func(td *machine.Thread) {
				y.td = td
				got, _ = y.read(make([]byte, 2))
				y.close()
			})
		})
		return func() error {
			if got != 1 || refused != 1 {
				return fmt.Errorf("got %d bytes and %d refusals, want 1 and 1", got, refused)
			}
			return nil
		}
	}},
}

// TestSocketStories explores what threads do with sockets on a virtual machine, with
// objects on any CPU and sleeps that end early.
func TestSocketStories(t *testing.T) {
	n := 100
	if testing.Short() {
		n = 25
	}
	for _, s := range strategies.All {
		for _, st := range stories {
			t.Run(s.Name+"/"+st.name, func(t *testing.T) {
				for seed := range uint64(n) {
					for _, by := range []sched.Scheduler{sched.NewRandom(seed), sched.NewPCT(3, seed)} {
						m := machine.Virtual(2, by)
						m.DrawPlacement()
						m.AllowSpurious(1)
						w := newWorld(t, m, s)
						holds := st.tell(w)
						err := m.Run()
						if err == nil {
							err = errors.Join(holds(), w.k.Audit(nil, w.p), w.net.Audit(nil))
						}
						m.Abandon()
						if err != nil || t.Failed() {
							t.Fatalf("seed %d, %T: %v", seed, by, err)
						}
					}
				}
			})
		}
	}
}

// TestSocketStoriesNatively is the same on threads that run at once.
func TestSocketStoriesNatively(t *testing.T) {
	for _, s := range strategies.All {
		for _, st := range stories {
			t.Run(s.Name+"/"+st.name, func(t *testing.T) {
				for range 50 {
					m := machine.Native(2)
					w := newWorld(t, m, s)
					holds := st.tell(w)
					err := m.Run()
					if err == nil {
						td := m.Attach("audit", 0)
						err = errors.Join(holds(), w.net.Audit(td))
						td.Detach()
					}
					if err != nil || t.Failed() {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// Two threads send a stream each way over a connection, with buffers of all sizes.
func TestSocketStream(t *testing.T) {
	each(t, func(l *lab) {
		r := random(t, 0)
		w := &world{t, l.m, l.k, l.p, device.NewNetwork(l.k)}
		ends := [2]*device.Socket{}
		var err error
		if r.IntN(2) == 0 {
			ends[0], ends[1], err = device.NewSocketPair(l.td, l.k, event.Stream)
			l.must(err)
		} else {
			p := inetLab(l)
			ends[0], ends[1] = p.a, p.b
		}
		size := 1 + r.IntN(1<<r.IntN(16))
		total := min(1<<20, 500*size) // who fills a buffer waits
		for i, s := range ends {
			l.must(s.SetOption(l.td, device.SndBuf, size+r.IntN(size)))
			l.must(s.SetOption(l.td, device.RcvBuf, size+r.IntN(size)))
			fd := l.open(s)
			content := func(of int) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{byte(*seed), byte(of)}) }
			rng := random(t, i+1)
			most := 1 + rng.IntN(5000)
			l.m.Go(fmt.Sprint("writer ", i), i, func(td *machine.Thread) {
				u := &holder{w, td, l.k.NewQueue(td, l.p), s, fd}
				rng := rand.New(rand.NewPCG(*seed, uint64(i)+10))
				src := content(i)
				for left := total; left > 0; {
					b := make([]byte, min(left, 1+rng.IntN(most)))
					src.Read(b)
					left -= len(b)
					for len(b) > 0 {
						n, err := u.write(b)
						if b = b[n:]; err != nil {
							t.Error(err)
							return
						}
					}
				}
				if err := s.Shutdown(td, event.WriteSide); err != nil {
					t.Error(err)
				}
				u.q.Close(td)
			})
			l.m.Go(fmt.Sprint("reader ", i), 1-i, func(td *machine.Thread) {
				u := &holder{w, td, l.k.NewQueue(td, l.p), s, fd}
				defer u.q.Close(td)
				src := content(1 - i)
				b, want := make([]byte, most), make([]byte, most)
				for got := 0; ; {
					n, err := u.read(b[:1+rng.IntN(most)])
					if err != nil || n == 0 {
						if err != nil || got != total {
							t.Errorf("the end after %d bytes, %v, want %d", got, err, total)
						}
						return
					}
					src.Read(want[:n])
					if !bytes.Equal(b[:n], want[:n]) {
						t.Errorf("the bytes from %d to %d are not those that were written", got, got+n)
						return
					}
					got += n
				}
			})
		}
		l.run()
	})
}

// A byte, a datagram and a byte out of band to and fro cost no allocation; nor does a
// connection on a virtual machine that is used again.
func TestSocketAllocations(t *testing.T) {
	each(t, func(l *lab) {
		in, pair := inetLab(l), pairLab(l, event.Datagram)
		l.change(in.on(event.Read, event.Add|event.Clear, 0, 0), nil)
		l.change(in.on(event.Write, event.Add|event.Clear, 0, 0), nil)
		l.change(pair.on(event.Read, event.Add|event.Clear, 0, 0), nil)
		b := make([]byte, 1)
		events := make([]event.Kevent, 4)
		n := allocations(1000, func() {
			for _, do := range []func() (int, error){
				func() (int, error) { return in.b.Write(l.td, b) },
				func() (int, error) { return in.b.SendOOB(l.td, b) },
				func() (int, error) { return pair.b.Write(l.td, b) },
				func() (int, error) { return l.q.Kevent(l.td, nil, events, 0) },
				func() (int, error) { return in.a.RecvOOB(l.td, b) },
				func() (int, error) { return in.a.Read(l.td, b) },
				func() (int, error) { return pair.a.Read(l.td, b) },
			} {
				if n, err := do(); n == 0 || err != nil {
					l.Fatal(n, err)
				}
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// An execution with connections allocates nothing on a machine that is used again, and
// finds what it makes as new.
func TestSocketsFromStock(t *testing.T) {
	fromStock(t, 100, func(k *kqueue.Kernel) (func(td *machine.Thread) error, func()) {
		net := device.NewNetwork(k)
		b := make([]byte, 1000)
		return func(td *machine.Thread) error {
			l, _ := net.NewSocket(td, device.Inet, event.Stream)
			c, _ := net.NewSocket(td, device.Inet, event.Stream)
			err := errors.Join(l.Listen(td, 80, 1), c.Connect(td, 80))
			a, e := l.Accept(td)
			if err = errors.Join(err, e); err != nil {
				return err
			}
			if n, err := a.Read(td, b); n != 0 || err != syscall.EAGAIN {
				return fmt.Errorf("a new connection is read: %d, %v", n, err)
			}
			a.Write(td, b)
			c.SendOOB(td, b)
			x, y, _ := device.NewSocketPair(td, k, event.Datagram)
			x.Write(td, b)
			for _, s := range [...]*device.Socket{l, c, a, x, y} {
				s.Release(td)
			}
			return nil
		}, net.Reset
	})
}
