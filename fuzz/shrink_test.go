package fuzz_test

import (
	"testing"
	"time"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/kqueue"
	"github.com/kqlab/kqlab/model/machine"
)

// The strategy drops every delivery. Of a drawn script that shows it there
// remains little more than a queue, something to watch, an event and who waits
// for it.
func TestShrink(t *testing.T) {
	o := fuzz.Options{
		New:      newWrong(func(w *wrong) { w.deliver = func(*machine.Thread, *kqueue.Knote) {} }),
		Strategy: "wrong",
		Deadline: 200 * time.Millisecond,
	}
	shrunk := 0
	for seed := 0; shrunk < 3; seed++ {
		s := fuzz.Concurrent().Example(seed)
		before := s.String()
		r := fuzz.Run(s, o)
		if r.Finding == nil || r.Finding.Property != "the specification" {
			continue
		}
		shrunk++
		small := fuzz.Shrink(r, o, 10, time.Now().Add(5*time.Second))
		if s.String() != before {
			t.Errorf("the script itself was changed:\n%s\nit was\n%s", s, before)
		}
		if small.Finding == nil || small.Finding.Property != r.Finding.Property {
			t.Errorf("seed %d: %v became %v", seed, r.Finding, small.Finding)
		}
		if n := small.Script.Ops(); n > 6 || n > s.Ops() {
			t.Errorf("seed %d: %d operations became %d, want 6 at most:\n%s", seed, s.Ops(), n, small.Text())
		}
		if _, err := script.Parse("shrunk", small.Script.String()); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		t.Logf("seed %d: %d operations became %d", seed, s.Ops(), small.Script.Ops())
	}
}
