package fuzz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kqlab/kqlab/fuzz"
	"github.com/kqlab/kqlab/linearizability"
)

func history(t *testing.T, text string) linearizability.History {
	t.Helper()
	h, err := linearizability.Parse("history", text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// watched is a probe, a queue that watches it, and one that watches that.
const watched = `
			0 1 2 kqueue => 0
			0 3 4 probe => 1
			0 5 6 kqueue => 2
			0 7 8 kevent 0: READ 1 ADD => ok
			0 9 10 kevent 2: READ 0 ADD => ok`

// Each bad history breaks one property; next to it stands what is almost the
// same and right, since a check that always complains is none.
func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, property, bad, good string }{
		{
			"stale-after-delete", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 kevent 0: READ 1 DELETE => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1`, `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 6 kevent 0: READ 1 DELETE => ok
			2 5 8 kevent 0 room=4 => events READ 1 data=5 udata=1`,
		}, {
			"brought-back", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 kevent 0: READ 1 DELETE => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1
			1 7 8 kevent 0: READ 1 ADD udata=1 => ok`, `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 kevent 0: READ 1 DELETE => ok
			2 5 7 kevent 0 room=4 => events READ 1 data=5 udata=1
			1 6 8 kevent 0: READ 1 ADD udata=1 => ok`,
		}, {
			"delete-that-failed", "nothing after the end", `
			1 1 2 kevent 0: USER 1 ADD fflags=TRIGGER => ok
			1 3 4 kevent 0 room=2: USER 1 DELETE|RECEIPT => events USER 1 ERROR
			2 5 6 kevent 0 room=4 => events USER 1`, `
			1 1 2 kevent 0: USER 1 ADD fflags=TRIGGER => ok
			1 3 4 kevent 0 room=2: USER 1 DELETE|RECEIPT => events USER 1 ERROR data=EINVAL
			2 5 6 kevent 0 room=4 => events USER 1`,
		}, {
			"stale-after-disable", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD => ok
			1 3 4 kevent 0: READ 1 DISABLE => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5`, `
			1 1 2 kevent 0: READ 1 ADD => ok
			1 3 4 kevent 0: READ 1 DISABLE => ok
			3 4 9 kevent 0: READ 1 ENABLE => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5`,
		}, {
			"stale-after-close", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 close 1 => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1`, `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 close 1 => EBADF
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1`,
		}, {
			"close-under-way", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			2 3 4 close 1 => ok
			3 5 6 kqueue => 1
			3 7 8 close 1 => ok
			3 9 10 kevent 0 room=4 => events READ 1 data=5 udata=1`, `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			2 3 11 close 1 => ok
			3 5 6 kqueue => 1
			3 7 8 close 1 => ok
			3 9 10 kevent 0 room=4 => events READ 1 data=5 udata=1`,
		}, {
			"stale-after-dup2", "nothing after the end", `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 dup2 2 1 => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1`, `
			1 1 2 kevent 0: READ 1 ADD udata=1 => ok
			1 3 4 dup2 1 1 => ok
			2 5 6 kevent 0 room=4 => events READ 1 data=5 udata=1`,
		}, {
			"double-oneshot", "at most once", `
			1 1 2 kevent 0: READ 1 ADD|ONESHOT udata=1 => ok
			1 3 6 kevent 0 room=4 => events READ 1 ONESHOT data=5 udata=1
			2 3 6 kevent 0 room=4 => events READ 1 ONESHOT data=5 udata=1`, `
			1 1 2 kevent 0: READ 1 ADD|ONESHOT udata=1 => ok
			2 1 2 kevent 0: READ 1 ADD|ONESHOT udata=2 => ok
			1 3 6 kevent 0 room=4 => events READ 1 ONESHOT data=5 udata=1
			2 3 6 kevent 0 room=4 => events READ 1 ONESHOT data=5 udata=2`,
		}, {
			"double-dispatch", "at most once", `
			1 1 2 kevent 0: READ 1 ADD|DISPATCH => ok
			1 3 6 kevent 0 room=4 => events READ 1 DISPATCH data=5
			2 3 6 kevent 0 room=4 => events READ 1 DISPATCH data=5`, `
			1 1 2 kevent 0: READ 1 ADD|DISPATCH => ok
			1 3 6 kevent 0 room=4 => events READ 1 DISPATCH data=5
			2 3 6 kevent 0 room=4: READ 1 ENABLE => events READ 1 DISPATCH data=5`,
		}, {
			"double-clear", "at most once", `
			1 1 2 kevent 0: USER 1 ADD|CLEAR => ok
			2 1 2 kevent 0: USER 1 fflags=TRIGGER => ok
			1 3 6 kevent 0 room=4 => events USER 1 CLEAR
			2 3 6 kevent 0 room=4 => events USER 1 CLEAR`, `
			1 1 2 kevent 0: USER 1 ADD => ok
			2 1 2 kevent 0: USER 1 fflags=TRIGGER => ok
			1 3 6 kevent 0 room=4 => events USER 1
			2 3 6 kevent 0 room=4 => events USER 1`,
		}, {
			"twice-in-a-call", "at most once", `
			1 1 2 kevent 0: READ 1 ADD => ok
			1 3 6 kevent 0 room=4 => events READ 1 data=5; READ 1 data=5`, `
			1 1 2 kevent 0: READ 1 ADD; WRITE 1 ADD => ok
			1 3 6 kevent 0 room=4 => events READ 1 data=5; WRITE 1 data=5`,
		}, {
			"foreign-udata", "conservation", `
			1 1 2 kevent 0: READ 1 ADD udata=7 => ok
			1 3 6 kevent 0 room=4 => events READ 1 data=5 udata=8`, `
			1 1 2 kevent 0: READ 1 ADD udata=7 => ok
			1 3 6 kevent 0 room=4 => events READ 1 data=5 udata=7`,
		}, {
			"more-bytes", "conservation", `
			0 1 2 pipe => 3 4
			1 3 4 write 4 5 => 5
			1 5 6 read 3 9 => 5
			2 5 6 read 3 9 => 1`, `
			0 1 2 pipe => 3 4
			1 3 4 write 4 5 => 5
			1 5 6 read 3 9 => 4
			2 5 6 read 3 9 => 1`,
		}, {
			"more-events", "conservation", `
			0 1 2 device mouse => 3
			1 3 4 input 3 2 => 2
			2 5 6 read 3 99 => 24`, `
			0 1 2 device mouse => 3
			1 3 4 input 3 2 => 2
			2 5 6 read 3 99 => 16`,
		}, {
			"nothing-for-ever", "an answer to every wait", `
			1 1 2 kevent 0 room=1 wait=forever => ok`, `
			1 1 2 kevent 0 room=1 wait=finite => ok`,
		}, {
			"no-room", "an answer to every wait", `
			1 1 2 kevent 0 room=1: READ 1 ADD; READ 2 ADD => events READ 1; READ 2`, `
			1 1 2 kevent 0 room=2: READ 1 ADD; READ 2 ADD => events READ 1; READ 2`,
		}, {
			"watch-missed", "completeness", watched + `
			1 11 20 set 1 1 => ok
			2 12 13 set 1 2 => ok
			2 14 15 kevent 2 room=4 => ok`, watched + `
			1 11 20 set 1 1 => ok
			3 12 15 set 1 2 => ok
			2 14 16 kevent 2 room=4 => ok`,
		}, {
			"watch-missed-though-seen", "completeness", watched + `
			1 11 20 set 1 1 => ok
			2 12 13 kevent 0 room=4 => events READ 1 data=1
			2 14 15 kevent 2 room=4 => ok`, watched + `
			1 11 20 set 1 1 => ok
			2 12 13 kevent 0 room=4 => events READ 1 data=1
			3 14 15 set 1 0 => ok
			2 16 17 kevent 2 room=4 => ok`,
		}, {
			"watch-of-a-watch-missed", "completeness", watched + `
			0 11 12 kqueue => 3
			0 13 14 kevent 3 room=1: READ 2 ADD|RECEIPT => events READ 2 ERROR
			1 15 16 set 1 0 => ok
			1 17 18 set 1 3 => ok
			2 19 20 kevent 3 room=4 => ok
			1 21 22 set 1 0 => ok`, watched + `
			0 11 12 kqueue => 3
			0 13 14 kevent 3 room=1: READ 2 ADD|RECEIPT => events READ 2 ERROR
			1 15 16 set 1 0 => ok
			1 17 18 set 1 3 => ok
			2 19 21 kevent 3 room=4 => ok
			1 20 22 set 1 0 => ok`,
		}, {
			"watch-that-stays", "completeness", watched + `
			1 11 12 set 1 1 => ok
			2 13 14 kevent 2 room=4 => ok`, watched + `
			1 11 12 set 1 1 => ok
			1 13 14 kevent 0: READ 1 DISABLE => ok
			2 15 16 kevent 2 room=4 => ok`,
		}, {
			"watch-of-one-queue", "completeness", watched + `
			1 11 12 set 1 1 => ok
			2 13 14 kevent 2 room=4 => ok`, watched + `
			1 11 12 set 1 1 => ok
			1 13 14 close 0 => ok
			2 15 16 kevent 2 room=4 => ok`,
		}, {
			"watch-with-room", "completeness", watched + `
			1 11 12 set 1 1 => ok
			2 13 14 kevent 2 room=4 wait=finite => ok`, watched + `
			1 11 12 set 1 1 => ok
			2 13 14 kevent 2 wait=finite => ok`,
		},
	} {
		f := fuzz.Check(history(t, tt.bad))
		if f == nil || f.Property != tt.property {
			t.Errorf("%s: %v, want that %q is violated", tt.name, f, tt.property)
		}
		if f := fuzz.Check(history(t, tt.good)); f != nil {
			t.Errorf("%s, the right one: %v", tt.name, f)
		}
	}
}

// Of several things that are wrong the same one is named each time, or a failure
// would not look the same when it is replayed.
func TestCheckNamesTheSame(t *testing.T) {
	const each = `
			1 %d %d kevent 0: READ IDENT ADD udata=1 => ok
			1 %d %d kevent 0: READ IDENT DELETE => ok
			2 %d %d kevent 0 room=4 => events READ IDENT udata=1`
	text := ""
	for i := range 8 {
		at := 6 * i
		text += fmt.Sprintf(strings.NewReplacer("IDENT", fmt.Sprint(i+1)).Replace(each), at, at+1, at+2, at+3, at+4, at+5)
	}
	h := history(t, text)
	first := fuzz.Check(h)
	if first == nil {
		t.Fatal("nothing is found")
	}
	for range 100 {
		if again := fuzz.Check(h); again.Detail != first.Detail {
			t.Fatalf("found first\n%v\nand then\n%v", first, again)
		}
	}
}
