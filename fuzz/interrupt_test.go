package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/fuzz/script"
	"github.com/kqlab/kqlab/model/machine"
	"github.com/kqlab/kqlab/model/machine/sched"
)

// What an interrupt panics with on a virtual machine is a finding, and not the end
// of the process: nobody but who resumes it can recover that.
func TestInterruptPanics(t *testing.T) {
	s, err := fuzz.Scenario("timer-against-delete")
	if err != nil {
		t.Fatal(err)
	}
	x := fuzz.Exploration{
		Options: fuzz.Options{Strategy: "wrong", New: newWrong(func(w *wrong) {
			enter := w.enter
			w.enter = func(td *machine.Thread) {
				enter(td)
				if td.NoSleep {
					panic("an interrupt")
				}
			}
		})},
		Script: func(int) *script.Script { return s }, Scripts: 1, Each: 200,
		Scheduler: func(int) sched.Scheduler { return sched.NewRandom(1) },
	}
	got := x.Explore(t.Context()).Failure
	if got == nil {
		t.Fatal("not found")
	}
	if got.Finding.Property != "no panic" {
		t.Errorf("%v, want that %q is violated", got.Finding, "no panic")
	}
	replays(t, got, x.Options, "no panic", 10)
}
