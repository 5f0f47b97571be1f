package device

import (
	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
)

// terminalOf finds what the file of a knote is a side of.
func terminalOf(kn *kqueue.Knote) *terminal {
	switch f := kn.File().(type) {
	case *Pty:
		return f.t
	case *Tty:
		return f.t
	case *Serial:
		return f.t
	}
	panic("device: a knote of a terminal whose file is none")
}

// The filters Read and Write of the two sides.
var (
	ptyRead = marked("pty read", 1, ttyEcho, terminalOf, func(t *terminal, kn *kqueue.Knote, _ int64) bool {
		kn.Cond, kn.Data = 0, 0
		if !t.stopped {
			kn.Data = int64(t.out.n)
		}
		if t.status != 0 {
			kn.Data++
			return true
		}
		if t.slaves == 0 {
			return ended(kn, true, t.out.n == 0)
		}
		return kn.Data >= kn.WantData
	})
	ptyWrite = marked("pty write", 1, TtyInput, terminalOf, func(t *terminal, kn *kqueue.Knote, _ int64) bool {
		kn.Cond, kn.Data = 0, 0
		if t.slaves == 0 {
			return ended(kn, true, true)
		}
		kn.Data = int64(t.room())
		return kn.Data >= kn.WantData
	})
	ttyRead = marked("tty read", 1, TtyInput, terminalOf, func(t *terminal, kn *kqueue.Knote, _ int64) bool {
		kn.Data = int64(t.readable())
		if t.over {
			return ended(kn, true, true)
		}
		return kn.Data >= kn.WantData
	})
	ttyWrite = marked("tty write", TtyLowat, TtyOutput, terminalOf, func(t *terminal, kn *kqueue.Knote, _ int64) bool {
		kn.Data = 0
		if t.over {
			return ended(kn, true, true)
		}
		kn.Data = int64(max(TtyOutput-t.out.n, 0))
		return kn.Data >= kn.WantData
	})
)

// The filters Except of the two sides.
var (
	ptyExcept = exceptional("pty except", func(m *Pty, kn *kqueue.Knote) bool {
		t := m.t
		hit := t.slaves == 0 && ended(kn, true, t.out.n == 0)
		if t.status != 0 && kn.Want&event.NoteOOB != 0 {
			kn.Fflags = event.NoteOOB
			hit = true
		}
		return hit
	})
	ttyExcept = exceptional("tty except", func(s *Tty, kn *kqueue.Knote) bool { return s.t.over && ended(kn, true, true) })
)
