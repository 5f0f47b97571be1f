package proc

import (
	"fmt"
	"syscall"
)

// A Status says how a process has ended, in the form of wait(2): the signal that did it in
// the low 7 bits, and in the 8 above the eighth what was given to exit, of which no more is
// told. No process dumps core.
type Status uint16

// Exited returns the status of a process that has ended by itself. (W_EXITCODE(code, 0))
func Exited(code int) Status { return Status(code&0xff) << 8 }

// Killed returns the status of a process that a signal has ended. (W_EXITCODE(0, sig))
func Killed(sig syscall.Signal) Status { return Status(sig) & 0x7f }

// String says in words what the status does.
func (s Status) String() string {
	if sig := s & 0x7f; sig != 0 {
		return fmt.Sprintf("signal %d", sig)
	}
	return fmt.Sprintf("exit %d", s>>8)
}
