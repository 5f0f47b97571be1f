package linearizability_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/linearizability"
)

// A reset tells READ and EXCEPT, and a scan that is under way returns one of them.
// Whether that needs HalfTold depends on when the call began, whether it has room, and
// whether there is anything that it has left.
func TestHalfTold(t *testing.T) {
	const setup = `
		0 1 3 kqueue => 0 @ 2 made
		0 4 7 socketpair stream => 1 2 @ 5 made; 6 made
		0 8 11 send 1 5 => 5 @ 9 found; 10 acted
		0 12 20 kevent 0: READ 1 ADD|CLEAR udata=1; EXCEPT 1 ADD|CLEAR udata=2 => ok @ 13 found; 14 change; 15 found; 16 changed; 17 change; 18 found; 19 changed
		1 30 36 close 2 => ok @ 31 unlinked; 32 reaped; 34 released
`
	const (
		read   = "READ 1 CLEAR|HUP|NODATA|EOF fflags=ECONNRESET udata=1"
		except = "EXCEPT 1 CLEAR|HUP|EOF data=ECONNRESET udata=2"
	)
	half := []linearizability.Freedom{linearizability.HalfTold}
	const refused = "completeness"
	for _, tt := range []struct {
		name, calls string
		needs       []linearizability.Freedom
		refused     string // by the rule
	}{
		{"READ without EXCEPT", "2 25 40 kevent 0 room=4 => events " + read + " @ 33 found; 35 took", half, ""},
		{"EXCEPT without READ", "2 25 40 kevent 0 room=4 => events " + except + " @ 33 found; 35 took",
			[]linearizability.Freedom{linearizability.AnyOrder, linearizability.HalfTold}, ""},
		{"both", "2 25 40 kevent 0 room=4 => events " + read + "; " + except + " @ 33 found; 35 took; 37 took", nil, ""},
		{"no room for both", "2 25 40 kevent 0 room=1 => events " + read + " @ 33 found; 35 took", nil, ""},
		{"neither", "2 25 40 kevent 0 room=4 => ok @ 33 found", nil, ""},
		{"EXCEPT is left to the next", "2 25 40 kevent 0 room=4 => events " + read + " @ 33 found; 35 took\n" +
			"2 41 44 kevent 0 room=4 => events " + except + " @ 42 found; 43 took", half, ""},
		{"EXCEPT is left to one that is under way", "2 25 40 kevent 0 room=4 => events " + read + " @ 33 found; 35 took\n" +
			"3 26 39 kevent 0 room=1 => events " + except + " @ 27 found; 37 took", half, ""},
		{"READ was taken before by one that is under way", "2 25 40 kevent 0 room=4 => events " + except + " @ 33 found; 37 took\n" +
			"3 26 39 kevent 0 room=1 => events " + read + " @ 27 found; 35 took", nil, ""},
		{"it begins after the posts, before the close returns", "2 25 40 kevent 0 room=4 => events " + read + " @ 35 found; 37 took", nil, "unknown"},
		{"it begins after the close has returned", "2 50 60 kevent 0 room=4 => events " + read + " @ 51 found; 52 took", nil, refused},
		{"and so does one that returns the other", "2 50 60 kevent 0 room=4 => events " + except + " @ 51 found; 52 took", nil, refused},
		{"and so does one that returns neither", "2 50 60 kevent 0 room=4 => ok @ 51 found", nil, refused},
	} {
		h, err := linearizability.Parse(tt.name, setup+tt.calls)
		if err != nil {
			t.Fatal(err)
		}
		needs, ok := linearizability.Needs(h)
		if ok != (tt.refused == "") || !slices.Equal(needs, tt.needs) {
			t.Errorf("%s: needs %v, %v; want %v", tt.name, needs, ok, tt.needs)
		}
		v := linearizability.Check(h, linearizability.Options{})
		wrong := tt.refused == refused
		if wrong != (v.Verdict == linearizability.Violation) || v.Verdict == linearizability.Undecided {
			t.Errorf("%s: %v", tt.name, v)
		}
		for _, f := range v.Findings {
			if !strings.HasPrefix(f.Rule, tt.refused) {
				t.Errorf("%s: want %q: %v", tt.name, tt.refused, f)
			}
		}
	}
}

// Of two freedoms either of which would do it is the later one that is needed.
func TestNeeds(t *testing.T) {
	// EXCEPT may be claimed by thread 3, or not have been told yet.
	h, err := linearizability.Parse("either", `
		0 1 3 kqueue => 0 @ 2 made
		0 4 7 socketpair stream => 1 2 @ 5 made; 6 made
		0 8 11 send 1 5 => 5 @ 9 found; 10 acted
		0 12 20 kevent 0: READ 1 ADD|CLEAR udata=1; EXCEPT 1 ADD|CLEAR udata=2 => ok @ 13 found; 14 change; 15 found; 16 changed; 17 change; 18 found; 19 changed
		3 25 50 kevent 0 room=1 => events EXCEPT 1 CLEAR|HUP|EOF data=ECONNRESET udata=2 @ 26 found; 42 took
		2 27 40 kevent 0 room=4 => events READ 1 CLEAR|HUP|NODATA|EOF fflags=ECONNRESET udata=1 @ 28 found; 37 took
		1 30 36 close 2 => ok @ 31 unlinked; 32 reaped; 34 released`)
	if err != nil {
		t.Fatal(err)
	}
	if needs, ok := linearizability.Needs(h); !ok || !slices.Equal(needs, []linearizability.Freedom{linearizability.HalfTold}) {
		t.Errorf("needs %v, %v", needs, ok)
	}
}
