package proc_test

import (
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/proc"
	"github.com/kqlab/kqlab/strategies"
)

// A lab is a process on a machine of two CPUs, and a thread to use it with.
type lab struct {
	*testing.T
	m  *machine.Machine
	k  *kqueue.Kernel
	p  *proc.Process
	td *machine.Thread
}

func newLab(t *testing.T, s strategies.Entry) *lab {
	m := machine.Native(2)
	k := kqueue.New(m, s.New(m))
	device.Install(k)
	return &lab{t, m, k, proc.New(k), m.Attach("test", 0)}
}

// each runs f under every strategy.
func each(t *testing.T, f func(l *lab)) {
	for _, s := range strategies.All {
		t.Run(s.Name, func(t *testing.T) {
			l := newLab(t, s)
			defer l.td.Detach()
			f(l)
		})
	}
}

// A file is always ready to read. It counts its knotes and its releases, and
// keeps what is wrong with either.
type file struct {
	src      *kqueue.Source
	knotes   atomic.Int32
	released atomic.Int32
	wrong    atomic.Pointer[string]
}

func (l *lab) file() *file { return &file{src: l.k.NewSource(l.td)} }

var fileFilter = &kqueue.Filter{
	Name: "file",
	Attach: func(td *machine.Thread, kn *kqueue.Knote) error {
		f := kn.File().(*file)
		f.knotes.Add(1)
		f.alive("attached")
		return nil
	},
	Detach: func(td *machine.Thread, kn *kqueue.Knote) {
		f := kn.File().(*file)
		f.alive("detached")
		f.knotes.Add(-1)
	},
	Event: func(td *machine.Thread, kn *kqueue.Knote, hint int64) bool {
		kn.File().(*file).alive("asked")
		return true
	},
}

// alive notes the first thing that happens after the release.
func (f *file) alive(what string) {
	if f.released.Load() != 0 {
		f.fail("a knote was " + what + " after the file's release")
	}
}

func (f *file) fail(why string) { f.wrong.CompareAndSwap(nil, &why) }

func (f *file) Source(filter event.Filter) (*kqueue.Source, *kqueue.Filter, error) {
	if filter != event.Read {
		return nil, nil, syscall.EINVAL
	}
	return f.src, fileFilter, nil
}

func (f *file) Sources() []*kqueue.Source { return []*kqueue.Source{f.src} }

func (f *file) Release(td *machine.Thread) {
	if f.knotes.Load() != 0 {
		f.fail("released with knotes left")
	}
	if f.released.Add(1) > 1 {
		f.fail("released twice")
	}
}

func (l *lab) open(f kqueue.File) int {
	l.Helper()
	fd, err := l.p.Open(l.td, f)
	if err != nil {
		l.Fatalf("Open: %v", err)
	}
	return fd
}

func (l *lab) kqueue() int {
	l.Helper()
	kq, err := l.p.Kqueue(l.td)
	if err != nil {
		l.Fatalf("Kqueue: %v", err)
	}
	return kq
}

// change applies changes that must succeed.
func (l *lab) change(kq int, kevs ...event.Kevent) {
	l.Helper()
	if _, err := l.p.Kevent(l.td, kq, kevs, nil, 0); err != nil {
		l.Fatalf("Kevent(%v): %v", kevs, err)
	}
}

// watch adds fd to kq. Each event's udata is given to tell lives of a number
// apart.
func (l *lab) watch(kq, fd int, udata uint64) {
	l.Helper()
	l.change(kq, event.Kevent{Ident: uint64(fd), Filter: event.Read, Flags: event.Add, Udata: udata})
}

// ready expects the events that kq has now to carry these udata, in any order.
func (l *lab) ready(kq int, want ...uint64) {
	l.Helper()
	events := make([]event.Kevent, len(want)+1)
	n, err := l.p.Kevent(l.td, kq, nil, events, 0)
	if err != nil {
		l.Fatalf("Kevent: %v", err)
	}
	got := []uint64{}
	for _, e := range events[:n] {
		got = append(got, e.Udata)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		l.Errorf("ready: udata %v, want %v", got, want)
	}
}

func (l *lab) released(f *file, want int32) {
	l.Helper()
	if n := f.released.Load(); n != want {
		l.Errorf("released %d times, want %d", n, want)
	}
	if why := f.wrong.Load(); why != nil {
		l.Error(*why)
	}
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}
