package proc_test

import (
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/strategies"
)

// A table is what a descriptor table is, without threads: which file each
// number stands for, and as what it is watched, 0 if it is not.
type table struct {
	limit int
	fds   map[int]watched
}

type watched struct {
	file  *file
	udata uint64
}

func (m *table) lowest() int {
	for fd := range m.limit {
		if _, ok := m.fds[fd]; !ok {
			return fd
		}
	}
	return -1
}

// released returns how often f must have been released, once it was opened.
func (m *table) released(f *file) int32 {
	for _, w := range m.fds {
		if w.file == f {
			return 0
		}
	}
	return 1
}

// FuzzProcess reads the first byte as a strategy and the others as system
// calls, two bytes each, and does them to a process and to a table.
func FuzzProcess(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 1, 1, 1, 6, 0})
	f.Add([]byte{1, 0, 0, 2, 1, 4, 1, 4, 2, 3, 0x12, 6, 0, 1, 1, 1, 2})
	f.Add([]byte{2, 0, 0, 0, 0, 4, 2, 3, 0x21, 5, 2, 6, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 400 {
			return
		}
		l := newLab(t, strategies.All[int(script[0])%len(strategies.All)])
		defer l.td.Detach()
		l.p.SetLimit(6)
		m := &table{6, map[int]watched{}}
		kq := l.kqueue()
		m.fds[kq] = watched{}
		var files []*file
		udata := uint64(0)
		expect := func(what string, got, want error) {
			if got != want {
				t.Fatalf("%s: error %v, want %v", what, got, want)
			}
		}
		opened := func(what string, fd int, err error, w watched, full error) {
			want := m.lowest()
			if want < 0 {
				expect(what, err, full)
				return
			}
			expect(what, err, nil)
			if fd != want {
				t.Fatalf("%s: number %d, want %d", what, fd, want)
			}
			m.fds[fd] = watched{file: w.file}
		}
		for ops := script[1:]; len(ops) >= 2; ops = ops[2:] {
			fd, to := int(ops[1]&15)-1, int(ops[1]>>4)-1
			w, open := m.fds[fd]
			if fd == kq { // stays
				continue
			}
			bad := error(nil)
			if !open {
				bad = syscall.EBADF
			}
			switch ops[0] % 7 {
			case 0:
				f := l.file()
				n, err := l.p.Open(l.td, f)
				opened("open", n, err, watched{file: f}, syscall.EMFILE)
				if err == nil {
					files = append(files, f)
				}
			case 1:
				expect("close", l.p.Close(l.td, fd), bad)
				delete(m.fds, fd)
			case 2:
				n, err := l.p.Dup(l.td, fd)
				if !open {
					expect("dup", err, bad)
					continue
				}
				opened("dup", n, err, w, syscall.EMFILE)
			case 3:
				if to == kq {
					continue
				}
				if to < 0 || to >= m.limit {
					bad = syscall.EBADF
				}
				expect("dup2", l.p.Dup2(l.td, fd, to), bad)
				if bad == nil && fd != to {
					m.fds[to] = watched{file: w.file}
				}
			case 4:
				udata++
				_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Add, Udata: udata}}, nil, 0)
				expect("add", err, bad)
				if open {
					m.fds[fd] = watched{w.file, udata}
				}
			case 5:
				_, err := l.p.Kevent(l.td, kq, []event.Kevent{{Ident: uint64(fd), Filter: event.Read, Flags: event.Delete}}, nil, 0)
				if open && w.udata == 0 {
					bad = syscall.ENOENT
				}
				expect("delete", err, bad)
				if open {
					m.fds[fd] = watched{file: w.file}
				}
			case 6:
				var want []uint64
				for _, w := range m.fds {
					if w.udata != 0 {
						want = append(want, w.udata)
					}
				}
				l.ready(kq, want...)
			}
			for _, f := range files {
				l.released(f, m.released(f))
			}
		}
	})
}
