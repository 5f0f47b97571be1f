//go:build linux

package host

import "golang.org/x/sys/unix"

// Waiting reports whether a thread is in epoll_wait, or about to be.
func (h *Host) Waiting() bool { return h.wait.Load() == waiting }

// Rings returns how often the bell has been rung since the last call.
func (h *Host) Rings() uint64 {
	var b [8]byte
	if _, err := unix.Read(h.bell, b[:]); err != nil {
		return 0
	}
	return uint64(b[0]) | uint64(b[1])<<8
}

// Deafen makes the host drop every interrupt of f, as if of an earlier life, and of
// no later one: nothing is left to ask epoll for.
func (f *File) Deafen() { f.life, f.interest = -2, ^uint32(0) }
