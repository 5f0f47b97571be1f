package fuzz_test

import (
	"testing"

	"github.com/kqlab/kqlab/fuzz"
)

// What is left undecided is what has two steps and was overtaken between them,
// and no more: a check that decides nothing finds nothing.
func TestOvertaken(t *testing.T) {
	for _, tt := range []struct {
		history string
		want    bool
	}{
		{"1 1 5 write 2 5 => 5\n2 2 3 close 2 => ok", true},
		{"1 1 5 write 2 5 => EBADF\n2 2 3 dup2 3 2 => ok", true},
		{"1 1 5 set 2 5 => ok\n2 2 3 close 3 => ok", false},
		{"1 1 5 set 2 5 => ok\n2 2 3 dup2 2 3 => ok", false},
		{"1 1 2 read 2 5 => 5\n2 3 4 close 2 => ok", false},
		{"1 3 4 read 2 5 => EBADF\n2 1 2 close 2 => ok", false},
		{"1 1 5 pipe => 1 1\n2 2 3 close 1 => ok", true},
		{"1 1 5 pipe => 1 2\n2 4 9 close 2 => ok", true},
		{"1 1 5 pipe => 1 2\n2 6 9 close 2 => ok", false},
		{"1 1 5 kevent 0: READ 2 ADD => ok\n2 2 3 close 2 => ok", false},
	} {
		op, _ := fuzz.Overtaken(history(t, tt.history))
		if got := op != nil; got != tt.want {
			t.Errorf("%q: %v, want %v", tt.history, got, tt.want)
		}
	}
}
