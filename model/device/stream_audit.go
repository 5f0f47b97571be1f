package device

import (
	"fmt"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// Audit looks at the fifo and says what does not hold; nil if all does. Nothing runs
// but td, which is in no domain; nil is for a virtual machine on which no thread is to
// run any more. It allocates nothing if all holds. The open is one that has a
// descriptor.
//
//	F1  the open is not released, and is counted
//	F2  no end of the file has been seen that has not come
//	F3  there are not more bytes than fit, and they lie in the buffer
func (e *Fifo) Audit(td *machine.Thread) error {
	f := e.f
	visit(td, &f.readers)
	return e.audit()
}

//go:norace
func (e *Fifo) audit() error {
	f := e.f
	switch {
	case e.gone || f.opens[e.mode-1] < 1:
		return fmt.Errorf("F1: an open of a fifo is released, %v, or is not counted: there are %d", e.gone, f.opens)
	case e.seen > f.left:
		return fmt.Errorf("F2: an open of a fifo has seen end %d of the file, and there were %d", e.seen, f.left)
	case f.bytes.n > PipeSize || !f.bytes.whole():
		return fmt.Errorf("F3: a fifo has %v", &f.bytes)
	}
	return nil
}

// visit has td be in a domain once, on a native machine, so that an audit sees what others
// have left there.
func visit(td *machine.Thread, src *kqueue.Source) {
	if td != nil && !td.Virtual() {
		src.Enter(td)
		src.Exit(td)
	}
}

// Audit is [Fifo.Audit] of a terminal, from the side of its master.
//
//	T1  the master is released, and a side that has a descriptor is counted
//	T2  what has come in is not more than fits and one end of a line; without a slave
//	    or a master there is none, and without a master nothing has gone out
//	T3  lines have an end, unless EOL was another, and behind them there is none; raw
//	    there are none
//	T4  what has gone out is not more than echoes may fill; nothing is half typed
func (m *Pty) Audit(td *machine.Thread) error {
	visit(td, &m.t.slaveReaders)
	return m.t.audit(&m.t.over)
}

// Audit is that of the master.
func (s *Tty) Audit(td *machine.Thread) error {
	visit(td, &s.t.slaveReaders)
	return s.t.audit(&s.gone)
}

//go:norace
func (t *terminal) audit(gone *bool) error {
	switch {
	case *gone || t.slaves < 0 || gone != &t.over && t.slaves == 0:
		return fmt.Errorf("T1: a side of a terminal is released, and is open; there are %d slaves", t.slaves)
	case t.in.n > TtyInput+1 || !t.in.whole() || (t.slaves == 0 || t.over) && t.in.n > 0 || t.over && t.out.n > 0:
		return fmt.Errorf("T2: %v has come in to a terminal, and %v gone out; master gone %v, %d slaves", &t.in, &t.out, t.over, t.slaves)
	case t.out.n > ttyEcho || !t.out.whole() || t.typing || t.pending != 0:
		return fmt.Errorf("T4: %v has gone out of a terminal, and %d bytes are pending", &t.out, t.pending)
	case t.lines > t.in.n || t.lines < 0 || t.lines > 0 && (!t.modes.Canonical || !t.other && !t.ended(t.in.look(t.lines-1))):
		return fmt.Errorf("T3: %d bytes of %d in a terminal are lines, and have no end, or there are no lines", t.lines, t.in.n)
	}
	for i := t.lines; t.modes.Canonical && i < t.in.n; i++ {
		if c := t.in.look(i); c == '\n' || c == ttyEOF {
			return fmt.Errorf("T3: byte %d of %d ends a line, and %d are lines", i, t.in.n, t.lines)
		}
	}
	return nil
}

// whole reports whether the bytes lie in the buffer.
//
//go:norace
func (r *ring) whole() bool {
	return r.n >= 0 && r.n <= len(r.buf) && r.head >= 0 && r.head < max(len(r.buf), 1) && len(r.buf)&(len(r.buf)-1) == 0
}

// String says what a ring holds, in figures.
func (r *ring) String() string {
	return fmt.Sprintf("%d bytes from %d on, of %d", r.n, r.head, len(r.buf))
}

// look is at, of a ring that nobody changes.
//
//go:norace
func (r *ring) look(i int) byte { return r.buf[(r.head+i)&(len(r.buf)-1)] }

// ended is ends, of modes that nobody changes.
//
//go:norace
func (t *terminal) ended(c byte) bool {
	return c == '\n' || c == ttyEOF || c == t.modes.EOL && c != 0
}
