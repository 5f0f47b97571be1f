package device

import (
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies"
)

// The audit of a disk says what does not hold.
func TestDiskAudit(t *testing.T) {
	for _, tt := range []struct {
		want string
		harm func(d *Disk)
	}{
		{"", func(d *Disk) {}},
		{"Q1", func(d *Disk) { d.flight.next.state = finished }},
		{"Q1", func(d *Disk) { d.flight.err = syscall.EIO }},
		{"Q1", func(d *Disk) { d.flight.d = &Disk{} }},
		{"Q2", func(d *Disk) { d.n++ }},
		{"Q2", func(d *Disk) { d.flight = d.flight.next }},
		{"Q2", func(d *Disk) { d.flight.next = d.flight }},
		{"Q3", func(d *Disk) { d.gone = true }},
	} {
		m := machine.Native(1)
		td := m.Attach("test", 0)
		d := NewDisk(td, kqueue.New(m, strategies.All[0].New(m)))
		for range 2 {
			if _, err := d.Submit(td, event.ReadSide, 1); err != nil {
				t.Fatal(err)
			}
		}
		tt.harm(d)
		err := d.Audit(td)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("the audit says %v, want %q", err, tt.want)
		}
		td.Detach()
	}
}

// So does that of a pass.
func TestPassAudit(t *testing.T) {
	for _, tt := range []struct {
		want string
		harm func(p *Pass)
	}{
		{"", func(p *Pass) {}},
		{"C1", func(p *Pass) { p.done.at[0] = p.flight.at[0] }},
		{"C1", func(p *Pass) { p.done.at[0] = PassTags }},
		{"C2", func(p *Pass) { p.flight.n = PassTags }},
		{"C2", func(p *Pass) { p.done.n = -1 }},
		{"C2", func(p *Pass) { p.absent = true }},
		{"C3", func(p *Pass) { p.released = true }},
	} {
		m := machine.Native(1)
		td := m.Attach("test", 0)
		p := NewPass(td, kqueue.New(m, strategies.All[0].New(m)))
		if _, err := p.Write(td, make([]byte, 3*PassCommand)); err != nil {
			t.Fatal(err)
		}
		if err := p.Complete(td, 1); err != nil {
			t.Fatal(err)
		}
		tt.harm(p)
		err := p.Audit(td)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("the audit says %v, want %q", err, tt.want)
		}
		td.Detach()
	}
}
