package spec

import (
	"slices"
	"syscall"

	"github.com/kqlab/kqlab/model/event"
)

// maxOpen is how many descriptors there can be: numbers are below it.
const maxOpen = 1 << 20

// at returns the life that number fd has, nil if it is free.
func (s *State) at(fd int) *slot {
	for i := range s.slots {
		if x := &s.slots[i]; x.fd == fd && !x.ending {
			return x
		}
	}
	return nil
}

func (s *State) lowest() int {
	fd := 0
	for _, x := range s.slots {
		if !x.ending && x.fd == fd {
			fd++
		}
	}
	return fd
}

// link begins a life of number fd, for a file.
func (s *State) link(fd int, file int32) {
	s.lives++
	s.files[file].refs++
	i := slices.IndexFunc(s.slots, func(x slot) bool { return x.ending || x.fd > fd })
	if i < 0 {
		i = len(s.slots)
	}
	s.slots = slices.Insert(s.slots, i, slot{fd: fd, life: s.lives, file: file})
}

// open makes a file, and fd a descriptor for it; of a pipe the read end, and the
// file of the write end follows.
func (s *State) open(c event.Call, fd int) {
	n := int32(len(s.files))
	switch c {
	case event.CallKqueue:
		s.files = append(s.files, file{kind: queue})
	case event.CallEpoll:
		s.files = append(s.files, file{kind: epoll})
	case event.CallProbe:
		s.files = append(s.files, file{kind: probe})
	case event.CallPipe:
		s.files = append(s.files, file{kind: readEnd, peer: n + 1}, file{kind: writeEnd, peer: n})
	}
	s.link(fd, n)
}

// Unlink is the first step of a close or a dup2: the number is free, or has its
// new life. It returns the life that ends, 0 if none does. Until Reap its knotes
// may still be returned.
func (s *State) Unlink(op event.Op) (life int32, errno syscall.Errno) {
	x := s.at(op.FD)
	if x == nil || op.Call == event.CallDup2 && (op.To < 0 || op.To >= maxOpen) {
		return 0, syscall.EBADF
	}
	if op.Call == event.CallClose {
		return s.unlink(x), 0
	}
	if op.FD == op.To {
		return 0, 0
	}
	file := x.file
	if old := s.at(op.To); old != nil {
		life = s.unlink(old)
	}
	s.link(op.To, file)
	return life, 0
}

func (s *State) unlink(x *slot) int32 {
	old := *x
	old.ending = true
	s.slots = slices.DeleteFunc(s.slots, func(y slot) bool { return y.life == old.life })
	s.slots = append(s.slots, old)
	return old.life
}

// Reap is the second step: the knotes of the life are removed in every kqueue,
// "before it returns".
func (s *State) Reap(life int32) {
	if life == 0 {
		return
	}
	s.knotes = slices.DeleteFunc(s.knotes, func(kn knote) bool { return kn.life == life })
	for i := range s.slots {
		if s.slots[i].life == life {
			s.slots[i].reaped = true
		}
	}
}

// Release is the last step: the file goes if that was its last life.
func (s *State) Release(life int32) {
	if q, closed := s.Shut(life); closed {
		s.Empty(q)
	}
}

// Shut is Release, but of a kqueue that it closes the knotes are left until
// Empty: see halfClosed. It returns that kqueue.
func (s *State) Shut(life int32) (q int32, closed bool) {
	i := slices.IndexFunc(s.slots, func(x slot) bool { return x.life == life })
	if life == 0 || i < 0 {
		return 0, false
	}
	n := s.slots[i].file
	s.slots = slices.Delete(s.slots, i, i+1)
	f := &s.files[n]
	if f.refs--; f.refs > 0 {
		return 0, false
	}
	f.gone = true
	if f.kind == readEnd || f.kind == writeEnd {
		s.post(f.peer, 0)
	}
	s.knotes = slices.DeleteFunc(s.knotes, func(kn knote) bool { return kn.filter == Item && kn.file == n })
	return n, s.collects(n)
}

// Empty removes the knotes of a kqueue that has been closed.
func (s *State) Empty(q int32) {
	s.knotes = slices.DeleteFunc(s.knotes, func(kn knote) bool { return kn.queue == q })
}

// post asks every knote of a file and fires those that say yes. To a write end
// the hint is one more than the room there was: news only to a knote whose mark
// was above that. 0 is news to all.
func (s *State) post(file int32, hint int64) {
	for i := range s.knotes {
		if kn := &s.knotes[i]; kn.file == file && (hint <= kn.mark || s.files[s.files[file].peer].gone) {
			s.tell(i)
		}
	}
	s.visit()
}

// pipe returns where the state of a pipe is, of which f is an end; of any other
// file f itself.
func (s *State) pipe(f *file) *file {
	if f.kind == writeEnd {
		return &s.files[f.peer]
	}
	return f
}

// A Life is what a number stood for when somebody looked: they go on with that,
// whatever becomes of the number.
type Life struct {
	life int32
	file int32 // -1 for what has no descriptor
}

// Find begins an operation on descriptor fd: it returns its life, or EBADF.
func (s *State) Find(fd int) (Life, syscall.Errno) {
	x := s.at(fd)
	if x == nil {
		return Life{}, syscall.EBADF
	}
	return Life{x.life, x.file}, 0
}

// ended reports whether the knotes of a life have been removed.
func (s *State) ended(l Life) bool {
	return l.file >= 0 && !slices.ContainsFunc(s.slots, func(x slot) bool { return x.life == l.life && !x.reaped })
}

// Act performs Set, ReadPipe or WritePipe on what Find has found, and returns
// the count of bytes and the errno. What is not the right end of a pipe, or has
// been released, is EBADF; what is no such device EINVAL.
func (s *State) Act(l Life, op event.Op) (int64, syscall.Errno) {
	f := &s.files[l.file]
	end := f.kind == readEnd || f.kind == writeEnd
	switch {
	case op.Call == event.CallSet && f.kind == probe:
		f.level = op.N
		s.post(l.file, 0)
		return 0, 0
	case op.Call != event.CallSet && end && f.gone:
		return 0, syscall.EBADF
	case op.Call == event.CallRead && f.kind == readEnd:
		return s.read(f, op.N)
	case op.Call == event.CallWrite && f.kind == writeEnd:
		return s.write(f, op.N)
	case op.Call != event.CallSet && end:
		return 0, syscall.EBADF
	}
	return 0, syscall.EINVAL
}

// read: the bytes there are; 0 at the end of the file, EAGAIN before it.
func (s *State) read(f *file, want int64) (int64, syscall.Errno) {
	n := min(want, f.level)
	if n == 0 {
		if want == 0 || s.files[f.peer].gone {
			return 0, 0
		}
		return 0, syscall.EAGAIN
	}
	hint := pipeSize - f.level + 1
	if f.starved {
		f.starved, hint = false, 0
	}
	f.level -= n
	s.post(f.peer, hint)
	return n, 0
}

// write: all or nothing up to pipeBuf bytes, of more what there is room for.
func (s *State) write(w *file, want int64) (int64, syscall.Errno) {
	f := &s.files[w.peer]
	n := want
	if room := pipeSize - f.level; n > room {
		f.starved = true
		if n = room; want <= pipeBuf {
			n = 0
		}
	}
	switch {
	case f.gone:
		return 0, syscall.EPIPE
	case n == 0 && want > 0:
		return 0, syscall.EAGAIN
	case n == 0:
		return 0, 0
	}
	f.level += n
	s.post(w.peer, 0)
	return n, 0
}
