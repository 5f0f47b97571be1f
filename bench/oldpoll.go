package bench

import (
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
func oldAsker(by func(k *oldKernel, n int) (call func(*machine.Thread) (int, error), found func([]int) []int)) func(t *trial, n int) (*asker, func(), error) {
	return func(t *trial, n int) (*asker, func(), error) {
		k, rs, ws := oldPipes(t, n)
		one, buf := []byte{'e'}, make([]byte, 64)
		call, found := by(k, n)
		return &asker{
			call:  call,
			found: found,
			read:  func(td *machine.Thread, pipe int) (int, error) { return rs[pipe].Read(td, buf) },
			write: func(td *machine.Thread, pipe int) error {
				_, err := ws[pipe].Write(td, one)
				return err
			},
		}, func() {}, nil
	}
}

func oldPollCall(k *oldKernel, n int) (func(*machine.Thread) (int, error), func([]int) []int) {
	set, s := pollSet(n), new(selecter)
	return func(td *machine.Thread) (int, error) { return k.poll(td, s, set, 0) },
		func(ready []int) []int { return polled(ready, set) }
}

func oldSelectCall(k *oldKernel, n int) (func(*machine.Thread) (int, error), func([]int) []int) {
	fds, s := identity(n), new(selecter)
	sets, found := &fdsets{fullSet(n)}, &fdsets{make([]uint64, (n+63)/64)}
	return func(td *machine.Thread) (int, error) { return k.selects(td, s, n, sets, found, 0) },
		func(ready []int) []int { return members(ready, found[0], fds) }
}

// pollSet asks descriptors 0 to n-1 for bytes.
func pollSet(n int) []event.PollFD {
	set := make([]event.PollFD, n)
	for i := range set {
		set[i] = event.PollFD{FD: int32(i), Events: event.PollIn}
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

// fullSet is a set with the members 0 to n-1.
func fullSet(n int) []uint64 {
	set := make([]uint64, (n+63)/64)
	for i := range n {
		set[i>>6] |= 1 << (i & 63)
	}
	return set
}

func identity(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
