//go:build linux

package host

import "golang.org/x/sys/unix"

// Waiting reports whether a thread is in epoll_wait, or about to be.
func (h *Host) Waiting() bool {
	for _, s := range h.sets {
		if s.wait.Load() == waiting {
			return true
		}
	}
	return false
}

// Sets returns how many epoll sets there are.
func (h *Host) Sets() int { return len(h.sets) }

// Rings returns how often bells have been rung since the last call.
func (h *Host) Rings() (n uint64) {
	for _, s := range h.sets {
		var b [8]byte
		if _, err := unix.Read(s.bell, b[:]); err == nil {
			n += uint64(b[0]) | uint64(b[1])<<8
		}
	}
	return n
}

// Age sets how many files have been opened so far.
func (h *Host) Age(lives int32) { h.lives = lives }

// Life tells apart the files that a number has meant.
func (f *File) Life() int32 { return f.life }

// Deafen makes the host drop every interrupt of f, as if of an earlier life, and of
// no later one: nothing is left to ask epoll for.
func (f *File) Deafen() { f.life, f.interest = -2, ^uint32(0) }
