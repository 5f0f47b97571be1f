package poll_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/poll"
)

const (
	in     = event.PollIn
	out    = event.PollOut
	hup    = event.PollHup
	perr   = event.PollErr
	nval   = event.PollNval
	rdnorm = event.PollRdNorm
	wrnorm = event.PollWrNorm
	wrband = event.PollWrBand
	rdhup  = event.PollRdHup

	// all is everything that can be asked for.
	all = in | out | rdnorm | wrnorm | wrband | rdhup | event.PollPri | event.PollRdBand
)

func TestPollPipe(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		fds := []event.PollFD{{FD: int32(p.rd), Events: in}, {FD: int32(p.wr), Events: out}}
		l.poll(fds, 0, out)
		l.write(p, 1)
		l.poll(fds, in, out)
		l.poll(fds, in, out)
		l.read(p, 1)
		l.fill(p)
		l.poll(fds, in, 0)
		l.read(p, 65536)
		l.poll(fds, 0, out)
		fds[0].Events = in | rdnorm
		l.poll(fds, 0, out)
		l.write(p, 1)
		l.poll(fds, in|rdnorm, out)
		l.must(l.p.Close(l.td, p.wr))
		l.poll(fds, in|rdnorm|hup, nval)
		l.read(p, 1)
		l.poll(fds, hup, nval)
		l.must(l.p.Close(l.td, p.rd))
		l.poll(fds, nval, nval)
	})
}

// What each kind of file says, as a table of what has been done to it. The same has been
// asked of Linux 6.18; see also the tests that ask it each time.
func TestConditions(t *testing.T) {
	type files func(l *lab) (fds []int)
	stream := func(l *lab, do func(a, b *device.Socket)) []int {
		a, b, err := device.NewSocketPair(l.td, l.k, event.Stream)
		l.must(err)
		fds := []int{l.open(a), l.open(b)}
		do(a, b)
		return fds
	}
	for _, tt := range []struct {
		name  string
		files files
		asks  event.PollEvents
		want  event.PollEvents // of the first descriptor
	}{
		{"pipe, nobody writes, empty", func(l *lab) []int { p := l.pipe(); l.must(l.p.Close(l.td, p.wr)); return []int{p.rd} }, all, hup},
		{"pipe, nobody writes, a byte", func(l *lab) []int {
			p := l.pipe()
			l.write(p, 1)
			l.must(l.p.Close(l.td, p.wr))
			return []int{p.rd}
		}, all, in | rdnorm | hup},
		{"pipe, nobody reads", func(l *lab) []int { p := l.pipe(); l.must(l.p.Close(l.td, p.rd)); return []int{p.wr} }, all, out | wrnorm | perr},
		{"pipe, nobody reads, nothing asked", func(l *lab) []int { p := l.pipe(); l.must(l.p.Close(l.td, p.rd)); return []int{p.wr} }, 0, perr},
		{"pipe, nobody reads, asked to read", func(l *lab) []int { p := l.pipe(); l.must(l.p.Close(l.td, p.rd)); return []int{p.wr} }, in, perr},
		{"pipe, nobody writes, asked to write", func(l *lab) []int { p := l.pipe(); l.must(l.p.Close(l.td, p.wr)); return []int{p.rd} }, out, hup},
		{"pipe, full", func(l *lab) []int { p := l.pipe(); l.fill(p); return []int{p.wr} }, all, 0},
		{"stream", func(l *lab) []int { return stream(l, func(a, b *device.Socket) {}) }, all, out | wrnorm | wrband},
		{"stream, the peer has shut writing", func(l *lab) []int {
			return stream(l, func(a, b *device.Socket) { l.must(b.Shutdown(l.td, event.WriteSide)) })
		}, all, in | rdnorm | out | wrnorm | wrband | rdhup},
		{"stream, ... and only that is asked for", func(l *lab) []int {
			return stream(l, func(a, b *device.Socket) { l.must(b.Shutdown(l.td, event.WriteSide)) })
		}, rdhup, rdhup},
		{"stream, the peer is gone", func(l *lab) []int {
			return stream(l, func(a, b *device.Socket) { b.Release(l.td) })
		}, all, in | rdnorm | out | wrnorm | wrband | rdhup | hup},
		{"stream, the peer is gone, nothing asked", func(l *lab) []int {
			return stream(l, func(a, b *device.Socket) { b.Release(l.td) })
		}, 0, hup},
		{"stream, the peer is gone and has not read all", func(l *lab) []int {
			return stream(l, func(a, b *device.Socket) { a.Write(l.td, []byte{1}); b.Release(l.td) })
		}, all, in | rdnorm | out | wrnorm | wrband | rdhup | hup | perr},
		{"terminal", func(l *lab) []int { m, s := device.NewPty(l.td, l.k); return []int{l.open(s), l.open(m)} }, all, out | wrnorm},
		{"terminal, hung up", func(l *lab) []int {
			m, s := device.NewPty(l.td, l.k)
			m.Release(l.td)
			return []int{l.open(s)}
		}, all, in | rdnorm | out | wrnorm | perr | hup},
		{"terminal's master, no slave", func(l *lab) []int {
			m, s := device.NewPty(l.td, l.k)
			s.Release(l.td)
			return []int{l.open(m)}
		}, all, out | wrnorm | hup},
		{"a kqueue, empty", func(l *lab) []int { kq, err := l.p.Kqueue(l.td); l.must(err); return []int{kq} }, all, 0},
		{"a file that cannot be watched", func(l *lab) []int { return []int{l.open(plain{})} }, all, in | rdnorm | out | wrnorm},
		{"a file that cannot be watched, asked to read", func(l *lab) []int { return []int{l.open(plain{})} }, in, in},
		{"a file that cannot be watched, nothing asked", func(l *lab) []int { return []int{l.open(plain{})} }, 0, 0},
		{"no descriptor", func(l *lab) []int { return []int{1000} }, 0, nval},
		{"no descriptor that there can be", func(l *lab) []int { return []int{1 << 30} }, in, nval},
		{"negative", func(l *lab) []int { return []int{-2} }, all, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(l *lab) {
				fds := tt.files(l)
				entry := event.PollFD{FD: int32(fds[0]), Events: tt.asks}
				l.poll([]event.PollFD{entry}, tt.want)
				l.poll([]event.PollFD{entry}, tt.want) // and what holds, holds
				l.poll([]event.PollFD{{FD: -1}, entry, entry}, 0, tt.want, tt.want)
			})
		})
	}
}

// plain is a file that has no condition.
type plain struct{}

func (plain) Source(event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return nil, nil, syscall.EINVAL
}
func (plain) Sources() []*kqueue.Source { return nil }
func (plain) Release(*machine.Thread)   {}

func TestErrors(t *testing.T) {
	each(t, func(l *lab) {
		minus, long := -time.Nanosecond, 1<<20
		for _, tt := range []struct {
			call string
			want error
			do   func(p *poll.Poller) (int, error)
		}{
			{"poll, as many as there may be", nil, func(p *poll.Poller) (int, error) { return p.Poll(l.td, negative(long), 0) }},
			{"poll, one more", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.Poll(l.td, negative(long+1), 0) }},
			{"poll, of nothing", nil, func(p *poll.Poller) (int, error) { return p.Poll(l.td, nil, 0) }},
			{"ppoll, timeout negative", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.PPoll(l.td, nil, &minus, nil) }},
			{"select, nfds negative", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.Select(l.td, -1, nil, nil, nil, &zero) }},
			{"select, timeout negative", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.Select(l.td, 0, nil, nil, nil, &minus) }},
			{"select, of nothing", nil, func(p *poll.Poller) (int, error) { return p.Select(l.td, 1<<40, nil, &poll.FDSet{}, nil, &zero) }},
			{"select, not open", syscall.EBADF, func(p *poll.Poller) (int, error) {
				return p.Select(l.td, 1000, nil, poll.NewFDSet(999), nil, nil)
			}},
			{"select, not open, above nfds", nil, func(p *poll.Poller) (int, error) {
				return p.Select(l.td, 999, nil, poll.NewFDSet(999), nil, &zero)
			}},
			{"select, no number of a descriptor", syscall.EBADF, func(p *poll.Poller) (int, error) {
				return p.Select(l.td, 1<<21, nil, nil, poll.NewFDSet(1<<20), nil)
			}},
			{"pselect, nfds negative", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.PSelect(l.td, -1, nil, nil, nil, nil, nil) }},
			{"pselect, timeout negative", syscall.EINVAL, func(p *poll.Poller) (int, error) { return p.PSelect(l.td, 0, nil, nil, nil, &minus, nil) }},
		} {
			if n, err := tt.do(l.Poller); n != 0 || err != tt.want {
				t.Errorf("%s: %d, %v, want %v", tt.call, n, err, tt.want)
			}
		}
		p := poll.New(l.td, l.k, l.p)
		l.must(p.Close(l.td))
		if n, err := p.Poll(l.td, nil, 0); n != 0 || err != syscall.EBADF {
			t.Errorf("poll by a closed Poller: %d, %v, want EBADF", n, err)
		}
		pipe := l.pipe()
		if n, err := p.Poll(l.td, []event.PollFD{{FD: int32(pipe.rd)}, {FD: -1}}, 0); n != 0 || err != syscall.EBADF {
			t.Errorf("poll of a pipe by a closed Poller: %d, %v, want EBADF", n, err)
		}
		if n, err := p.Select(l.td, 64, nil, poll.NewFDSet(pipe.wr), nil, &zero); n != 0 || err != syscall.EBADF {
			t.Errorf("select by a closed Poller: %d, %v, want EBADF", n, err)
		}
		if err := p.Close(l.td); err != syscall.EBADF {
			t.Errorf("closing it again: %v, want EBADF", err)
		}
	})
}

func negative(n int) []event.PollFD {
	fds := make([]event.PollFD, n)
	for i := range fds {
		fds[i] = event.PollFD{FD: -1 - int32(i), Events: all}
	}
	return fds
}

// A queue at the end of a chain of as many as there may be cannot be polled, and the
// call says so each time; a shorter one can.
func TestPollChain(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		l.write(p, 1)
		below := p.rd
		for depth := 1; depth <= 10; depth++ {
			kq, err := l.p.Kqueue(l.td)
			l.must(err)
			_, err = l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(below), Filter: event.Read, Flags: event.Add}}, nil, 0)
			l.must(err)
			below = kq
			fds := []event.PollFD{{FD: int32(p.rd), Events: in}, {FD: int32(kq), Events: in}}
			if depth < 10 {
				l.poll(fds, in, in)
				continue
			}
			for range 3 {
				if n, err := l.Poll(l.td, fds, 0); n != 0 || err != syscall.ELOOP || fds[0].Revents != 0 {
					t.Errorf("poll of a chain of %d: %d, %v, %v, want ELOOP", depth, n, err, fds)
				}
			}
			l.poll(fds[:1], in)
		}
	})
}

// A timeout is over when it is over, and not before; what is left of that of select is
// what is left.
func TestTimeouts(t *testing.T) {
	each(t, func(l *lab) {
		p := l.pipe()
		fds := []event.PollFD{{FD: int32(p.rd), Events: in}}
		begin := l.td.Now()
		if n, err := l.Poll(l.td, fds, 3*time.Millisecond); n != 0 || err != nil || l.td.Now()-begin < 3*time.Millisecond {
			t.Errorf("poll for 3 ms: %d, %v after %v", n, err, l.td.Now()-begin)
		}
		left := 3 * time.Millisecond
		if n, err := l.Select(l.td, 64, poll.NewFDSet(p.rd), nil, nil, &left); n != 0 || err != nil || left != 0 {
			t.Errorf("select for 3 ms: %d, %v, with %v left", n, err, left)
		}
		l.write(p, 1)
		left = time.Hour
		if n, err := l.Select(l.td, 64, poll.NewFDSet(p.rd), nil, nil, &left); n != 1 || err != nil || left >= time.Hour || left < time.Minute {
			t.Errorf("select for an hour: %d, %v, with %v left", n, err, left)
		}
		left = time.Hour
		if n, err := l.PSelect(l.td, 64, poll.NewFDSet(p.rd), nil, nil, &left, nil); n != 1 || err != nil || left != time.Hour {
			t.Errorf("pselect for an hour: %d, %v, with %v left", n, err, left)
		}
		if n, err := l.Poll(l.td, fds, -time.Hour); n != 1 || err != nil {
			t.Errorf("poll for ever: %d, %v", n, err)
		}
		if n, err := l.Poll(l.td, fds, kqueue.Forever-1); n != 1 || err != nil {
			t.Errorf("poll for almost ever: %d, %v", n, err)
		}
	})
}

// The steady state allocates nothing: the same call again, two arrays in turn, one
// entry that changes, a descriptor that is closed elsewhere.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	each(t, func(l *lab) {
		fds := l.pipes(shape{200, 100}, 2)
		a, b := fds[:200], fds[200:]
		var ask, set poll.FDSet
		for _, f := range a {
			ask.Set(int(f.FD))
		}
		turn := 0
		for name, do := range map[string]func(){
			"poll":         func() { l.Poll(l.td, a, 0) },
			"poll in turn": func() { l.Poll(l.td, a, 0); l.Poll(l.td, b, 0) },
			"poll, one changes": func() {
				turn = 1 - turn
				a[7] = event.PollFD{FD: fds[210+turn].FD, Events: []event.PollEvents{in, 0}[turn]}
				l.Poll(l.td, a, 0)
			},
			"poll, select in turn": func() {
				l.Poll(l.td, a, 0)
				set.Copy(&ask)
				l.Select(l.td, 400, &set, nil, nil, &zero)
			},
		} {
			for range 10 {
				do()
			}
			if n := testing.AllocsPerRun(20, do); n != 0 {
				t.Errorf("%s: %v allocations a call", name, n)
			}
		}
	})
}

// A file whose conditions are of two domains, or one of which may lose it, cannot have
// a joint, and is asked one by one; what a filter may wait for, it waits for.
func TestApart(t *testing.T) {
	each(t, func(l *lab) {
		there := l.m.Attach("there", 1)
		f := &apart{src: [2]*kqueue.Source{l.k.NewSource(l.td), l.k.NewSource(there)}}
		there.Detach()
		slow := device.NewProbe(l.td, l.k, device.ProbeConfig{Blocks: true, Unsafe: true})
		fds := []event.PollFD{{FD: int32(l.open(f)), Events: in | out | rdhup}, {FD: int32(l.open(slow)), Events: in | out}}
		l.poll(fds, 0, 0)
		f.set(l.td, event.Write, true)
		l.poll(fds, out, 0)
		f.set(l.td, event.Read, true)
		slow.Set(l.td, 1)
		l.poll(fds, in|out, in|out)
		f.set(l.td, event.Write, false)
		l.poll(fds, in, in|out)
		fds[0].Events = rdhup // which it never has
		for range 3 {
			l.poll(fds, 0, in|out)
		}
	})
}

// An apart has a source for each of Read and Write, and a filter for Write that might
// block.
type apart struct {
	src [2]*kqueue.Source
	is  [2]bool // each guarded by its source
}

var apartFilters = [2]*kqueue.Filter{{Name: "apart read", Event: askApart}, {Name: "apart write", Event: askApart, Blocks: true}}

func askApart(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
	kn.Data = 1
	return kn.File().(*apart).is[-1-kn.Filter()]
}

func (f *apart) set(td *machine.Thread, filter event.Filter, is bool) {
	i := -1 - filter
	f.src[i].Enter(td)
	f.is[i] = is
	f.src[i].Post(td, 0)
	f.src[i].Exit(td)
}

func (f *apart) Source(filter event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if filter != event.Read && filter != event.Write {
		return nil, nil, syscall.EINVAL
	}
	return f.src[-1-filter], apartFilters[-1-filter], nil
}
func (f *apart) Sources() []*kqueue.Source { return f.src[:] }
func (f *apart) Release(*machine.Thread)   {}
