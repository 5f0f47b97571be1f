package device

import (
	"syscall"
	"time"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/machine"
)

// Immediate begins immediate mode, or ends it. What is in the store is told of then.
// (BIOCIMMEDIATE, which tells nobody)
//
// Error: EBADF once the listener is released. It may block, as long as entering a domain
// does; so may all that follow.
func (d *Bpf) Immediate(td *machine.Thread, on bool) error {
	return d.control(td, func() {
		ready := d.waiting() > 0
		if d.immediate = on; !ready && d.waiting() > 0 {
			d.tell(td)
		}
		d.start(td)
	})
}

// Timeout sets the read timeout; 0 is none. It begins anew. (BIOCSRTIMEOUT; itimerfix)
//
// Errors: EINVAL if it is negative; that of Immediate.
func (d *Bpf) Timeout(td *machine.Thread, timeout time.Duration) error {
	if timeout < 0 {
		return syscall.EINVAL
	}
	return d.control(td, func() {
		d.stop(td)
		d.timeout = timeout
		d.start(td)
	})
}

// Shortest has packets of fewer bytes than n not be captured, and throws away what was.
// It stands for all that a filter may ask of a packet. (BIOCSETF)
//
// Errors: EINVAL if n is negative; that of Immediate.
func (d *Bpf) Shortest(td *machine.Thread, n int) error {
	if n < 0 {
		return syscall.EINVAL
	}
	return d.control(td, func() {
		d.shortest = n
		d.reset(td)
	})
}

// Flush throws away what was captured, and begins to count anew. Error: that of
// Immediate. (BIOCFLUSH)
func (d *Bpf) Flush(td *machine.Thread) error { return d.control(td, func() { d.reset(td) }) }

// Stats returns how many packets have come to the filter, and how many that passed it
// were dropped for want of room. Error: that of Immediate. (BIOCGSTATS)
func (d *Bpf) Stats(td *machine.Thread) (received, dropped int64, err error) {
	err = d.control(td, func() { received, dropped = d.received, d.dropped })
	return received, dropped, err
}

func (d *Bpf) control(td *machine.Thread, do func()) (err error) {
	d.enter(td)
	if d.gone {
		err = syscall.EBADF
	} else {
		do()
	}
	td.Commit(event.Acted)
	d.exit(td)
	return err
}

// reset throws away what was captured. (bpf_resetd)
func (d *Bpf) reset(td *machine.Thread) {
	d.stored, d.held, d.received, d.dropped = 0, 0, 0, 0
	d.stop(td)
	d.start(td)
}

// Control is Immediate, Timeout, in milliseconds, or Flush, by name.
//
// Errors: EINVAL if it is Buffer, since a listener that is bound to an interface has its
// buffers, or if a timeout is negative or of years; ENOTTY if it is another; EBADF once the
// listener is released. (bpfioctl)
func (d *Bpf) Control(td *machine.Thread, c event.Control, n int64) error {
	switch c {
	case event.Immediate:
		return d.Immediate(td, n != 0)
	case event.Timeout:
		if n > int64(longest/millisecond) {
			return syscall.EINVAL
		}
		return d.Timeout(td, time.Duration(n)*millisecond)
	case event.Flush:
		return d.Flush(td)
	case event.Buffer:
		return syscall.EINVAL
	}
	return syscall.ENOTTY
}

// longest is the longest timeout. (itimerfix)
const longest = 100_000_000 * second
