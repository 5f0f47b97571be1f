package proc_test

import (
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
)

func TestErrno(t *testing.T) {
	tests := []struct {
		what string
		do   func(l *lab, fd, kq int) error
		want error
	}{
		{"open nothing", func(l *lab, fd, kq int) error { _, err := l.p.Open(l.td, nil); return err }, syscall.EINVAL},
		{"close -1", func(l *lab, fd, kq int) error { return l.p.Close(l.td, -1) }, syscall.EBADF},
		{"close a free number", func(l *lab, fd, kq int) error { return l.p.Close(l.td, 5) }, syscall.EBADF},
		{"close beyond the table", func(l *lab, fd, kq int) error { return l.p.Close(l.td, math.MaxInt) }, syscall.EBADF},
		{"close twice", func(l *lab, fd, kq int) error { l.must(l.p.Close(l.td, fd)); return l.p.Close(l.td, fd) }, syscall.EBADF},
		{"dup -1", func(l *lab, fd, kq int) error { _, err := l.p.Dup(l.td, -1); return err }, syscall.EBADF},
		{"dup a free number", func(l *lab, fd, kq int) error { _, err := l.p.Dup(l.td, 5); return err }, syscall.EBADF},
		{"dup2 from -1", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, -1, fd) }, syscall.EBADF},
		{"dup2 from a free number", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, 5, fd) }, syscall.EBADF},
		{"dup2 of a free number onto itself", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, 5, 5) }, syscall.EBADF},
		{"dup2 to -1", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, fd, -1) }, syscall.EBADF},
		{"dup2 to the limit", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, fd, proc.MaxOpen) }, syscall.EBADF},
		{"dup2 to the last number", func(l *lab, fd, kq int) error { return l.p.Dup2(l.td, fd, proc.MaxOpen-1) }, nil},
		{"file of -1", func(l *lab, fd, kq int) error { _, err := l.p.File(l.td, -1); return err }, syscall.EBADF},
		{"file of a free number", func(l *lab, fd, kq int) error { _, err := l.p.File(l.td, 5); return err }, syscall.EBADF},
		{"desc of no number", func(l *lab, fd, kq int) error { _, err := l.p.Desc(l.td, math.MaxUint64); return err }, syscall.EBADF},
		{"kevent on -1", func(l *lab, fd, kq int) error { _, err := l.p.Kevent(l.td, -1, nil, nil, 0); return err }, syscall.EBADF},
		{"kevent on a free number", func(l *lab, fd, kq int) error { _, err := l.p.Kevent(l.td, 5, nil, nil, 0); return err }, syscall.EBADF},
		{"kevent on what is no kqueue", func(l *lab, fd, kq int) error { _, err := l.p.Kevent(l.td, fd, nil, nil, 0); return err }, syscall.EBADF},
		{"kevent on a kqueue", func(l *lab, fd, kq int) error { _, err := l.p.Kevent(l.td, kq, nil, nil, 0); return err }, nil},
		{"kevent with a negative timeout", func(l *lab, fd, kq int) error { _, err := l.p.Kevent(l.td, kq, nil, nil, -1); return err }, syscall.EINVAL},
		{"add a free number", func(l *lab, fd, kq int) error {
			_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: 5, Filter: event.Read, Flags: event.Add}}, nil, 0)
			return err
		}, syscall.EBADF},
		{"add a number larger than an int", func(l *lab, fd, kq int) error {
			_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: 1 << 63, Filter: event.Read, Flags: event.Add}}, nil, 0)
			return err
		}, syscall.EBADF},
		{"add a condition that the file does not have", func(l *lab, fd, kq int) error {
			_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Vnode, Flags: event.Add}}, nil, 0)
			return err
		}, syscall.EINVAL},
		{"watch a kqueue by itself", func(l *lab, fd, kq int) error {
			_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(kq), Filter: event.Read, Flags: event.Add}}, nil, 0)
			return err
		}, syscall.ELOOP},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			each(t, func(l *lab) {
				fd, kq := l.open(l.file()), l.kqueue()
				if err := test.do(l, fd, kq); err != test.want {
					t.Errorf("error %v, want %v", err, test.want)
				}
			})
		})
	}
}

func TestLowestNumber(t *testing.T) {
	each(t, func(l *lab) {
		for want := range 5 {
			if fd := l.open(l.file()); fd != want {
				t.Fatalf("number %d, want %d", fd, want)
			}
		}
		l.must(l.p.Close(l.td, 3))
		l.must(l.p.Close(l.td, 1))
		if fd, err := l.p.Dup(l.td, 0); fd != 1 || err != nil {
			t.Errorf("dup: %d, %v, want 1", fd, err)
		}
		if fd := l.kqueue(); fd != 3 {
			t.Errorf("number %d, want 3", fd)
		}
		l.must(l.p.Dup2(l.td, 0, 7)) // leaves 5 and 6 free
		for _, want := range []int{5, 6, 8} {
			if fd := l.open(l.file()); fd != want {
				t.Errorf("number %d, want %d", fd, want)
			}
		}
	})
}

func TestFullTable(t *testing.T) {
	each(t, func(l *lab) {
		l.p.SetLimit(3)
		files := []*file{l.file(), l.file(), l.file(), l.file()}
		for _, f := range files[:3] {
			l.open(f)
		}
		if fd, err := l.p.Open(l.td, files[3]); err != syscall.EMFILE || fd != -1 {
			t.Errorf("Open: %d, %v, want -1, EMFILE", fd, err)
		}
		l.released(files[3], 0) // it is the caller's still
		if fd, err := l.p.Dup(l.td, 0); err != syscall.EMFILE || fd != -1 {
			t.Errorf("Dup: %d, %v, want -1, EMFILE", fd, err)
		}
		if fd, err := l.p.Kqueue(l.td); err != syscall.EMFILE || fd != -1 {
			t.Errorf("Kqueue: %d, %v, want -1, EMFILE", fd, err)
		}
		if err := l.p.Dup2(l.td, 0, 3); err != syscall.EBADF {
			t.Errorf("Dup2 to the limit: %v, want EBADF", err)
		}
		l.must(l.p.Dup2(l.td, 0, 1)) // needs no free number
		l.released(files[1], 1)
		l.must(l.p.Close(l.td, 2))
		if fd := l.open(files[3]); fd != 2 {
			t.Errorf("number %d, want 2", fd)
		}
	})
}

func TestReleaseWithTheLastDescriptor(t *testing.T) {
	each(t, func(l *lab) {
		f, g := l.file(), l.file()
		a, other := l.open(f), l.open(g)
		b, err := l.p.Dup(l.td, a)
		l.must(err)
		l.must(l.p.Dup2(l.td, b, other)) // closes other
		l.released(g, 1)
		l.must(l.p.Dup2(l.td, a, a))
		l.must(l.p.Dup2(l.td, a, b)) // the same file already
		for _, fd := range []int{b, a} {
			l.must(l.p.Close(l.td, fd))
			l.released(f, 0)
		}
		l.must(l.p.Close(l.td, other))
		l.released(f, 1)
		l.released(g, 1)
	})
}

// close removes the knotes of that number in every kqueue, and no others'
// (decision 9).
func TestCloseRemovesKnotes(t *testing.T) {
	each(t, func(l *lab) {
		f := l.file()
		a, kq, kq2 := l.open(f), l.kqueue(), l.kqueue()
		b, err := l.p.Dup(l.td, a)
		l.must(err)
		l.watch(kq, a, 1)
		l.watch(kq, b, 2)
		l.watch(kq2, a, 3)
		l.ready(kq, 1, 2)
		l.ready(kq2, 3)
		l.must(l.p.Close(l.td, a))
		l.ready(kq, 2)
		l.ready(kq2)
		// The number stands for something else now, and is not watched.
		if fd := l.open(f.again()); fd != a {
			t.Fatalf("number %d, want %d", fd, a)
		}
		l.ready(kq, 2)
		_, err = l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(a), Filter: event.Read, Flags: event.Delete}}, nil, 0)
		if err != syscall.ENOENT {
			t.Errorf("delete on the new life: %v, want ENOENT", err)
		}
		l.watch(kq, a, 4)
		l.ready(kq, 2, 4)
	})
}

// again is another file on the same source.
func (f *file) again() *file { return &file{src: f.src} }

func TestDup2IsAClose(t *testing.T) {
	each(t, func(l *lab) {
		f, g := l.file(), l.file()
		a, b, kq := l.open(f), l.open(g), l.kqueue()
		l.watch(kq, a, 1)
		l.watch(kq, b, 2)
		l.must(l.p.Dup2(l.td, a, a)) // nothing
		l.ready(kq, 1, 2)
		l.must(l.p.Dup2(l.td, a, b))
		l.released(g, 1)
		l.ready(kq, 1) // b is a's file now, but nobody watches it there
		l.watch(kq, b, 3)
		l.ready(kq, 1, 3)
		l.must(l.p.Dup2(l.td, a, b)) // the same file, and yet a close
		l.ready(kq, 1)
		if err := l.p.Dup2(l.td, 99, a); err != syscall.EBADF {
			t.Errorf("Dup2 from a free number: %v, want EBADF", err)
		}
		l.ready(kq, 1) // a failed dup2 closes nothing
	})
}

// close(kq) wakes its sleepers with EBADF (decision 10), when it closes the
// last descriptor.
func TestCloseKqueue(t *testing.T) {
	each(t, func(l *lab) {
		fd, kq := l.open(l.file()), l.kqueue()
		l.change(kq, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add | event.Disable})
		other, err := l.p.Dup(l.td, kq)
		l.must(err)
		over := make(chan error)
		go func() {
			td := l.m.Attach("sleeper", 1)
			defer td.Detach()
			_, err := l.p.Kevent(td, kq, nil, make([]event.Kevent, 1), kqueue.Forever)
			over <- err
		}()
		l.must(l.p.Close(l.td, other))
		l.change(kq, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Enable}) // it sleeps or will find it
		if err := <-over; err != nil {
			t.Errorf("sleeper, after the close of another descriptor: %v", err)
		}
		l.change(kq, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Disable})
		go func() {
			td := l.m.Attach("sleeper", 1)
			defer td.Detach()
			_, err := l.p.Kevent(td, kq, nil, make([]event.Kevent, 1), kqueue.Forever)
			over <- err
		}()
		l.must(l.p.Close(l.td, kq))
		if err := <-over; err != syscall.EBADF {
			t.Errorf("sleeper: %v, want EBADF", err)
		}
		if _, err := l.p.Kevent(l.td, kq, nil, nil, 0); err != syscall.EBADF {
			t.Errorf("Kevent: %v, want EBADF", err)
		}
	})
}

// close waits for a filter that is being asked, without the table's lock, and
// releases the file after that.
func TestCloseWaitsForTheFilter(t *testing.T) {
	each(t, func(l *lab) {
		g := device.NewProbe(l.td, l.k, device.ProbeConfig{Gated: true})
		fd, kq := l.open(g), l.kqueue()
		l.change(kq, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add})
		g.Hold(l.td, device.InEvent)
		done := make(chan string, 2)
		go func() {
			td := l.m.Attach("notifier", 1)
			defer td.Detach()
			g.Set(td, 1)
			done <- "notified"
		}()
		g.Waiting(l.td, device.InEvent, 1)
		go func() {
			td := l.m.Attach("closer", 1)
			defer td.Detach()
			if err := l.p.Close(td, fd); err != nil {
				t.Error(err)
			}
			done <- "closed"
		}()
		// The number is free before the close is over, and the table in use.
		for {
			if _, err := l.p.File(l.td, fd); err == syscall.EBADF {
				break
			}
			time.Sleep(time.Microsecond)
		}
		if n := l.open(l.file()); n != fd {
			t.Errorf("number %d, want %d", n, fd)
		}
		select {
		case s := <-done:
			t.Errorf("%s although the filter is being asked", s)
		default:
		}
		g.Let(l.td, device.InEvent)
		<-done
		<-done
		l.ready(kq)
	})
}

// A file with two descriptors, closed by two threads at once: the second, which
// closes the last, must not release it while the first still has a knote.
func TestReleaseWaitsForTheOtherClose(t *testing.T) {
	each(t, func(l *lab) {
		f := &slowFile{file: l.file()}
		a, kq := l.open(f), l.kqueue()
		b, err := l.p.Dup(l.td, a)
		l.must(err)
		l.watch(kq, a, 1)
		closed := make(chan error)
		go func() {
			td := l.m.Attach("first", 1)
			defer td.Detach()
			closed <- l.p.Close(td, a)
		}()
		f.detaching.wait(l.td)
		l.must(l.p.Close(l.td, b))
		l.released(f.file, 0)
		f.proceed.raise(l.td)
		if err := <-closed; err != nil {
			t.Error(err)
		}
		l.released(f.file, 1)
	})
}

// A slowFile's filter blocks in detach.
type slowFile struct {
	*file
	detaching, proceed gate
}

func (f *slowFile) Source(event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	return f.src, &kqueue.Filter{
		Name:   "slow file",
		Blocks: true,
		Attach: func(td *machine.Thread, kn *kqueue.Knote) error { f.knotes.Add(1); return nil },
		Detach: func(td *machine.Thread, kn *kqueue.Knote) {
			f.detaching.raise(td)
			f.proceed.wait(td)
			f.alive("detached")
			f.knotes.Add(-1)
		},
		Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool { return true },
	}, nil
}

// A gate is waited for until it is raised.
type gate struct {
	mu     machine.Mutex
	raised bool // guarded by mu
	wc     machine.WaitChan
}

func (g *gate) raise(td *machine.Thread) {
	g.mu.Lock(td)
	g.raised = true
	td.Wakeup(&g.wc)
	g.mu.Unlock(td)
}

func (g *gate) wait(td *machine.Thread) {
	g.mu.Lock(td)
	for !g.raised {
		td.Interlock(&g.wc)
		g.mu.Unlock(td)
		td.Sleep(machine.Forever)
		g.mu.Lock(td)
	}
	g.mu.Unlock(td)
}

// Desc is on the path of every change.
func BenchmarkDesc(b *testing.B) {
	m := machine.Native(1)
	td := m.Attach("bench", 0)
	defer td.Detach()
	p := proc.New(kqueue.New(m, nil))
	fd, err := p.Open(td, &file{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("lock", func(b *testing.B) {
		var mu machine.Mutex
		for b.Loop() {
			mu.Lock(td)
			mu.Unlock(td)
		}
	})
	b.Run("desc", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Desc(td, uint64(fd)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The age of a table tells what has begun and what has ended, and nothing else.
func TestAge(t *testing.T) {
	each(t, func(l *lab) {
		a, b := l.open(l.file()), l.open(l.file())
		age := l.p.Age(l.td)
		for _, tt := range []struct {
			what        string
			do          func() error
			made, ended uint64
		}{
			{"dup", func() error { _, err := l.p.Dup(l.td, a); return err }, 1, 0},
			{"dup2 onto itself", func() error { return l.p.Dup2(l.td, a, a) }, 0, 0},
			{"dup2 onto one that is open", func() error { return l.p.Dup2(l.td, a, b) }, 1, 1},
			{"dup2 onto one that is not", func() error { return l.p.Dup2(l.td, a, 40) }, 1, 0},
			{"close", func() error { return l.p.Close(l.td, 40) }, 0, 1},
			{"kqueue", func() error { _, err := l.p.Kqueue(l.td); return err }, 1, 0},
			{"a look", func() error { _, err := l.p.File(l.td, a); return err }, 0, 0},
		} {
			l.must(tt.do())
			lives := make([]*kqueue.Desc, 3)
			now := l.p.Descs(l.td, []int32{int32(a), -1, 4000}, lives)
			if now != l.p.Age(l.td) || now.Made-age.Made != tt.made || now.Ended-age.Ended != tt.ended {
				t.Errorf("%s: from %v to %v, want %d made and %d ended", tt.what, age, now, tt.made, tt.ended)
			}
			if d, _ := l.p.Desc(l.td, uint64(a)); lives[0] != d || lives[1] != nil || lives[2] != nil {
				t.Errorf("Descs: %v, want that of %d alone", lives, a)
			}
			age = now
		}
		if err := l.p.Close(l.td, 4000); err == nil || l.p.Age(l.td) != age {
			t.Errorf("a close that fails: %v, and the age goes from %v to %v", err, age, l.p.Age(l.td))
		}
	})
}
