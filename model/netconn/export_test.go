package netconn

import "github.com/kqlab/kqlab/model/machine"

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

// Waiting returns how many calls of Read wait.
func (c *Conn) Waiting() int {
	if c.fd.rd.waits.Load() {
		return 1
	}
	return 0
}

// Backlog is how many connections wait to be accepted.
const Backlog = backlog
