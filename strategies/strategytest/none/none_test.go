package none_test

import (
	"testing"

	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/strategies/strategytest/none"
)

// The control must be what it says: nobody is kept out, not even while another
// is inside. That it is caught is tested in strategytest.
func TestExcludesNobody(t *testing.T) {
	m := machine.Native(2)
	s := none.New(m)
	var inside machine.WaitChan
	inside.Name = "a second visitor"
	m.Go("first", 0, func(td *machine.Thread) {
		p := s.Queue(td)
		p.Enter(td)
		td.Interlock(&inside)
		m.Go("second", 1, func(td *machine.Thread) {
			p.Enter(td)
			td.Wakeup(&inside)
			p.Exit(td)
		})
		if err := p.Sleep(td, machine.Forever); err != nil {
			t.Errorf("Sleep: %v", err)
		}
		p.Exit(td)
		if s.Source(td) == s.Queue(td) {
			t.Error("two objects share a place: nothing would be delivered between domains")
		}
	})
	if err := m.Run(); err != nil {
		t.Fatalf("the second waits for the first: %v", err)
	}
}
