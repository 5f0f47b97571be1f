package netconn

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kqlab/kqlab/model/device"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// A Stack is a network of sockets on one kernel, as goroutines see it.
type Stack struct {
	k    *kqueue.Kernel
	net  *device.Network
	boot time.Time
	turn atomic.Uint32
	live atomic.Int32 // sockets that are open
	cpus []threads
}

// threads are the threads of one CPU that no call uses.
type threads struct {
	mu     sync.Mutex
	free   []*machine.Thread // guarded by mu
	inUse  int               // guarded by mu
	closed bool              // guarded by mu
	_      [64]byte
}

// New makes a stack on a kernel whose machine is native, and on which
// [device.Install] has been called.
func New(k *kqueue.Kernel) *Stack {
	return &Stack{
		k:    k,
		net:  device.NewNetwork(k),
		boot: time.Now(),
		cpus: make([]threads, k.Machine().NumCPU()),
	}
}

// Close lets go of the threads that are kept. Connections stay, and can be used; they
// attach a thread for each call then.
func (s *Stack) Close() error {
	for i := range s.cpus {
		c := &s.cpus[i]
		c.mu.Lock()
		free := c.free
		c.free, c.closed = nil, true
		c.mu.Unlock()
		for _, td := range free {
			td.Detach()
		}
	}
	return nil
}

// cpu returns the CPU for the next connection.
func (s *Stack) cpu() int { return int((s.turn.Add(1) - 1) % uint32(len(s.cpus))) }

// enter returns a thread of the given CPU for the call under way.
func (s *Stack) enter(cpu int) *machine.Thread {
	c := &s.cpus[cpu]
	c.mu.Lock()
	c.inUse++
	if n := len(c.free); n > 0 {
		td := c.free[n-1]
		c.free = c.free[:n-1]
		c.mu.Unlock()
		return td
	}
	c.mu.Unlock()
	return s.k.Machine().Attach("netconn", cpu)
}

// exit gives it back.
func (s *Stack) exit(cpu int, td *machine.Thread) {
	c := &s.cpus[cpu]
	c.mu.Lock()
	c.inUse--
	if c.closed {
		c.mu.Unlock()
		td.Detach()
		return
	}
	c.free = append(c.free, td)
	c.mu.Unlock()
}

// now is the time on the clock that deadlines are kept by.
func (s *Stack) now() time.Duration { return time.Since(s.boot) }

// Host is the name of the one host that a stack has.
const Host = "kqlab"

// An Addr is a port of a stack.
type Addr struct {
	Port int // 0 of one of a pair
}

// Network returns the name of the network, which is always "kqlab".
func (a Addr) Network() string { return Host }

// String returns the address as [Stack.DialContext] takes it: "kqlab:80".
func (a Addr) String() string { return net.JoinHostPort(Host, strconv.Itoa(a.Port)) }

// parse returns the port of an address, of any host, or of none.
func parse(address string) (int, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, &net.AddrError{Err: fmt.Sprintf("port %q, want a number from 1 to 65535", text), Addr: address}
	}
	return port, nil
}
