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
		if x := &s.slots[i]; x.fd == fd && !x.ending && x.owner == 0 {
			return x
		}
	}
	return nil
}

func (s *State) lowest() int {
	fd := 0
	for _, x := range s.slots {
		if !x.ending && x.owner == 0 && x.fd == fd {
			fd++
		}
	}
	return fd
}

// link begins a life of number fd, for a file.
func (s *State) link(fd int, file int32) {
	s.lives++
	s.files[file].refs++
	i := slices.IndexFunc(s.slots, func(x slot) bool { return x.ending || x.owner != 0 || x.fd > fd })
	if i < 0 {
		i = len(s.slots)
	}
	s.slots = slices.Insert(s.slots, i, slot{fd: fd, life: s.lives, file: file})
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
	q, closed := s.Shut(life)
	for s.Refuse(q) {
	}
	if closed {
		s.Empty(q)
	}
	s.Untie(q)
}

// Shut is Release, but of a kqueue that it closes the knotes are left until Empty: see
// halfClosed; of a socket that has listened those who wait are until Refuse, and of any
// file the items until Untie. It
// returns the file that has been released, -1 if none has, and whether it was a kqueue.
func (s *State) Shut(life int32) (q int32, closed bool) {
	i := slices.IndexFunc(s.slots, func(x slot) bool { return x.life == life })
	if life == 0 || i < 0 {
		return -1, false
	}
	n := s.slots[i].file
	s.slots = slices.Delete(s.slots, i, i+1)
	f := &s.files[n]
	if f.refs--; f.refs > 0 {
		return -1, false
	}
	f.gone = true
	s.of(n).released(s, n)
	return n, s.collects(n)
}

// Untie removes the items of file n, which Shut has returned. Until then they may be
// returned, and changed by who had found the file before.
func (s *State) Untie(n int32) {
	s.knotes = slices.DeleteFunc(s.knotes, func(kn knote) bool { return kn.filter == Item && kn.file == n })
}

// Empty removes the knotes of a kqueue that has been closed.
func (s *State) Empty(q int32) {
	s.knotes = slices.DeleteFunc(s.knotes, func(kn knote) bool { return kn.queue == q })
}

// A Life is what a number stood for when somebody looked: they go on with that,
// whatever becomes of the number.
type Life struct {
	life int32
	file int32 // -1 for what has no descriptor

	sought bool // of a process: it was there
}

// Find begins an operation on descriptor fd: it returns its life, or EBADF.
func (s *State) Find(fd int) (Life, syscall.Errno) {
	x := s.at(fd)
	if x == nil {
		return Life{}, syscall.EBADF
	}
	return Life{life: x.life, file: x.file}, 0
}

// ended reports whether the knotes of a life have been removed.
func (s *State) ended(l Life) bool {
	return l.file >= 0 && !slices.ContainsFunc(s.slots, func(x slot) bool { return x.life == l.life && !x.reaped })
}
