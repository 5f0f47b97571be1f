package netconn

import (
	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/machine"
)

// Open returns how many sockets are open.
func (s *Stack) Open() int { return int(s.live.Load()) }

// InUse returns how many threads calls have.
func (s *Stack) InUse() (n int) {
	for i := range s.cpus {
		s.cpus[i].mu.Lock()
		n += s.cpus[i].inUse
		s.cpus[i].mu.Unlock()
	}
	return n
}

// Machine returns the machine of the stack.
func (s *Stack) Machine() *machine.Machine { return s.k.Machine() }

// Waiting reports whether a Read waits, and a Write.
func (c *Conn) Waiting() (reads, writes bool) { return c.fd.rd.waits.Load(), c.fd.wr.waits.Load() }

// Network returns the sockets beneath.
func (s *Stack) Network() *device.Network { return s.net }

// Backlog is how many connections wait to be accepted.
const Backlog = backlog
