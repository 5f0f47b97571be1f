package poll

import (
	"fmt"
	"math/bits"
)

// An FDSet is a set of descriptor numbers, and the answer to that. It is as long
// as need be: what FD_SETSIZE is to C, a bound of the type and not of the call,
// there is not. The zero value is empty. (fd_set)
type FDSet struct{ words []uint64 }

// NewFDSet returns a set of the given numbers. It panics if one is negative.
func NewFDSet(fds ...int) *FDSet {
	s := &FDSet{}
	for _, fd := range fds {
		s.Set(fd)
	}
	return s
}

// Set puts fd into the set. It panics if fd is negative. (FD_SET)
func (s *FDSet) Set(fd int) {
	for fd>>6 >= len(s.words) {
		s.words = append(s.words, 0)
	}
	s.words[fd>>6] |= 1 << (fd & 63)
}

// Clear takes fd out of the set. (FD_CLR)
func (s *FDSet) Clear(fd int) {
	if s.IsSet(fd) {
		s.words[fd>>6] &^= 1 << (fd & 63)
	}
}

// IsSet reports whether fd is in the set. (FD_ISSET)
func (s *FDSet) IsSet(fd int) bool {
	return fd >= 0 && fd>>6 < len(s.words) && s.words[fd>>6]&(1<<(fd&63)) != 0
}

// Zero makes the set empty, and keeps its memory. (FD_ZERO)
func (s *FDSet) Zero() { clear(s.words) }

// Copy makes s the same set as from.
func (s *FDSet) Copy(from *FDSet) { s.words = append(s.words[:0], from.words...) }

// Len returns how many numbers are in the set.
func (s *FDSet) Len() (n int) {
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// word returns word i of the numbers below nfds; a nil set is empty.
func (s *FDSet) word(i, nfds int) uint64 {
	if s == nil || i >= len(s.words) || i > nfds>>6 {
		return 0
	}
	w := s.words[i]
	if i == nfds>>6 {
		w &= 1<<(nfds&63) - 1
	}
	return w
}

// String returns the numbers in the set, such as {3 5}.
func (s *FDSet) String() string {
	numbers := []int{}
	for fd := range len(s.words) << 6 {
		if s.IsSet(fd) {
			numbers = append(numbers, fd)
		}
	}
	list := fmt.Sprint(numbers)
	return "{" + list[1:len(list)-1] + "}"
}
