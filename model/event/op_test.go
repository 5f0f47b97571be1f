package event_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/kqlab/kqlab/model/event"
)

func ExampleParseOp() {
	op, err := event.ParseOp("kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD")
	fmt.Println(op.Call, op.FD, op.Room, op.Wait, len(op.Changes), err)
	fmt.Println(op)
	// Output:
	// kevent 0 8 forever 2 <nil>
	// kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD
}

func TestOpString(t *testing.T) {
	for _, s := range []string{
		"kqueue", "pipe", "probe", "probe blocks", "probe unsafe", "probe blocks|unsafe", "set 5 -12", "read 3 100", "write 4 0", "dup -3", "dup2 3 7", "close 3", "kevent 0",
		"kevent 0: READ 1 DELETE", "kevent 7 room=8 wait=finite", "kevent 7 wait=forever: USER 2 fflags=TRIGGER; TIMER 1 ADD data=5",
	} {
		op, err := event.ParseOp(s)
		if err != nil || op.String() != s {
			t.Errorf("ParseOp(%q) = %q, %v, want the same text", s, op, err)
		}
	}
}

func TestResultString(t *testing.T) {
	for _, tt := range []struct {
		r    event.Result
		want string
	}{
		{event.Result{}, "ok"},
		{event.Result{Pending: true}, "pending"},
		{event.Result{Errno: syscall.EBADF}, "EBADF"},
		{event.Result{Errno: syscall.EXDEV}, "errno 18"},
		{event.Result{N: 3}, "3"},
		{event.Result{N: 0, N2: 1}, "0 1"},
		{event.Result{Events: []event.Kevent{{Filter: event.Read, Ident: 1, Data: 5}, {Filter: event.User, Ident: 2}}}, "events READ 1 data=5; USER 2"},
	} {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("String() = %q, want %q", got, tt.want)
		}
		back, err := event.ParseResult(tt.want)
		if err != nil || !back.Equal(tt.r) {
			t.Errorf("ParseResult(%q) = %+v, %v, want %+v", tt.want, back, err, tt.r)
		}
	}
}

// Every message names the word at fault and what would have been right.
func TestParseOpErrors(t *testing.T) {
	for _, tt := range []struct{ text, word, want string }{
		{"", `""`, "kevent"},
		{"open 3", `"open"`, "kqueue, pipe"},
		{"close", "close", "descriptor"},
		{"close x", `"x"`, "32 bits"},
		{"close 3 4", `"4"`, "the end"},
		{"close 3: READ 1", `":"`, "changes"},
		{"probe slow", `"slow"`, "blocks, unsafe"},
		{"probe blocks|", `""`, "blocks, unsafe"},
		{"probe blocks unsafe", `"unsafe"`, "the end"},
		{"write 3 -1", `"-1"`, "at least 0"},
		{"dup2 3", "dup2", "new descriptor"},
		{"kevent 0 room=-1", `"-1"`, "from 0"},
		{"kevent 0 wait=long", `"long"`, "forever"},
		{"kevent 0 size=1", `"size=1"`, "room="},
		{"kevent 0:", `""`, "a filter and an ident"},
		{"kevent 0: READ 1 ADD; REED 2", `"REED"`, "READ, WRITE"},
	} {
		op, err := event.ParseOp(tt.text)
		if err == nil {
			t.Errorf("ParseOp(%q) = %v, want an error", tt.text, op)
		} else if s := err.Error(); !strings.Contains(s, tt.word) || !strings.Contains(s, tt.want) {
			t.Errorf("ParseOp(%q): %q, want %s and %q in it", tt.text, s, tt.word, tt.want)
		}
	}
	for _, s := range []string{"", "EWHAT", "1 2 3", "1 x", "errno", "errno 0", "events", "events READ", "pending 3"} {
		if r, err := event.ParseResult(s); err == nil {
			t.Errorf("ParseResult(%q) = %v, want an error", s, r)
		}
	}
}

func FuzzParseOp(f *testing.F) {
	for _, s := range []string{"kqueue", "probe unsafe|blocks", "set 5 -12", "dup2 3 7", "kevent 0 room=8 wait=forever: READ 1 ADD|CLEAR; USER 2 ADD", "kevent", ":", "close 0x3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		op, err := event.ParseOp(s)
		if err != nil {
			return
		}
		back, err := event.ParseOp(op.String())
		if err != nil || !back.Equal(op) || strings.ContainsAny(op.String(), "\n\r") {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, op, op, back, err)
		}
	})
}

func FuzzParseResult(f *testing.F) {
	for _, s := range []string{"ok", "pending", "EBADF", "errno 18", "3 4", "events READ 1 data=5; USER 2 CLEAR", "events"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := event.ParseResult(s)
		if err != nil {
			return
		}
		back, err := event.ParseResult(r.String())
		if err != nil || !back.Equal(r) || strings.ContainsAny(r.String(), "\n\r") {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", s, r, r, back, err)
		}
	})
}
