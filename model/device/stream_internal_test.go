package device

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// Each invariant that an audit of a fifo or a terminal looks at is found when it is
// broken.
func TestStreamAuditsFind(t *testing.T) {
	for _, test := range []struct {
		what, want string
		do         func(e *Fifo, t *terminal, s *Tty)
	}{
		{"nothing", "", func(e *Fifo, t *terminal, s *Tty) {}},
		{"a fifo is released", "F1", func(e *Fifo, t *terminal, s *Tty) { e.gone = true }},
		{"an open is not counted", "F1", func(e *Fifo, t *terminal, s *Tty) { e.f.opens[ToRead-1] = 0 }},
		{"an end that is yet to come", "F2", func(e *Fifo, t *terminal, s *Tty) { e.seen++ }},
		{"a fifo that is too full", "F3", func(e *Fifo, t *terminal, s *Tty) { e.f.bytes.put(make([]byte, PipeSize)) }},
		{"bytes outside of the buffer", "F3", func(e *Fifo, t *terminal, s *Tty) { e.f.bytes.head = 64 }},
		{"a master is released", "T1", func(e *Fifo, t *terminal, s *Tty) { t.over = true }},
		{"a slave is released", "T1", func(e *Fifo, t *terminal, s *Tty) { s.gone = true }},
		{"a slave is not counted", "T1", func(e *Fifo, t *terminal, s *Tty) { t.slaves = -1 }},
		{"input nobody can read", "T2", func(e *Fifo, t *terminal, s *Tty) { s.gone, t.slaves = true, 0 }},
		{"too much input", "T2", func(e *Fifo, t *terminal, s *Tty) { t.in.put(make([]byte, TtyInput)) }},
		{"lines without an end", "T3", func(e *Fifo, t *terminal, s *Tty) { t.lines++ }},
		{"an end that is no line", "T3", func(e *Fifo, t *terminal, s *Tty) { t.in.add('\n') }},
		{"lines though there are none", "T3", func(e *Fifo, t *terminal, s *Tty) { t.modes.Canonical = false }},
		{"more than is there", "T3", func(e *Fifo, t *terminal, s *Tty) { t.lines = 9 }},
		{"too much output", "T4", func(e *Fifo, t *terminal, s *Tty) { t.out.put(make([]byte, ttyEcho)) }},
		{"somebody types yet", "T4", func(e *Fifo, t *terminal, s *Tty) { t.typing = true }},
	} {
		t.Run(test.what, func(t *testing.T) {
			m := machine.Native(1)
			k := kqueue.New(m, strategies.All[0].New(m))
			td := m.Attach("test", 0)
			defer td.Detach()
			e, err := NewFifo(td, k).Reopen(td, ToRead)
			if err != nil {
				t.Fatal(err)
			}
			e.f.bytes.put([]byte("abc"))
			master, s := NewPty(td, k)
			master.Write(td, []byte("ab\ncd"))
			test.do(e, master.t, s)
			var all []string
			for _, f := range []interface {
				Audit(*machine.Thread) error
			}{e, master, s} {
				if err := f.Audit(td); err != nil {
					all = append(all, err.Error())
				}
			}
			if got := fmt.Sprint(all); (len(all) == 0) != (test.want == "") || test.want != "" && !strings.HasPrefix(got, "["+test.want+":") {
				t.Errorf("audits: %v, want %q", got, test.want)
			}
		})
	}
}
