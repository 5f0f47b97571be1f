package proc_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random tests")

// A storm is what threads do to one descriptor table at once.
type storm struct {
	*lab
	kq int // outside the numbers that are opened and closed at random

	mu    sync.Mutex
	files []*file // guarded by mu: all that were ever opened

	clock atomic.Uint64 // counts closes that have returned
	lives atomic.Uint64
	ended sync.Map // life -> clock when its close had returned
}

// numbers are those that are opened and closed at random.
const numbers = 8

func newStorm(l *lab) *storm {
	s := &storm{lab: l}
	kq := l.kqueue()
	l.must(l.p.Dup2(l.td, kq, 100))
	l.must(l.p.Close(l.td, kq))
	s.kq = 100
	return s
}

func (s *storm) newFile(td *machine.Thread) *file {
	f := &file{src: s.k.NewSource(td)}
	s.mu.Lock()
	s.files = append(s.files, f)
	s.mu.Unlock()
	return f
}

// disturb does one thing at random to the shared numbers. Errors are part of
// it: numbers are closed under it.
func (s *storm) disturb(td *machine.Thread, r *rand.Rand) {
	fd := r.IntN(numbers)
	change := func(flags event.Flags) {
		s.p.Kevent(td, s.kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: flags}}, nil, 0)
	}
	keep := func(fd int, err error) {
		if err == nil && fd >= numbers {
			s.p.Close(td, fd)
		}
	}
	switch r.IntN(8) {
	case 0:
		keep(s.p.Open(td, s.newFile(td)))
	case 1:
		s.p.Close(td, fd)
	case 2:
		keep(s.p.Dup(td, fd))
	case 3:
		s.p.Dup2(td, fd, r.IntN(numbers))
	case 4:
		change(event.Add)
	case 5:
		change(event.Add | []event.Flags{event.Clear, event.OneShot, event.Dispatch}[r.IntN(3)])
	case 6:
		change(event.Delete)
	case 7:
		if f, err := s.p.File(td, fd); err == nil {
			if f, ok := f.(*file); ok {
				f.src.Notify(td, 0)
			}
		}
	}
}

// live opens a file, watches it, closes it, and says so.
func (s *storm) live(td *machine.Thread, close func(td *machine.Thread, fd int) error) error {
	life := s.lives.Add(1)
	fd, err := s.p.Open(td, s.newFile(td))
	if err != nil {
		return err
	}
	if fd < numbers { // not for the others to close
		if err := s.p.Dup2(td, fd, 1000+int(life)); err != nil {
			return nil // one of them has
		}
		s.p.Close(td, fd)
		fd = 1000 + int(life)
	}
	if _, err := s.p.Kevent(td, s.kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add, Udata: life}}, nil, 0); err != nil {
		return fmt.Errorf("add of %d: %v", fd, err)
	}
	if err := close(td, fd); err != nil {
		return fmt.Errorf("close of %d: %v", fd, err)
	}
	s.ended.Store(life, s.clock.Add(1))
	return nil
}

// scan takes events and looks for lives that were over before it began.
func (s *storm) scan(td *machine.Thread, events []event.Kevent) error {
	before := s.clock.Load()
	n, err := s.p.Kevent(td, s.kq, nil, events, 0)
	if err != nil {
		return err
	}
	for _, e := range events[:n] {
		if at, ok := s.ended.Load(e.Udata); ok && at.(uint64) <= before {
			return fmt.Errorf("%v returned by a call that began after the close of its descriptor", e)
		}
	}
	return nil
}

// over closes all that is open and looks at every file.
func (s *storm) over() error {
	for fd := range 1000 + int(s.lives.Load()) + 1 {
		if fd != s.kq {
			s.p.Close(s.td, fd)
		}
	}
	if n, err := s.p.Kevent(s.td, s.kq, nil, make([]event.Kevent, 1), 0); n != 0 || err != nil {
		return fmt.Errorf("with every file closed the kqueue has %d events, error %v", n, err)
	}
	if err := s.p.Close(s.td, s.kq); err != nil {
		return err
	}
	for i, f := range s.files {
		if why := f.wrong.Load(); why != nil {
			return fmt.Errorf("file %d: %s", i, *why)
		}
		if n := f.released.Load(); n != 1 {
			return fmt.Errorf("file %d: released %d times, want once", i, n)
		}
	}
	return nil
}

// Close against close, register, scan, notify and dup2. No knote outlives its
// descriptor, no file is used after its release, and each is released once.
func TestStorm(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 200
	}
	t.Logf("repeat with: go test ./model/proc -run TestStorm -seed %d", *seed)
	each(t, func(l *lab) {
		s := newStorm(l)
		var wg sync.WaitGroup
		thread := func(i int, f func(td *machine.Thread, r *rand.Rand) error) {
			wg.Go(func() {
				td := l.m.Attach(fmt.Sprintf("thread %d", i), i%2)
				defer td.Detach()
				r := rand.New(rand.NewPCG(*seed, uint64(i)))
				for range rounds {
					if err := f(td, r); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for i := range 6 {
			thread(i, func(td *machine.Thread, r *rand.Rand) error { s.disturb(td, r); return nil })
		}
		for i := range 2 {
			thread(6+i, func(td *machine.Thread, r *rand.Rand) error { return s.live(td, s.p.Close) })
		}
		for i := range 3 {
			events := make([]event.Kevent, 1+4*i)
			thread(8+i, func(td *machine.Thread, r *rand.Rand) error { return s.scan(td, events) })
		}
		wg.Wait()
		if err := s.over(); err != nil {
			t.Error(err)
		}
	})
}

// The controls of TestStorm: closes that break one promise each must be caught.
func TestStormCatches(t *testing.T) {
	t.Run("knotes that outlive their descriptor", func(t *testing.T) {
		each(t, func(l *lab) {
			s := newStorm(l)
			l.must(s.live(l.td, func(td *machine.Thread, fd int) error { l.p.CloseForgettingKnotes(td, fd); return nil }))
			if err := s.scan(l.td, make([]event.Kevent, 1)); err == nil {
				t.Error("not caught")
			}
		})
	})
	t.Run("files released with knotes left", func(t *testing.T) {
		each(t, func(l *lab) {
			s := newStorm(l)
			l.must(s.live(l.td, func(td *machine.Thread, fd int) error { l.p.CloseReleasingFirst(td, fd); return nil }))
			if err := s.over(); err == nil {
				t.Error("not caught")
			}
		})
	})
	t.Run("files that are not released", func(t *testing.T) {
		each(t, func(l *lab) {
			s := newStorm(l)
			s.newFile(l.td)
			if err := s.over(); err == nil {
				t.Error("not caught")
			}
		})
	})
}
