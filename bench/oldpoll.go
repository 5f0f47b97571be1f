package bench

import (
	"slices"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// oldPipes makes a kernel of the old way with n pipes; the read end of the first
// is descriptor 0, and so on.
func oldPipes(t *trial, n int) (k *oldKernel, rs, ws []*oldEnd) {
	k = &oldKernel{giant: t.m.MPLock()}
	for range n {
		r, w := k.pipe()
		rs, ws = append(rs, r), append(ws, w)
		k.files = append(k.files, r)
	}
	return k, rs, ws
}

// oldAsker asks pipes of the old way.
func oldAsker(by func(k *oldKernel, s *selecter, fds []int) question) func(t *trial, s pollSize) (*asker, func(), error) {
	return func(t *trial, s pollSize) (*asker, func(), error) {
		k, rs, ws := oldPipes(t, s.fds*s.arrays())
		one, buf := []byte{'e'}, make([]byte, 64)
		a := &asker{
			read: func(td *machine.Thread, pipe int) (int, error) { return rs[pipe].Read(td, buf) },
			write: func(td *machine.Thread, pipe int) error {
				_, err := ws[pipe].Write(td, one)
				return err
			},
		}
		for i := range s.arrays() {
			a.questions = append(a.questions, by(k, new(selecter), numbers(i*s.fds, s.fds)))
		}
		return a, func() {}, nil
	}
}

// noCloses: descriptors of the old way stay what they are.
func noCloses(s pollSize) bool { return !s.closes }

func oldPollCall(k *oldKernel, s *selecter, fds []int) question {
	set := pollSet(fds)
	return question{
		func(td *machine.Thread) (int, error) { return k.poll(td, s, set, 0) },
		func(ready []int) []int { return polled(ready, set) },
	}
}

func oldSelectCall(k *oldKernel, s *selecter, fds []int) question {
	set := setOf(fds)
	sets, found := &fdsets{set}, &fdsets{make([]uint64, len(set))}
	return question{
		func(td *machine.Thread) (int, error) { return k.selects(td, s, len(set)<<6, sets, found, 0) },
		func(ready []int) []int { return members(ready, found[0], fds) },
	}
}

// pollSet asks descriptors for bytes.
func pollSet(fds []int) []event.PollFD {
	set := make([]event.PollFD, len(fds))
	for i, fd := range fds {
		set[i] = event.PollFD{FD: int32(fd), Events: event.PollIn}
	}
	return set
}

// polled appends the indexes of entries with an answer.
func polled(ready []int, set []event.PollFD) []int {
	for i := range set {
		if set[i].Revents != 0 {
			ready = append(ready, i)
		}
	}
	return ready
}

// setOf is a set with those members.
func setOf(fds []int) []uint64 {
	set := make([]uint64, slices.Max(fds)>>6+1)
	for _, fd := range fds {
		set[fd>>6] |= 1 << (fd & 63)
	}
	return set
}

// numbers returns n numbers from first on.
func numbers(first, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = first + i
	}
	return all
}
